"""A pytest plugin: libraries omit work that no test depends on.

- ``os.fsync`` returns at once. No test cuts the power: what a process has written, the kernel has.
- Trainer does not collect garbage after each training, which takes longer than a tiny training.
- A command that a test invokes in this process is built once, not for each invocation.

Processes that tests start are not affected.
"""

import os
import sys
from functools import cache

import pytest
import typer.main
import typer.testing


@pytest.fixture(scope="session", autouse=True)
def _omitted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(autouse=True)
def _uncollected():
    # Accelerate is imported by the first test that trains, and is not worth an import before it.
    if "accelerate.utils.memory" in sys.modules:
        sys.modules["accelerate.utils.memory"].clear_device_cache = lambda **_: None
