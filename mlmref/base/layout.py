"""Names of the files in a run folder."""

from __future__ import annotations

from pathlib import Path

RUNS = Path("runs")
"""Where a run without ``--output`` puts its folder."""

_UNFINISHED = ".unfinished"

RECORD, SETTINGS, METRICS = "record.json", "config.toml", "metrics.jsonl"

CHECKPOINTS = "checkpoints"
"""The folder of checkpoints in a run folder, until the run is finished."""

MANIFEST = "manifest.json"
"""The digests of a checkpoint's files."""

RUN = "run.json"
"""Beside the checkpoints: the run that they belong to (:mod:`mlmref.runner.folder.resume`)."""

HELD_OUT, KEPT = "held_out.parquet", "report.json"
"""What a run writes for its report."""

FORMAT = 1
"""Version of these two; a reader refuses others."""


def unfinished(place: Path) -> Path:
    """Return the folder in which the run folder of this place is built."""
    return place.with_name(place.name + _UNFINISHED)


def finished(folder: Path) -> Path:
    """Return the place of a run folder, finished or not."""
    return folder.with_name(folder.name.removesuffix(_UNFINISHED))
