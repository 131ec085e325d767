"""The process that trains: repeatable GPU algorithms (RUN-015), and freed memory (SPEED-003)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from mlmref.base.libraries.torch import without_deterministic_algorithm

EVERY = 16
"""Optimiser steps from one time to the next."""


@contextmanager
def repeatable(
    device: torch.device, trial: Callable[[], object], note: Callable[[str], None]
) -> Iterator[None]:
    """Train with algorithms whose order of additions is fixed.

    A CPU's are; of a GPU's those are taken, of attention's gradient for one, that wait for each
    other where others would add whatever comes first.

    Args:
        device: where the model trains.
        trial: takes a step of it that leaves no trace.
        note: told in a line if the model has an operation that cannot be repeated there.
    """
    if device.type == "cpu":
        yield
        return
    with strict(trial, note):
        yield


@contextmanager
def strict(trial: Callable[[], object], note: Callable[[str], None]) -> Iterator[None]:
    """Have torch choose deterministic algorithms, if each operation of the trial has one."""
    mode = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    # Whatever is made empty here is written before it is read.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        torch.use_deterministic_algorithms(True)
        if reason := _refused(trial):
            torch.use_deterministic_algorithms(mode, warn_only=warns)
            note(f"this device does not repeat the model's training to the last bit: {reason}")
        yield
    finally:
        torch.use_deterministic_algorithms(mode, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def _refused(trial: Callable[[], object]) -> str:
    """Return why torch refuses a step of the model, or nothing if it takes it."""
    try:
        trial()
    except RuntimeError as error:
        if reason := without_deterministic_algorithm(error):
            return reason
        raise
    return ""


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
