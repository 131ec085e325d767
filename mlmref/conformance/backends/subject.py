"""A backend under test: it trains toy jobs, which are compared with the plain loop."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlmref.conformance.backends.toy import Event, Toy
from mlmref.conformance.backends.toy_job import PlainLoop, ToyJob
from mlmref.conformance.backends.toys import shrink, toys
from mlmref.conformance.backends.watch import undisturbed
from mlmref.conformance.checks import Violation
from mlmref.plugin.contracts import BackendEntry, Options, TrainingBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first thing that a backend did otherwise than the plain loop.

    Attributes:
        aspect: what it concerns.
        what: what happened.
        step: in which step, counted from 1.
    """

    aspect: str
    what: str
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a backend did with a job."""

    events: tuple[Event, ...]
    asked: tuple[tuple[int, int], ...]
    error: BaseException | None

    def only(self, *kinds: str) -> list[Event]:
        """Return the events of these kinds."""
        return [event for event in self.events if event.kind in kinds]


@dataclass(frozen=True, kw_only=True)
class BackendSubject:
    """A backend with its options; what it did with each job is kept.

    Attributes:
        entry: as registered.
        options: complete.
        toys: the jobs that it is tried on.
    """

    entry: BackendEntry
    options: Options
    toys: tuple[Toy, ...] = field(default_factory=toys)
    _runs: dict[Toy, Run] = field(default_factory=dict)
    _found: dict[Toy, Difference | None] = field(default_factory=dict)

    def make(self) -> TrainingBackend:
        """Make the backend anew."""
        backend: TrainingBackend = self.entry.build(self.options)
        return backend

    def run(self, toy: Toy) -> Run:
        """Train a job with a backend of its own."""
        if toy not in self._runs:
            self._runs[toy] = train(self.make(), toy)
        return self._runs[toy]

    def difference(self, toy: Toy) -> Difference | None:
        """Return the first thing done otherwise than the plain loop does it."""
        if toy not in self._found:
            self._found[toy] = first_difference(self.run(toy), expected(toy))
        return self._found[toy]


def train(backend: TrainingBackend, toy: Toy, **fields: Any) -> Run:
    """Train a job and return what was done; ``fields`` as of :class:`ToyJob`."""
    with scratch() as folder:
        job = ToyJob(toy, folder, **fields)
        error = attempt(backend, job)
    return Run(events=tuple(job.trace.events), asked=tuple(job.asked), error=error)


def attempt(backend: TrainingBackend, job: ToyJob) -> BaseException | None:
    """Train a job, note its end, and return what was raised."""
    error: BaseException | None = None
    with undisturbed():
        try:
            backend.train(job)
        except (Exception, SystemExit) as raised:  # noqa: BLE001 - a plugin may raise anything
            error = raised
        job.trace.note("end", weights=job.model.weights())
    return error


@lru_cache(maxsize=1024)
def expected(toy: Toy) -> Run:
    """Return what the plain loop does with a job."""
    return train(PlainLoop(Options()), toy)


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a job's folder for a while."""
    with tempfile.TemporaryDirectory(prefix="mlmref-check-") as folder:
        yield Path(folder)


_ASPECTS = {
    "call": {"inputs": "calls", "training": "mode", "precision": "precision", "loss": "loss"},
    "evaluation": dict.fromkeys(("training", "precision", "loss"), "evaluation"),
    "update": {"gradients": "gradient", "groups": "update"},
    "schedule": {"rates": "schedule"},
    "told": {"grad_norm": "norm", "weights": "weights"},
    "end": {"weights": "weights"},
}
"""What each fact of an event concerns."""

_ORDER = ("schedule", "call", "evaluation", "update", "told")
"""Which event is to blame when another was expected: the first of these."""

_MISPLACED = {"call": "calls", "evaluation": "calls", "told": "told"}


