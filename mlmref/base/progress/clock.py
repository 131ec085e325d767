"""Measure how long each stage of a run takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Clock:
    """Seconds by stage. The time of an inner stage is not part of the outer one."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._last = self._began

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a stage; times of stages with the same name are added."""
        self._book()
        self._open.append(stage)
        try:
            yield
        finally:
            self._book()
            self._open.pop()

    def timings(self) -> dict[str, float]:
        """Return the seconds of each stage and, as ``total_s``, since the clock started."""
        self._book()
        total = self._last - self._began
        return {key: round(value, 3) for key, value in (*self._seconds.items(), ("total_s", total))}

    def go_on(self, timings: Mapping[str, float]) -> None:
        """Add the timings of an earlier clock, when a run resumes."""
        for stage, seconds in timings.items():
            if stage == "total_s":
                self._began -= seconds
            else:
                self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def _book(self) -> None:
        """Add the time since the last call to the innermost open stage."""
        now = time.perf_counter()
        if self._open:
            stage = self._open[-1]
            self._seconds[stage] = self._seconds.get(stage, 0.0) + now - self._last
        self._last = now
