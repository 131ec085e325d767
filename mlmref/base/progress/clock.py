"""Measure how long each stage of a run takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Clock:
    """Seconds by stage; a stage inside another counts for itself alone."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._last = self._began

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a stage; the same name again adds up."""
        self._book()
        self._open.append(stage)
        try:
            yield
        finally:
            self._book()
            self._open.pop()

    def timings(self) -> dict[str, float]:
        """Return the seconds of each stage and, as ``total_s``, since the clock was made."""
        self._book()
        total = self._last - self._began
        return {key: round(value, 3) for key, value in (*self._seconds.items(), ("total_s", total))}

    def go_on(self, timings: Mapping[str, float]) -> None:
        """Count on from what another clock had counted, where a run is taken up again."""
        for stage, seconds in timings.items():
            if stage == "total_s":
                self._began -= seconds
            else:
                self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def _book(self) -> None:
        """Give the time since the last change to the innermost stage that is open."""
        now = time.perf_counter()
        if self._open:
            stage = self._open[-1]
            self._seconds[stage] = self._seconds.get(stage, 0.0) + now - self._last
        self._last = now
