"""Check a backend's steps against the plain loop's trace."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from mlmref.conformance.backends.subject import CLAUSES, BackendSubject, alike, hold
from mlmref.conformance.backends.toy import Event, Toy
from mlmref.conformance.backends.toys import Parts, shrink
from mlmref.conformance.checks import Checks, NotReached, Violation

CHECKS: Checks[BackendSubject] = Checks()

AHEAD = 2
"""Steps that a backend may have taken beyond the one that it trains (BACK-011)."""

CLOSE = 1e-5
"""How far the gradients of one step may be apart, relative to their norm, when its rows are cut
otherwise: float32 has 1.2e-7, and sums of some dozens of terms are added in another order."""


def quiet_toy(toy: Toy) -> bool:
    """Tell whether a job evaluates nothing."""
    return not toy.evaluates


@CHECKS(
    "BACK-010",
    fix="call job.model(**micro_batch) once for each micro-batch, in order and unchanged",
)
def check_every_micro_batch_once_and_in_order(subject: BackendSubject) -> None:
    """Each micro-batch of each step is run once, in order, and just as the job has it."""
    hold(subject, "calls", where=quiet_toy)


@CHECKS("BACK-011", fix="iterate once over job.steps(rank, world_size), at most two steps ahead")
def check_steps_are_taken_as_they_are_needed(subject: BackendSubject) -> None:
    """Steps are taken once, on one process by rank 0 of 1, and at most two ahead."""
    _each(subject, _taken)


def _taken(subject: BackendSubject, toy: Toy) -> str | None:
    run = subject.run(toy)
    if set(run.asked) - {(0, 1)}:
        return f"it asked for the steps of rank and world size {run.asked}"
    taken = done = 0
    for event in run.only("take", "told"):
        taken, done = taken + (event.kind == "take"), done + (event.kind == "told")
        if taken - done > 1 + AHEAD:
            return f"it has taken {taken} steps when {done} are done"
    if taken > len(toy.steps):
        return f"it has taken {taken} steps, of {len(toy.steps)}"
    return None


@CHECKS("BACK-012", fix="call job.model.train() before the micro-batches of each step")
def check_micro_batches_run_in_training_mode(subject: BackendSubject) -> None:
    """The model is in training mode in each call, though it was not when the job began."""
    hold(subject, "mode", where=quiet_toy)


@CHECKS(
    "BACK-013", fix="run the model under autocast to job.precision, or without autocast for fp32"
)
def check_the_precision_is_the_jobs(subject: BackendSubject) -> None:
    """The forward is computed in the job's precision: float32, or autocast to bfloat16."""
    hold(subject, "precision", where=quiet_toy)


@CHECKS(
    "BACK-033",
    fix="leave the model's dropout layers on, and seed no generator during the forward pass",
)
def check_dropout_is_the_models(subject: BackendSubject) -> None:
    """Each dropout layer has the mask that the model draws from the micro-batch's seed."""
    hold(subject, "dropout", where=quiet_toy)


@CHECKS(
    "BACK-014",
    fix="call job.model itself, with its current weights and without hooks that change values",
)
def check_the_model_runs_as_it_is(subject: BackendSubject) -> None:
    """The loss of each micro-batch is the one that the job's own weights give."""
    hold(subject, "loss", where=quiet_toy)


@CHECKS(
    "BACK-003",
    fix="call loss.backward() for each micro-batch as it is: the loss is already divided",
)
def check_cuts_do_not_matter(subject: BackendSubject) -> None:
    """1x8, 2x4, 4x2 and uneven cuts of the same rows have the same gradient and loss."""
    # One step each: what a fault did to the weights in the one before is not of the cut.
    for counts in ((5, 0, 1, 3, 0, 2, 1, 4), (0, 0, 0, 1, 2, 9, 1, 1), (1, 0, 3, 0, 0, 0, 0, 0)):
        for ends in ((4,), (2, 4, 6), tuple(range(1, 8)), (7,), (1,), (3, 6), (1, 2, 5)):
            other = Toy(steps=(tuple(_cut(counts, ends)),), learning_rate=0.05)
            problem = _unlike(subject, other)
            if problem:
                least = shrink(other, lambda toy: _unlike(subject, toy) is not None)
                raise Violation(_unlike(subject, least) or problem, **least.example())


def _cut(rows: tuple[int, ...], ends: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for first, end in zip((0, *ends), (*ends, len(rows)), strict=True):
        yield rows[first:end]


def _joined(toy: Toy) -> Toy:
    """Return the same job with each step in one micro-batch."""
    joined: tuple[Parts, ...] = tuple((sum(step, ()),) for step in toy.steps)
    return replace(toy, steps=joined)


def _unlike(subject: BackendSubject, toy: Toy) -> str | None:
    """Tell what the first step has that is not the same when its rows are one micro-batch."""
    toy = replace(toy, steps=toy.steps[:1])
    runs = [subject.run(one) for one in (_joined(toy), toy)]
    one, two = ([event.facts["gradients"] for event in run.only("update")] for run in runs)
    if len(one) != len(two) or not one:
        error = any(run.error is not None for run in runs)
        raise NotReached(f"after {CLAUSES['calls' if error else 'update']}")
    for step, (want, have) in enumerate(zip(one, two, strict=True), start=1):
        flat = [list(_numbers(list(found.values()))) for found in (want, have)]
        apart = math.dist(*flat)
        if not apart <= CLOSE * math.hypot(*flat[0]):
            return (
                f"the gradient of step {step} has norm {math.hypot(*flat[1])!r}, and "
                f"{math.hypot(*flat[0])!r} when its rows are one micro-batch"
            )
    totals = [_losses(run.only("call")) for run in runs]
    for step in totals[0].keys() & totals[1].keys():
        if not math.isclose(totals[0][step], totals[1][step], rel_tol=CLOSE, abs_tol=CLOSE):
            return f"the loss of step {step} is {totals[1][step]!r}, and {totals[0][step]!r} uncut"
    return None


def _losses(calls: Iterable[Event]) -> dict[int, float]:
    totals: dict[int, float] = {}
    for event in calls:
        totals[event.step] = totals.get(event.step, 0.0) + event.facts["loss"]
    return totals


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, list):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, float):
        yield value


