"""results.layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


CHECKPOINTS = "checkpoints"
"""The folder in a run folder that holds them, until the run is finished."""


MANIFEST, METRICS = "manifest.json", "metrics.jsonl"


RUN = "run.json"
"""Beside the checkpoints: which run they are of (:mod:`mlmref.runner.folder.resume`)."""


RUNS = Path("runs")
"""Where a run without ``--output`` puts its folder."""


_UNFINISHED = ".unfinished"


def unfinished(place: Path) -> Path:
    """Return where the run folder is built that is to be at a place."""
    return place.with_name(place.name + _UNFINISHED)


def finished(folder: Path) -> Path:
    """Return the place of a run folder, whether it is named as there or as unfinished."""
    return folder.with_name(folder.name.removesuffix(_UNFINISHED))


HELD_OUT, KEPT = "held_out.parquet", "report.json"
"""The two files in a run folder."""


FORMAT = 1
"""Of both; raised when a reader of the one before would misread them."""


RECORD, SETTINGS = "record.json", "config.toml"
