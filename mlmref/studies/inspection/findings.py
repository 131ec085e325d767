"""Findings with their marks, and the report of them (INSP-001)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mlmref.plugin.arrays import Int64Array

Mark = Literal["figure", "good", "warning", "problem"]
MARKS: tuple[Mark, ...] = ("figure", "good", "warning", "problem")
"""From nothing that was judged to the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        section: ``documents``, ``duplicates``, ``tokens``, ``chunks`` or ``split``.
        key: its name for programs, which stays the same from version to version.
        what: its name for people.
        figure: what was found, for people.
        values: what was found, for programs: numbers, texts, or lists of them.
        mark: ``good``, ``warning``, ``problem``; ``figure`` where nothing is judged.
        hint: what to do about a warning or a problem.
    """

    section: str
    key: str
    what: str
    figure: str
    values: dict[str, Any] = field(default_factory=dict)
    mark: Mark = "figure"
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an inspection found.

    Attributes:
        model: whose tokenizer cut the text up.
        corpus: where the text was found.
        mark: the worst of the findings'.
        findings: in the order of the sections.
    """

    model: str
    corpus: str
    mark: Mark
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, model: str, corpus: str, findings: Iterable[Finding]) -> Report:
        """Make the report of some findings."""
        found = tuple(findings)
        marks = [one.mark for one in found]
        worst: Mark = max(marks, key=MARKS.index, default="figure")
        return cls(model=model, corpus=corpus, mark=worst, findings=found)


def graded(amount: float, *, warning: float, problem: float = np.inf, hint: str) -> dict[str, Any]:
    """Mark an amount that is better small: good up to ``warning``, a problem over ``problem``.

    Returns:
        ``mark`` and ``hint`` of a :class:`Finding`; the hint only where it is needed.
    """
    if amount <= warning:
        return {"mark": "good"}
    return {"mark": "problem" if amount > problem else "warning", "hint": hint}


def share(part: int, whole: int) -> float:
    """Return a part of a whole; 0 of nothing."""
    return part / whole if whole else 0.0


def of(part: int, whole: int) -> str:
    """Say a part of a whole: ``96 of 25,000 (0.38 %)``."""
    return f"{part:,} of {whole:,} ({share(part, whole):.2%})".replace("%", " %")


def spread(amounts: Int64Array) -> tuple[dict[str, float], str]:
    """Describe how amounts, at least one, are spread: for programs, and for people."""
    low, median, high, most = (float(x) for x in np.quantile(amounts, [0, 0.5, 0.95, 1]))
    values = {"min": low, "median": median, "mean": float(amounts.mean()), "p95": high, "max": most}
    return values, ", ".join(f"{name} {value:,.0f}" for name, value in values.items())
