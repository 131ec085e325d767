"""What a process says when it ends, and when something else ends it meanwhile."""

import os
import signal
import sys

import pytest
from support.processes import run

from mlmref.base.ranks.consensus import LostError
from mlmref.cli.errors import one_line_errors


@pytest.fixture
def second_of_two(monkeypatch):
    """Be rank 1 of 2 by the environment, and leave SIGTERM as it was."""
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


class Cleaning:
    """Something to be tidied up, during which a launcher sends SIGTERM."""

    done = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            raise KeyError("looked for while tidying")
        except KeyError:
            signal.raise_signal(signal.SIGTERM)
        self.done = True


@pytest.mark.clause("RANK-006")
def test_a_launchers_signal_does_not_silence_that_a_rank_is_lost(second_of_two, capfd):
    """SIGTERM while the loss of the main process is on its way up: it is told, and all is tidied.

    Launchers send it to the ranks that are left, within a tenth of a second.
    """
    cleaning = Cleaning()
    with pytest.raises(SystemExit) as ended, one_line_errors(debug=False), cleaning:
        raise LostError
    assert ended.value.code == 2
    [line] = capfd.readouterr().err.splitlines()
    assert ": another process of the run was killed or lost; " in line
    assert cleaning.done


@pytest.mark.clause("RUN-001")
def test_a_signal_ends_what_goes_wrong_otherwise(capfd):
    """SIGTERM while an error of this process's own is on its way up ends it as always."""
    with pytest.raises(SystemExit) as ended, one_line_errors(debug=False), Cleaning():
        raise ValueError
    assert ended.value.code == 143
    assert capfd.readouterr().err == ""


ENDS = """
import atexit, os, sys
from mlmref.cli.errors import ended_at_once
atexit.register(os.abort)  # as libraries do now and then that are taken down
with ended_at_once():
    print("done")
    {last}
"""


@pytest.mark.clause("RANK-001")
@pytest.mark.parametrize(
    ("last", "status"),
    [("pass", 0), ("sys.exit(2)", 2), ("sys.exit()", 0), ("sys.exit('no')", 1), ("1 / 0", 1)],
)
def test_a_process_of_several_ends_with_its_status(last, status):
    """What it printed is there, and no library that is taken down changes the status."""
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    done = run([sys.executable, "-c", ENDS.format(last=last)], env=os.environ | ranks)
    assert (done.returncode, done.stdout) == (status, "done\n")
    assert ("ZeroDivisionError" in done.stderr) is ("1 / 0" in last)
