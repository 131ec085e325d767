"""What mlmref uses of Transformers that is not in its public API, and the errors it recognizes."""

from __future__ import annotations

import sys
from enum import Enum


class LoadingError(Enum):
    """An error of ``from_pretrained``, with a text that its message contains."""

    NO_HEAD = "Unrecognized configuration class"
    """The architecture has no model of this kind."""

    REMOTE_CODE = "trust_remote_code"
    """The checkpoint brings Python code of its own."""

    OTHER_SIZES = "ignore_mismatched_sizes"
    """The weights do not have the shapes that config.json gives."""

    NO_SAFETENSORS = "named model.safetensors"
    """The checkpoint has no safetensors file."""

    DAMAGED = "deserializing header"
    """The safetensors file is damaged."""


def loading_error(error: Exception) -> LoadingError | None:
    """Return which error of loading a model this is; ``None`` for any other."""
    return next((one for one in LoadingError if one.value in " ".join(str(error).split())), None)


def trainer_evaluates() -> bool:
    """Return whether a Trainer that evaluates or predicts is among the callers; imports nothing.

    Trainer uses one collator for training and evaluation, and tells it nothing.
    """
    module = sys.modules.get("transformers.trainer")
    if module is None:
        return False
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not module.Trainer.evaluation_loop.__code__:
        frame = frame.f_back  # type: ignore[assignment]  # None above the outermost
    return frame is not None
