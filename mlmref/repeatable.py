"""Training that a GPU repeats to the last bit (clause RUN-015)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from mlmref.objective import MaskedLMObjective


@contextmanager
def repeatable(objective: MaskedLMObjective, note: Callable[[str], None]) -> Iterator[None]:
    """Train with algorithms whose order of additions is fixed.

    A CPU's are; of a GPU's those are taken, of attention's gradient for one, that wait for each
    other where others would add whatever comes first.

    Args:
        objective: the model with its loss, where it trains.
        note: told in a line if the model has an operation that cannot be repeated there.
    """
    if objective.device.type == "cpu":
        yield
        return
    with strict(objective, note):
        yield


@contextmanager
def strict(objective: MaskedLMObjective, note: Callable[[str], None]) -> Iterator[None]:
    """Have torch choose deterministic algorithms, where the model's operations all have one."""
    mode = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    # Whatever is made empty here is written before it is read.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        torch.use_deterministic_algorithms(True)
        if reason := _refused(objective):
            torch.use_deterministic_algorithms(mode, warn_only=warns)
            note(f"this device does not repeat the model's training to the last bit: {reason}")
        yield
    finally:
        torch.use_deterministic_algorithms(mode, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def _refused(objective: MaskedLMObjective) -> str:
    """Return why torch refuses a step of the model, or nothing if it takes it."""
    try:
        objective.trial()
    except RuntimeError as error:
        if "deterministic" in str(error):
            return str(error).partition(",")[0]
        raise
    return ""
