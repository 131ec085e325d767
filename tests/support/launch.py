"""Runs on several processes, started as a user starts them; none outlives its test."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from itertools import takewhile
from pathlib import Path

import psutil
from support import warm
from support.processes import LIMIT, abort

SCRIPTS = Path(sys.executable).parent
_MARK = "MLMREF_TEST_LAUNCH"


def free_port():
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def torchrun(ranks=2, *options, python=None):
    """Return the beginning of a command line: torchrun, on a port that it chooses."""
    launcher = [python or warm.python(), "-m", "torch.distributed.run"]
    return [*launcher, *(options or ["--standalone"]), f"--nproc-per-node={ranks}"]


def accelerate_launch(ranks=2, *options):
    """Return the beginning of a command line: accelerate launch, on a port that it chooses."""
    several = ["--multi_gpu", f"--num_processes={ranks}", "--main_process_port=0"]
    launcher = [warm.python(), "-m", "accelerate.commands.launch"]
    return [*launcher, *several, *options]


class Launch:
    """A launcher at work, in a folder of its own choice, with its ranks.

    Args:
        command: what to type.
        cwd: where.
        log: the name, without suffix, of the files that hold what it prints.
        env: variables beside those of the tests.

    Attributes:
        status: the exit status, once :meth:`wait` has returned.
    """

    def __init__(self, command, *, cwd, log, **env):
        self._mark = uuid.uuid4().hex
        self._out, self._err = (Path(f"{log}.{name}") for name in ("out", "err"))
        # Two processes on two cores; and what each was doing is told when a test fails.
        ours = {"PYTHONFAULTHANDLER": "1", "PYTHON_EXEC": warm.python()}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                list(map(str, command)),
                cwd=cwd,
                env={**os.environ, **ours, **env, _MARK: self._mark},
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self):
        return self

    def __exit__(self, kind=None, *_):
        if kind:
            sys.stdout.write("\n".join([*abort(self._all()), f"{self._err}:", _in_short(self.err)]))
        for process in self._all():
            process.kill()
        self._process.wait()

    def wait(self, timeout=LIMIT):
        """Wait for the end of it; returns itself."""
        self.status = self._process.wait(timeout)
        return self

    @property
    def out(self):
        """What was printed to standard output."""
        return self._out.read_text("utf-8")

    @property
    def err(self):
        """What was printed to standard error."""
        return self._err.read_text("utf-8")

    @property
    def told(self):
        """The lines of standard error that are mlmref's, not the launcher's."""
        # torchrun's and torch's begin as glog's do; its traceback and its table come last, and so
        # does what is told of a process that aborts as it ends.
        theirs = re.compile(r"(\[rank\d+\]:)?\[?[WEI]\d{4} ")
        last = ("Traceback", "Fatal Python error")
        lines = takewhile(lambda line: not line.startswith(last), self.err.splitlines())
        return [line for line in lines if line and not theirs.match(line)]

    def rank(self, number):
        """Return the process of a rank, and not of a worker that it has started."""
        return next(
            process
            for process in self._all()
            if process.environ().get("RANK") == str(number)
            and "RANK" not in process.parent().environ()
        )

    def until(self, happened, timeout=LIMIT):
        """Wait until something has happened, and the ranks are still at work; returns it."""
        end = time.monotonic() + timeout
        while not (what := happened()):
            assert self._process.poll() is None, f"it ended too early:\n{self.err}"
            assert time.monotonic() < end, f"nothing happened:\n{self.err}"
            time.sleep(0.02)
        return what

    def _all(self):
        """List what was started, its children and what they left to others."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self._mark:
                    found.append(process)
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue
        return found


def _in_short(err):
    """Leave out of what processes were doing the threads that only wait, and what is loaded."""
    parts = re.split(r"\n(?=\n|Thread |Current thread )", err)
    spared = ("Thread ", "\nExtension modules:")
    return "\n".join(one for one in parts if not one.startswith(spared))


def launch(command, *, cwd, log, timeout=LIMIT, **env):
    """Start a launcher, wait for its end and return it."""
    with Launch(command, cwd=cwd, log=log, **env) as started:
        return started.wait(timeout)


def statuses(launched):
    """Return the exit statuses by rank, as torchrun reports those that failed."""
    lines = launched.err.splitlines()
    ranks = [line.split()[2] for line in lines if line.strip().startswith("rank ")]
    codes = [line.split()[2] for line in lines if line.strip().startswith("exitcode ")]
    return {int(rank): int(code) for rank, code in zip(ranks, codes, strict=True)}


def answers(folder):
    """Return what each rank wrote to ``rank-N.json``, in their order."""
    files = sorted(folder.glob("rank-*.json"))
    return [json.loads(file.read_text("utf-8")) for file in files]


def quick(place, **training):
    """Return the settings of a quick run without dropout, as ``--set``s.

    Of eight examples in a step, the last step of an epoch has a single one.
    """
    chosen = {
        "model.name": place / "model",
        "model.dropout": 0,
        "corpus.name": place / "corpus.txt",
        "chunks.size": 16,
        "split.train_size": 177,
        "split.test_size": 45,
        "training.learning_rate": 1e-2,
        "training.epochs": 2,
        **{f"training.{key}": value for key, value in training.items()},
    }
    return [f"--set={key}={value}" for key, value in chosen.items()]
