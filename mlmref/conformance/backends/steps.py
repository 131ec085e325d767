"""Check the gradients, updates and reports of a backend's steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from mlmref.conformance.backends.comparison import CLAUSES, alike
from mlmref.conformance.backends.forward import each_toy, quiet_toy
from mlmref.conformance.backends.subject import BackendSubject, hold
from mlmref.conformance.backends.toy import Event, Toy
from mlmref.conformance.backends.toys import Parts, shrink
from mlmref.conformance.checks import Checks
from mlmref.conformance.violation import NotReached, Violation

CHECKS: Checks[BackendSubject] = Checks()

CLOSE = 1e-5
"""Maximum distance between the gradients of a step, relative to their norm, if its rows are cut
differently. float32 has 1.2e-7, and some dozens of terms are added in another order."""


@CHECKS(
    "BACK-003",
    fix="call loss.backward() for each micro-batch as it is: the loss is already divided",
)
def check_cuts_do_not_matter(subject: BackendSubject) -> None:
    """1x8, 2x4, 4x2 and uneven cuts of the same rows have the same gradient and loss."""
    # One step each, so that an error in an earlier step does not matter.
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
    """Return the same job with one micro-batch per step."""
    joined: tuple[Parts, ...] = tuple((sum(step, ()),) for step in toy.steps)
    return replace(toy, steps=joined)


def _unlike(subject: BackendSubject, toy: Toy) -> str | None:
    """Return how the first step differs from that with one micro-batch, or ``None``."""
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
                f"{math.hypot(*flat[0])!r} if its rows are one micro-batch"
            )
    totals = [_losses(run.only("call")) for run in runs]
    for step in totals[0].keys() & totals[1].keys():
        if not math.isclose(totals[0][step], totals[1][step], rel_tol=CLOSE, abs_tol=CLOSE):
            return (
                f"the loss of step {step} is {totals[1][step]!r}, and {totals[0][step]!r} if its "
                "rows are one micro-batch"
            )
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
    """Without clipping, a step's gradient is exactly the sum over its micro-batches."""
    hold(subject, "gradient", where=quiet_toy)


@CHECKS(
    "BACK-017",
    fix="call clip_grad_norm_(job.model.parameters(), job.max_grad_norm) once per step",
)
def check_gradients_are_clipped(subject: BackendSubject) -> None:
    """The optimizer steps with the gradient of the whole step, clipped to the job's norm."""
    try:
        hold(subject, "clipping", where=quiet_toy)
    except NotReached:  # the gradient differs, but its norm still shows whether it was clipped
        each_toy(subject, _unclipped)
        raise


def _unclipped(subject: BackendSubject, toy: Toy) -> str | None:
    for event in subject.run(toy).only("update"):
        norm = math.hypot(*_numbers(list(event.facts["gradients"].values())))
        if norm > toy.max_grad_norm * (1 + CLOSE):
            return f"step {event.step} uses a gradient of norm {norm:.3g}"
    return None


@CHECKS(
    "BACK-016",
    fix="call job.optimizer.step() once per step, and leave its parameter groups unchanged",
)
def check_one_update_a_step(subject: BackendSubject) -> None:
    """The job's optimizer steps once per step, with the groups of the job and schedule."""
    hold(subject, "update", where=quiet_toy)


@CHECKS(
    "BACK-018", fix="call job.scheduler.step() once per step, directly after job.optimizer.step()"
)
def check_the_schedule_steps_after_the_optimizer(subject: BackendSubject) -> None:
    """The schedule steps once after each step of the optimizer, before after_step."""
    hold(subject, "schedule", where=quiet_toy)


@CHECKS(
    "BACK-019", fix="call job.after_step(float(norm)) once per step, with the norm before clipping"
)
def check_after_step_is_told(subject: BackendSubject) -> None:
    """after_step is called once after each step, with the norm before clipping as a float."""
    hold(subject, "told", "norm", where=quiet_toy)


@CHECKS("BACK-004", fix="change weights only with job.optimizer.step()")
def check_a_step_without_targets_changes_nothing(subject: BackendSubject) -> None:
    """A step without targets does not change the weights, despite momentum and decay."""
    each_toy(subject, _moved)


def _moved(subject: BackendSubject, toy: Toy) -> str | None:
    told = subject.run(toy).only("told")
    for step, (one, two) in enumerate(pairwise(told), start=2):
        idle = not any(
            count for rows in toy.steps[step - 1 : step] for part in rows for count in part
        )
        if idle and not alike(one.facts["weights"], two.facts["weights"]):
            return f"the weights change in step {step}, which has no target"
    return None


@CHECKS(
    "BACK-020", fix="change weights only with job.optimizer.step(): no averages, copies or rounding"
)
def check_nothing_else_moves_the_weights(subject: BackendSubject) -> None:
    """After each step, and at the end, the weights are those that the optimizer computed."""
    hold(subject, "weights", where=quiet_toy)


@CHECKS(
    "BACK-029",
    fix="treat a NaN or infinite loss like any other: do not skip, scale or refuse the step",
)
def check_what_is_no_number_reaches_the_job(subject: BackendSubject) -> None:
    """A step with a NaN or infinite loss or gradient is reported like any other."""
    for scale in (math.inf, math.nan, 1e38):
        toy = Toy(steps=(((1,),), ((3,), (0,), (2,)), ((2,),)), scale=scale)
        for one in (toy, replace(toy, max_grad_norm=1.0), replace(toy, precision="bf16")):
            found = subject.compare(one).first()
            if found:
                subject.must_agree(replace(one, scale=1.0))
                raise Violation(found.what, **one.example())


@CHECKS("BACK-021", fix="call job.model.train() in each step, and job.after_step outside autocast")
def check_evaluation_leaves_no_trace(subject: BackendSubject) -> None:
    """An evaluation in after_step does not change the training that follows."""
    try:
        hold(subject, *CLAUSES, where=lambda toy: toy.evaluates)
    except Violation:
        subject.must_agree(
            *(replace(toy, evaluates=False) for toy in subject.toys if toy.evaluates)
        )
        raise
