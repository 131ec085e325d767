"""A preview as an HTML page (clauses PREV-008 to PREV-010)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlmref.data.tokens.spelling import BECOMES, BOUNDARY
from mlmref.results.pages import render
from mlmref.studies.preview import terminal

if TYPE_CHECKING:
    from mlmref.studies.preview.parts import Preview, Unit


def page(answer: Preview) -> str:
    """Return the page."""
    return render(
        "preview.html",
        answer=answer,
        terminal=terminal,
        told=told,
        code=code,
        written=written,
        legend=[
            ("target", f"film{BECOMES}{answer.mask_token}", "target, masked"),
            ("target", f"film{BECOMES}sea", "target, replaced by another token"),
            ("target", f"film{BECOMES}film", "target, kept"),
            ("special", "S", "special token"),
            ("boundary", BOUNDARY, "next document"),
        ],
    )


def code(unit: Unit) -> str:
    """Return how a unit looks: all targets alike (PREV-013)."""
    return "target" if unit.kind in ("masked", "replaced", "kept") else unit.kind


def written(unit: Unit) -> str:
    """Return the text of a unit; behind an arrow what the model reads at a target."""
    if unit.kind == "boundary":
        return BOUNDARY
    return f"{unit.true}{BECOMES}{unit.read}" if code(unit) == "target" else unit.true


def told(unit: Unit) -> str:
    """Say in words what a unit is and what the model reads there, for a pointer or a reader."""
    size = "" if unit.tokens < 2 else f", {unit.tokens} tokens"
    match unit.kind:
        case "boundary":
            return "the next document begins"
        case "special":
            return f"{unit.true}: special token, never a target"
        case "masked":
            return f"{unit.true}: target, the model reads {unit.read}{size}"
        case "replaced":
            return f"{unit.true}: target, the model reads {unit.read} instead{size}"
        case "kept":
            return f"{unit.true}: target, the model reads it as it is{size}"
    return f"{unit.true}: no target, the model reads it as it is{size}"
