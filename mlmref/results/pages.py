"""Self-contained HTML pages: one file each, and all foreign text is escaped.

What they have in common, stands in ``templates/base.html`` (clauses PAGE-001 to PAGE-003).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mlmref.base.disk import create
from mlmref.base.errors import OutputError
from mlmref.base.terminal import plain
from mlmref.base.version import __version__


def render(template: str, **values: Any) -> str:
    """Return a page made of a template of this package; what is put in is escaped (PAGE-001)."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mlmref.results", "templates"),
        autoescape=True,
        finalize=_without_controls,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(version=__version__, **values)


def _without_controls(value: object) -> object:
    """Spell out control characters of names and text, which have no place in HTML."""
    return plain(value) if isinstance(value, str) else value


def check_place(path: Path, option: str) -> None:
    """Find out before any work whether a page can be written there.

    Args:
        path: where it is to be.
        option: what the user named it with.

    Raises:
        OutputError: there is something already, or no folder for it.
    """
    if os.path.lexists(path):
        raise OutputError(
            "it exists already, and nothing is overwritten",
            where=str(path),
            hint=f"give {option} another name",
        )
    if not path.parent.is_dir():
        raise OutputError("no such folder", where=str(path.parent), hint=f"check {option}")


def write_new(page: str, path: Path, option: str) -> None:
    """Write a page, whole or not at all, and never over something.

    Raises:
        OutputError: there is something already, or no folder for it.
        OSError: the disk says no.
    """
    content = page.encode()
    check_place(path, option)
    create(path, content)
