"""Where a mask is made: checks that neither the process nor its shared state shape it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.core import Checks, Violation
from mlmref.conformance.generators import as_they_were, generators, states
from mlmref.conformance.keys import same
from mlmref.conformance.shapes import is_collator
from mlmref.conformance.subject import Seen, Subject
from mlmref.conformance.worlds import Case, large_cases, take_rows

CHECKS: Checks[Subject] = Checks()

RANK = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
"""What a launcher tells the second of two processes."""


@CHECKS("MASK-010")
def check_no_other_generator_is_used(subject: Subject) -> None:
    """The generators that a process shares are neither drawn from nor moved on."""
    with as_they_were():
        for case in large_cases(2, subject.world):
            first = subject.see(case, subject.make())
            for generator, seed in generators():
                for value in (1, 2):
                    seed(value)
                    before = states()
                    made = subject.make()
                    same(first, subject.see(case, made), f"{generator} seeded with {value}")
                    for name, state in states().items():
                        if state != before[name]:
                            raise Violation(f"{name} moved on: a mask was drawn from it")


def few_cases(subject: Subject) -> list[Case]:
    """Return some cases of a size that is quickly sent to another process."""
    return [
        replace(case, rows=take_rows(case.rows, np.arange(min(16, len(case.rows.lengths)))))
        for case in large_cases(3, subject.world)
    ]


def cannot_fork(subject: Subject) -> str | None:
    """Tell why workers do not apply."""
    there_are = multiprocessing.get_all_start_methods()
    return None if "fork" in there_are else "this system starts no workers by forking"


class _Masks:
    """A data set whose items are masked cases, as another rank's process would mask them."""

    def __init__(self, subject: Subject, cases: list[Case]) -> None:
        self._subject, self._cases, self._parent = subject, cases, os.getpid()

    def __len__(self) -> int:
        return len(self._cases)

    def __getitem__(self, number: int) -> Seen | str:
        assert os.getpid() != self._parent  # noqa: S101 - or nothing is tried
        os.environ |= RANK
        try:
            return self._subject.see(self._cases[number], self._subject.make())
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            return " ".join(f"{type(error).__name__}: {error}".split())


def _one(items: list[Any]) -> Any:
    return items[0]


@CHECKS("MASK-010", unless=cannot_fork)
def check_workers_and_ranks_do_not_matter(subject: Subject) -> None:
    """A worker of a data loader, on another rank, masks as the first process does."""
    from torch.utils.data import DataLoader

    cases = few_cases(subject)
    first = [subject.see(case, subject.make()) for case in cases]
    masks: Any = _Masks(subject, cases)
    loader: Any = DataLoader(masks, num_workers=2, collate_fn=_one, multiprocessing_context="fork")
    for one, other in zip(first, loader, strict=True):
        if isinstance(other, str):
            raise Violation(f"in a worker it raised {other}")
        same(one, other, "in a worker of another rank")


@CHECKS("MASK-035")
def check_it_travels_to_another_process(subject: Subject) -> None:
    """A strategy can be pickled, before and after use, and masks alike afterwards."""
    cases = few_cases(subject)
    for used in (False, True):
        strategy = subject.make()
        first = [subject.see(case, strategy) for case in cases] if used else []
        when = "once used, " if used else ""
        try:
            other = pickle.loads(pickle.dumps(strategy))  # noqa: S301 - just written
        except Exception as error:
            what = f"{when}it cannot be pickled ({type(error).__name__}: {error})"
            raise Violation(what) from error
        for number, case in enumerate(cases):
            one = first[number] if used else subject.see(case, strategy)
            same(one, subject.see(case, other), f"{when}after pickling")


_CHILD = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
try:
    questions = pickle.load(sys.stdin.buffer)
except (ImportError, AttributeError):
    sys.exit(3)  # the plugin's module is found by its name in the parent alone
answers = [ask(batch, draws) for ask, batch, draws in questions]
pickle.dump([getattr(one, "targets") for one in answers], sys.stdout.buffer)
"""


@CHECKS("MASK-010")
def check_the_hash_of_a_text_does_not_matter(subject: Subject) -> None:
    """In an interpreter with another seed for the hashes of texts the mask is the same.

    Left out where the strategy cannot be pickled, or its module not be imported by its name.
    """
    strategy: Any = subject.make()
    ask = strategy.collate if is_collator(subject) else strategy.propose
    cases = few_cases(subject)
    questions = [(ask, *subject.shown(case)) for case in cases]
    first = [subject.see(case, strategy) for case in cases]
    try:
        sent = pickle.dumps(sys.path) + pickle.dumps(questions)
    except Exception:  # noqa: BLE001 - MASK-035 tells of it
        return
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    child = subprocess.run(  # noqa: S603 - this interpreter, and a program of our own
        [sys.executable, "-c", _CHILD],
        input=sent,
        capture_output=True,
        env=os.environ | {"PYTHONHASHSEED": seed},
        check=False,
    )
    if child.returncode == 3:
        return
    if child.returncode:
        told = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Violation(f"in another interpreter it failed: {' '.join(told)}")
    for one, targets in zip(first, pickle.loads(child.stdout), strict=True):  # noqa: S301 - as above
        same(one, replace(one, targets=targets), "in another interpreter")
