"""A pytest plugin: a test that hangs fails, and says where it and each of its processes was."""

import gc
import os
import shlex
import signal
import time

import pytest
from support import warm
from support.processes import abort, tree

LIMIT = 600
"""Seconds for a test with its fixtures, twice what :mod:`support.processes` gives a process."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Set an alarm for the time of a test."""
    began = time.time() - 2  # psutil knows the time of the machine's start to a second

    def ring(*_):
        # Only those of this test. Later tests need the others, and the server of warm processes.
        every = tree(os.getpid())[:-1]
        ours = [one for one in every if one.create_time() >= began and one.pid != warm.pid()]
        lines = abort(ours)
        pytest.fail("\n".join([f"{item.nodeid} took more than {LIMIT} s, with processes", *lines]))

    before = signal.signal(signal.SIGALRM, ring)
    left = signal.alarm(LIMIT)  # of a test that this one runs in
    try:
        return (yield)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.alarm(left)


def pytest_terminal_summary(terminalreporter):
    """Print for each failed test the command that runs it alone."""
    failed = [
        report.nodeid
        for kind in ("failed", "error")
        for report in terminalreporter.stats.get(kind, ())
    ]
    if failed:
        terminalreporter.section("to run these alone")
    command = "pytest --full" if terminalreporter.config.getoption("--full", False) else "pytest"
    for nodeid in dict.fromkeys(failed):
        terminalreporter.line(f"{command} {shlex.quote(nodeid)}")


@pytest.fixture(scope="module", autouse=True)
def _collected():
    """Exclude the objects of earlier modules from garbage collection.

    Trainer collects garbage after each training. With torch, transformers and the modules before
    in memory that takes longer than a tiny training does.
    """
    gc.collect()
    gc.freeze()
