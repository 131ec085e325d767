"""Print to a terminal; control characters in foreign text are escaped (SEC-009)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_LINE = "\n\t"  # what a text may have
_ESCAPED = {
    code: f"\\u{code:04x}"
    # C0 and C1 with what begins an escape sequence, and halves of characters, which no
    # encoding has a place for.
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000))
    if chr(code) not in _LINE
}


def plain(text: str) -> str:
    r"""Spell out control characters as ``\u001b``, which in JSON still is the same string."""
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

    They move no cursor, set no title and no colour, and ``:x:`` in them is no picture; the
    sequences that the program itself asks for by its styles and bars go through.

    Args:
        options: as of :class:`rich.console.Console`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, emoji=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render anything, with the control characters in its text spelled out."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(plain(segment.text), segment.style)
