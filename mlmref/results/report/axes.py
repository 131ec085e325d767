"""The axes of a chart: labels, scales and ticks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis of a chart.

    Attributes:
        label: the quantity and its unit.
        shown: returns a number of the axis as text.
        whole: whether ticks are at integers only.
    """

    label: str
    shown: Callable[[float], str] = lambda value: f"{value:g}"
    whole: bool = False


class Scale:
    """Ticks at multiples of 1, 2 or 5 times a power of ten, and the range of the axis.

    Args:
        values: the values to show.
        whole: put ticks at integers only, and begin and end the range at the values.
        most: the number of intervals between ticks to aim for.
    """

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
        if whole:
            self.low, self.high = low, high
            first, last = math.ceil(low / step), math.floor(high / step)
        else:
            self.low, self.high = first * step, last * step
        self.ticks = [number * step for number in range(first, last + 1)]
        self.begins = 0.0  # where a horizontal axis begins, in pixels

    def share(self, value: float) -> float:
        """Return the position of a value in the range, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)
