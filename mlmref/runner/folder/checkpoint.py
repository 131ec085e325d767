"""One checkpoint: complete or absent, and verified (clauses CKPT-001 to CKPT-009).

``checkpoints/step-00000120/`` holds the weights (``model.safetensors``), whatever else training
has to remember (``training.safetensors`` and ``state.json``), the run's ``metrics.jsonl`` so far,
and ``manifest.json``, which names the run and the SHA-256 of each file.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.disk import as_os_errors, flush, sealed, sha256, unsealed
from mlmref.results.layout import CHECKPOINTS, MANIFEST, METRICS, RUN

if TYPE_CHECKING:
    from torch import Tensor

    from mlmref.training.state import State


_MODEL, _TRAINING, _STATE = "model.safetensors", "training.safetensors", "state.json"
_FORMAT = 1  # of what is written here; another is passed over
_NAME = re.compile(r"step-(\d{8,})")
_BESIDE = ".part-"  # how the names begin of what is being written, or removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A whole checkpoint.

    Attributes:
        folder: where it is.
        step: optimiser steps taken when it was written.
    """

    folder: Path
    step: int

    @property
    def metrics(self) -> str:
        """What ``metrics.jsonl`` held."""
        return (self.folder / METRICS).read_text("utf-8")

    def load(self) -> dict[str, Any]:
        """Return the state that :func:`save` was given, ``model`` among it."""
        from safetensors.torch import load_file

        from mlmref.training.state import from_plain

        plain = json.loads((self.folder / _STATE).read_bytes())
        state: dict[str, Any] = from_plain(plain, load_file(self.folder / _TRAINING))
        return {**state, "model": load_file(self.folder / _MODEL)}


def save(
    folder: Path,
    *,
    run: str,
    step: int,
    model: Mapping[str, Tensor],
    state: State,
    metrics: str,
    last: int,
) -> Checkpoint:
    """Write a checkpoint, and remove all but the ``last`` so many of the run.

    In this order: each file written and flushed, the manifest last, the folder flushed, renamed
    into its place, and the folder that it is in flushed (CKPT-002). A kill at any moment leaves
    the checkpoints that were there.

    Args:
        folder: the checkpoints' folder.
        run: the run's identifier.
        step: optimiser steps taken.
        model: the weights by name, of storage of their own each.
        state: everything else.
        metrics: what ``metrics.jsonl`` holds by now.
        last: how many checkpoints to keep, this one included.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    from safetensors.torch import save_file

    from mlmref.training.state import to_plain

    folder.mkdir(exist_ok=True)
    place = folder / f"step-{step:08}"
    building = Path(tempfile.mkdtemp(prefix=_BESIDE, dir=folder))
    try:
        building.chmod(0o755)
        tensors: dict[str, Tensor] = {}
        plain = json.dumps(to_plain(state, tensors), indent=1)
        with as_os_errors(building):
            for name, content in ((_MODEL, model), (_TRAINING, tensors)):
                save_file(
                    {key: one.detach().cpu().contiguous() for key, one in content.items()},
                    building / name,
                )
        (building / _STATE).write_text(plain, "utf-8")
        (building / METRICS).write_text(metrics, "utf-8")
        files = {}
        for file in sorted(building.iterdir()):
            flush(file)
            files[file.name] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
        manifest = {"format": _FORMAT, "run": run, "step": step, "files": files}
        (building / MANIFEST).write_bytes(sealed(manifest))
        flush(building / MANIFEST)
        flush(building)
        _set_aside(place)
        building.rename(place)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    flush(folder)
    _prune(folder, run, last, step)
    return Checkpoint(folder=place, step=step)


def newest(folder: Path, run: str, tell: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest whole checkpoint of a run.

    Args:
        folder: the checkpoints' folder.
        run: the run's identifier.
        tell: told in a line of each that is passed over, and why (CKPT-004).
    """
    for place in _by_step(folder):
        wrong = fault(place, run)
        if wrong is None:
            return Checkpoint(folder=place, step=_step(place))
        tell(f"{place}: passed over, {wrong}")
    return None


def run_of(place: Path) -> Path:
    """Return the run folder of a checkpoint, and any other place as it is."""
    inside = _NAME.fullmatch(place.name) and place.parent.name == CHECKPOINTS
    return place.parent.parent if inside and (place / MANIFEST).is_file() else place


def weights(place: Path) -> dict[str, Tensor]:
    """Return the weights of a checkpoint by name, as parameters and buffers have them.

    Raises:
        ValueError: the checkpoint is damaged, and how.
    """
    from safetensors.torch import load_file

    wrong = fault(place)
    if wrong is not None:
        raise ValueError(wrong)
    return load_file(place / _MODEL)


def fault(place: Path, run: str | None = None) -> str | None:
    """Say what is wrong with a checkpoint; ``None`` for a whole one of this run, or of any."""
    try:
        manifest = unsealed((place / MANIFEST).read_bytes())
    except FileNotFoundError:
        return "it has no manifest.json"
    except (OSError, ValueError):
        return "its manifest.json is damaged"
    if manifest.get("format") != _FORMAT:
        return "another version of mlmref wrote it"
    if run is not None and manifest["run"] != run:
        return "it is another run's"
    if manifest["step"] != _step(place):
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


def clear(folder: Path, run: str) -> None:
    """Remove the checkpoints of a finished run; whatever else is in the folder stays (CKPT-008)."""
    _prune(folder, run, 0)
    if not [one for one in folder.iterdir() if one.name != RUN]:
        (folder / RUN).unlink(missing_ok=True)
        folder.rmdir()


def last_step(folder: Path) -> int | None:
    """Return the step of the checkpoint that was written last; ``None`` where there is none.

    Not the highest number, which may be of one that was damaged and passed over.
    """
    written = {}
    for place in _by_step(folder):
        if _step(place) >= 0:
            with suppress(OSError):
                written[(place / MANIFEST).stat().st_mtime_ns, _step(place)] = _step(place)
    return written[max(written)] if written else None


def _step(place: Path) -> int:
    name = _NAME.fullmatch(place.name)
    return int(name[1]) if name else -1


def _by_step(folder: Path) -> list[Path]:
    """List what looks like a checkpoint, the newest first, and then what else is there."""
    if not folder.is_dir():
        return []
    found = [one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")]
    return sorted(found, key=lambda one: (-_step(one), one.name))


def _set_aside(place: Path) -> None:
    """Give way to a new checkpoint: what is damaged or not ours stays, under another name."""
    if place.exists():
        number = 1
        while (aside := place.with_name(f"{place.name}-damaged-{number}")).exists():
            number += 1
        place.rename(aside)


def _prune(folder: Path, run: str, last: int, step: float = math.inf) -> None:
    """Remove the run's checkpoints but the newest, and what a kill left half written of others.

    Those beyond ``step`` were passed over when the run was taken up: they stay, and do not count.
    """
    mine = []
    for place in _by_step(folder):
        with suppress(OSError, ValueError, LookupError):
            if (
                unsealed((place / MANIFEST).read_bytes())["run"] == run
                and 0 <= _step(place) <= step
            ):
                mine.append(place)
    for place in mine[last:]:
        # Renamed first, so that one half removed is not taken for a damaged one.
        place.rename(folder / f"{_BESIDE}{place.name}")
    for going in folder.glob(f"{_BESIDE}*"):
        shutil.rmtree(going, ignore_errors=True)
