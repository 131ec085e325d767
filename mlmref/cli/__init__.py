"""The command line: flags to configuration, and nothing else (clauses CLI-001 to CLI-005).

Heavy libraries are imported inside the commands, so that ``mlmref --help`` answers at once.
"""

from __future__ import annotations

from mlmref.cli.base import app as app
from mlmref.cli.base import out as out
from mlmref.exits import ended_at_once, hush

# In the order in which --help lists their commands.
from mlmref.cli import running, inspecting, looking, reporting, comparing, measuring, extending  # isort: skip

__all__ = [
    "app",
    "comparing",
    "extending",
    "inspecting",
    "looking",
    "main",
    "measuring",
    "out",
    "reporting",
    "running",
]


def main() -> None:
    """Run the command line."""
    hush()
    with ended_at_once():
        app(prog_name="mlmref")
