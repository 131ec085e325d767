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
"""How a fact is said where there is room, where there is little, and where there is next to none.

One that is not named here is said as it is.
"""

_WINDOW = 30.0
"""Seconds over which the rate is taken: the first steps of a stage are slower than the others."""


class Meter:
    """One stage: what is done of it, and how quickly that goes while it is its turn.

    Args:
        name: the stage's.
        total: units of work, if that is known.
        unit: what they are.
        done: how many were done before it began.
        clock: gives seconds.
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
        self._left: float | None = None  # when another stage began to work inside it
        self._seen = deque([(0.0, done)])

    def advance(self, amount: float = 1, **facts: float | str) -> None:
        """Count; see :class:`mlmref.base.progress.reporter.Stage`."""
        self.done += amount
        self.facts = {**self.facts, **facts}  # anew, since another thread may be reading
        now = self.worked
        self._seen.append((now, self.done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW:
            self._seen.popleft()

    def pause(self) -> None:
        """Stop the stage's own clock while another works inside it."""
        self._left = self._clock()

    def go_on(self) -> None:
        """Let it run again."""
        if self._left is not None:
            self._away += self._clock() - self._left
        self._left = None

    @property
    def took(self) -> float:
        """Seconds since the stage began."""
        return self._clock() - self._began

    @property
    def worked(self) -> float:
        """Seconds that it was at work itself."""
        return (self._clock() if self._left is None else self._left) - self._began - self._away

    @property
    def share(self) -> float | None:
        """How much of it is done, from 0 to 1, where that can be known."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def rate(self) -> float | None:
        """Units in a second of late, where there are any."""
        (first, before), (last, done) = self._seen[0], self._seen[-1]
        return (done - before) / (last - first) if last > first and done > before else None

    @property
    def overall(self) -> float | None:
        """Units in a second since the stage began."""
        gone = self.done - self._before
        return gone / self.worked if gone > 0 and self.worked > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds of its own work that are left, as things go."""
        if self.total is None or self.rate is None:
            return None
        return max(0.0, self.total - self.done) / self.rate

    def pace(self, rate: float | None, unit: str | None = None) -> str:
        """Say a rate: ``12.3 documents/s``, or nothing where there is none."""
        if rate is None or not self.unit:
            return ""
        if self.unit == "bytes":
            return f"{_figure(rate / 1e6)} MB/s"
        return f"{_figure(rate)} {self.unit if unit is None else unit}/s"

    def amount(self) -> str:
        """Say how much is done: ``420 of 1,000 steps``; nothing where nobody knows in what."""
        if not self.unit:
            return ""
        part, unit = (1e6, "MB") if self.unit == "bytes" else (1, self.unit)
        total = "" if self.total is None else f" of {self.total / part:,.0f}"
        return f"{self.done / part:,.0f}{total} {unit}"

    def told(self, room: int = 0) -> list[str]:
        """Say the facts, in full for a ``room`` of 0, shorter for 1 and 2."""
        return [
            FACTS[name][room].format(value) if name in FACTS else str(value)
            for name, value in self.facts.items()
        ]


class Nest:
    """The stages that are open, outermost first; the innermost alone is at work."""

    def __init__(self) -> None:
        self.open: list[Meter] = []

    @contextmanager
    def __call__(self, meter: Meter) -> Iterator[None]:
        """Open a stage inside those that are open."""
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
    """Say how long: ``1:23``, ``1:02:03``, ``-:--`` where nobody knows."""
    if seconds is None:
        return "-:--"
    if seconds >= 86_400:
        return f"{seconds / 86_400:.1f} days"
    whole = str(timedelta(seconds=round(seconds)))
    return whole.removeprefix("0:").removeprefix("0") if whole.startswith("0:") else whole


def _figure(value: float) -> str:
    """Write a rate with three digits that count."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
