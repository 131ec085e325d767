"""A masking strategy under test, and properties that are checked on many cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from pydantic import ValidationError

from mlmref.conformance.search import search, shrinks
from mlmref.conformance.strategies.worlds import Case, World, large_cases, short_rows, shrink
from mlmref.conformance.violation import Violation
from mlmref.masking.masker import Masker, corrupt
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.batches import Batch, Plan
from mlmref.plugin.contracts import Corruption, MaskingStrategy, Options, StrategyEntry
from mlmref.plugin.draws import Draws

EXAMPLES = 40
"""Number of small cases that Hypothesis draws for one property."""

FEW = 16
"""Maximum number of tokens of an example that is not shrunk further."""

ARRAYS = ("input_ids", "special", "words", "chunk_ids")
"""The arrays of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Masked rows, all ``[B, T]``: the targets and the model's inputs.

    ``written`` names the objects of the caller that a collator changed.
    """

    targets: Any
    input_ids: Any
    labels: Any
    attention_mask: Any
    written: str = ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A strategy with its options.

    Attributes:
        entry: as registered.
        options: complete.
        corruption: the corruption policy.
        world: the only vocabulary that the strategy works with; ``None`` if it works with any.
        large: number of large cases for a property.
        small: number of small cases, which Hypothesis draws.
        collates: whether it is a collator, which writes inputs and labels in ``collate``.
    """

    entry: StrategyEntry
    options: Options
    corruption: Corruption
    world: World | None = None
    large: int = 120
    small: int = EXAMPLES
    collates: bool = False
    _kept: dict[str, Any] = field(default_factory=dict)

    @property
    def probability(self) -> float | None:
        """``options.mlm_probability``; ``None`` without such an option."""
        value = getattr(self.options, "mlm_probability", None)
        return float(value) if isinstance(value, (int, float)) else None

    def changed(self, **options: Any) -> Subject:
        """Return the same strategy with other options."""
        given = self.options.model_dump() | options
        return replace(self, options=self.entry.options(**given), _kept={})

    def allows(self, probability: float) -> bool:
        """Return whether ``mlm_probability`` can be set to a value."""
        if "mlm_probability" not in self.entry.options.model_fields:
            return False
        try:
            self.changed(mlm_probability=probability)
        except ValidationError:
            return False
        return True

    def anew(self) -> Subject:
        """Return the same strategy, without the instance that was used."""
        return replace(self, _kept={})

    def make(self) -> MaskingStrategy:
        """Return a new instance of the strategy."""
        strategy: MaskingStrategy = self.entry.build(self.options)
        return strategy

    def strategy(self) -> MaskingStrategy:
        """Return one instance that is used for all calls, as in a run."""
        if "strategy" not in self._kept:
            self._kept["strategy"] = self.make()
        strategy: MaskingStrategy = self._kept["strategy"]
        return strategy

    def shown(self, case: Case) -> tuple[Batch, Draws]:
        """Return the arguments of ``propose``, as writable copies (MASK-009)."""
        batch, draws = self._masker(case).shown(case.rows, case.pass_)
        return replace(batch, **{name: getattr(batch, name).copy() for name in ARRAYS}), draws

    def ask(self, strategy: Any) -> Callable[[Batch, Draws], Any]:
        """Return the method that masks."""
        method: Callable[[Batch, Draws], Any] = (
            strategy.collate if self.collates else strategy.propose
        )
        return method

    def ready(self, case: Case) -> Callable[[], Any]:
        """Return the call that masks a case, with its arguments prepared."""
        strategy: Any = self.strategy()
        if self.collates:
            call: Callable[[], Any] = strategy.ready(*self.shown(case))[0]
            return call
        return partial(strategy.propose, *self.shown(case))

    def plan(self, case: Case, strategy: MaskingStrategy | None = None) -> Plan:
        """Return the plan of a case, unchecked."""
        return (strategy or self.strategy()).propose(*self.shown(case))

    def targets(self, case: Case) -> Any:
        """Return the targets, ``[B, T]``; takes a third less time than :meth:`see`."""
        return self.see(case).targets if self.collates else self.plan(case).targets

    def see(self, case: Case, strategy: MaskingStrategy | None = None) -> Seen:
        """Return the masked rows, without mlmref's own checks of the plan.

        For a collator, these are the collator's own inputs and labels.
        """
        chosen = strategy or self.strategy()
        batch, draws = self.shown(case)
        answer: Any = self.ask(chosen)(batch, draws)
        if self.collates:
            seen: Seen = answer
            return seen
        plan: Plan = answer
        truth = case.rows.input_ids
        if plan.replacements is None:
            inputs = corrupt(truth, plan.targets, self.corruption, case.vocabulary, draws)
        else:
            inputs = np.where(plan.targets, plan.replacements, truth)
        present = np.arange(truth.shape[1]) < case.rows.lengths[:, None]
        return Seen(
            targets=plan.targets,
            input_ids=inputs,
            labels=np.where(plan.targets, truth, IGNORE_INDEX),
            attention_mask=present,
        )

    def _masker(self, case: Case) -> Masker:
        key = f"masker of {id(case.vocabulary)}, {case.seed}"  # it keeps the vocabulary alive
        if key not in self._kept:
            self._kept[key] = Masker(
                entry=self.entry,
                strategy=self.strategy(),
                corruption=self.corruption,
                vocabulary=case.vocabulary,
                seed=case.seed,
                owner="the conformance kit",
            )
        masker: Masker = self._kept[key]
        return masker


