"""Print the verdicts on the tutorial's steps."""

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
    """Print what came of the tutorial's steps: a heading a step, a line a figure, then its note."""
    width = max(map(len, VERDICTS))
    said: set[str] = set()
    for row in rows:
        console.print(Text(f"{row.step}  {row.title}", style="bold"), soft_wrap=True)
        for one, outcome in row.figures:
            told = [f"printed {one.printed}"] * bool(one.printed)
            told += [f"here {outcome.found}"] * bool(outcome.found)
            line = Text(f"  {outcome.verdict:{width}}  ", style=_STYLES[outcome.verdict])
            line.append(": ".join(filter(None, (one.what, "; ".join(told)))), style="default")
            console.print(line, soft_wrap=True)
            # Why the hub does not answer is the same for many.
            if outcome.note and outcome.note not in said:
                note = Text(f"  {'':{width}}  {outcome.note}", style="dim")
                console.print(note, soft_wrap=True)
            said.add(outcome.note)
    counts = Counter(outcome.verdict for row in rows for _, outcome in row.figures)
    summed = ", ".join(f"{counts[verdict]} {verdict}" for verdict in reversed(VERDICTS))
    console.print(f"figures: {summed}", soft_wrap=True)
