"""Check that a mask does not depend on the process or its shared state."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from mlmref.conformance.checks import Checks
from mlmref.conformance.children import cannot_fork, in_another_interpreter
from mlmref.conformance.clocks import another_day
from mlmref.conformance.generators import as_they_were, generators, states
from mlmref.conformance.strategies.keys import same
from mlmref.conformance.strategies.rows import take_rows
from mlmref.conformance.strategies.shapes import cells
from mlmref.conformance.strategies.subject import Seen, Subject, at_one_half
from mlmref.conformance.strategies.worlds import Case, large_cases
from mlmref.conformance.violation import Violation, text_of

CHECKS: Checks[Subject] = Checks()

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
SIZES = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE")
ELSEWHERE = (
    dict.fromkeys(RANKS, "1")
    | dict.fromkeys(SIZES, "2")
    | {
        "PMI_RANK": "1",
        "OMP_NUM_THREADS": "3",
        "HOSTNAME": "elsewhere",
        "CUDA_VISIBLE_DEVICES": "1",
    }
)
"""Environment variables of the second of two processes, on another machine."""


@CHECKS("MASK-010", fix="take all randomness from draws, not from random, NumPy or torch")
def check_no_other_generator_is_used(subject: Subject) -> None:
    """A strategy neither uses nor changes the process's shared random generators."""
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
                            raise Violation(f"it changed the state of {name}")


def few_cases(subject: Subject) -> list[Case]:
    """Return some small cases, to send to another process."""
    return [
        replace(case, rows=take_rows(case.rows, np.arange(min(16, len(case.rows.lengths)))))
        for case in large_cases(3, subject.world)
    ]


class _Masks:
    """A data set of masked cases, masked in a data loader's worker of another rank."""

    def __init__(self, subject: Subject, cases: list[Case]) -> None:
        self._subject, self._cases, self._parent = subject, cases, os.getpid()

    def __len__(self) -> int:
        return len(self._cases)

    def __getitem__(self, number: int) -> list[Seen] | str:
        assert os.getpid() != self._parent  # noqa: S101 - otherwise nothing is tested
        os.environ |= ELSEWHERE
        os.chdir(os.sep)
        distributed: Any = import_module("torch.distributed")
        distributed.is_initialized, distributed.get_rank = (lambda *_: True), (lambda *_: 1)
        package = type(self._subject.strategy()).__module__.partition(".")[0]
        with another_day(package), ThreadPoolExecutor(1) as thread:
            return thread.submit(self._mask, number).result()

    def _mask(self, number: int) -> list[Seen] | str:
        """Return the masks of a strategy made before the fork and of one made after it."""
        try:
            case, subject = self._cases[number], self._subject
            return [subject.see(case, one) for one in (subject.strategy(), subject.make())]
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            return text_of(error)


def _one(items: list[Any]) -> Any:
    return items[0]


@CHECKS(
    "MASK-010",
    fix="do not use rank, process, thread, environment, folder or clock",
    unless=cannot_fork,
)
def check_where_and_when_do_not_matter(subject: Subject) -> None:
    """Rank, worker, thread, folder and date do not change the mask."""
    from torch.utils.data import DataLoader

    cases = few_cases(subject)
    first = [subject.see(case, subject.make()) for case in cases]
    masks: Any = _Masks(subject, cases)
    loader: Any = DataLoader(masks, num_workers=2, collate_fn=_one, multiprocessing_context="fork")
    for one, others in zip(first, loader, strict=True):
        if isinstance(others, str):
            raise Violation(f"in a worker it raised {others}")
        for other in others:
            same(one, other, "in a worker of another rank")


@CHECKS("MASK-035", fix="make the strategy picklable: no lambdas, open files or locks in it")
def check_it_travels_to_another_process(subject: Subject) -> None:
    """A strategy can be pickled before and after use, and its masks stay the same."""
    subject = at_one_half(subject)  # options other than the defaults must be pickled too
    cases = list(large_cases(3, subject.world))
    for used in (False, True):
        strategy = subject.make()
        first = [subject.see(case, strategy) for case in cases] if used else []
        when = "after use, " if used else ""
        try:
            other = pickle.loads(pickle.dumps(strategy))  # noqa: S301 - just written
        except Exception as error:
            what = f"{when}it cannot be pickled ({type(error).__name__}: {error})"
            raise Violation(what) from error
        for number, case in enumerate(cases):
            one = first[number] if used else subject.see(case, strategy)
            same(one, subject.see(case, other), f"{when}after pickling")


def _plans(questions: list[tuple[Any, Any, Any]]) -> list[tuple[Any, Any]]:
    answers = [ask(batch, draws) for ask, batch, draws in questions]
    return [(one.targets, getattr(one, "replacements", None)) for one in answers]


@CHECKS("MASK-010", fix="do not use hash() or the order of a set")
def check_the_hash_of_a_text_does_not_matter(subject: Subject) -> None:
    """The mask does not depend on Python's hash seed."""
    strategy: Any = subject.make()
    ask = subject.ask(strategy)
    questions = [(ask, *subject.shown(case)) for case in few_cases(subject)]
    first = _plans(questions)
    for one, other in zip(first, in_another_interpreter(_plans, questions), strict=True):
        if (one[0] != other[0]).any():
            raise Violation(
                f"in another interpreter: targets differ at {cells(one[0] != other[0])}"
            )
        if one[1] is not None and (wrong := (one[1] != other[1]) & one[0]).any():
            raise Violation(f"in another interpreter: replacements differ at {cells(wrong)}")
