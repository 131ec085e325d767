"""The command line: one module per command, without logic (clauses CLI-001 to CLI-005).

Heavy libraries are imported inside the commands, so that ``mlmref --help`` is immediate.
"""

from __future__ import annotations

from mlmref.cli.base import app as app
from mlmref.cli.base import out as out
from mlmref.cli.errors import ended_at_once, hush

# In the order in which --help lists them.
from mlmref.cli import run, inspect, preview, report, compare  # isort: skip
from mlmref.cli import evaluate, fill, downstream, verify, plugins, check, new_plugin  # isort: skip

__all__ = [
    "app",
    "check",
    "compare",
    "downstream",
    "evaluate",
    "fill",
    "inspect",
    "main",
    "new_plugin",
    "out",
    "plugins",
    "preview",
    "report",
    "run",
    "verify",
]


def main() -> None:
    """Run the command line."""
    hush()
    with ended_at_once():
        app(prog_name="mlmref")
