"""Compare what a backend did with a job with what the plain loop does, event by event."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mlmref.conformance.backends.toy import Event, Toy
from mlmref.conformance.violation import text_of

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
"""The clause of each aspect of a backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference between a backend and the plain loop.

    Attributes:
        aspect: a key of :data:`CLAUSES`.
        what: what happened.
        step: the step, from 1.
    """

    aspect: str
    what: str
    step: int


@dataclass(slots=True, kw_only=True)
class Comparison:
    """The differences between a backend and the plain loop on one job.

    Attributes:
        found: the first difference in each aspect, in the order of events.
        hidden: for each aspect that an earlier difference leaves undecided, the clause of that
            difference.
    """

    found: dict[str, Difference] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)

    def first(self, *aspects: str) -> Difference | None:
        """Return the first difference in these aspects, or in any aspect if none is given."""
        chosen = (one for name, one in self.found.items() if not aspects or name in aspects)
        return next(chosen, None)

    def hide(self, aspect: str, reason: str) -> None:
        """Mark a difference as a consequence of one in another aspect."""
        del self.found[aspect]
        self.hidden[aspect] = CLAUSES[reason]
        for name, clause in self.hidden.items():
            if clause == CLAUSES[aspect]:
                self.hidden[name] = CLAUSES[reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRun:
    """What a backend did with a job.

    Attributes:
        events: all events in order.
        asked: rank and world size of each call of ``job.steps``.
        error: the exception that ended training, if any.
    """

    events: tuple[Event, ...]
    asked: tuple[tuple[int, int], ...]
    error: BaseException | None

    def only(self, *kinds: str) -> list[Event]:
        """Return the events of these kinds."""
        return [event for event in self.events if event.kind in kinds]


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
"""The aspect of each fact of an event."""

_NUMBERS = frozenset({"loss", "gradient", "clipping", "norm", "weights", "evaluation"})
"""Aspects whose values depend on all earlier computations."""

_HIDES = {"dropout": {"calls", "mode"}, "update": {"schedule"}}
"""For other aspects, the earlier differences that also change their values."""

_ORDER = ("schedule", "call", "evaluation", "update", "told")
"""If one event came instead of another, the one that is earlier here is reported."""

_MISPLACED = {"call": "calls", "evaluation": "calls", "told": "told"}


def compare(got: TrialRun, expected: TrialRun, toy: Toy) -> Comparison:
    """Compare all events of two runs of one job, except when steps were taken and state was kept.

    A value that differs after an earlier difference leaves its own aspect undecided. After two
    events of different kinds, everything is undecided.
    """
    apart = ("keep", "take")  # other checks test these (BACK-011, BACK-030)
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
            note("calls", f"after the last step it raised {text_of(got.error)}", 0)
        return seen
    seen.hidden = {
        name: CLAUSES[aspect] for name in CLAUSES if name not in seen.found
    } | seen.hidden
    return seen


def _hiding(aspect: str, found: Iterable[str]) -> str | None:
    """Return the first aspect whose difference may have caused one in ``aspect``."""
    if aspect in _NUMBERS:
        return next((one for one in found if one != "norm"), None)
    return next((one for one in found if one in _HIDES.get(aspect, ())), None)


def _misplaced(want: Event, have: Event, got: TrialRun, expected: TrialRun) -> tuple[str, str]:
    """Return the aspect and the description of an event that came instead of another."""
    if have.kind == "end" and got.error is not None:
        return "calls", f"it raised {text_of(got.error)}"
    blamed = next(kind for kind in _ORDER if kind in (want.kind, have.kind))
    if {want.kind, have.kind} == {"update", "schedule"}:
        counts = [len(_of_step(run, "update", want.step)) for run in (expected, got)]
        blamed = "schedule" if counts[0] == counts[1] else "update"
    what = f"{_SHOWN[have.kind]} came instead of {_SHOWN[want.kind]}"
    return _MISPLACED.get(blamed, blamed), what


def _of_step(run: TrialRun, kind: str, step: int) -> list[Event]:
    return [event for event in run.only(kind) if event.step == step]


_SHOWN = {
    "call": "a micro-batch",
    "evaluation": "the evaluation in after_step",
    "update": "the optimizer's step",
    "schedule": "the schedule's step",
    "told": "after_step",
    "end": "the end",
}


def _explain(name: str, want: Any, have: Any) -> str:
    """Describe the first value that is not as expected."""
    path = name
    while True:
        if isinstance(want, dict) and isinstance(have, dict) and want.keys() == have.keys():
            key = next(key for key in want if not alike(want[key], have[key]))
            path, want, have = f"{path} of {key}", want[key], have[key]
        elif isinstance(want, list) and isinstance(have, list) and len(want) == len(have):
            pairs = zip(want, have, strict=True)
            want, have = next(pair for pair in pairs if not alike(*pair))
        else:
            return f"{path} has {have!r} instead of {want!r}"


def alike(want: Any, have: Any) -> bool:
    """Return whether two facts are bitwise equal; NaN equals NaN."""
    if want == have:
        return True
    if isinstance(want, dict) and isinstance(have, dict):
        return want.keys() == have.keys() and all(alike(want[key], have[key]) for key in want)
    if isinstance(want, list) and isinstance(have, list):
        return len(want) == len(have) and all(map(alike, want, have))
    numbers = isinstance(want, float) and isinstance(have, float)
    return numbers and math.isnan(want) and math.isnan(have)
