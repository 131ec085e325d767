"""Configure the libraries below a backend, and restore their state afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from mlmref.base.generators import generators_left
from mlmref.model.loss import MaskedLMObjective


@contextmanager
def left_as_found(model: nn.Module) -> Iterator[None]:
    """Remove the attributes that a library adds to the model, and restore the generators.

    For mixed precision, Accelerate replaces the ``forward`` of the model, also for the next job,
    which may be in float32. Trainer seeds every generator (BACK-023, BACK-024).
    """
    held = set(vars(model))
    with generators_left():
        try:
            yield
        finally:
            for name in vars(model).keys() - held:
                delattr(model, name)


def leaves_idle(model: nn.Module) -> bool:
    """Return whether a step may leave trained parameters without a gradient (RANK-002).

    Ranks would wait for these gradients forever, unless DistributedDataParallel searches for
    unused parameters. The search takes time in every step, and warns if it finds none.
    """
    if not isinstance(model, MaskedLMObjective):
        return True
    settings = model.model.config.to_dict()
    if any(value for name, value in settings.items() if "layerdrop" in name):
        return True
    return any(one is None for one in model.trial())
