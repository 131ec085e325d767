"""Numbers as text: figures, percentages, intervals and probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable


def number(value: float, digits: int = 2) -> str:
    """Return a number with thousands separators; ``unknown`` for NaN, ``infinite`` for infinity."""
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return f"{value:,.{digits}f}" if abs(value) < 1e9 else f"{value:.3g}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share in percent as pages show it; one that would be 0 is ``under 0.1 %``."""
    if not math.isfinite(share):
        return number(share)
    return "under 0.1 %" if 0 < share < 0.001 else fixed_percent(share, digits)


def fixed_percent(share: float, digits: int) -> str:
    """Return a share in percent with this number of decimals."""
    return f"{100 * share:,.{digits}f} %"


def rounded_percent(share: float) -> str:
    """Return a share in percent with three significant digits, or whole from 1,000 % on."""
    return f"{100 * share:,.3g} %" if share < 10 else fixed_percent(share, 0)


def level(confidence: float) -> str:
    """Return a confidence level, such as ``95%``."""
    return f"{100 * confidence:g}%"


def span(low: float, high: float, form: str) -> str:
    """Return an interval as text, each end in a format such as ``.2f``; ``-`` if it is NaN."""
    return "-" if math.isnan(low) else f"{low:{form}} to {high:{form}}"


def percentages(shares: Iterable[float]) -> str:
    """Return shares as percentages with slashes, such as ``80/10/10``."""
    return "/".join(f"{100 * share:g}" for share in shares)


def chance(probability: float) -> str:
    """Return a probability in percent; one that would be 0.0 % has two digits (CLI-008)."""
    small = 0 < probability < 0.0005
    return f"{100 * probability:.2g}%" if small else f"{probability:.1%}"
