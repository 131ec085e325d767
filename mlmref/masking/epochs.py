"""The epochs of a collator: counted by the iterations of each data loader (spec/collator.md)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from mlmref.base.errors import ConfigError
from mlmref.base.libraries.torch import bind_on_iteration
from mlmref.base.libraries.transformers import trainer_evaluates
from mlmref.plugin.draws import EVALUATION_PASS

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import DataLoader


def check_range(name: str, value: int, end: int) -> None:
    """Raise a ConfigError if a value is not an integer in ``range(end)``."""
    if not isinstance(value, int | np.integer) or not 0 <= value < end:
        raise ConfigError(f"{value!r} is not an integer from 0 to {end - 1}", where=name)


class Epochs:
    """The epoch of each data loader that uses a collator.

    Attributes:
        now: the epoch of a direct call.
    """

    def __init__(self) -> None:
        self.now = 0
        self._given: int | None = None
        self._next: WeakKeyDictionary[DataLoader[Any], int] = WeakKeyDictionary()
        bind_on_iteration(_collate_fn)

    def __getstate__(self) -> dict[str, Any]:  # a worker has no data loader
        return {"now": self.now, "_given": self._given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]  # the same attributes
        self.__dict__.update(state)

    def set(self, epoch: int) -> None:
        """Set the epoch of direct calls and of the next iteration.

        Raises:
            ConfigError: it is not an integer in ``range(2**32)``.
        """
        check_range("epoch", epoch, 2**32)
        self.now = self._given = epoch

    def begin(self, loader: DataLoader[Any]) -> int:
        """Return the pass of an iteration that begins now.

        The epoch is the one that was set by hand, or else the number of earlier iterations of this
        data loader, but at least the epoch that its sampler was given by Trainer or Accelerate.
        """
        if trainer_evaluates():
            return EVALUATION_PASS
        epoch = max(self._next.get(loader, 0), _told(loader))
        if self._given is not None:
            epoch, self._given = self._given, None
        self._next[loader] = epoch + 1
        return epoch


def _told(loader: DataLoader[Any]) -> int:
    """Return the epoch of a data loader's sampler or stream, which Trainer sets on resuming."""
    holders: list[Any] = [loader.dataset]
    sampler: Any = loader.batch_sampler
    while sampler is not None and all(sampler is not holder for holder in holders):
        holders.append(sampler)
        sampler = getattr(sampler, "batch_sampler", None) or getattr(sampler, "sampler", None)
    epochs = (getattr(holder, "epoch", None) for holder in holders)
    return max((epoch for epoch in epochs if isinstance(epoch, int)), default=0)


class _Collator(Protocol):
    """What an iteration needs of a collator."""

    def pass_of(self, loader: Any) -> int:
        """Return the pass of an iteration that begins now."""

    def masked(self, features: Any, pass_: int) -> Any:
        """Return the features masked."""


class _AtPass:
    """A collator in the pass of one iteration, for the iterator and its workers.

    Args:
        collator: masks the features.
        pass_: the pass; a shared tensor for workers that stay from one iteration to the next.
    """

    def __init__(self, collator: _Collator, pass_: int | Tensor) -> None:
        self.collator, self.pass_ = collator, pass_

    def __call__(self, features: Any) -> Any:
        return self.collator.masked(features, int(self.pass_))


_PERSISTENT: WeakKeyDictionary[DataLoader[Any], _AtPass] = WeakKeyDictionary()


def _collate_fn(loader: DataLoader[Any]) -> Any:
    """Return the ``collate_fn`` for an iteration of a data loader that begins now."""
    given: Any = loader.collate_fn
    # Trainer wraps a collator to drop columns.
    collator: Any = getattr(given, "data_collator", given)
    if not hasattr(collator, "pass_of"):
        return given
    pass_ = collator.pass_of(loader)
    bound = _AtPass(collator, pass_)
    if loader.persistent_workers:
        import torch

        kept = _PERSISTENT.setdefault(loader, bound)
        if kept is bound:
            shared: Any = torch.tensor(pass_)
            bound.pass_ = shared.share_memory_()
        assert not isinstance(kept.pass_, int)  # noqa: S101 - made above
        kept.pass_.fill_(pass_)
        bound = kept
    if collator is given:
        return bound
    wrapped = copy.copy(given)
    wrapped.data_collator = bound
    return wrapped
