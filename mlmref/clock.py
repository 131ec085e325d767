"""How long each stage of a run takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds by stage; a stage inside another counts for itself alone."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._seconds: dict[str, float] = {}
        self._inner = [0.0]

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a stage; the same name again adds up."""
        began = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            took = time.perf_counter() - began
            own = took - self._inner.pop()
            self._inner[-1] += took
            self._seconds[stage] = self._seconds.get(stage, 0.0) + own

    def timings(self) -> dict[str, float]:
        """Return the seconds of each stage and, as ``total_s``, since the clock was made."""
        total = time.perf_counter() - self._began
        return {key: round(value, 3) for key, value in (*self._seconds.items(), ("total_s", total))}
