"""The curves and the gain of a run for a notebook (REP-018)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from mlmref.base.disk import create
from mlmref.base.errors import OutputError
from mlmref.results.pages import render
from mlmref.results.report import figures
from mlmref.results.report import sections as shown
from mlmref.results.report.charts import alone, beside
from mlmref.results.report.read import from_record
from mlmref.results.report.saved_run import SavedRun


def _run(record: Mapping[str, Any], folder: Path) -> SavedRun:
    run = SavedRun(folder=folder, name=folder.name, finished=True)
    from_record(run, record)
    return run


class Plot:
    """The curves of a run, as an SVG that Jupyter displays.

    Args:
        record: the contents of its ``record.json``.
        folder: the run folder.
    """

    def __init__(self, record: Mapping[str, Any], folder: Path) -> None:
        self._run = _run(record, folder)

    def _repr_svg_(self) -> str:
        """Return perplexity by epoch and training loss, side by side."""
        runs, ident = [self._run], f"plot-{crc32(str(self._run.folder).encode()):x}"
        drawn = [figures.perplexity(runs, f"{ident}-e"), figures.loss(runs, f"{ident}-l")]
        return alone(beside([str(one.svg) for one in drawn if one.svg]))

    def save(self, path: str | Path) -> Path:
        """Write the curves to a new .svg file; return its path.

        Raises:
            OutputError: the file already exists, or its folder does not.
        """
        path = Path(path)
        try:
            create(path, self._repr_svg_().encode())
        except FileExistsError:
            raise OutputError(
                "already exists; nothing was changed",
                where=str(path),
                hint="give another name",
            ) from None
        except FileNotFoundError:
            raise OutputError("no such folder", where=str(path.parent)) from None
        return path


def summary(record: Mapping[str, Any], folder: Path) -> str:
    """Return the gain of a run as HTML in the notebook's own colors."""
    run = _run(record, folder)
    fills, _ = shown.fills([run])
    return render("result.html", run=run, f=figures, fills=fills[:5], cut=shown.cut)
