"""Check how a backend takes steps and calls the model."""

from __future__ import annotations

from collections.abc import Callable

from mlmref.conformance.backends.comparison import CLAUSES
from mlmref.conformance.backends.subject import BackendSubject, hold
from mlmref.conformance.backends.toy import Toy
from mlmref.conformance.backends.toys import shrink
from mlmref.conformance.checks import Checks
from mlmref.conformance.violation import NotReached, Violation

CHECKS: Checks[BackendSubject] = Checks()

AHEAD = 2
"""Number of steps that a backend may take ahead of the one that it trains (BACK-011)."""


def quiet_toy(toy: Toy) -> bool:
    """Return whether a job does not evaluate."""
    return not toy.evaluates


def each_toy(subject: BackendSubject, problem: Callable[[BackendSubject, Toy], str | None]) -> None:
    """Check each job with a function that returns what is wrong, or ``None``."""
    for toy in filter(quiet_toy, subject.toys):
        if problem(subject, toy):
            least = shrink(toy, lambda one: problem(subject, one) is not None)
            raise Violation(problem(subject, least) or "", **least.example())
    for toy in filter(quiet_toy, subject.toys):
        run = subject.run(toy)
        if len(run.only("told")) < len(toy.steps):
            raise NotReached(f"after {CLAUSES['told' if run.error is None else 'calls']}")


@CHECKS(
    "BACK-010",
    fix="call job.model(**micro_batch) once for each micro-batch, in order and unchanged",
)
def check_every_micro_batch_once_and_in_order(subject: BackendSubject) -> None:
    """The model is called once with each micro-batch, in order and unchanged."""
    hold(subject, "calls", where=quiet_toy)


@CHECKS("BACK-011", fix="iterate once over job.steps(rank, world_size), at most two steps ahead")
def check_steps_are_taken_as_they_are_needed(subject: BackendSubject) -> None:
    """Steps are taken once, as rank 0 of 1 in one process, and at most two ahead."""
    each_toy(subject, _taken)


def _taken(subject: BackendSubject, toy: Toy) -> str | None:
    run = subject.run(toy)
    if set(run.asked) - {(0, 1)}:
        return f"it asked for the steps of (rank, world size) {run.asked}"
    taken = done = 0
    for event in run.only("take", "told"):
        taken, done = taken + (event.kind == "take"), done + (event.kind == "told")
        if taken - done > 1 + AHEAD:
            return f"it has taken {taken} steps when {done} are finished"
    if taken > len(toy.steps):
        return f"it has taken {taken} steps of {len(toy.steps)}"
    return None


@CHECKS("BACK-012", fix="call job.model.train() before the micro-batches of each step")
def check_micro_batches_run_in_training_mode(subject: BackendSubject) -> None:
    """The model is in training mode in each call, although it was not at the start."""
    hold(subject, "mode", where=quiet_toy)


@CHECKS(
    "BACK-013", fix="run the model under autocast to job.precision, or without autocast for fp32"
)
def check_the_precision_is_the_jobs(subject: BackendSubject) -> None:
    """The forward pass has the precision of the job: float32, or autocast to bfloat16."""
    hold(subject, "precision", where=quiet_toy)


@CHECKS(
    "BACK-033",
    fix="leave the model's dropout layers on, and seed no generator during the forward pass",
)
def check_dropout_is_the_models(subject: BackendSubject) -> None:
    """Each dropout layer uses the mask that the model draws from the micro-batch's seed."""
    hold(subject, "dropout", where=quiet_toy)


@CHECKS(
    "BACK-014",
    fix="call job.model itself, with its current weights and without hooks that change values",
)
def check_the_model_runs_as_it_is(subject: BackendSubject) -> None:
    """The loss of each micro-batch is that of the job's current weights."""
    hold(subject, "loss", where=quiet_toy)
