"""Check the errors and side effects of a backend, and consecutive jobs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import torch

from mlmref.base.errors import MlmrefError
from mlmref.base.generators import seed_generators
from mlmref.conformance.backends.comparison import TrialRun, compare
from mlmref.conformance.backends.subject import BackendSubject, attempt, expected, scratch, train
from mlmref.conformance.backends.toy import Event, Toy, ToyModel, on_device
from mlmref.conformance.backends.toy_job import PlainLoop, ToyJob
from mlmref.conformance.backends.watch import changed, objects, process, undisturbed, watched_files
from mlmref.conformance.checks import Checks
from mlmref.conformance.violation import Violation
from mlmref.plugin.contracts import Options
from mlmref.plugin.training import TrainingBackend

CHECKS: Checks[BackendSubject] = Checks()

USUAL = Toy(
    steps=(((2,), (1,)), ((1, 3),), ((0,),), ((1,), (0,), (2,))),
    optimizer="adamw",
    learning_rate=0.1,
    max_grad_norm=0.5,
)
PRECISIONS = (USUAL, replace(USUAL, precision="bf16", dropout=0.5))


def raising(error: BaseException, kind: str, step: int) -> Callable[[Event], None]:
    """Return a function that raises an error at each event of a kind in a step."""

    def on_event(event: Event) -> None:
        if event.kind == kind and event.step == step:
            raise error

    return on_event


ERRORS: tuple[BaseException, ...] = (
    MlmrefError("the check's own error"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 MiB"),
    KeyboardInterrupt("the check's own"),
    ValueError("the check's own"),
)
"""Errors raised within a job: a user's, one that libraries may catch, an interruption."""


@CHECKS("BACK-022", fix="let errors of the model, the steps and after_step leave train unchanged")
def check_errors_come_out(subject: BackendSubject) -> None:
    """An error in after_step, the model or the steps ends training and leaves train unchanged."""
    subject.must_complete(USUAL)
    last = len(USUAL.steps)
    places = [("told", 1), ("told", last), ("call", 1), ("call", last), ("take", 1), ("told", 3)]
    for kind, step in places:
        for error in ERRORS:
            text = f"{type(error).__name__} raised in step {step} by {_PLACES[kind]}"
            _check_raised(subject, error, kind, step, text)


_PLACES = {"told": "after_step", "call": "the model", "take": "the steps"}


def _check_raised(
    subject: BackendSubject, error: BaseException, kind: str, step: int, text: str
) -> None:
    with scratch() as folder, undisturbed():
        job = ToyJob(USUAL, folder)
        job.trace.on_event = raising(error, kind, step)
        came: BaseException | None = None
        try:
            subject.make().train(job)
        except BaseException as raised:  # noqa: BLE001 - inspected below
            came = raised
    if came is None:
        raise Violation(f"a {text} does not leave train", **USUAL.example())
    if came is not error and not isinstance(error, type(came)):
        raise came  # another error, such as an interruption by the user
    if came is not error and (type(came) is not type(error) or str(came) != str(error)):
        raise Violation(f"a {text} leaves train as {came!r}", **USUAL.example())
    seen = [(event.kind, event.step) for event in job.trace.events]
    raised_at = seen.index((kind, step))
    if len(job.trace.events) > raised_at + 1:
        more = job.trace.events[raised_at + 1].kind
        raise Violation(f"training continues after a {text}: {more!r}", **USUAL.example())


@CHECKS(
    "BACK-023", fix="undo in a finally clause what you changed on the model, optimizer or scheduler"
)
def check_objects_are_left_as_found(subject: BackendSubject) -> None:
    """Model, optimizer and schedule keep their parameters, methods, types and hooks."""
    subject.must_complete(*PRECISIONS)
    for toy in PRECISIONS:
        for stop in (None, 2):
            with scratch() as folder:
                job = ToyJob(toy, folder)
                if stop:
                    job.trace.on_event = raising(ValueError("a stop"), "told", stop)
                held = {"before": objects(job)}
                attempt(subject.make(), job)
                # Ids are reused after an object is gone, so the job must exist during both.
                name = changed(held["before"], objects(job))
            if name:
                how = "after an error" if stop else "after training"
                raise Violation(f"{name} has changed {how}", **toy.example())


