"""Live progress bars on a terminal: one row per stage, never wider than the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from mlmref.base.progress.meter import Meter, Nest, lasting

if TYPE_CHECKING:
    from rich.console import Console

_NAME = 10  # columns for a stage's name
_BAR = range(8, 31)  # columns that a bar may have


class Bars:
    """A reporter with one row per open stage: bar, share, rate and time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._nest, self._finished = Nest(), False

    def note(self, text: str) -> None:
        """Print one line above the bars."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    warn = note

    @contextmanager
    def stage(
        self, name: str, total: float | None = None, unit: str = "", done: float = 0
    ) -> Iterator[Meter]:
        """Open a stage."""
        meter = Meter(name, total, unit, done)
        if self._nest.open:
            with self._nest(meter):
                yield meter
            return
        self._finished = False
        with (
            self._nest(meter),
            Live(get_renderable=self._rows, console=self._console, refresh_per_second=5),
        ):
            yield meter
            self._finished = True  # drawn when Live ends, but not after a failure

    def _rows(self) -> Group:
        width = self._console.width - 1  # some terminals wrap a line that fills the last column
        color = self._console.color_system is not None and not self._console.no_color
        drawn = Drawn(width, ascii_only=self._console.options.ascii_only, back=color)
        rows: list[Text] = []
        for meter in self._nest.open:
            rows.append(drawn.row(meter, finished=self._finished))
            if meter.facts:
                rows.append(Text(facts(meter, width), style="dim", no_wrap=True, overflow="crop"))
        return Group(*rows)


class Drawn:
    """Draws rows.

    Args:
        width: columns of the terminal.
        ascii_only: the terminal has only ASCII characters.
        back: also draw the part that is not done, which differs from the rest only in color.
    """

    def __init__(self, width: int, *, ascii_only: bool = False, back: bool = True) -> None:
        self._width, self._mark, self._back = width, "=" if ascii_only else "━", back

    def row(self, meter: Meter, *, finished: bool = False) -> Text:
        """Return the row of a stage, with as much beside its bar as fits."""
        for right in _sides(meter, finished=finished):
            text = "  ".join(filter(None, right))
            room = self._width - _NAME - len(text) - 1
            if room >= _BAR[0]:
                break
        row = Text(f"{meter.name:<{_NAME - 1}} ", no_wrap=True, overflow="crop")
        if room >= _BAR[0]:
            row.append_text(self._bar(meter, min(room, _BAR[-1]), finished=finished)).append(" ")
        row.append(text)
        row.truncate(self._width)
        return row

    def _bar(self, meter: Meter, width: int, *, finished: bool) -> Text:
        if finished:
            return Text(self._mark * width, style="bar.finished")
        if meter.share is None:  # a moving bar
            at, size = int(time.monotonic() * 10) % (width + 4) - 4, 4
            begin, end = max(0, at), min(width, at + size)
            return Text.assemble(
                " " * begin, (self._mark * (end - begin), "bar.pulse"), " " * (width - end)
            )
        done = int(meter.share * width)
        rest = (self._mark if self._back else " ") * (width - done)
        return Text.assemble((self._mark * done, "bar.complete"), (rest, "bar.back"))


def _sides(meter: Meter, *, finished: bool) -> list[list[str]]:
    """Return the texts beside a bar in versions to choose from, the longest first."""
    pace = meter.pace(meter.overall if finished else meter.rate)
    if finished:
        share, clock = "100%", lasting(meter.took)
    elif meter.share is None:
        share, clock = meter.amount(), lasting(meter.took)
    else:
        share, clock = f"{meter.share:4.0%}", f"{lasting(meter.seconds_left)} left"
    return [[share, pace, clock], [share, clock], [share]]


def facts(meter: Meter, width: int) -> str:
    """Return the facts in one line of at most ``width`` columns, shortened, then omitted."""
    versions = [meter.told(room) for room in range(3)]
    versions += [versions[-1][:count] for count in range(len(versions[-1]) - 1, 0, -1)]
    lines = [" " * _NAME + "  ".join(version) for version in versions]
    return next((line for line in lines if len(line) <= width), lines[-1][:width])