def at_every_rate(subject: Subject) -> list[Subject]:
    """Return the strategy as it is and, if it has a probability, with 0.5 and with 1."""
    if subject.probability is None:
        return [subject]
    others = [p for p in (0.5, 1.0) if subject.allows(p)]
    return [subject, *(subject.changed(mlm_probability=p) for p in others)]


def at_one_half(subject: Subject) -> Subject:
    """Return the strategy with probability 0.5, or as it is if it does not take that."""
    if subject.probability is None or not subject.allows(0.5):
        return subject
    return subject.changed(mlm_probability=0.5)


Property = Callable[[Subject, Case], None]
"""Returns, or raises :class:`Violation`."""


def everywhere(subject: Subject, holds: Property, *, large: int | None = None) -> None:
    """Check a property on small cases that Hypothesis draws, then on large ones.

    Raises:
        Violation: with the smallest failing case.
    """
    _small(subject, holds)
    for case in large_cases(subject.large if large is None else large, subject.world):
        found = violation(subject, holds, case)
        if found:
            least = _least(case, lambda one: violation(subject, holds, one) is not None)
            raise violation(subject, holds, least) or found


def _least(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Return a smaller failing case; also tries short rows, which may show a rare bug too."""
    if not shrinks():
        return case
    least = shrink(case, fails)
    if least.rows.input_ids.size > FEW:
        for short in short_rows(case):
            if fails(short):
                found = shrink(short, fails)
                return min(found, least, key=lambda one: one.rows.input_ids.size)
    return least


def violation(subject: Subject, holds: Property, case: Case) -> Violation | None:
    """Return the violation in a case, or ``None``; any exception of the plugin is one."""
    try:
        holds(subject, case)
    except Violation as found:
        return with_example(found, case, subject.options)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        return with_example(Violation.of_exception(error), case, subject.options)
    return None


def with_example(found: Violation, case: Case, options: Options) -> Violation:
    """Return the violation with the case as its example."""
    given: Mapping[str, Any] = options.model_dump(mode="json")
    return found.having(**case.example, options=dict(given))


def _small(subject: Subject, holds: Property) -> None:
    from mlmref.conformance.strategies.drawn import small_cases

    cases = small_cases(subject.world)
    search(cases, lambda case: violation(subject, holds, case), examples=subject.small)


def held(subject: Subject, holds: Property, case: Case) -> None:
    """Check a property on one case; raises Violation."""
    found = violation(subject, holds, case)
    if found:
        raise found
