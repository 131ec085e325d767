"""The training process: repeatable GPU algorithms (RUN-015) and freed memory (SPEED-003)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from mlmref.base.libraries.torch import without_deterministic_algorithm

EVERY = 16
"""Optimizer steps between two calls of :func:`give_back`."""


@contextmanager
def repeatable(
    device: torch.device, trial: Callable[[], object], note: Callable[[str], None]
) -> Iterator[None]:
    """Train with algorithms that add in a fixed order.

    A CPU always does. On a GPU, torch then uses deterministic algorithms, for example for the
    gradient of attention; the others add in the order in which threads finish.

    Args:
        device: the device that the model trains on.
        trial: computes a step of the model without side effects.
        note: called with one line if an operation of the model has no deterministic algorithm.
    """
    if device.type == "cpu":
        yield
        return
    with strict(trial, note):
        yield


@contextmanager
def strict(trial: Callable[[], object], note: Callable[[str], None]) -> Iterator[None]:
    """Use deterministic algorithms of torch, if each operation of the trial has one."""
    mode = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    # Filling takes time, and every empty tensor here is written before it is read.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        torch.use_deterministic_algorithms(True)
        if reason := _refused(trial):
            torch.use_deterministic_algorithms(mode, warn_only=warns)
            note(f"training this model on this device is not bitwise repeatable: {reason}")
        yield
    finally:
        torch.use_deterministic_algorithms(mode, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def _refused(trial: Callable[[], object]) -> str:
    """Return the reason if an operation of a step has no deterministic algorithm, else ``""``."""
    try:
        trial()
    except RuntimeError as error:
        if reason := without_deterministic_algorithm(error):
            return reason
        raise
    return ""


def give_back() -> None:
    """Return freed memory to the operating system (glibc only).

    The sizes of a step's arrays vary with its number of targets. glibc reuses freed blocks for
    them and leaves gaps that no later array fits into, so the process would grow by some megabytes
    per step.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    """Return glibc's ``malloc_trim``; ``None`` with another C library."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # Windows cannot open the process itself
        return None
