"""Runs in processes of their own that are killed at a chosen moment, and resumed."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from support import warm
from support.processes import finish, start
from support.runs import save_corpus, save_model

CHILD = Path(__file__).with_name("kills_child.py")


def place_for_runs(folder: Path) -> Path:
    """Make a folder with a small model, with dropout, and a small corpus."""
    save_model(folder / "model", hidden_dropout_prob=0.2)
    save_corpus(folder / "corpus.txt", copies=6)
    return folder


def settings(place: Path, output: Path, **changes) -> list[str]:
    """Return ``--set``s of a run: two short epochs with accumulation, saved every third step."""
    chosen = {
        "model.name": place / "model",
        "corpus.name": place / "corpus.txt",
        "output.folder": output,
        "chunks.size": 16,
        "split.test_size": 0.2,
        "training.batch_size": 4,
        "training.accumulation": 2,
        "training.learning_rate": 1e-2,
        "training.epochs": 2,
        "checkpoints.every": 3,
        **changes,
    }
    return [f"{key}={value}" for key, value in chosen.items()]


class Run:
    """A run in a process of its own.

    Args:
        sets: its settings.
        resume: as for ``mlmref.run``.
        at: the number of the event to be killed at, from 0, or ``None``; events are what
            :mod:`support.kills_child` counts.
        log: a file to which the events are written.
        signal_: what it is killed with.
        errors: a file to which standard error goes.
    """

    def __init__(
        self, sets, *, resume=None, at=None, log=None, signal_=signal.SIGKILL, errors=os.devnull
    ):
        asked = [[*map(str, sets)], resume, at, log and str(log), int(signal_), str(errors)]
        self._process = start([warm.python(), CHILD, json.dumps(asked)])

    def kill(self, after: float, signal_=signal.SIGKILL) -> None:
        """Send a signal after so many seconds."""
        time.sleep(after)
        if self._process.poll() is None:
            self._process.send_signal(signal_)

    def status(self) -> int:
        """Return the exit status, negative for a signal."""
        return finish(self._process).returncode


def outcome(folder: Path) -> dict:
    """Return what a finished run came to: hashes of its weights, its record, its metrics."""
    from mlmref.base.disk import sha256

    record = json.loads((folder / "record.json").read_text("utf-8"))
    for key in ("timings", "peak_memory_mb", "resumed"):
        record.pop(key)
    record["config"]["output"]["folder"] = None
    return {
        "weights": sha256(folder / "model.safetensors"),
        "kept": [sha256(folder / name) for name in ("held_out.parquet", "report.json")],
        "record": record,
        "metrics": (folder / "metrics.jsonl").read_text("utf-8").splitlines(),
        "files": sorted(str(one.relative_to(folder)) for one in folder.rglob("*")),
    }


def until_done(sets, place: Path, resume="auto", tries=3) -> dict:
    """Take a run up until it is finished; return what it came to."""
    for _ in range(tries):
        status = Run(sets, resume=resume).status()
        if status == 0:
            return outcome(place)
    raise AssertionError(f"not finished, status {status}")
