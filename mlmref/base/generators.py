"""Seed the random generators of Python, NumPy and torch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def seed_generators(seed: int) -> None:
    """Seed each generator that a model may draw from (BACK-005).

    Args:
        seed: 63 bits, of which NumPy takes 32.
    """
    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global generator is meant
    seed_torch(seed)


def seed_torch(seed: int) -> None:
    """Seed torch's generators of all devices, as ``torch.manual_seed`` does.

    On a machine without an accelerator ``torch.manual_seed`` formats a stack trace for each kind of
    accelerator, in case one is initialized later: 0.7 ms at a depth of 40 frames, in each call.
    """
    import torch

    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def torch_state(device: torch.device) -> Tensor:
    """Return the state of the generator that a model on a device draws from."""
    import torch

    if device.type == "cpu":
        return torch.get_rng_state()
    state: Tensor = getattr(torch, device.type).get_rng_state(device)
    return state


@contextmanager
def generators_left() -> Iterator[None]:
    """Leave the generators as they were found, those of GPUs too (BACK-024).

    Training seeds them for each micro-batch (BACK-005), and whoever calls ``mlmref.run()`` has
    draws of their own to go on with.
    """
    import numpy as np
    import torch

    numbers = np.random.get_state()  # noqa: NPY002 - the global generator is meant
    plain, here = random.getstate(), torch.get_rng_state()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        random.setstate(plain)
        np.random.set_state(numbers)  # noqa: NPY002 - as above
        torch.set_rng_state(here)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)
