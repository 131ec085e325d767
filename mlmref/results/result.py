"""The result of a run, as ``mlmref.run`` returns it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlmref.results.report.notebook import Plot, summary
from mlmref.results.report.page import PAGE, write_again, write_pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run came to.

    Attributes:
        folder: the run folder; Transformers alone loads the adapted model from it.
        record: what its ``record.json`` holds.
    """

    folder: Path
    record: dict[str, Any]

    def report(self, path: str | Path | None = None) -> Path:
        """Return where the page of the run is, ``report.html`` in its folder.

        Args:
            path: a new file to write it to as well; its place is returned then.

        Raises:
            OutputError: the file already exists, or the page cannot be written.
        """
        if path is not None:
            return write_pages([self.folder], Path(path))
        page = self.folder / PAGE
        return page if page.is_file() else write_again(self.folder)

    def plot(self) -> Plot:
        """Return the curves of loss and perplexity; Jupyter shows them."""
        return Plot(self.record, self.folder)

    def _repr_html_(self) -> str:
        """Show in Jupyter what the run gained."""
        return summary(self.record, self.folder)
