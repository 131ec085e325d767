"""Charts as inline SVG in the page's colours (REP-005, REP-006).

They are made of numbers and escaped text only, so that they can stand in a page as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from mlmref.base.terminal import plain

WIDTH, HEIGHT = 420, 270
_RIGHT, _TOP, _BOTTOM = 14, 14, 46
_LETTER = 7.8  # what a letter of a tick takes, at most
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "4 4", "12 4")
COLOURS = len(_DASHES)
"""Series that differ in colour and dashes; further ones begin again from the first."""

STYLE = """
.chart { font: 14px system-ui, sans-serif; display: block; width: 100%; height: auto; }
.chart text { fill: var(--quiet); }
.chart .key { fill: var(--text); }
.chart .grid { stroke: var(--line); stroke-width: 1; opacity: 0.6; }
.chart .axis { stroke: var(--quiet); stroke-width: 1; }
.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.chart .bar { fill: var(--series-0); }
.chart .s0 { stroke: var(--series-0); } .chart .s1 { stroke: var(--series-1); }
.chart .s2 { stroke: var(--series-2); } .chart .s3 { stroke: var(--series-3); }
.chart .s4 { stroke: var(--series-4); } .chart .s5 { stroke: var(--series-5); }
.chart .dot { fill: var(--page); stroke-width: 2; }
"""
"""How charts look, in terms of the colours below."""

LIGHT = """
--page: #ffffff; --text: #1a1a1a; --quiet: #595959; --line: #c8c8c8;
--series-0: #1f5fbf; --series-1: #b3541e; --series-2: #2a7a3b; --series-3: #7a3fa0;
--series-4: #9c2f55; --series-5: #4a5560;
"""
DARK = """
--page: #16181c; --text: #ececec; --quiet: #a8adb5; --line: #454a52;
--series-0: #7fb2ff; --series-1: #ffb07a; --series-2: #7fd694; --series-3: #d0a3f5;
--series-4: #ff9dbb; --series-5: #b8c2cc;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A curve.

    Attributes:
        name: what it is called.
        x, y: its points; one that is not finite is left out, and parts the curve.
        low, high: an interval about each point, if there is one.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis: what it is of, and how its numbers are written; ``whole`` has ticks at integers."""

    label: str
    shown: Callable[[float], str] = lambda value: f"{value:g}"
    whole: bool = False


def lines(
    title: str, description: str, series: Sequence[Series], x: Axis, y: Axis, *, ident: str
) -> str:
    """Draw curves; those with few points have dots, those with intervals whiskers.

    Args:
        title: what the chart is of.
        description: what it shows, in a sentence, for who does not see it.
        series: the curves; one at least has a finite point.
        x: the axis below.
        y: the axis on the left.
        ident: begins the identifiers of its elements, which are to be the page's only ones.
    """
    xs = [value for one in series for value in one.x]
    ys = [v for one in series for v in (*one.y, *one.low, *one.high) if math.isfinite(v)]
    across, up = _Scale(xs, x.whole, 5), _Scale(ys, y.whole, 5)
    across.begins = _margin(up, y)
    parts = _frame(across, up, x, y)
    for number, one in enumerate(series):
        colour = f"s{number % COLOURS}"
        dash = _DASHES[number % COLOURS]
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        points = [(_x(across, a), _y(up, b)) for a, b in zip(one.x, one.y, strict=True)]
        for low, high, (at, _) in zip(one.low, one.high, points, strict=False):
            if math.isfinite(low) and math.isfinite(high):
                parts.append(_whisker(at, _y(up, low), _y(up, high), colour))
        for run in _unbroken(points):
            path = " ".join(f"{a:.1f},{b:.1f}" for a, b in run)
            if len(points) > 2:  # two points are no curve
                parts.append(f'<polyline class="line {colour}"{dashed} points="{path}"/>')
            if len(points) <= 20:
                parts += [
                    f'<circle class="dot {colour}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>'
                    for a, b in run
                ]
    if len(series) > 1:
        parts += _keys(series)
    height = HEIGHT + (len(series) * 18 if len(series) > 1 else 0)
    return _svg(title, description, parts, ident, height)


def bars(
    title: str,
    description: str,
    names: Sequence[str],
    values: Sequence[float],
    x: Axis,
    y: Axis,
    *,
    ident: str,
) -> str:
    """Draw a bar for each value, side by side; arguments as of :func:`lines`."""
    up = _Scale([0.0, *values], y.whole, 5)
    across = _Scale([0.0, float(len(values))], True, 1)
    across.begins = left_ = _margin(up, y)
    parts = _frame(across, up, x, y, ticks=False)
    width = (WIDTH - left_ - _RIGHT) / len(values)
    every = math.ceil(len(values) / 7)
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        left, top = left_ + number * width, _y(up, value)
        bottom = HEIGHT - _BOTTOM
        parts.append(
            f'<rect class="bar" x="{left + 1:.1f}" y="{top:.1f}" width="{max(1.0, width - 2):.1f}"'
            f' height="{bottom - top:.1f}"/>'
        )
        if number % every == 0:
            parts.append(_text(left + width / 2, bottom + 18, name, "middle"))
    return _svg(title, description, parts, ident, HEIGHT)


def beside(charts: Sequence[str]) -> str:
    """Put charts of one size side by side in one."""
    width = WIDTH * len(charts)
    placed = "".join(
        chart.replace("<svg", f'<svg x="{nth * WIDTH}" width="{WIDTH}" height="{HEIGHT}"', 1)
        for nth, chart in enumerate(charts)
    )
    return (
        f'<svg class="chart" viewBox="0 0 {max(1, width)} {HEIGHT}" width="{width}">{placed}</svg>'
    )


def alone(svg: str) -> str:
    """Return a chart as a document of its own: with colours for light and dark, and a ground."""
    style = (
        f"<style>.chart {{{LIGHT} background: var(--page); }}"
        f"@media (prefers-color-scheme: dark) {{ .chart {{{DARK}}} }}{STYLE}</style>"
    )
    head, rest = svg.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg">{style}{rest}'


class _Scale:
    """Ticks at 1, 2 or 5 times a power of ten, and the range that they span."""

    def __init__(self, values: Sequence[float], whole: bool, most: int) -> None:
        low, high = min(values), max(values)
        if low == high:
            half = abs(low) * 0.1 or 0.5
            low, high = (low - 1, high + 1) if whole else (low - half, high + half)
        rough = (high - low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough * 0.999)
        step = max(1.0, step) if whole else step
        first = math.floor(low / step + 1e-9)
        last = math.ceil(high / step - 1e-9)
        if whole:  # steps and epochs begin and end where they do
            self.low, self.high = low, high
            first, last = math.ceil(low / step), math.floor(high / step)
        else:
            self.low, self.high = first * step, last * step
        self.ticks = [number * step for number in range(first, last + 1)]
        self.begins = 0.0

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def _x(scale: _Scale, value: float) -> float:
    return scale.begins + scale.share(value) * (WIDTH - scale.begins - _RIGHT)


def _margin(up: _Scale, y: Axis) -> float:
    """Return the room that the ticks on the left and their label take."""
    return 30 + _LETTER * max(len(y.shown(tick)) for tick in up.ticks)


def _y(scale: _Scale, value: float) -> float:
    """Return NaN for what has no place."""
    if not math.isfinite(value):
        return math.nan
    return HEIGHT - _BOTTOM - scale.share(value) * (HEIGHT - _TOP - _BOTTOM)


def _frame(across: _Scale, up: _Scale, x: Axis, y: Axis, *, ticks: bool = True) -> list[str]:
    """Draw the axes with their ticks."""
    left, bottom, right = across.begins, HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for tick in up.ticks:
        at = _y(up, tick)
        parts.append(
            f'<line class="grid" x1="{left:.1f}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}"/>'
        )
        parts.append(_text(left - 6, at + 5, y.shown(tick), "end"))
    parts.append(f'<line class="axis" x1="{left:.1f}" y1="{bottom}" x2="{right}" y2="{bottom}"/>')
    for tick in across.ticks if ticks else ():
        at = _x(across, tick)
        parts.append(
            f'<line class="axis" x1="{at:.1f}" y1="{bottom}" x2="{at:.1f}" y2="{bottom + 4}"/>'
        )
        parts.append(_text(at, bottom + 18, x.shown(tick), "middle"))
    parts.append(_text((left + right) / 2, HEIGHT - 6, x.label, "middle"))
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text text-anchor="middle" transform="translate(14 {middle}) rotate(-90)">'
        f"{_escaped(y.label)}</text>"
    )
    return parts


def _keys(series: Sequence[Series]) -> list[str]:
    """Tell below the chart which curve is whose, by its dashes as well as by its colour."""
    parts = []
    for number, one in enumerate(series):
        at = HEIGHT + number * 18 + 8
        dash = _DASHES[number % COLOURS]
        parts.append(
            f'<line class="line s{number % COLOURS}" stroke-dasharray="{dash or "none"}" '
            f'x1="8" y1="{at - 4}" x2="48" y2="{at - 4}"/>'
        )
        parts.append(_text(56, at, one.name, "start", "key"))
    return parts


def _unbroken(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Part points where one of them has no place."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if math.isnan(point[1]):
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _whisker(at: float, low: float, high: float, colour: str) -> str:
    path = f"M{at:.1f} {low:.1f}V{high:.1f}M{at - 4:.1f} {low:.1f}h8M{at - 4:.1f} {high:.1f}h8"
    return f'<path class="line {colour}" d="{path}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    of = f' class="{kind}"' if kind else ""
    return f'<text{of} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_escaped(text)}</text>'


def _svg(title: str, description: str, parts: Sequence[str], ident: str, height: int) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-labelledby="{ident}-title {ident}-desc">'
        f'<title id="{ident}-title">{_escaped(title)}</title>'
        f'<desc id="{ident}-desc">{_escaped(description)}</desc>{"".join(parts)}</svg>'
    )


def _escaped(text: str) -> str:
    return escape(plain(text))
