"""Check masking rates, overall and in every stratum.

All bounds are exact (binomial, chi-square, empirical Bernstein). Seeds are fixed, so the result of
a check is always the same. A correct strategy fails a check with probability :data:`FALSE_ALARM` at
most.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.checks import Checks
from mlmref.conformance.p_values import surprising
from mlmref.conformance.strategies.shapes import cells
from mlmref.conformance.strategies.subject import Subject, everywhere
from mlmref.conformance.strategies.units import Units, firsts, units_of
from mlmref.conformance.strategies.worlds import KEYS, Case, large_cases, sweeps, worlds
from mlmref.conformance.violation import NotReached, Violation

CHECKS: Checks[Subject] = Checks()

FALSE_ALARM = 1e-6
"""Probability that a check rejects a correct strategy, divided among its comparisons."""


def no_rate(subject: Subject) -> str | None:
    """Return why rates do not apply, or ``None`` if they do."""
    return None if subject.entry.rate else "it declares no rate"


def _reached(probabilities: list[float], subject: Subject) -> list[float]:
    """Return those of the probabilities that the strategy's options accept.

    Raises:
        NotReached: there are none.
    """
    accepted = [one for one in probabilities if subject.allows(one)]
    if not accepted:
        refused = " and ".join(f"{one:g}" for one in probabilities)
        raise NotReached(f"its options refuse an mlm_probability of {refused}")
    return accepted


def no_independence(subject: Subject) -> str | None:
    """Return why independence does not apply, or ``None`` if it does."""
    if subject.entry.rate in {"token", "word"}:
        return None if subject.allows(0.5) else "its options refuse an mlm_probability of 0.5"
    return "it does not declare that tokens or words are drawn independently"


@CHECKS(
    "MASK-006", fix="choose nothing at probability 0 and every ordinary token at 1", unless=no_rate
)
def check_never_and_always(subject: Subject) -> None:
    """At probability 0 no token is a target, and at 1 every ordinary token is."""

    def nothing(subject: Subject, case: Case) -> None:
        targets = subject.targets(case)
        if targets.any():
            raise Violation(f"at probability 0 there is a target: {cells(targets)}")

    def everything(subject: Subject, case: Case) -> None:
        left = ~subject.targets(case) & ~subject.shown(case)[0].special
        if left.any():
            raise Violation(f"at probability 1 a token is not a target: {cells(left)}")

    accepted = _reached([0.0, 1.0], subject)
    if 0.0 in accepted:
        everywhere(subject.changed(mlm_probability=0.0), nothing)
    if 1.0 in accepted:
        everywhere(subject.changed(mlm_probability=1.0), everything, large=2 * subject.large)


def repeated(cases: list[Case], times: int) -> Iterator[Case]:
    """Yield the cases ``times`` times, each time with other chunk ids."""
    for turn in range(times):
        for case in cases:
            ids = case.rows.chunk_ids + (turn << 40)
            yield replace(case, rows=replace(case.rows, chunk_ids=ids))


def asked_rates(subject: Subject) -> list[float]:
    """Return the rates to test: the strategy's own, and rates at which small errors count most.

    Near 1, one missing target in thousands greatly increases the number of units that are not
    targets; near 0, one extra target greatly increases the number of targets.
    """
    rates = [subject.probability or 0.0, 0.0004, 0.00149, 0.0213, 0.1537, 0.5, 0.9, 0.99951]
    return _reached(rates, subject)


@CHECKS("MASK-006", fix="choose each unit with the probability mlm_probability", unless=no_rate)
def check_rate(subject: Subject) -> None:
    """Over some million tokens the share of targets is the requested rate."""
    if subject.entry.rate == "share":
        _check_share(subject)
        return
    asked = asked_rates(subject)
    cases = list(large_cases(min(60, subject.large), subject.world))
    for probability in asked:
        one = subject.changed(mlm_probability=probability)
        chosen = of = 0
        times = max(1, subject.large // (10 if probability == subject.probability else 40))
        for case in repeated(cases, times):
            units = one.targets(case)[firsts(one, case)]
            chosen, of = chosen + int(units.sum()), of + len(units)
        if surprising(chosen, of, probability) < FALSE_ALARM / len(asked):
            what = f"{chosen:,} of {of:,} {subject.entry.rate}s are targets"
            raise Violation(what, asked=probability, got=chosen / of)


def _check_share(subject: Subject) -> None:
    """Check the mean share of targets over rows, which are independent.

    Empirical Bernstein bound (Audibert, Munos and Szepesvari 2009, theorem 1) on a row's excess of
    targets as a share of its positions. The excess is between minus the probability and one minus
    the probability, and has mean 0.
    """
    asked = asked_rates(subject)
    for probability in asked:
        one = subject.changed(mlm_probability=probability)
        excess: list[Any] = []
        # A row of one token has no share, so rows of one position are omitted.
        cases = [case for case in large_cases(14, one.world) if case.rows.input_ids.shape[1] > 1]
        for case in repeated(cases, max(1, subject.large // 3)):
            ordinary = ~one.shown(case)[0].special
            due = probability * ordinary.sum(axis=1)
            got = one.targets(case).sum(axis=1)
            excess.append((got - due) / ordinary.shape[1])
        rows = np.concatenate(excess)
        tail = math.log(3 * len(asked) / FALSE_ALARM)
        bound = math.sqrt(2 * rows.var() * tail / len(rows)) + 3 * tail / len(rows)
        if abs(rows.mean()) > bound:
            what = f"over {len(rows):,} rows the share is off by {rows.mean():+.4f} on average"
            raise Violation(what, asked=probability, bound=bound)


@CHECKS(
    "MASK-006",
    fix="choose each unit with the same probability, wherever it is",
    unless=no_independence,
)
def check_rate_everywhere(subject: Subject) -> None:
    """The rate is equal for all batches, chunks, positions, token ids, neighbours and words."""
    asked = sorted({0.5, subject.probability or 0.5} - {0.0, 1.0})
    at_each = [subject.changed(mlm_probability=probability) for probability in asked]
    for cases in by_vocabulary(subject):
        counts = cases[0].vocabulary.counts
        frequent = counts > np.median(counts)
        units = [units_of(at_each, case, frequent) for case in cases]
        for number, probability in enumerate(asked):
            _check_batches(units, number, cases, probability)
    half = subject.changed(mlm_probability=0.5)
    for world in [subject.world] if subject.world else worlds():
        where, chosen = [], []
        for case in sweeps(world, 48 if subject.large > 20 else 4):
            first = firsts(half, case)
            where.append(case.rows.input_ids[first])
            chosen.append(half.targets(case)[first])
        _check_strata("token id", np.concatenate(where), np.concatenate(chosen), 0.5)


def _check_batches(units: list[Units], rate: int, cases: list[Case], probability: float) -> None:
    of_batch = [unit.chosen[rate] for unit in units]
    chosen = np.concatenate(of_batch)
    for name in units[0].strata:
        where = np.concatenate([unit.strata[name] for unit in units]).astype(np.int64)
        _check_strata(name, where, chosen, probability)
    of_key = [
        np.full(len(one), KEYS.index((case.seed, case.pass_)))
        for one, case in zip(of_batch, cases, strict=True)
    ]
    keys = [f"seed {seed}, pass {pass_}" for seed, pass_ in KEYS]
    _check_strata(keys, np.concatenate(of_key), chosen, probability)
    for number, (unit, case) in enumerate(zip(units, cases, strict=True)):
        # Each batch is a stratum, with its own seed, pass and shape; so is each of its chunks.
        name = f"seed {case.seed}, pass {case.pass_} and shape {case.rows.input_ids.shape}"
        one, rows = of_batch[number], unit.strata["row"]
        batch = np.zeros(len(one), dtype=np.int64)
        _check_strata([name], batch, one, probability, among=len(units))
        _check_strata(f"batch {number}, row", rows, one, probability, among=len(units))


def _check_strata(
    names: str | list[str], where: Any, chosen: Any, probability: float, among: int = 1
) -> None:
    """Check the rate in each stratum; ``among`` groups share the false-alarm probability."""
    of = np.bincount(where, minlength=1)
    count = np.bincount(where[chosen], minlength=len(of))
    doubt = surprising(count, of, probability)
    worst = int(doubt.argmin())
    if doubt[worst] < FALSE_ALARM / (100 * among * len(of)):
        name = f"{names} {worst}" if isinstance(names, str) else names[worst]
        what = f"at {name}: {count[worst]:,} of {of[worst]:,} are targets"
        raise Violation(what, asked=probability)


def by_vocabulary(subject: Subject) -> Iterator[list[Case]]:
    """Yield the large cases of each vocabulary."""
    cases = list(large_cases(subject.large, subject.world))
    for size in sorted({case.vocabulary.size for case in cases}):
        yield [case for case in cases if case.vocabulary.size == size]
