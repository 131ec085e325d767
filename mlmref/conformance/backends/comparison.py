"""Compare what a backend did with a job with what the plain loop does, event by event."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mlmref.conformance.backends.toy import Event, Toy

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
class TrialRun:
    """What a backend did with a job."""

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
"""What each fact of an event concerns."""

_NUMBERS = frozenset({"loss", "gradient", "clipping", "norm", "weights", "evaluation"})
"""Aspects whose values depend on all that was computed before."""

_HIDES = {"dropout": {"calls", "mode"}, "update": {"schedule"}}
"""For other aspects the earlier differences that change their values, too."""

_ORDER = ("schedule", "call", "evaluation", "update", "told")
"""Which event is to blame when another was expected: the first of these."""

_MISPLACED = {"call": "calls", "evaluation": "calls", "told": "told"}


def compare(got: TrialRun, expected: TrialRun, toy: Toy) -> Comparison:
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


def _misplaced(want: Event, have: Event, got: TrialRun, expected: TrialRun) -> tuple[str, str]:
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


def _of_step(run: TrialRun, kind: str, step: int) -> list[Event]:
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
