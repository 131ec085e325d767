"""Self-contained HTML pages: one file each, and all foreign text is escaped.

``templates/base.html`` is their common frame (clauses PAGE-001 to PAGE-003).
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
    """Return the page of a template of this package; all values are escaped (PAGE-001)."""
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
    """Escape control characters in text, which HTML does not allow."""
    return plain(value) if isinstance(value, str) else value


def check_place(path: Path, option: str) -> None:
    """Check before any work that a page can be written to a path.

    Args:
        path: the path of the page.
        option: the flag that the path was given with.

    Raises:
        OutputError: the path exists, or its folder does not.
    """
    if os.path.lexists(path):
        raise OutputError(
            "already exists; nothing was changed",
            where=str(path),
            hint=f"give {option} another name",
        )
    if not path.parent.is_dir():
        raise OutputError("no such folder", where=str(path.parent), hint=f"check {option}")


def write_new(page: str, path: Path, option: str) -> None:
    """Write a page, completely or not at all, and never over an existing file.

    Raises:
        OutputError: the path exists, or its folder does not.
        OSError: the file system refuses.
    """
    content = page.encode()
    check_place(path, option)
    create(path, content)
