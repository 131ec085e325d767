"""Print an inspection: its verdict, then each finding (INSP-020, INSP-027)."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from mlmref.studies.inspection.findings import InspectionReport


_JUDGED = {
    "figure": ("", "default"),
    "good": ("ok", "green"),
    "warning": ("!", "yellow"),
    "problem": ("x", "bold red"),
}


def show_inspection(report: InspectionReport, console: Console) -> None:
    """Print the verdict, and a line for each finding, with what to do below it."""
    console.print(Text(verdict(report), style="bold"), soft_wrap=True)
    width = max(len(one.what) for one in report.findings)
    console.print(f"{report.corpus}, as {report.model} reads it", markup=False, soft_wrap=True)
    for section, found in groupby(report.findings, key=lambda one: one.section):
        console.print(section, style="bold")
        for one in found:
            sign, style = _JUDGED[one.mark]
            line = Text(f"  {sign:3}", style=style)
            line.append(f"{one.what:{width}}  {one.figure}", style="default")
            console.print(line, soft_wrap=True)
            if one.hint:
                console.print(Text(f"     {one.hint}", style="dim"), soft_wrap=True)


def verdict(report: InspectionReport) -> str:
    """Say in one line whether the corpus is ready for training, with the number of each mark."""
    marks = Counter(one.mark for one in report.findings)
    ready = {
        "problem": "Solve the problems (x) before you train",
        "warning": "You can train; read the warnings (!) first",
    }.get(report.mark, "The corpus is ready for training")
    return f"{ready}: {marks['problem']} x, {marks['warning']} !, {marks['good']} ok."
