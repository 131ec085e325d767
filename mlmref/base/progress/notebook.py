"""One live progress bar in a notebook's output, drawn with IPython's display."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import escape
from importlib import import_module
from typing import Any

from mlmref.base.progress.log_lines import ended, under_way
from mlmref.base.progress.meter import Meter, Nest

_EVERY = 0.2  # seconds between two updates
_KEPT = 20  # lines above the bars


class Notebook:
    """A reporter that updates one output: the latest lines, and a bar for each open stage."""

    def __init__(self) -> None:
        self._nest = Nest()
        self._lines: list[str] = []
        self._handle: Any = None
        self._drawn = 0.0
        with warnings.catch_warnings(), suppress(ImportError):
            # At its import, tqdm warns that ipywidgets is missing, which mlmref does not need.
            warnings.simplefilter("ignore")
            import_module("tqdm.auto")

    def note(self, text: str) -> None:
        """Add one line."""
        self._lines = [*self._lines[1 - _KEPT :], text]
        self._draw()

    warn = note

    @contextmanager
    def stage(
        self, name: str, total: float | None = None, unit: str = "", done: float = 0
    ) -> Iterator[_Watched]:
        """Open a stage."""
        meter = _Watched(self, name, total, unit, done)
        inner = bool(self._nest.open)
        with self._nest(meter):
            self._draw()
            yield meter
        if inner:
            self._draw()
        else:
            self.note(ended(meter))

    def moved(self) -> None:
        """Update the output, at most every 0.2 seconds."""
        if time.monotonic() - self._drawn >= _EVERY:
            self._draw()

    def _draw(self) -> None:
        from IPython.display import display

        self._drawn = time.monotonic()
        picture = {"text/html": self._html(), "text/plain": self._text()}
        if self._handle is None:
            show: Any = display  # not annotated
            self._handle = show(picture, raw=True, display_id=True)
        else:
            self._handle.update(picture, raw=True)

    def _html(self) -> str:
        said = "".join(f"<div>{escape(line)}</div>" for line in self._lines)
        bars = "".join(_bar(meter) for meter in self._nest.open)
        return f'<div style="font-family: monospace; white-space: pre-wrap">{said}{bars}</div>'

    def _text(self) -> str:
        return "\n".join([*self._lines, *map(under_way, self._nest.open)])


class _Watched(Meter):
    """A meter that updates the output as it advances."""

    def __init__(
        self, notebook: Notebook, name: str, total: float | None, unit: str, done: float
    ) -> None:
        super().__init__(name, total, unit, done)
        self._notebook = notebook

    def advance(self, amount: float = 1, **facts: float | str) -> None:
        """Count work, and update the output."""
        super().advance(amount, **facts)
        self._notebook.moved()


def _bar(meter: Meter) -> str:
    """Return the bar of a stage; without a value the browser shows a moving bar."""
    value = "" if meter.share is None else f' value="{meter.share:.4f}"'
    bar = f'<progress max="1"{value} aria-label="{escape(meter.name)}"></progress>'
    return f"<div>{bar} {escape(under_way(meter))}</div>"
