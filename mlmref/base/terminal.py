"""Print to a terminal: consoles and tables; control characters are escaped (SEC-009)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

_LINE = "\n\t"  # the control characters that a text may contain
_ESCAPED = {
    code: f"\\u{code:04x}"
    # C0 and C1, which begin escape sequences, and surrogates, which no encoding can write.
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000))
    if chr(code) not in _LINE
}


def plain(text: str) -> str:
    r"""Return a text with its control characters as ``\u001b``, which JSON reads as the same."""
    return text.translate(_ESCAPED)


def is_utf8(text: str) -> bool:
    """Whether a text of the command line or the file system can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Terminal(Console):
    """A console that prints names, texts and messages of any origin as they are.

    Text cannot move the cursor or set a title or a color, and ``:x:`` is not an emoji. The
    control sequences of the program's own styles and bars are printed.

    Args:
        options: as of :class:`rich.console.Console`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, emoji=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render anything, with the control characters in its text escaped."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(plain(segment.text), segment.style)


def table(*columns: str) -> Table:
    """Return an empty table with these headings, which folds long cells."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
