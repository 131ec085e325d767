"""The code is typed: mlmref, its plugins, and what a new plugin begins with (spec/scaffold.md)."""

import sys
from pathlib import Path

import pytest
from support.processes import run

from mlmref.plugin.kinds import KINDS
from mlmref.plugin.scaffold import new_plugin

ROOT = Path(__file__).parents[2]


@pytest.mark.clause("NEW-002")
@pytest.mark.clause("SPEC-015")
def test_all_code_is_typed(tmp_path):
    """``mypy --strict`` finds nothing in mlmref, in plugins/ and in a new package of each kind.

    All in one run, which reads mlmref and torch once.
    """
    new = [new_plugin(f"my-{kind.flag}", kind.flag, tmp_path / kind.flag) / "src" for kind in KINDS]
    sources = ["mlmref", *sorted(ROOT.glob("plugins/*/src")), *new]
    done = run([sys.executable, "-m", "mypy", *sources], cwd=ROOT)
    assert done.returncode == 0, done.stdout
