"""Freed memory goes back to the system (clause SPEED-003)."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

EVERY = 16
"""Optimiser steps from one time to the next."""


def give_back() -> None:
    """Have the C library return what was freed, where it would keep it.

    The arrays of a step are of sizes that vary a little with its number of targets, and glibc puts
    them where others were freed, with gaps that no later one fits into: a process grows by some
    megabytes a step though it holds no more than before.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    """Return glibc's ``malloc_trim``; other C libraries have none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # Windows has no library of the process itself
        return None
