"""Print a preview, with colours if possible and marks in any case (PREV-006)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from mlmref.base.number_format import percentages
from mlmref.data.tokens.spelling import BECOMES, BOUNDARY, SPECIAL, SPECIAL_END, TARGET, TARGET_END

if TYPE_CHECKING:
    from rich.console import Console

    from mlmref.masking.rates import Rates
    from mlmref.studies.preview.parts import Masking, Preview, ShownChunk, Unit, Used

STYLES = {
    "plain": "",
    "masked": "black on yellow",
    "replaced": "black on magenta",
    "kept": "black on cyan",
    "special": "dim",
    "boundary": "bold red",
}
"""The style of each kind of unit."""

COUNTS = {
    "targets": ("targets, of tokens", "targets", "tokens"),
    "masked": ("masked, of targets", "masked", "targets"),
    "replaced": ("replaced, of targets", "replaced", "targets"),
    "kept": ("kept, of targets", "kept", "targets"),
    "words_with_target": ("words with a target", "words_with_target", "words"),
    "words_whole": ("whole words, of those", "words_whole", "words_with_target"),
}
"""For each share its name, and which numbers it is of."""


def show_preview(answer: Preview, console: Console) -> None:
    """Print the verdict on each strategy, each chunk, the legend, and the measured rates."""
    for used in answer.strategies:
        _print(console, Text(verdict(used), style="bold"))
    for chunk in answer.chunks:
        _print(console, Text(heading(chunk, answer), style="bold"))
        for masking in chunk.maskings:
            line = Text(f"{masking.strategy}: ", style="bold")
            _print(console, line.append(sentence(masking.rates), style="not bold"))
            _print(console, _line(masking))
        console.print()
    legend = Text("  ").join(
        Text.assemble((example, STYLES[kind]), f" {meaning}")
        for kind, example, meaning in legend_of(answer)
    )
    _print(console, legend)
    console.print(_table(answer.strategies))
    _print(console, Text(conditions(answer), style="dim"))


def marked(unit: Unit) -> str:
    """Return a unit with its mark, which needs no color (PREV-006)."""
    match unit.kind:
        case "boundary":
            return BOUNDARY
        case "special":
            return f"{SPECIAL}{unit.true}{SPECIAL_END}"
        case "masked":
            return f"{TARGET}{unit.true}{TARGET_END}"
        case "replaced" | "kept":
            return f"{TARGET}{unit.true}{BECOMES}{unit.read}{TARGET_END}"
    return unit.true


def legend_of(answer: Preview) -> list[tuple[str, str, str]]:
    """Return kind, example and meaning of each mark."""
    return [
        ("masked", f"{TARGET}film{TARGET_END}", f"target, read as {answer.mask_token}"),
        ("replaced", f"{TARGET}film{BECOMES}sea{TARGET_END}", "target, read as another token"),
        ("kept", f"{TARGET}film{BECOMES}film{TARGET_END}", "target, read as itself"),
        ("special", f"{SPECIAL}S{SPECIAL_END}", "special token"),
        ("boundary", BOUNDARY, "next document"),
    ]


def heading(chunk: ShownChunk, answer: Preview) -> str:
    """Return the heading of a chunk: its number, its size, and where its text is from."""
    padding = f" and {chunk.padding:,} of padding" if chunk.padding else ""
    first, last = chunk.places
    where = first if chunk.documents == 1 else f"{chunk.documents:,} documents, {first} to {last}"
    return (
        f"training chunk {chunk.number:,} of {answer.training_chunks:,}: "
        f"{chunk.tokens:,} tokens{padding}, of {where}"
    )


def sentence(rates: Rates) -> str:
    """Return the counts of targets in a chunk."""
    return (
        f"{rates.targets:,} targets in {rates.tokens:,} ordinary tokens; {rates.masked:,} masked, "
        f"{rates.replaced:,} replaced, {rates.kept:,} kept"
    )


def conditions(answer: Preview) -> str:
    """Return the seed and the epoch of the masks, the model and the corpus."""
    return (
        f"the masks of seed {answer.seed} in epoch {answer.epoch}, as training uses them; "
        f"{answer.model} on {answer.corpus}"
    )


def verdict(used: Used) -> str:
    """Say in one sentence what a strategy does to the training chunks (PREV-014)."""
    rates = used.sample
    read = ", ".join(
        f"{rates.shares[kind]:.0%} {kind}"
        for kind in ("masked", "replaced", "kept")
        if not math.isnan(rates.shares[kind])
    )
    share = rates.targets / rates.tokens if rates.tokens else 0.0
    return f"{used.masking['name']}: {share:.1%} of the ordinary tokens are targets" + (
        f" ({read})." if read else "."
    )


def asked(used: Used) -> str:
    """Return the settings of a strategy: its options and corruption."""
    options = [f"{key} {value}" for key, value in used.masking["options"].items()]
    if used.corruption is not None:
        options.append(f"corruption {percentages(used.corruption.values())}")
    return ", ".join(options) or "-"


def rate(rates: Rates, name: str) -> str:
    """Return a share with its counts."""
    if name not in rates.shares:
        return "no word boundaries"
    _, part, whole = COUNTS[name]
    share = rates.shares[name]
    of = f"{getattr(rates, part):,} of {getattr(rates, whole):,}"
    return of if math.isnan(share) else f"{share:.1%} ({of})"


def counted(strategies: Sequence[Used]) -> list[tuple[str, list[Rates]]]:
    """Return, for the shown and the sampled chunks, a title and the rates of each strategy."""
    shown, sample = [one.shown for one in strategies], [one.sample for one in strategies]
    return [
        (f"in the {shown[0].chunks:,} shown", shown),
        (f"in the first {sample[0].chunks:,} training chunks", sample),
    ]


def _print(console: Console, text: Text) -> None:
    # Lines are broken between words in a terminal; a file has one line per chunk.
    console.print(text, soft_wrap=not console.is_terminal)


def _line(masking: Masking) -> Text:
    line = Text()
    for unit in masking.units:
        if line and not unit.joined:
            line.append(" ")
        line.append(marked(unit), style=STYLES[unit.kind])
    return line


def _table(strategies: Sequence[Used]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", *(one.masking["name"] for one in strategies)):
        table.add_column(Text(column), overflow="fold")
    table.add_row("settings", *(Text(asked(one)) for one in strategies))
    for title, each in counted(strategies):
        table.add_section()
        table.add_row(Text(title, style="bold"))
        for name, (words, _, _) in COUNTS.items():
            table.add_row(f"  {words}", *(rate(one, name) for one in each))
    return table
