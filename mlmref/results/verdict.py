"""The verdict on a run: what training did to perplexity, and whether an earlier model was better.

A claim needs the interval that is paired over documents (EVAL-012, RUN-016).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mlmref.base.number_format import rounded_percent
from mlmref.results.record import number


def verdict(ratio: float, low: float, high: float) -> str:
    """Return one sentence on how training changed the perplexity.

    Args:
        ratio: perplexity after / before training.
        low, high: its paired interval; NaN with fewer than two documents.
    """
    if math.isnan(ratio):
        return "How perplexity changed is unknown: it was infinite before training."
    if math.isnan(low) or math.isnan(high):
        return (
            f"Perplexity {_change(ratio)}; one held-out document gives no interval, so this may be "
            "chance."
        )
    if high < 1:
        return (
            f"Perplexity {_change(ratio)} ({_range(1 - high, 1 - low)}): the model learned from "
            "this text."
        )
    if low > 1:
        interval = f" ({_range(low - 1, high - 1)})" if math.isfinite(high) else ""
        return (
            f"Perplexity {_change(ratio)}{interval}: the model is worse on this text than before "
            "training."
        )
    return (
        f"Perplexity did not change by more than chance: it is {rounded_percent(ratio)} of that "
        f"before ({_range(low, high)})."
    )


def warning(better: Mapping[str, Any] | None) -> str | None:
    """Return a warning that an earlier model was better, and what to do; ``None`` if none was.

    Args:
        better: ``perplexity.better`` of a record: ``epoch``, ``value`` and ``difference``.
    """
    if not better:
        return None
    gained = better["difference"]
    ratio, low, high = (number(gained[name]) for name in ("ratio", "ratio_low", "ratio_high"))
    epoch = int(better["epoch"])
    which = f"The model after epoch {epoch}" if epoch else "The original model"
    advice = f"with --epochs {epoch}" if epoch else "for fewer epochs"
    return (
        f"{which} was better than the final one: its perplexity was "
        f"{number(better['value']):,.2f}, and at the end it is {rounded_percent(ratio)} of that "
        f"({_range(low, high)}). "
        f"Train {advice}, with a lower --learning-rate, or on more text."
    )


def _change(ratio: float) -> str:
    if math.isinf(ratio):
        return "rose to infinity"
    return f"{'fell' if ratio < 1 else 'rose'} by {rounded_percent(abs(ratio - 1))}"


def _range(low: float, high: float) -> str:
    return f"{rounded_percent(low).removesuffix(' %')} to {rounded_percent(high)}"
