"""A preview as one page of HTML, which asks nothing of anybody (clauses PREV-008 to PREV-010)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlmref import __version__
from mlmref.disk import create
from mlmref.errors import OutputError
from mlmref.preview import terminal
from mlmref.terminal import plain

if TYPE_CHECKING:
    from mlmref.preview.parts import Preview, Unit


def check_place(path: Path) -> None:
    """Find out before any work whether a page can be written there (PREV-009).

    Raises:
        OutputError: there is something already, or no folder for it.
    """
    if os.path.lexists(path):
        raise OutputError(
            "it exists already, and nothing is overwritten",
            where=str(path),
            hint="give --html another name",
        )
    if not path.parent.is_dir():
        raise OutputError("no such folder", where=str(path.parent), hint="check --html")


def write_page(answer: Preview, path: Path) -> None:
    """Write a preview as a page, whole or not at all.

    Raises:
        OutputError: there is something already, or no folder for it.
        OSError: the disk says no.
    """
    content = page(answer).encode()
    check_place(path)
    create(path, content)


def page(answer: Preview) -> str:
    """Return the page: one file, all text of the corpus escaped (PREV-008)."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mlmref", "templates"),
        autoescape=True,
        finalize=_without_controls,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("preview.html").render(
        answer=answer, version=__version__, terminal=terminal, told=told
    )


def _without_controls(value: object) -> object:
    """Spell out control characters of names and text, which have no place in HTML."""
    return plain(value) if isinstance(value, str) else value


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