@CHECKS(
    "BACK-015",
    fix="call loss.backward() without a factor, and clear the gradients before each step",
)
def check_gradients_are_added_up_and_cleared(subject: BackendSubject) -> None:
    """Without clipping, a step's gradient is the sum over its micro-batches and nothing else."""
    hold(subject, "gradient", where=quiet_toy)


@CHECKS(
    "BACK-017",
    fix="call clip_grad_norm_(job.model.parameters(), job.max_grad_norm) once per step",
)
def check_gradients_are_clipped(subject: BackendSubject) -> None:
    """The step is taken with the gradient of the whole step, clipped to the job's norm."""
    try:
        hold(subject, "clipping", where=quiet_toy)
    except NotReached:  # the gradient is another; whether it was clipped is still seen
        _each(subject, _unclipped)
        raise


def _unclipped(subject: BackendSubject, toy: Toy) -> str | None:
    for event in subject.run(toy).only("update"):
        norm = math.hypot(*_numbers(list(event.facts["gradients"].values())))
        if norm > toy.max_grad_norm * (1 + CLOSE):
            return f"step {event.step} is taken with a gradient of norm {norm:.3g}"
    return None


@CHECKS(
    "BACK-016",
    fix="call job.optimizer.step() once per step, and leave its parameter groups unchanged",
)
def check_one_update_a_step(subject: BackendSubject) -> None:
    """The job's own optimiser steps once a step, its groups as the job and schedule have them."""
    hold(subject, "update", where=quiet_toy)


@CHECKS(
    "BACK-018", fix="call job.scheduler.step() once per step, directly after job.optimizer.step()"
)
def check_the_schedule_steps_after_the_optimiser(subject: BackendSubject) -> None:
    """The schedule steps once after each of the optimiser's steps, before after_step."""
    hold(subject, "schedule", where=quiet_toy)


@CHECKS(
    "BACK-019", fix="call job.after_step(float(norm)) once per step, with the norm before clipping"
)
def check_after_step_is_told(subject: BackendSubject) -> None:
    """after_step is called once after each step, with the norm before clipping as a float."""
    hold(subject, "told", "norm", where=quiet_toy)


@CHECKS("BACK-004", fix="change weights only with job.optimizer.step()")
def check_a_step_without_targets_changes_nothing(subject: BackendSubject) -> None:
    """In a step without targets the weights stay, whatever momentum and decay would do."""
    _each(subject, _moved)


def _moved(subject: BackendSubject, toy: Toy) -> str | None:
    told = subject.run(toy).only("told")
    for step, (one, two) in enumerate(pairwise(told), start=2):
        idle = not any(
            count for rows in toy.steps[step - 1 : step] for part in rows for count in part
        )
        if idle and not alike(one.facts["weights"], two.facts["weights"]):
            return f"the weights are others after step {step}, which has no target"
    return None


@CHECKS(
    "BACK-020", fix="change weights only with job.optimizer.step(): no averages, copies or rounding"
)
def check_nothing_else_moves_the_weights(subject: BackendSubject) -> None:
    """After each step, and at the end, the weights are what the optimiser made of them."""
    hold(subject, "weights", where=quiet_toy)


@CHECKS(
    "BACK-029",
    fix="treat a NaN or infinite loss like any other: do not skip, scale or refuse the step",
)
def check_what_is_no_number_reaches_the_job(subject: BackendSubject) -> None:
    """A step whose loss or gradient is no number is told like any other."""
    for scale in (math.inf, math.nan, 1e38):
        toy = Toy(steps=(((1,),), ((3,), (0,), (2,)), ((2,),)), scale=scale)
        for one in (toy, replace(toy, max_grad_norm=1.0), replace(toy, precision="bf16")):
            found = subject.compare(one).first()
            if found:
                subject.must_agree(replace(one, scale=1.0))
                raise Violation(found.what, **one.example())


@CHECKS("BACK-021", fix="call job.model.train() in each step, and job.after_step outside autocast")
def check_evaluation_leaves_no_trace(subject: BackendSubject) -> None:
    """Training goes on in training mode after after_step evaluated, as if it had not."""
    try:
        hold(subject, *CLAUSES, where=lambda toy: toy.evaluates)
    except Violation:
        subject.must_agree(
            *(replace(toy, evaluates=False) for toy in subject.toys if toy.evaluates)
        )
        raise


def _each(subject: BackendSubject, problem: Callable[[BackendSubject, Toy], str | None]) -> None:
    """Hold each job's run against a rule that tells what is wrong with it."""
    for toy in filter(quiet_toy, subject.toys):
        if problem(subject, toy):
            least = shrink(toy, lambda one: problem(subject, one) is not None)
            raise Violation(problem(subject, least) or "", **least.example())
    for toy in filter(quiet_toy, subject.toys):
        run = subject.run(toy)
        if len(run.only("told")) < len(toy.steps):
            raise NotReached(f"after {CLAUSES['told' if run.error is None else 'calls']}")
