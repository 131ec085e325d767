"""Print a comparison (COMP-018)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mlmref.base.terminal import percentages, span
from mlmref.base.terminal import table as table_of
from mlmref.evaluation.intervals import exp

if TYPE_CHECKING:
    from rich.console import Console


def show_comparison(answer: Mapping[str, Any], console: Console) -> None:
    """Print the variants, the best first, then each pair, and what to know of the figures."""
    interval = level(answer)
    table = table_of("variant", "common", interval, "of before", interval, "native", "time")
    for one in answer["variants"]:
        common, ratio = one["common"], one["common"]["of_before"]
        table.add_row(
            Text(one["variant"], style="bold"),
            f"{common['perplexity']:.2f}",
            span(common["low"], common["high"], ".2f"),
            f"{ratio['ratio']:.1%}",
            span(ratio["ratio_low"], ratio["ratio_high"], ".1%"),
            f"{one['native']['before']:.2f} to {one['native']['after']:.2f}",
            f"{one['time_s']:,.0f} s",
        )
    console.print(table)
    if answer["pairs"]:
        table = table_of("difference", "ratio", interval, "p", "by Holm", "")
        for pair in answer["pairs"]:
            table.add_row(
                Text(f"{pair['variant']} against {pair['against']}"),
                f"{pair['ratio']:.4f}",
                span(pair["ratio_low"], pair["ratio_high"], ".4f"),
                chance(pair["p"]),
                chance(pair["p_corrected"]),
                Text(pair["verdict"], style="bold"),
            )
        console.print(table)
    for line in lines(answer):
        console.print(line, markup=False, soft_wrap=True)


def lines(answer: Mapping[str, Any]) -> list[str]:
    """Say what the figures are of, what there is not, and where everything is."""
    seeds = answer["seeds"]
    return [
        f"common task: {told(answer['task'])}, the same {answer['targets']:,} targets in "
        f"{answer['documents']:,} documents for every model",
        f"means over {len(seeds)} seed{'s' * (len(seeds) != 1)} ({', '.join(map(str, seeds))}); "
        "intervals are over seeds and documents, p is over documents",
        *answer["notes"],
        f"comparison folder: {answer['folder']}",
    ]


def told(task: Mapping[str, Any]) -> str:
    """Spell out the common task."""
    parts = [f"{key} {value}" for key, value in task["options"].items()]
    if task["corruption"]:
        parts.append(percentages(task["corruption"].values()))
    if task["draws"] > 1:
        parts.append(f"{task['draws']} draws")
    return f"{task['strategy']} ({', '.join(parts)})" if parts else str(task["strategy"])


def show_plan(plan: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print the runs that there are and are to be."""
    table = table_of("run", "", "differs from the base in")
    for one in plan:
        table.add_row(Text(one["run"], style="bold"), one["state"], Text(settings(one["settings"])))
    console.print(table)


def settings(changed: Mapping[str, Any]) -> str:
    """Write what of a variant's settings is not the base's."""
    return ", ".join(f"{key} = {value}" for key, value in changed.items()) or "none"


def level(answer: Mapping[str, Any]) -> str:
    """Write the intervals' level."""
    return f"{100 * answer['confidence']:g}%"


def times(pair: Mapping[str, Any]) -> str:
    """Write the ratio of a pair's perplexities with its interval, in words."""
    interval = span(pair["ratio_low"], pair["ratio_high"], ".3f")
    return f"{pair['ratio']:.3f} times the perplexity" + (
        f" ({interval})" if interval != "-" else ""
    )


def ratios(pair: Mapping[str, Any], which: str) -> str:
    """Write another interval of a pair, as ratios."""
    return span(exp(pair[f"{which}_low"]), exp(pair[f"{which}_high"]), ".4f")


def chance(value: float) -> str:
    """Write a probability."""
    return "-" if math.isnan(value) else f"{value:.4f}"
