"""The result of a run, as ``mlmref.run`` returns it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlmref.base.number_format import number
from mlmref.results.report.notebook import Plot, summary
from mlmref.results.report.page import PAGE, write_again, write_pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a run.

    Attributes:
        folder: the run folder, from which Transformers loads the adapted model.
        record: the contents of its ``record.json``.
    """

    folder: Path
    record: dict[str, Any]

    def __repr__(self) -> str:
        found = (self.record["perplexity"][when]["value"] for when in ("before", "after"))
        before, after = (number(math.nan if one is None else float(one)) for one in found)
        return f"Result({str(self.folder)!r}, perplexity {before} before and {after} after)"

    def report(self, path: str | Path | None = None) -> Path:
        """Return the path of the run's page, ``report.html`` in its folder.

        Args:
            path: a new file to write the page to; its path is returned instead.

        Raises:
            OutputError: the file already exists, or the page cannot be written.
        """
        if path is not None:
            return write_pages([self.folder], Path(path))
        page = self.folder / PAGE
        return page if page.is_file() else write_again(self.folder)

    def plot(self) -> Plot:
        """Return the curves of loss and perplexity, which Jupyter displays."""
        return Plot(self.record, self.folder)

    def _repr_html_(self) -> str:
        """Return the gain of the run as HTML for Jupyter."""
        return summary(self.record, self.folder)
