"""Steps, figures and verdicts: what the tutorial prints, and what comes out here (VER-001 to 006).

A *figure* is something that the tutorial prints or says in one of its steps; each is a function
that finds the same here. Their functions are in :mod:`mlmref.tutorial.data`, ``masks`` and
``training``, in the order of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from mlmref.errors import ConfigError, MlmrefError
from mlmref.explain import suggest
from mlmref.progress import SILENT, Reporter

if TYPE_CHECKING:
    from mlmref.tutorial.ground import Ground

Verdict = Literal[
    "failed", "needs the hub", "needs a GPU", "differs, explained", "within tolerance", "exact"
]
VERDICTS: tuple[Verdict, ...] = (
    "failed",
    "needs the hub",
    "needs a GPU",
    "differs, explained",
    "within tolerance",
    "exact",
)
"""From the worst to the best; a step has the worst of its figures'."""

Need = Literal["hub", "gpu"]
NEEDS: dict[Need, Verdict] = {"hub": "needs the hub", "gpu": "needs a GPU"}

STEPS = {
    "T01": "load distilbert-base-uncased, count its parameters",
    "T02": 'top five fills of "This is a great [MASK]." before training',
    "T03": "load imdb",
    "T04": "labels",
    "T05": "tokenise without truncation, keep the words",
    "T06": "token counts of its first three reviews",
    "T07": "those three joined and cut at 128",
    "T08": "the remainder: drop it or pad it",
    "T09": "the whole corpus joined and cut, 1,000 reviews at a time",
    "T10": "the second chunk as text",
    "T11": "labels start as a copy of the inputs",
    "T12": "token masking",
    "T13": "whole-word masking",
    "T14": "train_test_split with seed 42",
    "T15": "settings of Trainer",
    "T16": "perplexity before and after Trainer",
    "T17": "freeze the evaluation's masks",
    "T18": "train with Accelerate",
    "T19": "the same sentence on the tuned model",
    "T20": "exercises",
}
_MODULES = ("data", "masks", "training")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out here.

    Attributes:
        found: it, in words; empty where it could not be found.
        verdict: how it compares with what is printed.
        note: the tolerance and why, the clause or erratum that explains a difference, or what
            is missing or wrong.
    """

    found: str
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something that the tutorial prints or says.

    Attributes:
        step: the step's id.
        what: what it is of.
        printed: what the tutorial prints; empty where it prints nothing.
        find: finds the same here.
    """

    step: str
    what: str
    printed: str
    find: Callable[[Ground], Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A step with its figures: pairs of what is printed and what came out."""

    step: str
    title: str
    figures: list[tuple[Figure, Outcome]] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """The worst of its figures'."""
        return min((one.verdict for _, one in self.figures), key=VERDICTS.index)


class Missing(Exception):  # noqa: N818 - it is no error, unless it is required
    """Something that a figure needs is not there.

    Attributes:
        need: the hub or a GPU.
        why: how that was found out.
    """

    def __init__(self, need: Need, why: str) -> None:
        super().__init__(need, why)
        self.need, self.why = need, why


Find = Callable[["Ground"], Outcome]
_FIGURES: list[Figure] = []


def figure(step: str, what: str, printed: str = "") -> Callable[[Find], Find]:
    """Make a function the one that finds a figure; they keep the order in which they stand."""

    def register(find: Find) -> Find:
        _FIGURES.append(Figure(step=step, what=what, printed=printed, find=find))
        return find

    return register


def figures() -> list[Figure]:
    """Return all figures, in the order of the steps."""
    for module in _MODULES:
        import_module(f"mlmref.tutorial.{module}")
    return sorted(_FIGURES, key=lambda one: one.step)


def same(found: object, expected: object, note: str = "") -> Outcome:
    """Compare for equality: exact or failed."""
    verdict: Verdict = "exact" if found == expected else "failed"
    return Outcome(found=shown(found), verdict=verdict, note=note)


def near(found: float, printed: float, tolerance: float, why: str, form: str = ".2f") -> Outcome:
    """Compare within a tolerance relative to what is printed, which has a reason."""
    within = abs(found - printed) <= tolerance * abs(printed)
    return Outcome(
        found=format(found, form),
        verdict="within tolerance" if within else "failed",
        note=f"to {tolerance:.2g} of it: {why}",
    )


def explained(found: object, predicted: object, why: str) -> Outcome:
    """Accept a difference that a clause or an erratum predicts to the digit, and no other."""
    verdict: Verdict = "differs, explained" if found == predicted else "failed"
    return Outcome(found=shown(found), verdict=verdict, note=why)


def shown(value: object) -> str:
    """Write a value as the table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return str(value)


def verify(
    *,
    only: Sequence[str] = (),
    require: Sequence[str] = (),
    cpu: bool = False,
    sets: Sequence[str] = (),
    reporter: Reporter = SILENT,
) -> list[Verified]:
    """Run the tutorial's steps against mlmref.

    Args:
        only: ids of steps; all of them if empty.
        require: ``hub`` or ``gpu``: where one is missing, its figures have failed.
        cpu: train DistilBERT without a GPU too, which takes many hours.
        sets: settings of the two trainings, ``SECTION.KEY=VALUE`` each; others than the
            tutorial's give other figures.
        reporter: told of progress.

    Returns:
        A row a step, in their order.

    Raises:
        ConfigError: there is no such step, need or setting.
    """
    for given, known, what in ((only, [*STEPS], "step"), (require, [*NEEDS], "need")):
        for name in given:
            if name not in known:
                raise ConfigError(f"no {what} {name!r}", hint=suggest(name, known))
    from mlmref.tutorial.ground import Ground

    wanted = [step for step in STEPS if step in (only or STEPS)]
    rows = {step: Verified(step=step, title=STEPS[step]) for step in wanted}
    with Ground(cpu=cpu, sets=sets, reporter=reporter) as ground:
        for one in figures():
            if one.step in rows:
                rows[one.step].figures.append((one, _outcome(one, ground, require)))
    return list(rows.values())


def _outcome(one: Figure, ground: Ground, require: Sequence[str]) -> Outcome:
    """Find a figure, or say why not."""
    try:
        return one.find(ground)
    except Missing as missing:
        outcome = Outcome(found="", verdict=NEEDS[missing.need], note=missing.why)
        return replace(outcome, verdict="failed") if missing.need in require else outcome
    except MlmrefError as error:  # the other figures may be well
        return Outcome(found="", verdict="failed", note=str(error))
