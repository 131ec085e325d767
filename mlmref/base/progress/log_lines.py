"""Progress as plain lines for logs: at the end of a stage, and every ten seconds during it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from mlmref.base.progress.meter import Meter, Nest, lasting

if TYPE_CHECKING:
    from rich.console import Console

EVERY = 10.0
"""Seconds between two lines about a stage."""


class Lines:
    """A reporter that prints a line at the end of a stage, and every ``every`` seconds before."""

    def __init__(self, console: Console, every: float = EVERY) -> None:
        self._console, self._every = console, every
        self._nest, self._said = Nest(), time.monotonic()

    def note(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    warn = note

    @contextmanager
    def stage(
        self, name: str, total: float | None = None, unit: str = "", done: float = 0
    ) -> Iterator[Meter]:
        """Open a stage."""
        meter = Meter(name, total, unit, done)
        with self._ticking(), self._nest(meter):
            yield meter
        self._say(ended(meter))

    @contextmanager
    def _ticking(self) -> Iterator[None]:
        """Print from a thread during the outermost stage, because one call may take long."""
        if self._nest.open:
            yield
            return
        self._said, over = time.monotonic(), Event()
        thread = Thread(target=self._tick, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _tick(self, over: Event) -> None:
        while not over.wait(max(0.0, self._said + self._every - time.monotonic())):
            innermost = self._nest.open[-1:]
            if innermost and time.monotonic() >= self._said + self._every:
                self._say(under_way(innermost[0]))

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        self.note(line)


def under_way(meter: Meter) -> str:
    """Return the progress: ``train: 42% (420 of 1,000 steps), 2.31 steps/s, 4:11 left``."""
    share, amount = meter.share, meter.amount()
    parts = [f"{lasting(meter.took)} elapsed"]
    if share is not None:
        parts = [f"{share:.0%} ({amount})" if amount else f"{share:.0%}"]
    elif amount:
        parts = [amount, *parts]
    if pace := meter.pace(meter.rate):
        parts.append(pace)
    if meter.seconds_left is not None:
        parts.append(f"{lasting(meter.seconds_left)} left")
    return _line(meter, parts)


def ended(meter: Meter) -> str:
    """Return the summary of a finished stage: ``evaluate: done in 2.4 s, 413 chunks/s``."""
    parts = [f"done in {meter.took:.1f} s"]
    if pace := meter.pace(meter.overall):
        parts.append(pace)
    return _line(meter, parts)


def _line(meter: Meter, parts: list[str]) -> str:
    facts = meter.told()
    return f"{meter.name}: {', '.join(parts)}" + (f"; {', '.join(facts)}" if facts else "")
