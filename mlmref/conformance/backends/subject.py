"""A backend under test: it trains toy jobs, which are compared with the plain loop."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlmref.conformance.backends.toy import Event, Toy
from mlmref.conformance.backends.toy_job import PlainLoop, ToyJob
from mlmref.conformance.backends.toys import shrink, toys
from mlmref.conformance.backends.watch import undisturbed
from mlmref.conformance.checks import NotReached, Violation
from mlmref.plugin.contracts import BackendEntry, Options, TrainingBackend

CLAUSES = {
    "calls": "BACK-010",
    "mode": "BACK-012",
    "precision": "BACK-013",
    "dropout": "BACK-033",
    "loss": "BACK-014",
    "gradient": "BACK-015",
    "clipping": "BACK-017",
    "update": "BACK-016",
    "schedule": "BACK-018",
    "told": "BACK-019",
    "norm": "BACK-019",
    "weights": "BACK-020",
    "evaluation": "BACK-021",
}
"""The clause of each aspect of what a backend does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that a backend did otherwise than the plain loop.

    Attributes:
        aspect: a key of :data:`CLAUSES`.
        what: what happened.
        step: in which step, counted from 1.
    """

    aspect: str
    what: str
    step: int


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What a backend did with one job, compared with the plain loop.

    Attributes:
        found: for each aspect the first difference, in the order in which they happened.
        hidden: for each aspect that an earlier difference leaves undecided, the clause of that
            difference.
    """

    found: dict[str, Difference] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)

    def first(self, *aspects: str) -> Difference | None:
        """Return the first difference in these aspects, or in any if none is named."""
        chosen = (one for name, one in self.found.items() if not aspects or name in aspects)
        return next(chosen, None)

    def hide(self, aspect: str, reason: str) -> None:
        """Declare a difference a consequence of one in another aspect."""
        del self.found[aspect]
        self.hidden[aspect] = CLAUSES[reason]
        for name, clause in self.hidden.items():
            if clause == CLAUSES[aspect]:
                self.hidden[name] = CLAUSES[reason]


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
    _found: dict[Toy, Comparison] = field(default_factory=dict)

    def make(self) -> TrainingBackend:
        """Make the backend anew."""
        backend: TrainingBackend = self.entry.build(self.options)
        return backend

    def run(self, toy: Toy) -> Run:
        """Train a job with a backend of its own."""
        if toy not in self._runs:
            self._runs[toy] = train(self.make(), toy)
        return self._runs[toy]

    def compare(self, toy: Toy) -> Comparison:
        """Compare what it did with a job with what the plain loop does."""
        if toy not in self._found:
            seen = self._found[toy] = compare(self.run(toy), expected(toy), toy)
            unclipped = replace(toy, max_grad_norm=math.inf)
            if "clipping" in seen.found and "gradient" in self.compare(unclipped).found:
                seen.hide("clipping", "gradient")
        return self._found[toy]

    def must_complete(self, *tried: Toy) -> None:
        """Raise :class:`NotReached` unless it trains these jobs without an error."""
        if any(self.run(toy).error is not None for toy in tried):
            raise NotReached(f"after {CLAUSES['calls']}")

    def must_agree(self, *tried: Toy) -> None:
        """Raise :class:`NotReached` unless it trains these jobs as the plain loop does.

        For checks of something else in these jobs, which a difference here would hide.
        """
        for toy in tried:
            seen = self.compare(toy)
            for clause in (*(CLAUSES[one] for one in seen.found), *seen.hidden.values()):
                raise NotReached(f"after {clause}")


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
    "call": {
        "inputs": "calls",
        "training": "mode",
        "precision": "precision",
        "dropout": "dropout",
        "loss": "loss",
    },
    "evaluation": dict.fromkeys(("training", "precision", "loss"), "evaluation"),
    "update": {"gradients": "gradient", "groups": "update"},
    "schedule": {"rates": "schedule"},
    "told": {"grad_norm": "norm", "weights": "weights"},
    "end": {"weights": "weights"},
}
"""What each fact of an event concerns."""

