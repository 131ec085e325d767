"""Configure the libraries below a backend, and restore their state afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from mlmref.base.generators import generators_left
from mlmref.model.loss import MaskedLMObjective


@contextmanager
def left_as_found(model: nn.Module) -> Iterator[None]:
    """Take off again what a library puts on the model, and put the generators back.

    Accelerate computes in mixed precision by a ``forward`` of its own on the model, which the
    next job, in float32 perhaps, would go on with; Trainer seeds every generator (BACK-023,
    BACK-024).
    """
    held = set(vars(model))
    with generators_left():
        try:
            yield
        finally:
            for name in vars(model).keys() - held:
                delattr(model, name)


def leaves_idle(model: nn.Module) -> bool:
    """Tell whether a step may leave trained parameters without a gradient (RANK-002).

    Ranks would wait for these for ever, unless DistributedDataParallel is told to look for them,
    which takes time in every step and warns where there are none.
    """
    if not isinstance(model, MaskedLMObjective):
        return True
    settings = model.model.config.to_dict()
    if any(value for name, value in settings.items() if "layerdrop" in name):
        return True
    return any(one is None for one in model.trial())
