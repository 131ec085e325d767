"""Build the documentation's site: ``python docs/build.py FOLDER [CLONE]``; ``tox -e docs`` does it.

Whatever is wrong is an error: a warning, a link or a reference that leads nowhere, a docstring that
does not parse. Needs ``pip install "mlmref[docs]"``.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STRICT = ["--fail-on-warning", "--keep-going", "--nitpicky"]


def build(folder: Path, root: Path = ROOT) -> int:
    """Build the site of a clone into a folder, from nothing.

    Args:
        folder: where it goes; Sphinx's own files go beside the pages in ``.doctrees``.
        root: the clone.

    Returns:
        The exit status: 0 if nothing at all was wrong.
    """
    from sphinx.cmd.build import main

    settings = str(ROOT / "docs")
    fresh = ["--fresh-env", "--write-all", "--quiet"]
    return main([*STRICT, *fresh, "-b", "html", "-c", settings, str(root), str(folder)])


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python docs/build.py FOLDER [CLONE]")
    status = build(*map(Path, sys.argv[1:]))
    if not status:
        print(f"the site: {Path(sys.argv[1]) / 'index.html'}")
    sys.exit(status)
