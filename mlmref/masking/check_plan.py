"""Ask a masking strategy for its plan and check it (MASK-016, MASK-017)."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlmref.base.errors import PluginError
from mlmref.base.libraries.numpy import is_write_to_read_only
from mlmref.plugin.batches import Batch, Plan
from mlmref.plugin.contracts import MaskingStrategy
from mlmref.plugin.draws import Draws
from mlmref.plugin.registry import faulty

ScalarT = TypeVar("ScalarT", bound=np.generic)

_SHOWN = ("input_ids", "special", "words", "chunk_ids")


def read_only(array: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Return a copy that cannot be written to."""
    copy = array.copy()
    copy.setflags(write=False)
    return copy


def _sealed(array: NDArray[ScalarT]) -> tuple[NDArray[ScalarT], bytes]:
    """Return a copy in bytes, which NumPy cannot be made to write to, and those bytes."""
    data = array.tobytes()
    return np.frombuffer(data, array.dtype).reshape(array.shape), data


def checked_plan(
    strategy: MaskingStrategy, batch: Batch, draws: Draws, *, replaces: bool, where: str
) -> Plan:
    """Return a strategy's plan for a batch after checking it.

    Args:
        strategy: the strategy.
        batch: the core's own arrays; the strategy gets read-only copies.
        draws: random numbers of the batch.
        replaces: whether the strategy declares its own replacements.
        where: the strategy and its plugin, for messages.

    Raises:
        PluginError: the strategy raised an error, wrote to the batch, or returned a plan that the
            core cannot apply; names ``where`` and the clause.
    """
    arrays = {name: getattr(batch, name) for name in _SHOWN}
    sealed = {name: _sealed(array) for name, array in arrays.items()}
    shown = Batch(
        vocabulary=batch.vocabulary, **{name: array for name, (array, _) in sealed.items()}
    )
    try:
        plan = strategy.propose(shown, draws)
    except Exception as error:  # a plugin may raise anything; the message names the plugin
        clause = "MASK-009" if is_write_to_read_only(error) else "MASK-017"
        what = f"propose raised {type(error).__name__}: {error}"
        raise _fault(what, clause, where) from error
    for name, array in arrays.items():
        # A library that shares memory with the array (torch.from_numpy) ignores its flag. Comparing
        # bytes takes half the time.
        if sealed[name][1] != array.tobytes():
            raise _fault(f"propose wrote to batch.{name}", "MASK-009", where)
    if not isinstance(plan, Plan):
        raise _fault(f"propose returned {type(plan).__name__}, not Plan", "MASK-016", where)
    _check_array("targets", plan.targets, "bool", ("b",), batch, where)
    astray = plan.targets & batch.special
    if astray.any():
        row, position = np.argwhere(astray)[0]
        what = (
            f"a special token or padding is a target, in chunk {batch.chunk_ids[row]} at "
            f"position {position} (token id {batch.input_ids[row, position]})"
        )
        raise _fault(what, "MASK-003", where)
    if (plan.replacements is not None) != replaces:
        has = "has no" if replaces else "has"
        raise _fault(f"the plan {has} replacements, unlike declared", "MASK-036", where)
    if plan.replacements is not None:
        _check_array("replacements", plan.replacements, "integer", ("i", "u"), batch, where)
        used = plan.replacements[plan.targets]
        outside = used[(used < 0) | (used >= batch.vocabulary.size)]
        if len(outside):
            what = f"replacement {outside[0]} is not in range({batch.vocabulary.size})"
            raise _fault(what, "MASK-018", where)
    return plan


def _check_array(
    name: str, array: Any, wanted: str, kinds: tuple[str, ...], batch: Batch, where: str
) -> None:
    # No subclass: a masked array or a matrix behaves differently below.
    if type(array) is not np.ndarray:
        raise _fault(f"{name} is {type(array).__name__}, not ndarray", "MASK-016", where)
    if array.dtype.kind not in kinds:
        raise _fault(f"{name} is of type {array.dtype}, not {wanted}", "MASK-016", where)
    if array.shape != batch.input_ids.shape:
        what = f"{name} has shape {array.shape}, not {batch.input_ids.shape}"
        raise _fault(what, "MASK-016", where)


def _fault(what: str, clause: str, where: str) -> PluginError:
    return faulty(f"{what} ({clause})", where)
