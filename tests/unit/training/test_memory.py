"""Freed memory goes back to the system (spec/speed.md)."""

import sys
from pathlib import Path

import numpy as np
import pytest
from support.jobs import train

from mlmref.training import job, process
from mlmref.training.process import EVERY, give_back


def resident():
    """Return this process's own resident memory, in bytes."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@pytest.mark.clause("SPEED-003")
@pytest.mark.skipif(sys.platform != "linux" or not process._trim(), reason="glibc is what keeps it")
def test_what_was_freed_in_pieces_goes_back():
    """Of 100 MB in pieces, each other one of them freed, nine tenths of half are given back."""
    pieces = [np.ones(100_000, dtype=np.uint8) for _ in range(1_000)]
    del pieces[::2]
    before = resident()
    give_back()
    assert before - resident() > 0.9 * 50e6
    assert len(pieces) == 500


@pytest.mark.clause("SPEED-003")
@pytest.mark.parametrize("backend", ["trainer", "accelerate"])
def test_a_job_gives_it_back_every_few_steps(monkeypatch, backend):
    """After each sixteenth step, and not after the others."""
    steps = []
    booked = []
    monkeypatch.setattr(job, "give_back", lambda: steps.append(len(booked)))
    step = job.StepReport.__init__

    def counted(self, *some, **more):
        booked.append(more["step"])
        step(self, *some, **more)

    monkeypatch.setattr(job.StepReport, "__init__", counted)
    train(backend, batch_size=1, epochs=2)
    assert len(booked) == 40
    assert steps == [EVERY, 2 * EVERY]


@pytest.mark.clause("SPEED-003")
def test_another_c_library_is_left_alone(monkeypatch):
    """Where there is no such function nothing happens."""
    monkeypatch.setattr(process, "_trim", lambda: None)
    give_back()
