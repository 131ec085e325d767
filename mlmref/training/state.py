"""Training state as JSON and tensors; nothing is unpickled (CKPT-009)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mlmref.base.ranks.process import broadcast, broadcast_tensor

State = Mapping[str, Any]
"""Tensors, numbers, strings, ``None``, and lists, tuples and dictionaries of these."""


def to_plain(state: Any, tensors: dict[str, torch.Tensor], name: str = "") -> Any:
    """Return a state as JSON values; ``tensors`` receives its tensors by name.

    Raises:
        TypeError: the state contains another type, or a key that is no ``str`` or ``int``.
    """
    if isinstance(state, torch.Tensor):
        tensors[name] = state
        return {"tensor": name}
    if isinstance(state, Mapping):
        items = [[key, to_plain(one, tensors, f"{name}/{key}")] for key, one in state.items()]
        if any(type(key) not in {str, int} for key, _ in items):
            raise TypeError(f"{name}: a key is neither a string nor an integer")
        return {"dict": items}
    if isinstance(state, list | tuple):
        kind = "tuple" if isinstance(state, tuple) else "list"
        return {kind: [to_plain(one, tensors, f"{name}/{i}") for i, one in enumerate(state)]}
    if state is None or type(state) in {bool, int, float, str}:
        return state
    raise TypeError(f"{name}: a {type(state).__name__} cannot be saved")


def from_plain(plain: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """Return the state from the values of :func:`to_plain`.

    Raises:
        LookupError: a tensor is missing.
    """
    if not isinstance(plain, dict):
        return plain
    [(kind, value)] = plain.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: from_plain(one, tensors) for key, one in value}
    items = [from_plain(one, tensors) for one in value]
    return tuple(items) if kind == "tuple" else items


def share_state(state: State | None) -> dict[str, Any] | None:
    """Return the main process's state, which may be ``None``, on every rank."""
    tensors: dict[str, torch.Tensor] = {}
    plain = broadcast(None if state is None else to_plain(state, tensors))
    if plain is None:
        return None
    for name, kind, shape in broadcast([_kind(*item) for item in tensors.items()]):
        tensor = tensors.get(name, torch.empty(shape, dtype=getattr(torch, kind)))
        tensors[name] = broadcast_tensor(tensor)
    shared: dict[str, Any] = from_plain(plain, tensors)
    return shared


def _kind(name: str, tensor: torch.Tensor) -> tuple[str, str, list[int]]:
    return name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)
