"""The checkpoint that ships, `tiny-base`; `tools/embedded` makes it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

EMBEDDED = "embedded"
"""The name of the checkpoint that ships with mlmref."""


def embedded_checkpoint() -> Path:
    """Return the folder of the checkpoint that ships; Transformers alone can load it."""
    return Path(str(resources.files("mlmref.model").joinpath("embedded", "tiny-base")))
