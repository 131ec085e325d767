"""Verdicts on the tutorial's figures (VER-002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Verdict = Literal[
    "failed", "needs the hub", "needs a GPU", "differs, explained", "within tolerance", "exact"
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""From the worst to the best; a step has the worst verdict of its figures."""

Need = Literal["hub", "gpu"]
NEEDS: dict[Need, Verdict] = {"hub": "needs the hub", "gpu": "needs a GPU"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What mlmref measured.

    Attributes:
        found: the value, as text; empty if it could not be measured.
        verdict: how it compares with the printed value.
        note: the tolerance with its reason, the clause or erratum that explains a difference, or
            the error.
    """

    found: str
    verdict: Verdict
    note: str = ""


class Missing(Exception):  # noqa: N818 - an error only if it is required
    """The hub or a GPU is missing.

    Attributes:
        need: ``hub`` or ``gpu``.
        why: the reason, for people.
    """

    def __init__(self, need: Need, why: str) -> None:
        super().__init__(need, why)
        self.need, self.why = need, why


def same(found: object, expected: object, note: str = "") -> Outcome:
    """Return ``exact`` for equal values, otherwise ``failed``."""
    verdict: Verdict = "exact" if found == expected else "failed"
    return Outcome(found=shown(found), verdict=verdict, note=note)


def near(found: float, printed: float, tolerance: float, why: str, form: str = ".2f") -> Outcome:
    """Return ``within tolerance``, relative to the printed value, or ``failed``."""
    within = abs(found - printed) <= tolerance * abs(printed)
    return Outcome(
        found=format(found, form),
        verdict="within tolerance" if within else "failed",
        note=f"±{100 * tolerance:.2g} %: {why}",
    )


def explained(found: object, predicted: object, why: str) -> Outcome:
    """Return ``differs, explained`` only for the value that a clause or an erratum predicts."""
    verdict: Verdict = "differs, explained" if found == predicted else "failed"
    return Outcome(found=shown(found), verdict=verdict, note=why)


def shown(value: object) -> str:
    """Write a value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return str(value)
