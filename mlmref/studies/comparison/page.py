"""The HTML page of a comparison, with a forest plot of its differences (COMP-019)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlmref.results.pages import render
from mlmref.studies.comparison import terminal

WIDTH, LEFT, RIGHT, TOP, ROW, AXIS = 400, 16, 16, 8, 48, 42
REACH = 9
"""Length of a grid line above and below the figures of a row; the row's name is above it."""

_LETTERS = 56  # most characters of a name in a row
_TICKS = 5  # most intervals between ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A pair in the plot; lengths are in the plot's own units.

    Attributes:
        name: the names of both variants, cut if too long.
        y: of its line.
        x: of the difference.
        both: x of both ends of the interval over seeds and documents, if there is one.
        seeds: x of each seed's difference.
    """

    name: str
    y: float
    x: float
    both: tuple[float, float] | None
    seeds: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """A forest plot of ratios.

    Attributes:
        marks: the rows.
        ticks: x and text of each tick.
        one: x of the ratio 1, which means no difference.
        height: of the plot.
    """

    marks: Sequence[Mark]
    ticks: Sequence[tuple[float, str]]
    one: float
    height: float


def page(answer: Mapping[str, Any]) -> str:
    """Return the HTML page of a comparison."""
    return render(
        "comparison.html",
        answer=answer,
        forest=forest(answer["pairs"]),
        width=WIDTH,
        reach=REACH,
        terminal=terminal,
        ratio=math.exp,
    )


def forest(pairs: Sequence[Mapping[str, Any]]) -> Forest | None:
    """Return the plot of all finite differences; ``None`` if no difference is finite."""
    drawn = [pair for pair in pairs if math.isfinite(pair["nll"])]
    if not drawn:
        return None
    shown = [1.0]
    for pair in drawn:
        ends = [pair["nll"], pair["low"], pair["high"], *pair["by_seed"]]
        shown += [math.exp(one) for one in ends if math.isfinite(one)]
    step = _step(max(shown) - min(shown) or 0.01)
    first, last = math.floor(min(shown) / step), math.ceil(max(shown) / step)
    last = max(last, first + 1)

    def place(ratio: float) -> float:
        share = (ratio / step - first) / (last - first)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 2)

    digits = max(0, -math.floor(math.log10(step)))
    marks = [
        Mark(
            name=_cut(f"{pair['variant']} vs {pair['against']}"),
            y=TOP + nth * ROW + 32,
            x=place(math.exp(pair["nll"])),
            both=None
            if math.isnan(pair["low"])
            else (place(math.exp(pair["low"])), place(math.exp(pair["high"]))),
            seeds=[place(math.exp(one)) for one in pair["by_seed"]],
        )
        for nth, pair in enumerate(drawn)
    ]
    return Forest(
        marks=marks,
        ticks=[(place(n * step), f"{n * step:.{digits}f}") for n in range(first, last + 1)],
        one=place(1.0),
        height=TOP + len(drawn) * ROW + AXIS,
    )


def _cut(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"


def _step(width: float) -> float:
    """Return the smallest step of 1, 2 or 5 times a power of ten with few enough ticks."""
    power = 10.0 ** math.floor(math.log10(width / _TICKS))
    return next(power * one for one in (1, 2, 5, 10) if power * one * _TICKS >= width)
