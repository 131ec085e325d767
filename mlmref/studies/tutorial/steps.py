"""The steps of the tutorial, and their verification (VER-001 to VER-006).

The figures of the steps are in :mod:`mlmref.studies.tutorial.data`, ``masks`` and ``training``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError, MlmrefError
from mlmref.base.progress import SILENT, Reporter
from mlmref.studies.tutorial.verdicts import NEEDS, VERDICTS, Missing, Outcome, Verdict

if TYPE_CHECKING:
    from mlmref.studies.tutorial.ground import Figure, Ground


STEPS = {
    "T01": "load distilbert-base-uncased, count its parameters",
    "T02": 'five best answers for "This is a great [MASK]." before training',
    "T03": "load IMDb",
    "T04": "labels",
    "T05": "tokenize without truncation, keep word boundaries",
    "T06": "token counts of the first three reviews",
    "T07": "these three joined and cut into chunks of 128",
    "T08": "the remainder: drop it or pad it",
    "T09": "the whole corpus joined and cut, 1,000 reviews at a time",
    "T10": "the second chunk as text",
    "T11": "labels start as a copy of the inputs",
    "T12": "token masking",
    "T13": "whole-word masking",
    "T14": "train_test_split with seed 42",
    "T15": "settings of Trainer",
    "T16": "perplexity before and after Trainer",
    "T17": "freeze the evaluation masks",
    "T18": "train with Accelerate",
    "T19": "the same sentence on the adapted model",
    "T20": "exercises",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A step, with its figures and what mlmref measured for each."""

    step: str
    title: str
    figures: list[tuple[Figure, Outcome]] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of its figures."""
        return min((one.verdict for _, one in self.figures), key=VERDICTS.index)


def figures() -> list[Figure]:
    """Return all figures, in the order of the steps."""
    from mlmref.studies.tutorial import data, masks, training

    found = (*data.FIGURES, *masks.FIGURES, *training.FIGURES)
    return sorted(found, key=lambda one: one.step)


def verify(
    *,
    only: Sequence[str] = (),
    require: Sequence[str] = (),
    cpu: bool = False,
    sets: Sequence[str] = (),
    reporter: Reporter = SILENT,
) -> list[Verified]:
    """Run the tutorial's steps with mlmref.

    Args:
        only: ids of steps; all steps if empty.
        require: ``hub`` or ``gpu``: figures that need one fail if it is missing.
        cpu: train DistilBERT without a GPU too, which takes many hours.
        sets: settings of the two trainings, ``SECTION.KEY=VALUE`` each; with other settings than
            the tutorial's, the figures differ.
        reporter: the progress callback.

    Returns:
        One entry per step, in their order.

    Raises:
        ConfigError: an unknown step, need or setting.
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
    """Measure a figure, or return the reason why it cannot be measured."""
    try:
        return one.find(ground)
    except Missing as missing:
        outcome = Outcome(found="", verdict=NEEDS[missing.need], note=missing.why)
        return replace(outcome, verdict="failed") if missing.need in require else outcome
    except MlmrefError as error:  # the other figures are still measured (VER-005)
        return Outcome(found="", verdict="failed", note=str(error))
