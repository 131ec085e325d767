"""Charts as inline SVG in the page's colors (REP-005, REP-006).

They contain numbers and escaped text only, so a page includes them without escaping.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mlmref.base.terminal import plain
from mlmref.results.report.axes import Axis, Scale

WIDTH, HEIGHT = 420, 270
_RIGHT, _TOP, _BOTTOM = 14, 14, 46
_LETTER = 7.8  # maximum width of a letter
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "4 4", "12 4")
COLORS = len(_DASHES)
"""Series that differ in color and dashes; further series reuse them from the first."""

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
"""The style of charts; it uses the colors below."""

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
        name: its name in the key.
        x, y: its points; a gap replaces a point that is not finite.
        low, high: the interval of each point; empty without intervals.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def lines(
    title: str, description: str, series: Sequence[Series], x: Axis, y: Axis, *, ident: str
) -> str:
    """Return curves as SVG: with dots if they have few points, and whiskers for intervals.

    Args:
        title: the title of the chart.
        description: one sentence on the chart, for screen readers.
        series: the curves; at least one has a finite point.
        x: the horizontal axis.
        y: the vertical axis.
        ident: the prefix of the chart's element ids, unique within the page.
    """
    xs = [value for one in series for value in one.x]
    ys = [v for one in series for v in (*one.y, *one.low, *one.high) if math.isfinite(v)]
    across, up = Scale(xs, x.whole, 5), Scale(ys, y.whole, 5)
    across.begins = _margin(up, y)
    parts = _frame(across, up, x, y)
    for number, one in enumerate(series):
        color = f"s{number % COLORS}"
        dash = _DASHES[number % COLORS]
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        points = [(_x(across, a), _y(up, b)) for a, b in zip(one.x, one.y, strict=True)]
        for low, high, (at, _) in zip(one.low, one.high, points, strict=False):
            if math.isfinite(low) and math.isfinite(high):
                parts.append(_whisker(at, _y(up, low), _y(up, high), color))
        for run in _unbroken(points):
            path = " ".join(f"{a:.1f},{b:.1f}" for a, b in run)
            if len(points) > 2:
                parts.append(f'<polyline class="line {color}"{dashed} points="{path}"/>')
            if len(points) <= 20:
                parts += [
                    f'<circle class="dot {color}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>'
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
    """Return a bar chart as SVG, with a bar for each value; arguments as in :func:`lines`."""
    up = Scale([0.0, *values], y.whole, 5)
    across = Scale([0.0, float(len(values))], True, 1)
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
    """Return charts of one size side by side as one SVG."""
    width = WIDTH * len(charts)
    placed = "".join(
        chart.replace("<svg", f'<svg x="{nth * WIDTH}" width="{WIDTH}" height="{HEIGHT}"', 1)
        for nth, chart in enumerate(charts)
    )
    return (
        f'<svg class="chart" viewBox="0 0 {max(1, width)} {HEIGHT}" width="{width}">{placed}</svg>'
    )


def alone(svg: str) -> str:
    """Return a chart as an SVG document with a background and colors for light and dark."""
    style = (
        f"<style>.chart {{{LIGHT} background: var(--page); }}"
        f"@media (prefers-color-scheme: dark) {{ .chart {{{DARK}}} }}{STYLE}</style>"
    )
    head, rest = svg.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg">{style}{rest}'


def _x(scale: Scale, value: float) -> float:
    return scale.begins + scale.share(value) * (WIDTH - scale.begins - _RIGHT)


def _margin(up: Scale, y: Axis) -> float:
    """Return the width of the vertical axis: its ticks and its label."""
    return 30 + _LETTER * max(len(y.shown(tick)) for tick in up.ticks)


def _y(scale: Scale, value: float) -> float:
    """Return the vertical position of a value; NaN if the value is not finite."""
    if not math.isfinite(value):
        return math.nan
    return HEIGHT - _BOTTOM - scale.share(value) * (HEIGHT - _TOP - _BOTTOM)


def _frame(across: Scale, up: Scale, x: Axis, y: Axis, *, ticks: bool = True) -> list[str]:
    """Return the axes with their ticks as SVG elements."""
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
    """Return the key below the chart: the dashes, color and name of each curve."""
    parts = []
    for number, one in enumerate(series):
        at = HEIGHT + number * 18 + 8
        dash = _DASHES[number % COLORS]
        parts.append(
            f'<line class="line s{number % COLORS}" stroke-dasharray="{dash or "none"}" '
            f'x1="8" y1="{at - 4}" x2="48" y2="{at - 4}"/>'
        )
        parts.append(_text(56, at, one.name, "start", "key"))
    return parts


def _unbroken(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Return the points as runs, split at NaN."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if math.isnan(point[1]):
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _whisker(at: float, low: float, high: float, color: str) -> str:
    path = f"M{at:.1f} {low:.1f}V{high:.1f}M{at - 4:.1f} {low:.1f}h8M{at - 4:.1f} {high:.1f}h8"
    return f'<path class="line {color}" d="{path}"/>'


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
