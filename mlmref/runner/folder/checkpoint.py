"""One checkpoint: complete or absent, and verified (clauses CKPT-001 to CKPT-009).

``checkpoints/step-00000120/`` contains the weights (``model.safetensors``), the other state of
training (``training.safetensors`` and ``state.json``), the run's ``metrics.jsonl`` so far, and
``manifest.json``, which has the run's identifier and the SHA-256 of each file.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.disk import as_os_errors, flush, sealed, sha256, unsealed
from mlmref.base.layout import MANIFEST, METRICS, RUN
from mlmref.model.checkpoint import FORMAT, MODEL, fault, step_of

if TYPE_CHECKING:
    from torch import Tensor

    from mlmref.training.state import State


_TRAINING, _STATE = "training.safetensors", "state.json"
_BESIDE = ".part-"  # prefix of checkpoints that are being written or removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A complete checkpoint.

    Attributes:
        folder: its folder.
        step: optimizer steps taken.
    """

    folder: Path
    step: int

    @property
    def metrics(self) -> str:
        """The contents of ``metrics.jsonl`` at the checkpoint."""
        return (self.folder / METRICS).read_text("utf-8")

    def load(self) -> dict[str, Any]:
        """Return the state that :func:`save` wrote, with the weights as ``model``."""
        from safetensors.torch import load_file

        from mlmref.training.state import from_plain

        plain = json.loads((self.folder / _STATE).read_bytes())
        state: dict[str, Any] = from_plain(plain, load_file(self.folder / _TRAINING))
        return {**state, "model": load_file(self.folder / MODEL)}


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
    """Write a checkpoint, then remove all but the newest ``last`` of the run.

    The files are written and flushed, the manifest last. Then the folder is flushed and renamed,
    and its parent flushed (CKPT-002). A kill at any time leaves the earlier checkpoints.

    Args:
        folder: the checkpoints' folder.
        run: the run's identifier.
        step: optimizer steps taken.
        model: the weights by name, without shared storage.
        state: the other state of training.
        metrics: the contents of ``metrics.jsonl``.
        last: the number of checkpoints to keep, including this one.

    Raises:
        OSError: writing failed; the partial checkpoint is removed.
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
            for name, content in ((MODEL, model), (_TRAINING, tensors)):
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
        manifest = {"format": FORMAT, "run": run, "step": step, "files": files}
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
    """Return the newest complete checkpoint of a run; ``None`` if there is none.

    Args:
        folder: the checkpoints' folder.
        run: the run's identifier.
        tell: called with one line for each checkpoint that is skipped, and why (CKPT-004).
    """
    for place in _by_step(folder):
        wrong = fault(place, run)
        if wrong is None:
            return Checkpoint(folder=place, step=step_of(place))
        tell(f"{place}: skipped, {wrong}")
    return None


def clear(folder: Path, run: str) -> None:
    """Remove the checkpoints of a finished run; other files in the folder stay (CKPT-008)."""
    _prune(folder, run, 0)
    if not [one for one in folder.iterdir() if one.name != RUN]:
        (folder / RUN).unlink(missing_ok=True)
        folder.rmdir()


def last_step(folder: Path) -> int | None:
    """Return the step of the checkpoint that was written last; ``None`` if there is none.

    This may not be the highest step, whose checkpoint may have been damaged and skipped.
    """
    written = {}
    for place in _by_step(folder):
        if step_of(place) >= 0:
            with suppress(OSError):
                written[(place / MANIFEST).stat().st_mtime_ns, step_of(place)] = step_of(place)
    return written[max(written)] if written else None


def _by_step(folder: Path) -> list[Path]:
    """Return the folders of checkpoints, the newest first, then the other folders."""
    if not folder.is_dir():
        return []
    found = [one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")]
    return sorted(found, key=lambda one: (-step_of(one), one.name))


def _set_aside(place: Path) -> None:
    """Rename a folder, damaged or of another program, where a checkpoint is to be written."""
    if place.exists():
        number = 1
        while (aside := place.with_name(f"{place.name}-damaged-{number}")).exists():
            number += 1
        place.rename(aside)


def _prune(folder: Path, run: str, last: int, step: float = math.inf) -> None:
    """Remove the run's checkpoints but the newest, and all partial ones.

    Those beyond ``step`` were skipped when the run was resumed: they stay and do not count.
    """
    mine = []
    for place in _by_step(folder):
        with suppress(OSError, ValueError, LookupError):
            if (
                unsealed((place / MANIFEST).read_bytes())["run"] == run
                and 0 <= step_of(place) <= step
            ):
                mine.append(place)
    for place in mine[last:]:
        # Rename first, so that a half-removed checkpoint is not taken for a damaged one.
        place.rename(folder / f"{_BESIDE}{place.name}")
    for going in folder.glob(f"{_BESIDE}*"):
        shutil.rmtree(going, ignore_errors=True)
