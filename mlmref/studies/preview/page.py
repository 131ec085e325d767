"""A preview as an HTML page (clauses PREV-008 to PREV-010)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlmref.results.pages import render
from mlmref.studies.preview import terminal

if TYPE_CHECKING:
    from mlmref.studies.preview.parts import Preview, Unit


def page(answer: Preview) -> str:
    """Return the page."""
    return render("preview.html", answer=answer, terminal=terminal, told=told)


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
