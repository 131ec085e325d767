"""Read a run's checkpoint: its run folder, its weights, and whether it is complete (CKPT-011)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mlmref.base.disk import sha256, unsealed
from mlmref.base.layout import CHECKPOINTS, MANIFEST

if TYPE_CHECKING:
    from torch import Tensor

MODEL = "model.safetensors"
"""The file of a checkpoint that holds its weights."""

FORMAT = 1
"""Version of a checkpoint's files; others are not read."""

NAME = re.compile(r"step-(\d{8,})")
"""The names of checkpoints in their folder."""


def run_of(place: Path) -> Path:
    """Return the run folder of a checkpoint; any other path is returned unchanged."""
    inside = NAME.fullmatch(place.name) and place.parent.name == CHECKPOINTS
    return place.parent.parent if inside and (place / MANIFEST).is_file() else place


def weights(place: Path) -> dict[str, Tensor]:
    """Return the weights of a checkpoint by the names of parameters and buffers.

    Raises:
        ValueError: describes the damage of the checkpoint.
    """
    from safetensors.torch import load_file

    wrong = fault(place)
    if wrong is not None:
        raise ValueError(wrong)
    return load_file(place / MODEL)


def fault(place: Path, run: str | None = None) -> str | None:
    """Return what is wrong with a checkpoint; ``None`` if it is complete and of this run."""
    try:
        manifest = unsealed((place / MANIFEST).read_bytes())
    except FileNotFoundError:
        return "it has no manifest.json"
    except (OSError, ValueError):
        return "its manifest.json is damaged"
    if manifest.get("format") != FORMAT:
        return "another version of mlmref wrote it"
    if run is not None and manifest["run"] != run:
        return "it is another run's"
    if manifest["step"] != step_of(place):
        return f"it is of step {manifest['step']:,}"
    for name, expected in manifest["files"].items():
        file = place / name
        try:
            if file.stat().st_size != expected["bytes"]:
                return f"its {name} is cut short"
            if sha256(file) != expected["sha256"]:
                return f"its {name} is damaged"
        except OSError as error:
            return f"its {name} cannot be read ({error.strerror})"
    return None


def step_of(place: Path) -> int:
    """Return the step in a checkpoint's name; -1 if it is not such a name."""
    name = NAME.fullmatch(place.name)
    return int(name[1]) if name else -1
