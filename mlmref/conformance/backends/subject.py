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

from mlmref.conformance.backends.comparison import (
    CLAUSES,
    Comparison,
    Difference,
    TrialRun,
    compare,
)
from mlmref.conformance.backends.toy import Toy
from mlmref.conformance.backends.toy_job import PlainLoop, ToyJob
from mlmref.conformance.backends.toys import shrink, toys
from mlmref.conformance.backends.watch import undisturbed
from mlmref.conformance.violation import NotReached, Violation
from mlmref.plugin.contracts import Options
from mlmref.plugin.training import BackendEntry, TrainingBackend


@dataclass(frozen=True, kw_only=True)
class BackendSubject:
    """A backend with its options; the result of each job is kept.

    Attributes:
        entry: as registered.
        options: complete.
        toys: the jobs that it trains.
    """

    entry: BackendEntry
    options: Options
    toys: tuple[Toy, ...] = field(default_factory=toys)
    _runs: dict[Toy, TrialRun] = field(default_factory=dict)
    _found: dict[Toy, Comparison] = field(default_factory=dict)

    def make(self) -> TrainingBackend:
        """Return a new instance of the backend."""
        backend: TrainingBackend = self.entry.build(self.options)
        return backend

    def run(self, toy: Toy) -> TrialRun:
        """Return what a new instance of the backend does with a job."""
        if toy not in self._runs:
            self._runs[toy] = train(self.make(), toy)
        return self._runs[toy]

    def compare(self, toy: Toy) -> Comparison:
        """Return the differences from the plain loop on a job."""
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
        """Raise :class:`NotReached` unless it trains these jobs like the plain loop.

        For checks of other facts about these jobs, which a difference would hide.
        """
        for toy in tried:
            seen = self.compare(toy)
            for clause in (*(CLAUSES[one] for one in seen.found), *seen.hidden.values()):
                raise NotReached(f"after {clause}")


def train(backend: TrainingBackend, toy: Toy, **fields: Any) -> TrialRun:
    """Train a job and return what happened; ``fields`` as of :class:`ToyJob`."""
    with scratch() as folder:
        job = ToyJob(toy, folder, **fields)
        error = attempt(backend, job)
    return TrialRun(events=tuple(job.trace.events), asked=tuple(job.asked), error=error)


def attempt(backend: TrainingBackend, job: ToyJob) -> BaseException | None:
    """Train a job, record its end, and return the exception if one was raised."""
    error: BaseException | None = None
    with undisturbed():
        try:
            backend.train(job)
        except (Exception, SystemExit) as raised:  # noqa: BLE001 - a plugin may raise anything
            error = raised
        job.trace.note("end", weights=job.model.weights())
    return error


@lru_cache(maxsize=1024)
def expected(toy: Toy) -> TrialRun:
    """Return what the plain loop does with a job."""
    return train(PlainLoop(Options()), toy)


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a temporary folder for a job."""
    with tempfile.TemporaryDirectory(prefix="mlmref-check-") as folder:
        yield Path(folder)


def hold(
    subject: BackendSubject, *aspects: str, where: Callable[[Toy], bool] = lambda toy: True
) -> None:
    """Check aspects of a backend against the plain loop, job by job.

    Args:
        subject: the backend.
        aspects: keys of :data:`CLAUSES`.
        where: selects the jobs.

    Raises:
        Violation: with the smallest failing job.
        NotReached: no job differs in these aspects, but in some an earlier difference hides them.
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
