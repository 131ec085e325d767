"""What mlmref uses of torch that is not in its public API, and the errors it recognizes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

_BROKEN = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Broken pipe")


def default_store() -> Any:
    """Return the key-value store of the default process group, which torch has no public name for.

    Raises:
        ValueError: there is no process group.
    """
    from torch.distributed.distributed_c10d import _get_default_store

    return _get_default_store()


def is_broken_connection(error: RuntimeError) -> bool:
    """Tell whether a collective operation failed because another rank is gone."""
    return any(text in str(error) for text in _BROKEN)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether torch could not allocate memory, on a GPU or on the CPU; imports nothing."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def without_deterministic_algorithm(error: RuntimeError) -> str:
    """Return which operation has no deterministic algorithm; empty if that is not the error."""
    return str(error).partition(",")[0] if "deterministic" in str(error) else ""


def bind_on_iteration(collate_fn: Callable[[Any], Any]) -> None:
    """Give each iteration of a ``DataLoader`` that begins from now on its own ``collate_fn``.

    A data loader has no hook for the beginning of an iteration, so this replaces
    ``DataLoader.__iter__``, once per process. The data loader itself does not change.

    Args:
        collate_fn: returns the ``collate_fn`` for an iteration of a data loader.
    """
    from torch.utils.data import DataLoader

    plain: Any = DataLoader.__iter__
    if getattr(plain, "binds", None) is collate_fn:
        return

    @wraps(plain)
    def begin(loader: Any) -> Any:
        given = loader.collate_fn
        loader.collate_fn = collate_fn(loader)
        try:
            return plain(loader)
        finally:
            loader.collate_fn = given

    begin.binds = collate_fn  # type: ignore[attr-defined]
    DataLoader.__iter__ = begin  # type: ignore[method-assign]
