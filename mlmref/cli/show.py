"""Print results: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mlmref.base.number_format import chance, span
from mlmref.base.terminal import table as table_of
from mlmref.plugin.kinds import KINDS
from mlmref.plugin.registry import Registry
from mlmref.results.record import dumps
from mlmref.results.verdict import verdict
from mlmref.studies.tutorial import Verified

if TYPE_CHECKING:
    from rich.console import Console

    from mlmref.conformance.checks import Report
    from mlmref.evaluation.fill_mask import Filled
    from mlmref.plugin.contracts import Options
    from mlmref.results.result import Result


def as_json(answer: Any) -> str:
    """Return the answer of any command as JSON."""
    if isinstance(answer, Registry):
        answer = _registry(answer)
    return dumps(_plain(answer), indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, Verified):
        return {
            "step": value.step,
            "title": value.title,
            "verdict": value.verdict,
            "figures": [
                {"what": one.what, "printed": one.printed, **asdict(outcome)}
                for one, outcome in value.figures
            ],
        }
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def show_run(result: Result, console: Console) -> None:
    """Print the result of a run: verdict, perplexities, fills side by side, and the run folder."""
    record = result.record
    gained = record["perplexity"]["difference"]
    ratios = [gained[name] for name in ("ratio", "ratio_low", "ratio_high")]
    console.print(verdict(*ratios), style="bold", markup=False, soft_wrap=True)
    table = table_of("", "before", "after")
    before, after = record["perplexity"]["before"], record["perplexity"]["after"]
    table.add_row("perplexity", f"{before['value']:.2f}", f"{after['value']:.2f}", style="bold")
    table.add_row("  interval", *(span(one["low"], one["high"], ".2f") for one in (before, after)))
    table.add_row("  after / before", "", "{:.1%} ({:.1%} to {:.1%})".format(*ratios))
    if "draws" in before:
        table.add_row("  over draws", _draws(before), _draws(after))
    table.add_row("masked accuracy", f"{before['accuracy']:.1%}", f"{after['accuracy']:.1%}")
    table.add_row(
        "tutorial's estimate",
        f"{before['tutorial_estimate']:.2f}",
        f"{after['tutorial_estimate']:.2f}",
    )
    asked, answered = record["fill_mask"]["before"], record["fill_mask"]["after"]
    last = None
    for one, other in zip_longest(asked, answered):
        new = (one["prompt"], one["mask"])
        if new != last:
            table.add_section()
            title = one["prompt"] if not one["mask"] else f"  mask {one['mask'] + 1}"
            table.add_row(Text(title, style="bold"))
            last = new
        table.add_row("", *(Text(f"{a['token']}  {chance(a['score'])}") for a in (one, other)))
    console.print(table)
    console.print(_COMPARES, style="dim", soft_wrap=True)
    timings = record["timings"]
    stages = ", ".join(f"{key} {value:.0f} s" for key, value in timings.items() if value >= 1)
    console.print(f"time: {stages}".replace("total_s", "in all"), soft_wrap=True)
    console.print(f"peak memory: {record['peak_memory_mb']:,.0f} MB")
    console.print(f"run folder: {result.folder}", markup=False, soft_wrap=True)


def _draws(summary: Mapping[str, Any]) -> str:
    draws = summary["draws"]
    return f"sd {draws['standard_deviation']:.2f} in {len(draws['values'])}"


_COMPARES = (
    "A masked perplexity compares only under the same tokenizer, text, masking strategy, rate and "
    "corruption, and never with a causal model's."
)


def show_evaluation(answer: Mapping[str, Any], console: Console) -> None:
    """Print a perplexity with its model, corpus and masking."""
    summary = answer["perplexity"]
    table = table_of("", "")
    table.show_header = False
    table.add_row("model", Text(answer["model"]))
    table.add_row("corpus", Text(answer["corpus"]))
    plain = answer["metric"] == "perplexity"
    for part in ("words", "masking") if plain else ("words",):
        table.add_row(part, Text(f"{answer[part]['name']} {answer[part]['options']}"))
    table.add_row(answer["metric"], f"{summary['value']:.2f}", style="bold")
    table.add_row("  interval", span(summary["low"], summary["high"], ".2f"))
    if "draws" in summary:
        table.add_row("  over draws", _draws(summary))
    table.add_row("masked accuracy", f"{summary['accuracy']:.1%}")
    if plain:
        table.add_row("tutorial's estimate", f"{summary['tutorial_estimate']:.2f}")
    measured = summary.get("chunks", answer["chunks"])
    table.add_row("targets", f"{summary['targets']:,} in {measured:,} chunks")
    console.print(table)
    console.print(_COMPARES, style="dim", soft_wrap=True)


def show_fills(answer: Mapping[str, Any], console: Console) -> None:
    """Print the answers to prompts."""
    console.print(f"model: {answer['model']}", markup=False, soft_wrap=True)
    fills: list[Filled] = answer["answers"]
    for one in fills:
        title = one.prompt if one.mask == 1 else f"  mask {one.mask}"
        console.print(title, style="bold", markup=False, soft_wrap=True)
        for rank in one.answers:
            text = f"  {rank.token}  {chance(rank.score)}"
            console.print(text, markup=False, soft_wrap=True)


def show_plugins(registry: Registry, console: Console) -> None:
    """Print every kind's entries, and the plugins that are broken or disabled."""
    for kind in KINDS:
        table = table_of(kind.name, "plugin", "summary", "options")
        for row in registry.of(kind):
            options = "\n".join(_options(row.entry.options)) or "-"
            table.add_row(
                Text(row.entry.name, style="bold"),
                Text(str(row.source)),
                Text(row.entry.summary),
                Text(options),
            )
        console.print(table)
    if registry.broken:
        table = table_of("broken", "reason")
        for broken in registry.broken:
            table.add_row(Text(str(broken.source), style="bold red"), Text(broken.reason))
        console.print(table)
    for source in registry.disabled:
        console.print(f"disabled: {source}", markup=False)


