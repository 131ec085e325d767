"""What backends on libraries of their own have to put right after them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def left_as_found(model: nn.Module) -> Iterator[None]:
    """Take off again what a library puts on the model, and put the generators back.

    Accelerate computes in mixed precision by a ``forward`` of its own on the model, which the
    next job, in float32 perhaps, would go on with; Trainer seeds every generator (BACK-023,
    BACK-024).
    """
    held = set(vars(model))
    numbers = np.random.get_state()  # noqa: NPY002 - the global generator is meant
    plain, torchs = random.getstate(), torch.get_rng_state()
    try:
        yield
    finally:
        for name in vars(model).keys() - held:
            delattr(model, name)
        random.setstate(plain)
        np.random.set_state(numbers)  # noqa: NPY002 - as above
        torch.set_rng_state(torchs)
