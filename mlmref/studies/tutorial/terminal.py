"""Print what mlmref measured for the tutorial's steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from mlmref.studies.tutorial.steps import Verified
from mlmref.studies.tutorial.verdicts import VERDICTS

_STYLES = {
    "failed": "bold red",
    "needs the hub": "dim",
    "needs a GPU": "dim",
    "differs, explained": "yellow",
    "within tolerance": "green",
    "exact": "green",
}


def show_verified(rows: Sequence[Verified], console: Console) -> None:
    """Print the number of each verdict, then each figure with its note (REP-021)."""
    counts = Counter(outcome.verdict for row in rows for _, outcome in row.figures)
    failed = counts.pop("failed", 0)
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS[:0:-1])
    console.print(f"{failed or 'No'} figure{'s' * (failed > 1)} failed: {summary}", soft_wrap=True)
    width = max(map(len, VERDICTS))
    noted: set[str] = set()
    for row in rows:
        console.print(Text(f"{row.step}  {row.title}", style="bold"), soft_wrap=True)
        for one, outcome in row.figures:
            values = [f"printed {one.printed}"] * bool(one.printed)
            values += [f"here {outcome.found}"] * bool(outcome.found)
            line = Text(f"  {outcome.verdict:{width}}  ", style=_STYLES[outcome.verdict])
            line.append(": ".join(filter(None, (one.what, "; ".join(values)))), style="default")
            console.print(line, soft_wrap=True)
            # Many figures share the reason why the hub cannot be reached.
            if outcome.note and outcome.note not in noted:
                note = Text(f"  {'':{width}}  {outcome.note}", style="dim")
                console.print(note, soft_wrap=True)
            noted.add(outcome.note)
