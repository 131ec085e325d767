"""How Transformers words the errors of loading a model that mlmref recognizes."""

from __future__ import annotations

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
