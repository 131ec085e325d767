"""Measure a stage's progress and rate, and format them for every reporter."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

FACTS: dict[str, tuple[str, str, str]] = {
    "loss": ("loss {:.3f}", "loss {:.3f}", "loss {:.2f}"),
    "learning_rate": ("learning rate {:.2e}", "lr {:.2e}", "lr {:.0e}"),
    "tokens_per_second": ("{:,.0f} tokens/s", "{:,.0f} tok/s", "{:,.0f} t/s"),
    "perplexity": ("perplexity {:.2f}", "ppl {:.2f}", "ppl {:.1f}"),
}
"""Formats of each fact: long, short and shortest. Other facts are shown as they are."""

_WINDOW = 30.0
"""Seconds over which the rate is measured: the first steps of a stage are the slowest."""


class Meter:
    """Progress and rate of one stage, without the time of stages inside it.

    Args:
        name: the name of the stage.
        total: units of work, if known.
        unit: name of the unit, in the plural.
        done: units done before the stage began.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        name: str,
        total: float | None = None,
        unit: str = "",
        done: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.total, self.unit, self.done = name, total, unit, done
        self.facts: Mapping[str, float | str] = {}
        self._clock, self._before = clock, done
        self._began, self._away = clock(), 0.0
        self._left: float | None = None  # when the inner stage began
        self._seen = deque([(0.0, done)])

    def advance(self, amount: float = 1, **facts: float | str) -> None:
        """Count work; see :class:`mlmref.base.progress.reporter.Stage`."""
        self.done += amount
        self.facts = {**self.facts, **facts}  # a new dict, because another thread may read the old
        now = self.worked
        self._seen.append((now, self.done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW:
            self._seen.popleft()

    def pause(self) -> None:
        """Stop the stage's own clock during an inner stage."""
        self._left = self._clock()

    def go_on(self) -> None:
        """Start the stage's own clock again."""
        if self._left is not None:
            self._away += self._clock() - self._left
        self._left = None

    @property
    def took(self) -> float:
        """Seconds since the stage began."""
        return self._clock() - self._began

    @property
    def worked(self) -> float:
        """Seconds since the stage began, without inner stages."""
        return (self._clock() if self._left is None else self._left) - self._began - self._away

    @property
    def share(self) -> float | None:
        """Share that is done, from 0 to 1; ``None`` if the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def rate(self) -> float | None:
        """Units per second in the last 30 seconds; ``None`` if there are none."""
        (first, before), (last, done) = self._seen[0], self._seen[-1]
        return (done - before) / (last - first) if last > first and done > before else None

    @property
    def overall(self) -> float | None:
        """Units per second since the stage began; ``None`` if there are none."""
        done = self.done - self._before
        return done / self.worked if done > 0 and self.worked > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds of work left at the current rate; ``None`` if unknown."""
        if self.total is None or self.rate is None:
            return None
        return max(0.0, self.total - self.done) / self.rate

    def pace(self, rate: float | None) -> str:
        """Return a rate as text, ``12.3 documents/s``; empty if it or the unit is unknown."""
        if rate is None or not self.unit:
            return ""
        if self.unit == "bytes":
            return f"{_figure(rate / 1e6)} MB/s"
        return f"{_figure(rate)} {self.unit}/s"

    def amount(self) -> str:
        """Return the amount done as text, ``420 of 1,000 steps``; empty without a unit."""
        if not self.unit:
            return ""
        part, unit = (1e6, "MB") if self.unit == "bytes" else (1, self.unit)
        total = "" if self.total is None else f" of {self.total / part:,.0f}"
        return f"{self.done / part:,.0f}{total} {unit}"

    def told(self, room: int = 0) -> list[str]:
        """Return the facts as texts: long for a ``room`` of 0, shorter for 1 and 2."""
        return [
            FACTS[name][room].format(value) if name in FACTS else str(value)
            for name, value in self.facts.items()
        ]


class Nest:
    """The open stages, outermost first. Only the clock of the innermost one runs."""

    def __init__(self) -> None:
        self.open: list[Meter] = []

    @contextmanager
    def __call__(self, meter: Meter) -> Iterator[None]:
        """Open a stage inside the others."""
        if self.open:
            self.open[-1].pause()
        self.open = [*self.open, meter]
        try:
            yield
        finally:
            self.open = self.open[:-1]
            if self.open:
                self.open[-1].go_on()


def lasting(seconds: float | None) -> str:
    """Return a duration as text: ``1:23``, ``1:02:03``, or ``-:--`` if it is unknown."""
    if seconds is None:
        return "-:--"
    if seconds >= 86_400:
        return f"{seconds / 86_400:.1f} days"
    whole = str(timedelta(seconds=round(seconds)))
    return whole.removeprefix("0:").removeprefix("0") if whole.startswith("0:") else whole


def _figure(value: float) -> str:
    """Return a rate with three significant digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
