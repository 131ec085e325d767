"""What mlmref uses of Accelerate that is not in its public API."""

from __future__ import annotations


def forget_precision() -> None:
    """Let the next ``Accelerator`` of this process have another precision than the last one.

    Accelerate keeps the first one's for the whole process and has no public way to reset it.
    """
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
