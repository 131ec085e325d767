"""Detect plugins that use or change the process's shared random generators."""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mlmref.base.generators import seed_torch


def generators() -> list[tuple[str, Callable[[int], Any]]]:
    """Return the name and seed function of each generator; torch's only if torch is imported."""
    found: list[tuple[str, Callable[[int], Any]]] = [
        ("random", random.seed),
        ("numpy.random", np.random.seed),
    ]
    if "torch" in sys.modules:
        found.append(("torch", seed_torch))
    return found


def states() -> dict[str, bytes]:
    """Return the state of each generator."""
    found = {
        "random": pickle.dumps(random.getstate()),
        "numpy.random": pickle.dumps(np.random.get_state()),  # noqa: NPY002 - the shared one
    }
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return found


@contextmanager
def as_they_were() -> Iterator[None]:
    """Restore the generators on exit."""
    torch = sys.modules.get("torch")
    before = random.getstate(), np.random.get_state(), torch and torch.get_rng_state()  # noqa: NPY002 - shared
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002 - as above
        if torch:
            torch.set_rng_state(before[2])
