"""Check that jobs stop and resume, with a Hypothesis state machine over saved states."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch

from mlmref.conformance.backends.comparison import alike
from mlmref.conformance.backends.subject import BackendSubject, attempt, scratch
from mlmref.conformance.backends.toy import Event, Toy, plain
from mlmref.conformance.backends.toy_job import PlainLoop, ToyJob
from mlmref.conformance.checks import Checks
from mlmref.conformance.search import shrinks
from mlmref.conformance.violation import Violation
from mlmref.plugin.contracts import Options
from mlmref.plugin.training import TrainingBackend
from mlmref.training.state import from_plain, to_plain

CHECKS: Checks[BackendSubject] = Checks()

WALKS = 15
"""Number of walks over saved states that Hypothesis tries for each job."""

JOBS = (
    Toy(
        steps=(((2,), (1, 3)), ((1,),), ((0,),), ((3,), (0,), (1,)), ((-1,),), ((2,),), ((1, 1),)),
        optimizer="adamw",
        learning_rate=0.1,
        dropout=0.25,
        max_grad_norm=0.5,
    ),
    Toy(steps=(((1,),), ((2,), (2,)), ((1, 2),), ((0,),), ((3,),)), evaluates=True),
)

Saved = Mapping[str, Any]


class Stopped(Exception):  # noqa: N818 - the check raises it to stop a job
    """Stops a job at the end of a step, as a signal does."""


@lru_cache(maxsize=8)
def uninterrupted(toy: Toy) -> tuple[Saved, ...]:
    """Return the states of a job in the plain loop: before its first step and after each."""
    with scratch() as folder:
        states: list[Saved] = []
        job = ToyJob(toy, folder, on_step=lambda job: states.append(job.save()))
        states.append(job.save())
        attempt(PlainLoop(Options()), job)
    return tuple(states)


def resume(
    backend: TrainingBackend, toy: Toy, saved: Saved, last: int, stop: int | None
) -> dict[int, Saved]:
    """Train from a saved state to step ``last``, or to step ``stop`` if it is given.

    Returns:
        The state after each step, by its number; that of the last step is from after training.
    """
    states: dict[int, Saved] = {}

    def on_step(job: ToyJob) -> None:
        states[job.done] = job.save()
        if job.done == stop:
            raise Stopped

    with scratch() as folder:
        job = ToyJob(toy, folder, saved=saved, last=last, on_step=on_step)
        error = attempt(backend, job)
        if error is not None and not isinstance(error, Stopped):
            raise Violation.of_exception(error)
        states[job.done] = job.save()
    return states


def check_states(toy: Toy, states: Mapping[int, Saved], last: int) -> None:
    """Compare saved states with those of the plain loop without a stop."""
    for done, state in states.items():
        for part, want in uninterrupted(toy)[done].items():
            if part != "kept" and not alike(plain(want), plain(state[part])):
                raise Violation(f"the {part} after step {done} differs from that without a stop")
    if last not in states:
        raise Violation(f"step {last} was not reached, only {sorted(states)}")


@CHECKS("BACK-030", fix="pass all state to job.keep before you take the first step")
def check_state_is_handed_in(subject: BackendSubject) -> None:
    """State is registered with job.keep before the first step, can be saved, and is resumed."""
    subject.must_complete(*JOBS)
    for toy in JOBS:
        total = len(toy.steps)
        _check_handed_in(subject.run(toy).events, toy)
        whole = resume(subject.make(), toy, uninterrupted(toy)[0], total, None)
        for stopped, state in whole.items():
            if stopped == total:
                continue  # no step is left
            try:
                kept = _written_and_read(state["kept"])
            except TypeError as error:
                raise Violation(f"the state {error}", **toy.example()) from None
            resumed = resume(subject.make(), toy, {**state, "kept": kept}, total, None)
            for done, after in resumed.items():
                if not alike(plain(whole[done]["kept"]), plain(after["kept"])):
                    raise Violation(
                        f"the kept state after step {done} differs from that without a stop",
                        stopped=stopped,
                        **toy.example(),
                    )


@CHECKS(
    "BACK-027",
    fix="start from job.optimizer and job.scheduler as they are, and keep no other state",
)
def check_stop_and_resume(subject: BackendSubject) -> None:
    """A job that stops and resumes at any steps ends like one without a stop."""
    subject.must_agree(*JOBS)
    for toy in JOBS:
        _walk(subject, toy)


def _walk(subject: BackendSubject, toy: Toy) -> None:
    """Let Hypothesis resume from any saved state and train to any later step, repeatedly."""
    from hypothesis import HealthCheck, Phase, settings
    from hypothesis import strategies as st
    from hypothesis.errors import Flaky
    from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

    total = len(toy.steps)
    last_found: list[Violation] = []

    class Walk(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.states: dict[int, Saved] = {0: uninterrupted(toy)[0]}
            self.walked: list[str] = []
            self.kept = subject.make()

        @rule(
            start=st.integers(0, total),
            steps=st.integers(0, total),
            stop=st.booleans(),
            fresh=st.booleans(),
        )
        def train(self, start: int, steps: int, stop: bool, fresh: bool) -> None:
            first = sorted(self.states)[start % len(self.states)]
            last = min(total, first + steps)
            stop = stop and first < last  # otherwise no step is left to stop after
            how = " by an exception" if stop else ""
            self.walked.append(f"{first} to {last}{how}")
            backend = subject.make() if fresh else self.kept
            try:
                end = total if stop else last  # a stopped job has steps left
                states = resume(backend, toy, self.states[first], end, last if stop else None)
                check_states(toy, states, last)
            except Violation as found:
                shown = Violation(found.what, walked=list(self.walked), **toy.example())
                last_found[:] = [shown]
                raise shown from None
            self.states |= states

    try:
        run_state_machine_as_test(
            Walk,
            settings=settings(
                max_examples=WALKS,
                stateful_step_count=5,
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate, Phase.shrink) if shrinks() else (Phase.generate,),
                report_multiple_bugs=False,
            ),
        )
    except Flaky:  # it failed only once, which is still a failure
        raise last_found[0] from None


def _check_handed_in(events: tuple[Event, ...], toy: Toy) -> None:
    names = [event.facts["name"] for event in events if event.kind == "keep"]
    if len(names) > len(set(names)):
        raise Violation(f"it calls job.keep twice with the same name: {names}", **toy.example())
    order = [event.kind for event in events if event.kind in ("keep", "take")]
    if order != sorted(order):
        raise Violation("it calls job.keep after it took a step", **toy.example())


def _written_and_read(state: Mapping[str, Any]) -> Any:
    """Return a state as read from a checkpoint."""
    tensors: dict[str, torch.Tensor] = {}
    return from_plain(to_plain(state, tensors), tensors)
