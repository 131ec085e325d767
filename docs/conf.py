"""Sphinx's settings: the site is made of the pages as they lie in the clone, none is copied.

The source folder is the clone itself (``docs/build.py``), so that a relative link means the same on
the site and on the forge.
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import commands  # noqa: E402 - found by the line above
import notebooks  # noqa: E402

from mlmref import __version__  # noqa: E402

project = "mlmref"
author = "the mlmref maintainers"
copyright = "the mlmref maintainers, Apache-2.0"  # noqa: A001 - Sphinx's name for it
release = version = __version__

extensions = ["myst_parser"]
root_doc = "docs/index"
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/**/*.md",
    "docs/*.ipynb",
    "spec/*.md",
    "plugins/*/README.md",
    "mlmref/model/embedded/*/README.md",
]
# Nothing of a clone beside what is named above is walked through.
exclude_patterns = [".*", "tests", "runs", "build", "dist", "**/__pycache__", "**/.*"]

# A clause is a heading of the third level on every page, whatever stands above it.
suppress_warnings = ["myst.header"]

# A link to a folder works in the clone and on the forge; on the site, it is plain text.
nitpick_ignore = [("myst", "examples"), ("myst", "../../examples")]

html_theme = "furo"
html_title = f"mlmref {version}"
html_show_sourcelink = False
html_copy_source = False
highlight_language = "text"
html_extra_path = ["html"]  # the first page, which leads to the one that is first here

myst_heading_anchors = 4
myst_enable_extensions = ["fieldlist"]


def setup(app: Any) -> None:
    """Fill in what is not written by hand: the commands, and what the notebook shows."""
    app.connect("source-read", commands.fill_in)
    app.connect("source-read", notebooks.as_page)
