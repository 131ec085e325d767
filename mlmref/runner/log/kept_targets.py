"""Write the held-out targets that a report needs (clauses REP-007 to REP-010).

``held_out.parquet`` has a row for each held-out target that is kept. ``report.json`` has the other
data that cannot be computed later. Each evaluation writes both, so a stopped run has them too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlmref.base.disk import replace
from mlmref.base.layout import FORMAT, HELD_OUT, KEPT
from mlmref.base.ranks.process import is_main
from mlmref.evaluation.kept_targets import Targets, choose
from mlmref.plugin.arrays import FloatArray
from mlmref.results.kept_targets import read_about, read_targets
from mlmref.results.record import dumps

if TYPE_CHECKING:
    from mlmref.evaluation.metrics import Measured
    from mlmref.runner.prepare import Ready


class Keeper:
    """Writes the data of a report.

    All ranks create one and know the targets; only the main process writes. If that fails, the
    report lacks its data, but the run continues (REP-002).

    Args:
        ready: model, chunks and masks; its reporter receives a warning at a failure.
        folder: the run folder.
        goes_on: whether the run is resumed, with its first evaluation in the folder.
    """

    def __init__(self, ready: Ready, folder: Path, *, goes_on: bool) -> None:
        self.targets: Targets = choose(ready.split.test, ready.masker)
        self._ready, self._folder, self._works = ready, folder, is_main()
        self._table = pa.table({})
        self._about: dict[str, Any] = {}
        self._before: FloatArray | None = None
        self._try(lambda: self._begin(goes_on))

    def measured(self, epoch: int, measured: Measured) -> None:
        """Write an evaluation: before training (epoch 0) or after an epoch."""
        self._try(lambda: self._keep(epoch, measured.target_nll))

    def _begin(self, goes_on: bool) -> None:
        from mlmref.runner.log.about import about, counts
        from mlmref.runner.log.shown_chunks import explorer
        from mlmref.runner.log.target_table import columns

        ready = self._ready
        counted = counts(ready)
        self._table = columns(ready, self.targets, counted)
        shown = explorer(ready, self.targets)
        self._about = {
            "format": FORMAT,
            "epoch": 0,
            **about(ready, counted),
            "held_out": {"targets": len(self.targets), "chunks": len(self.targets.chunks)},
            "explorer": shown,
            "answers": {"before": None, "after": None},
        }
        if goes_on:
            self._before = _first_losses(self._folder, self._table)
            self._about["answers"]["before"] = _first_answers(self._folder, shown)

    def _keep(self, epoch: int, nll: FloatArray | None) -> None:
        from mlmref.runner.log.shown_chunks import answers

        after = nll if epoch else None
        self._before = self._before if epoch else nll
        found = answers(self._ready, self._about["explorer"])
        self._about["answers"]["after" if epoch else "before"] = found
        self._about["epoch"] = epoch
        table = self._table
        for name, column in (("before", self._before), ("after", after)):
            values = np.full(len(table), np.nan) if column is None else column
            # NaN means not measured, and becomes null.
            array = pa.array(values.astype(np.float32), pa.float32(), from_pandas=True)
            table = table.append_column(name, array)
        meta = {"mlmref": json.dumps({"format": FORMAT, "epoch": epoch})}
        sink = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata(meta), sink, compression="zstd")
        replace(self._folder / HELD_OUT, sink.getvalue().to_pybytes())
        replace(self._folder / KEPT, (dumps(self._about) + "\n").encode())

    def _try(self, do: Callable[[], None]) -> None:
        """Call a function in the main process; if it fails, warn and write nothing more."""
        if not self._works:
            return
        try:
            do()
        except Exception as error:  # noqa: BLE001 - of any kind: the run must not fail
            self._works = False
            warn = self._ready.context.reporter.warn
            warn(f"the report will lack what the model learned ({error})")


def _first_losses(folder: Path, table: pa.Table) -> FloatArray | None:
    """Return the losses before training, if they are of the same targets."""
    with suppress(OSError, ValueError, LookupError):
        was = read_targets(folder)
        keys = ["chunk", "position", "token"]
        if was.select(keys).equals(table.select(keys)):
            column: FloatArray = was["before"].to_numpy().astype(np.float64)
            return column
    return None


def _first_answers(folder: Path, shown: list[dict[str, Any]]) -> Any:
    """Return the answers before training, if they are about the same chunks."""
    with suppress(OSError, ValueError, LookupError):
        was = read_about(folder)
        if was["explorer"] == json.loads(dumps(shown)):
            return was["answers"]["before"]
    return None