_NUMBERS = frozenset({"loss", "gradient", "clipping", "norm", "weights", "evaluation"})
"""Aspects whose values depend on all that was computed before."""

_HIDES = {"dropout": {"calls", "mode"}, "update": {"schedule"}}
"""For other aspects the earlier differences that change their values, too."""

_ORDER = ("schedule", "call", "evaluation", "update", "told")
"""Which event is to blame when another was expected: the first of these."""

_MISPLACED = {"call": "calls", "evaluation": "calls", "told": "told"}


def compare(got: Run, expected: Run, toy: Toy) -> Comparison:
    """Compare all events of two runs of one job, whenever steps were taken.

    A value that differs after an earlier difference says nothing of its own aspect, which is then
    undecided. Nothing is decided once the runs have events of other kinds.
    """
    apart = ("keep", "take")  # other checks look at these (BACK-011, BACK-030)
    ours, theirs = ([one for one in run.events if one.kind not in apart] for run in (expected, got))
    seen = Comparison()

    def note(aspect: str, what: str, step: int) -> None:
        if aspect == "gradient" and math.isfinite(toy.max_grad_norm):
            aspect = "clipping"
        if aspect in seen.found or aspect in seen.hidden:
            return
        hides = _hiding(aspect, seen.found)
        if hides:
            seen.hidden[aspect] = CLAUSES[hides]
        else:
            seen.found[aspect] = Difference(aspect=aspect, what=what, step=step)

    for want, have in zip(ours, theirs, strict=False):  # both end with "end"
        step = want.step
        if want.kind != have.kind:
            aspect, what = _misplaced(want, have, got, expected)
            note(aspect, f"{what} in step {step}", step)
            break
        for name, aspect in _ASPECTS[want.kind].items():
            if not alike(want.facts[name], have.facts[name]):
                what = _explain(name, want.facts[name], have.facts[name])
                note(aspect, f"{what} in step {step}", step)
    else:
        if got.error is not None:
            note("calls", f"after the last step it raised {_text(got.error)}", 0)
        return seen
    seen.hidden = {
        name: CLAUSES[aspect] for name in CLAUSES if name not in seen.found
    } | seen.hidden
    return seen


def _hiding(aspect: str, found: Iterable[str]) -> str | None:
    """Return the first aspect whose difference may be the reason for one in ``aspect``."""
    if aspect in _NUMBERS:
        return next((one for one in found if one != "norm"), None)
    return next((one for one in found if one in _HIDES.get(aspect, ())), None)


def _misplaced(want: Event, have: Event, got: Run, expected: Run) -> tuple[str, str]:
    """Return the aspect, and what happened, where another event came than the one due."""
    if have.kind == "end" and got.error is not None:
        return "calls", f"it raised {_text(got.error)}"
    blamed = next(kind for kind in _ORDER if kind in (want.kind, have.kind))
    if {want.kind, have.kind} == {"update", "schedule"}:
        counts = [len(_of_step(run, "update", want.step)) for run in (expected, got)]
        blamed = "schedule" if counts[0] == counts[1] else "update"
    what = f"{_SHOWN[have.kind]} came where {_SHOWN[want.kind]} was due"
    return _MISPLACED.get(blamed, blamed), what


def _text(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


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
    """Compare aspects of what a backend does with the plain loop, job after job.

    Args:
        subject: the backend.
        aspects: keys of :data:`CLAUSES`.
        where: which jobs.

    Raises:
        Violation: with the smallest job found.
        NotReached: no job differs in these aspects, and in some an earlier difference hides them.
    """

    def differs(toy: Toy) -> Difference | None:
        return subject.compare(toy).first(*aspects) if where(toy) else None

    after: str | None = None
    for toy in filter(where, subject.toys):
        found = differs(toy)
        if found:
            cut = replace(toy, steps=toy.steps[: found.step or None])
            least = shrink(cut if differs(cut) else toy, lambda one: differs(one) is not None)
            found = differs(least)
            raise Violation(found.what if found else "", **least.example())
        hidden = subject.compare(toy).hidden
        after = after or next((hidden[one] for one in aspects if one in hidden), None)
    if after:
        raise NotReached(f"after {after}")
