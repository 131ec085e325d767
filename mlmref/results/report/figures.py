"""The curves of a run: a chart, a table of its points, and a note on missing ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from mlmref.base.number_format import number, percent
from mlmref.results.report.axes import Axis
from mlmref.results.report.charts import Series, bars, lines
from mlmref.results.report.saved_run import Measured, SavedRun, Step

LEAST = 3
"""The fewest points of a curve; fewer are shown as a table only."""

POINTS = 200
"""The most points of a curve, which the width of a page allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart with its table.

    Attributes:
        title: the title.
        svg: the chart; empty with fewer points than a curve needs.
        empty: why there is neither a chart nor a table.
        head, rows: the table of the points.
        notes: the points that were omitted or averaged.
    """

    title: str
    svg: Markup = Markup()  # noqa: RUF009 - as immutable as a string
    empty: str = ""
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def interval(one: Measured) -> str:
    """Return an interval as text, or why there is none."""
    if math.isnan(one.low) or math.isnan(one.high):
        return "no interval: fewer than two documents"
    return f"{number(one.low)} to {number(one.high)}"


def rate(value: float) -> str:
    """Return a learning rate as text."""
    return f"{value:.3g}"


def loss(runs: Sequence[SavedRun], ident: str = "loss") -> Figure:
    """Return the chart of the training loss."""
    axis = Axis(label="loss, nats per target", shown=lambda value: f"{value:g}")
    return _of_steps("Training loss", runs, lambda step: step.loss, axis, ident, 3, mean=True)


def learning_rate(runs: Sequence[SavedRun], ident: str = "rate") -> Figure:
    """Return the chart of the learning rate."""
    axis = Axis(label="learning rate", shown=lambda value: f"{value:g}")
    return _of_steps("Learning rate", runs, lambda step: step.learning_rate, axis, ident, 0)


def _of_steps(
    title: str,
    runs: Sequence[SavedRun],
    value: Callable[[Step], float],
    axis: Axis,
    ident: str,
    digits: int,
    *,
    mean: bool = False,
) -> Figure:
    drawn = [run for run in runs if any(math.isfinite(value(one)) for one in run.steps)]
    if not drawn:
        known = any(run.steps for run in runs)
        why = "no step has a finite value" if known else "the run stopped before its first step"
        return Figure(title=title, empty=f"No chart: {why}.")
    series, notes, rows = [], [], []
    for run in drawn:
        every = -(-len(run.steps) // POINTS)
        groups = [run.steps[at : at + every] for at in range(0, len(run.steps), every)]
        finite = [[value(one) for one in some if math.isfinite(value(one))] for some in groups]
        values = [
            math.nan if not some else sum(some) / len(some) if mean else some[-1] for some in finite
        ]
        steps = [some[-1].step for some in groups]
        series.append(Series(name=run.name, x=steps, y=values))
        whose = f"{run.name}: " if len(runs) > 1 else ""
        if every > 1:
            what = "the mean" if mean else "the last"
            notes.append(f"{whose}each point is {what} of {every:,} steps, of {len(run.steps):,}.")
        left_out = len(run.steps) - sum(map(len, finite))
        if left_out:
            notes.append(f"{whose}{left_out:,} steps without a finite value are omitted.")
        shown = rate if not digits else lambda one: number(one, digits)
        named = [run.name] if len(runs) > 1 else []
        rows += [[*named, f"{at:,}", shown(one)] for at, one in zip(steps, values, strict=True)]
    head = [*(["run"] if len(runs) > 1 else []), "step", axis.label]
    if not _is_curve(series):
        return Figure(title=title, head=head, rows=rows, notes=notes)
    described = "; ".join(
        f"{one.name if len(runs) > 1 else 'it'} goes from {one.y[0]:.3g} to {one.y[-1]:.3g} "
        f"in {one.x[-1]:,} steps"
        for one in series
    )
    steps_axis = Axis(label="optimizer step", shown=lambda one: f"{one:,.0f}", whole=True)
    return Figure(
        title=title,
        svg=Markup(lines(title, described, series, steps_axis, axis, ident=ident)),  # noqa: S704
        head=head,
        rows=rows,
        notes=notes,
    )


def perplexity(runs: Sequence[SavedRun], ident: str = "epochs") -> Figure:
    """Return the chart of the perplexity by epoch, with its intervals."""
    title = "Perplexity by epoch"
    drawn = [run for run in runs if any(math.isfinite(one.value) for one in run.evaluations)]
    if not drawn:
        known = any(run.evaluations for run in runs)
        why = "no perplexity is finite" if known else "the run stopped before its first evaluation"
        return Figure(title=title, empty=f"No chart: {why}.")
    series, notes, rows = [], [], []
    for run in drawn:
        some = [run.evaluations[at] for at in _evenly(len(run.evaluations))]
        series.append(
            Series(
                name=run.name,
                x=[one.epoch for one in some],
                y=[one.value for one in some],
                low=[one.low for one in some],
                high=[one.high for one in some],
            )
        )
        whose = f"{run.name}: " if len(runs) > 1 else ""
        if len(some) < len(run.evaluations):
            notes.append(f"{whose}{len(some):,} of {len(run.evaluations):,} evaluations are drawn.")
        if len(run.evaluations) == 1:
            notes.append(f"{whose}stopped before the evaluation of the first epoch.")
        if math.isnan(some[0].low):
            notes.append(f"{whose}no intervals: all held-out targets are in one document.")
        named = [run.name] if len(runs) > 1 else []
        rows += [
            [
                *named,
                str(one.epoch or "before"),
                number(one.value),
                interval(one),
                percent(one.accuracy),
            ]
            for one in some
        ]
    head = [*(["run"] if len(runs) > 1 else []), "epoch", "perplexity", "interval", "accuracy"]
    if not _is_curve(series):
        return Figure(title=title, head=head, rows=rows, notes=notes)
    described = "; ".join(
        f"{one.name if len(runs) > 1 else 'it'} goes from {number(one.y[0])} to {number(one.y[-1])}"
        for one in series
    )
    epochs = Axis(label="epoch (0 is before training)", shown=lambda one: f"{one:.0f}", whole=True)
    axis = Axis(label="perplexity", shown=lambda one: f"{one:,g}")
    return Figure(
        title=title,
        svg=Markup(lines(title, described, series, epochs, axis, ident=ident)),  # noqa: S704
        head=head,
        rows=rows,
        notes=notes,
    )


def lengths(run: SavedRun) -> Figure:
    """Return the histogram of the lengths of documents."""
    title = "Length of documents"
    found = run.corpus.get("lengths")
    if not found:
        return Figure(title=title, empty=f"Unknown: {run.lacking or 'not saved'}.")
    bins = [(2**at, int(count)) for at, count in enumerate(found["histogram"][:64])]
    bins = [one for one in bins if one[0] * 2 > int(found["least"])]
    counts = [count for _, count in bins]
    names = [f"{least:,}" for least, _ in bins]
    rows = [
        [f"{least:,} to {min(int(found['most']), 2 * least - 1):,}", f"{count:,}"]
        for least, count in bins
    ]
    quartiles = [number(float(one), 0) for one in found["quartiles"]]
    described = f"half of them have between {quartiles[0]} and {quartiles[2]} tokens"
    axes = (
        Axis(label="tokens, from"),
        Axis(label="documents", shown=lambda one: f"{one:,.0f}", whole=True),
    )
    return Figure(
        title=title,
        svg=Markup(bars(title, described, names, counts, *axes, ident="lengths")),  # noqa: S704
        head=["tokens", "documents"],
        rows=rows,
    )


def _is_curve(series: Sequence[Series]) -> bool:
    """Return whether a series has enough points for a curve."""
    return any(sum(map(math.isfinite, one.y)) >= LEAST for one in series)


def _evenly(count: int) -> list[int]:
    """Return at most :data:`POINTS` numbers below ``count``, with the first and the last."""
    if count <= POINTS:
        return list(range(count))
    return [at * (count - 1) // (POINTS - 1) for at in range(POINTS)]
