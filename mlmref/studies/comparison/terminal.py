"""Print a comparison: its verdicts, then its tables (COMP-018, COMP-021)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mlmref.base.number_format import level, percentages, span
from mlmref.base.terminal import table as table_of
from mlmref.evaluation.intervals import exp

if TYPE_CHECKING:
    from rich.console import Console


def show_comparison(answer: Mapping[str, Any], console: Console) -> None:
    """Print the verdicts, the variants (best first), the pairs, and the common task."""
    for pair in answer["pairs"]:
        console.print(Text(verdict(pair), style="bold"), soft_wrap=True)
    interval = level(answer["confidence"])
    table = table_of("variant", "common", interval, "after / before", interval, "native", "time")
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
        table = table_of("difference", "ratio", interval, "p", "by Holm", "verdict")
        for pair in answer["pairs"]:
            table.add_row(
                Text(f"{pair['variant']} vs {pair['against']}"),
                f"{pair['ratio']:.4f}",
                span(pair["ratio_low"], pair["ratio_high"], ".4f"),
                p_value(pair["p"]),
                p_value(pair["p_corrected"]),
                Text(pair["verdict"], style="bold"),
            )
        console.print(table)
    for line in lines(answer):
        console.print(line, markup=False, soft_wrap=True)


def lines(answer: Mapping[str, Any]) -> list[str]:
    """Return lines about the common task, missing intervals and the comparison folder."""
    seeds = answer["seeds"]
    return [
        f"common task: {told(answer['task'])}, with the same {answer['targets']:,} targets in "
        f"{answer['documents']:,} documents for every model",
        f"means over {len(seeds)} seed{'s' * (len(seeds) != 1)} ({', '.join(map(str, seeds))}); "
        "intervals resample seeds and documents, p resamples documents",
        *answer["notes"],
        f"comparison folder: {answer['folder']}",
    ]


def told(task: Mapping[str, Any]) -> str:
    """Return the common task as text: its strategy with options, corruption and draws of masks."""
    parts = [f"{key} {value}" for key, value in task["options"].items()]
    if task["corruption"]:
        parts.append(percentages(task["corruption"].values()))
    if task["draws"] > 1:
        parts.append(f"{task['draws']} draws")
    return f"{task['strategy']} ({', '.join(parts)})" if parts else str(task["strategy"])


def show_plan(plan: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print the runs with their states and settings."""
    table = table_of("run", "state", "differs from the base in")
    for one in plan:
        table.add_row(Text(one["run"], style="bold"), one["state"], Text(settings(one["settings"])))
    console.print(table)


def settings(changed: Mapping[str, Any]) -> str:
    """Return the settings of a variant that differ from the base, as text."""
    return ", ".join(f"{key} = {value}" for key, value in changed.items()) or "none"


def verdict(pair: Mapping[str, Any]) -> str:
    """Return the verdict on a pair as a sentence, with the ratio (COMP-016)."""
    said = {"better": "is better than", "worse": "is worse than"}.get(
        pair["verdict"], "does not clearly differ from"
    )
    interval = span(pair["ratio_low"], pair["ratio_high"], ".3f")
    return (
        f"{pair['variant']} {said} {pair['against']}: {pair['ratio']:.3f} times the perplexity"
        f"{f' ({interval})' if interval != '-' else ''}."
    )


def ratios(pair: Mapping[str, Any], which: str) -> str:
    """Return another interval of a pair (``over_seeds``, ``over_documents``) as ratios."""
    return span(exp(pair[f"{which}_low"]), exp(pair[f"{which}_high"]), ".4f")


def p_value(value: float) -> str:
    """Return a p-value as text; a dash for NaN."""
    return "-" if math.isnan(value) else f"{value:.4f}"
