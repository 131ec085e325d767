"""Processes that tests start: each has a time limit, after which it says where it was and ends."""

import os
import signal
import subprocess
import time
from contextlib import suppress

import psutil

LIMIT = 300
"""Seconds that a process may take, on a busy machine; most take two."""


def run(command, *, timeout=LIMIT, env=None, **options):
    """Run a command to its end and capture its output as text; arguments as of subprocess.run.

    Raises:
        AssertionError: the command took too long. The message has its output, which ends with the
            stack of each of its threads.
    """
    return finish(start(command, env=env, **options), timeout)


def start(command, *, env=None, **options):
    """Start a command, its output captured as text; arguments and result as of subprocess.Popen."""
    piped = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    options = {"stdin": subprocess.DEVNULL, "text": True, **piped} | options
    environment = {**(os.environ if env is None else env), "PYTHONFAULTHANDLER": "1"}
    return subprocess.Popen(list(map(str, command)), env=environment, **options)


def finish(process, timeout=LIMIT):
    """Wait for a started process; returns it as completed, and raises as :func:`run`."""
    try:
        output, errors = process.communicate(timeout=timeout)
    except BaseException as error:
        abort(tree(process.pid))
        output, errors = process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        text = f"{process.args} took more than {timeout} s\n{output}\n{errors}"
        raise AssertionError(text) from None
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def wait_until(true, timeout=LIMIT):
    """Wait until something is true; a file that it needs may not be there yet."""
    end = time.monotonic() + timeout
    while True:
        with suppress(OSError):
            if true():
                return
        assert time.monotonic() < end, "it does not come to be true"
        time.sleep(0.02)


def tree(pid):
    """List a process and all that it started, the process itself last."""
    try:
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return []


def abort(processes, patience=5):
    """Have processes print where they are, one after another, and make sure that they end.

    Python prints the stack of each thread at SIGABRT, to standard error, if PYTHONFAULTHANDLER is
    set.

    Returns:
        A line for each process that was still there.
    """
    lines = []
    for process in processes:
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())[:200]
            lines.append(f"{process.pid}, of {process.ppid()}, {process.status()}: {command}")
            process.send_signal(signal.SIGABRT)
            end = time.monotonic() + patience
            # Not process.wait(), which would take the exit status away from who started it.
            while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
                time.sleep(0.02)
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    return lines