def first_difference(got: Run, expected: Run) -> Difference | None:
    """Return the first event that is not as expected, whenever steps were taken."""
    apart = ("keep", "take")  # other checks look at these (BACK-011, BACK-030)
    ours, theirs = ([one for one in run.events if one.kind not in apart] for run in (expected, got))
    for want, have in zip(ours, theirs, strict=False):  # both end with "end"
        if want.kind != have.kind:
            blamed = next(kind for kind in _ORDER if kind in (want.kind, have.kind))
            if {want.kind, have.kind} == {"update", "schedule"}:
                counts = [len(_of_step(run, "update", want.step)) for run in (expected, got)]
                blamed = "schedule" if counts[0] == counts[1] else "update"
            what = f"{_SHOWN[have.kind]} came where {_SHOWN[want.kind]} was due"
            if have.kind == "end" and got.error is not None:
                text = " ".join(f"{type(got.error).__name__}: {got.error}".split())
                what, blamed = f"it raised {text}", "call"
            return Difference(
                aspect=_MISPLACED.get(blamed, blamed),
                what=f"{what} in step {want.step}",
                step=want.step,
            )
        for name, aspect in _ASPECTS[want.kind].items():
            if not alike(want.facts[name], have.facts[name]):
                what = _explain(name, want.facts[name], have.facts[name])
                return Difference(aspect=aspect, what=f"{what} in step {want.step}", step=want.step)
    if got.error is not None:
        text = " ".join(f"{type(got.error).__name__}: {got.error}".split())
        return Difference(aspect="calls", what=f"after the last step it raised {text}", step=0)
    return None


def _of_step(run: Run, kind: str, step: int) -> list[Event]:
    return [event for event in run.only(kind) if event.step == step]


_SHOWN = {
    "call": "a micro-batch",
    "evaluation": "the evaluation in after_step",
    "update": "the optimiser's step",
    "schedule": "the schedule's step",
    "told": "after_step",
    "end": "the end",
}


def _explain(name: str, want: Any, have: Any) -> str:
    """Name a value that is not as expected, the first one where there are several."""
    path = name
    while True:
        if isinstance(want, dict) and isinstance(have, dict) and want.keys() == have.keys():
            key = next(key for key in want if not alike(want[key], have[key]))
            path, want, have = f"{path} of {key}", want[key], have[key]
        elif isinstance(want, list) and isinstance(have, list) and len(want) == len(have):
            pairs = zip(want, have, strict=True)
            want, have = next(pair for pair in pairs if not alike(*pair))
        else:
            return f"{path} has {have!r} in place of {want!r}"


def alike(want: Any, have: Any) -> bool:
    """Tell whether two facts are the same to the last bit; no number is like no number."""
    if want == have:
        return True
    if isinstance(want, dict) and isinstance(have, dict):
        return want.keys() == have.keys() and all(alike(want[key], have[key]) for key in want)
    if isinstance(want, list) and isinstance(have, list):
        return len(want) == len(have) and all(map(alike, want, have))
    numbers = isinstance(want, float) and isinstance(have, float)
    return numbers and math.isnan(want) and math.isnan(have)


def hold(
    subject: BackendSubject, *aspects: str, where: Callable[[Toy], bool] = lambda toy: True
) -> None:
    """Hold an aspect of what a backend does against the plain loop, job after job.

    Args:
        subject: the backend.
        aspects: of :class:`Difference`; a job that differs first in another is left to that one.
        where: which jobs.

    Raises:
        Violation: with the smallest job found.
    """

    def differs(toy: Toy) -> Difference | None:
        found = subject.difference(toy) if where(toy) else None
        return found if found and found.aspect in aspects else None

    for toy in subject.toys:
        found = differs(toy)
        if found:
            cut = replace(toy, steps=toy.steps[: found.step or None])
            least = shrink(cut if differs(cut) else toy, lambda one: differs(one) is not None)
            found = differs(least)
            raise Violation(found.what if found else "", **least.example())
