"""Steps and figures of the tutorial, and their verification (VER-001 to VER-006).

A *figure* is something that the tutorial prints or says in one of its steps; each is a function
that finds the same here. Their functions are in :mod:`mlmref.studies.tutorial.data`, ``masks`` and
``training``, in the order of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError, MlmrefError
from mlmref.base.progress import SILENT, Reporter
from mlmref.studies.tutorial.verdicts import NEEDS, VERDICTS, Missing, Outcome, Verdict

if TYPE_CHECKING:
    from mlmref.studies.tutorial.ground import Ground


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
        import_module(f"mlmref.studies.tutorial.{module}")
    return sorted(_FIGURES, key=lambda one: one.step)


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
    from mlmref.studies.tutorial.ground import Ground

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
