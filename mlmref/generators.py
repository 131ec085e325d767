"""The generators that a process has in common: Python's, NumPy's and torch's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager


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
