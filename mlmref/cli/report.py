"""``mlmref report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlmref.cli import flags
from mlmref.cli.base import out
from mlmref.cli.command import command


@command()
def report(
    folders: Annotated[list[Path], typer.Argument(help="run folders, finished or not")],
    html: flags.ReportHtml = None,
) -> None:
    """Write the page of a run again, or one page that compares several runs; prints its path.

    Example: mlmref report runs/001-token-trainer runs/002-whole-word-trainer --html both.html
    """
    from mlmref.base.ranks.process import is_main
    from mlmref.results.report.page import write_pages

    if is_main():  # one page, written once (RANK-003)
        out.print(str(write_pages(folders, html)), markup=False, soft_wrap=True)
