"""Verdicts on the tutorial's figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal[
    "failed", "needs the hub", "needs a GPU", "differs, explained", "within tolerance", "exact"
]


VERDICTS: tuple[Verdict, ...] = (
    "failed",
    "needs the hub",
    "needs a GPU",
    "differs, explained",
    "within tolerance",
    "exact",
)
"""From the worst to the best; a step has the worst of its figures'."""


Need = Literal["hub", "gpu"]


NEEDS: dict[Need, Verdict] = {"hub": "needs the hub", "gpu": "needs a GPU"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out here.

    Attributes:
        found: it, in words; empty where it could not be found.
        verdict: how it compares with what is printed.
        note: the tolerance and why, the clause or erratum that explains a difference, or what
            is missing or wrong.
    """

    found: str
    verdict: Verdict
    note: str = ""


class Missing(Exception):  # noqa: N818 - it is no error, unless it is required
    """Something that a figure needs is not there.

    Attributes:
        need: the hub or a GPU.
        why: how that was found out.
    """

    def __init__(self, need: Need, why: str) -> None:
        super().__init__(need, why)
        self.need, self.why = need, why


def same(found: object, expected: object, note: str = "") -> Outcome:
    """Compare for equality: exact or failed."""
    verdict: Verdict = "exact" if found == expected else "failed"
    return Outcome(found=shown(found), verdict=verdict, note=note)


def near(found: float, printed: float, tolerance: float, why: str, form: str = ".2f") -> Outcome:
    """Compare within a tolerance relative to what is printed, which has a reason."""
    within = abs(found - printed) <= tolerance * abs(printed)
    return Outcome(
        found=format(found, form),
        verdict="within tolerance" if within else "failed",
        note=f"to {tolerance:.2g} of it: {why}",
    )


def explained(found: object, predicted: object, why: str) -> Outcome:
    """Accept a difference that a clause or an erratum predicts to the digit, and no other."""
    verdict: Verdict = "differs, explained" if found == predicted else "failed"
    return Outcome(found=shown(found), verdict=verdict, note=why)


def shown(value: object) -> str:
    """Write a value as the table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return str(value)
