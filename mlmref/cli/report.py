"""``mlmref report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlmref.cli import flags
from mlmref.cli.base import app, out
from mlmref.cli.errors import told


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(help="run folders, finished or not")],
    html: flags.ReportHtml = None,
    debug: flags.Debug = False,
) -> None:
    """Write the page of a run again, or one of several runs side by side; prints where it is.

    Example: mlmref report runs/001-token-trainer runs/002-whole-word-trainer --html both.html
    """
    with told(debug):
        from mlmref.base.ranks.process import is_main
        from mlmref.results.report.page import write_pages

        if not is_main():  # one page, written once (RANK-003)
            return
        out.print(str(write_pages(folders, html)), markup=False, soft_wrap=True)
