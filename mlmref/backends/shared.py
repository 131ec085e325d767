"""What backends on libraries of their own have to tell them, and to put right after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mlmref.contracts import IGNORE_INDEX
from mlmref.generators import generators_left
from mlmref.objective import MaskedLMObjective


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
    device = next(model.parameters()).device
    tokens = torch.arange(16, device=device).reshape(2, 8) % model.model.config.vocab_size
    labels = torch.full_like(tokens, IGNORE_INDEX)
    labels[:, 1] = 0
    was_training = model.training
    model.eval()  # which draws nothing
    try:
        with torch.enable_grad():
            loss = model(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                labels=labels,
                weight=1.0,
                seed=0,
            )["loss"]
        trained = [one for one in model.parameters() if one.requires_grad]
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
    finally:
        model.train(was_training)
        model.take_sums()
    return any(one is None for one in gradients)