@CHECKS("BACK-024", fix="restore generators, settings and environment in a finally clause")
def check_the_process_is_left_as_found(subject: BackendSubject) -> None:
    """Training leaves generators, environment, folder and torch's settings unchanged."""
    subject.must_complete(*PRECISIONS)  # libraries have also been imported then
    for toy in (*PRECISIONS, replace(USUAL, evaluates=True), replace(USUAL, steps=())):
        for stop in (None, 2):
            with undisturbed():
                before, after = _around(subject.make(), toy, stop)
                plainly = _around(PlainLoop(Options()), toy, stop)[1]
            for one in GENERATORS:  # the model seeds them; a backend may keep or restore that
                if after[one] == plainly[one]:
                    del before[one], after[one]
            name = changed(before, after)
            if name:
                how = "an error" if stop else "training"
                raise Violation(f"{name} has changed after {how}", **toy.example())


GENERATORS = ("random's generator", "NumPy's generator", "torch's generator")


def _around(
    backend: TrainingBackend, toy: Toy, stop: int | None
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the process's state before and after a job, with generators seeded alike."""
    seed_generators(7)
    with scratch() as folder:
        job = ToyJob(toy, folder)
        if stop:
            job.trace.on_event = raising(ValueError("a stop"), "told", stop)
        before = process()
        try:
            backend.train(job)
        except ValueError:
            if not stop and toy.steps:  # another check tests a job without steps
                raise
        return before, process()


@CHECKS("BACK-025", fix="write files only below job.scratch")
def check_only_scratch_is_written_to(subject: BackendSubject) -> None:
    """Files and folders are written only in the job's scratch folder."""
    subject.must_complete(*PRECISIONS)
    for toy in PRECISIONS:
        with watched_files() as (folder, outside), undisturbed():
            subject.make().train(ToyJob(toy, folder))
        if outside:
            raise Violation(f"it wrote {outside[0]}", **toy.example())


@CHECKS(
    "BACK-028", fix="train job.model in place and leave its parameters ordinary, contiguous tensors"
)
def check_the_model_can_be_exported(subject: BackendSubject) -> None:
    """The trained weights can be saved and loaded, and a new model has the same losses."""
    from safetensors.torch import load, save

    subject.must_complete(*PRECISIONS)
    for toy in PRECISIONS:
        with scratch() as folder:
            job = ToyJob(toy, folder)
            attempt(subject.make(), job)
        new = ToyModel(toy.dropout).to(next(job.model.parameters()).device)
        new.load_state_dict(load(save(job.model.state_dict())))
        with undisturbed():
            for model in (job.model, new, copy.deepcopy(job.model)):
                model.trace = new.trace
                model.train()
                for (micro_batch,) in Toy(steps=(((2, 1, 5),),)).run(0, 1):
                    model(**on_device(micro_batch, model))["loss"].backward()
        facts = [event.facts for event in new.trace.events]
        if facts[0] != facts[1] or facts[0] != facts[2]:
            raise Violation("a new model with the weights has other losses", **toy.example())
        gradients = [model.embedding.weight.grad for model in (job.model, new)]
        if not all(isinstance(one, torch.Tensor) for one in gradients):
            raise Violation("the model cannot be trained further", **toy.example())


@CHECKS("BACK-026", fix="keep no state between two calls of train")
def check_jobs_one_after_another(subject: BackendSubject) -> None:
    """A backend trains each of several jobs like its first one, also on one model."""
    backend = subject.make()
    model = ToyModel(0.0)
    other = replace(USUAL, optimizer="sgd", max_grad_norm=float("inf"), steps=USUAL.steps[::-1])
    half = replace(USUAL, precision="bf16")
    stopped = replace(USUAL, steps=USUAL.steps * 2)
    jobs = (USUAL, other, half, stopped, USUAL, other, half, replace(other, evaluates=True), USUAL)
    for number, toy in enumerate(jobs, start=1):
        if toy is stopped:
            with scratch() as folder:
                job = ToyJob(toy, folder)
                job.trace.on_event = raising(ValueError("a stop"), "told", 3)
                attempt(backend, job)
            continue
        found = compare(train(backend, toy), expected(toy), toy).first()
        if found:
            subject.must_agree(toy)
            raise Violation(f"{found.what} of job {number}", **toy.example())
    # Several jobs on the same model.
    runs = [_on_one_model(one, model) for one in (backend, PlainLoop(Options()))]
    for number, (got, want) in enumerate(zip(*runs, strict=True), start=1):
        found = compare(got, want, USUAL).first()
        if found:
            raise Violation(f"{found.what} of job {number} on the same model", **USUAL.example())


def _on_one_model(backend: TrainingBackend, model: ToyModel) -> list[TrialRun]:
    own = copy.deepcopy(model)
    jobs = (USUAL, replace(USUAL, precision="bf16"), replace(USUAL, optimizer="sgd"))
    return [train(backend, toy, model=own) for toy in jobs]