def _options(options: type[Options]) -> list[str]:
    return [f"{name} = {field.default!r}" for name, field in options.model_fields.items()]


def _registry(registry: Registry) -> dict[str, Any]:
    def rows(registered: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": one.entry.name,
                "summary": one.entry.summary,
                **asdict(one.source),
                "options": one.entry.options.model_json_schema().get("properties", {}),
            }
            for one in registered
        ]

    return {
        **{kind.plural: rows(registry.of(kind)) for kind in KINDS},
        "broken": [{**asdict(one.source), "reason": one.reason} for one in registry.broken],
        "disabled": [asdict(one) for one in registry.disabled],
    }


_MARKS = {
    "pass": ("pass", "green"),
    "fail": ("FAIL", "bold red"),
    "not applicable": ("-", "dim"),
    "not reached": ("not reached", "yellow"),
    "expected failure": ("expected", "yellow"),
    "unexpected pass": ("NOT EXPECTED", "bold red"),
}


def show_reports(reports: Sequence[Report], console: Console) -> None:
    """Print the result of each clause, then what to change for each failure, with an example."""
    from mlmref.conformance.checks import told

    for report in reports:
        table = table_of("clause", "", "fact")
        for one in report.outcomes:
            word, style = _MARKS[one.status]
            fact = Text()
            if one.fix:
                fact.append(f"{one.fix}\n", style=style)
            fact.append(one.fact)
            if one.detail:
                text = f"({one.detail})" if one.status == "not reached" else one.detail
                fact.append(f"\n{text}", style=style)
            table.add_row(one.clause, Text(word, style=style), fact)
        console.print(Text(report.subject, style="bold"))
        console.print(table)
        for one in report.failures:
            console.print(Text("\n".join(told(one))), soft_wrap=True)
        console.print(report.summary)
        console.print()
