"""Print the result of ``mlmref downstream``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlmref.base.terminal import table as table_of

if TYPE_CHECKING:
    from rich.console import Console


def show_downstream(answer: Mapping[str, Any], console: Console) -> None:
    """Print the verdict, and the accuracies before and after adaptation, seed by seed."""
    base, adapted, gained = (answer[key] for key in ("base", "adapted", "difference"))
    low, high = gained["over_seeds"]
    changed = "rose" if low > 0 else "fell" if high < 0 else "did not clearly change"
    verdict = f"Accuracy {changed} with adaptation: {gained['mean']:+.1%} in the mean over seeds."
    console.print(verdict, style="bold", soft_wrap=True)
    table = table_of("accuracy", "before", "after", "gain")
    first = answer["config"]["seed"]
    pairs = zip(base["accuracies"], adapted["accuracies"], gained["values"], strict=True)
    for number, (one, other, gain) in enumerate(pairs):
        table.add_row(f"seed {first + number}", f"{one:.1%}", f"{other:.1%}", f"{gain:+.1%}")
    table.add_section()
    means = [sum(side["accuracies"]) / len(side["accuracies"]) for side in (base, adapted)]
    table.add_row("mean", *(f"{one:.1%}" for one in means), f"{gained['mean']:+.1%}", style="bold")
    console.print(table)
    for name in ("over_seeds", "over_documents"):
        low, high = gained[name]
        text = f"95 % interval of the gain {name.replace('_', ' ')}: {low:+.1%} to {high:+.1%}"
        console.print(text, soft_wrap=True)
    config = answer["config"]
    console.print(
        f"{base['model']} and {adapted['model']} on {answer['corpus']}: {config['train_size']:,} "
        f"documents to train on, {config['test_size']:,} to measure on",
        markup=False,
        soft_wrap=True,
    )
