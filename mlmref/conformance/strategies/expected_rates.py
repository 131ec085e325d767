"""Check that a strategy chooses its targets as often as its function ``expected`` says.

The bounds are exact and need no independence within a row: the tokens of a word or span may share a
draw. Rows are independent, since each has its own chunk id. A stratum has at most one position of
each row, so its count is a sum of independent draws with known probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.checks import Checks
from mlmref.conformance.p_values import surprising, surprising_sum
from mlmref.conformance.strategies.expected import expected_of, no_expected
from mlmref.conformance.strategies.rates import FALSE_ALARM, by_vocabulary, repeated
from mlmref.conformance.strategies.rows import take_rows
from mlmref.conformance.strategies.subject import Subject
from mlmref.conformance.strategies.units import powers, strata_of
from mlmref.conformance.strategies.worlds import KEYS, Case, large_cases
from mlmref.conformance.violation import Violation

CHECKS: Checks[Subject] = Checks()


def at_some_rates(subject: Subject) -> list[Subject]:
    """Return the strategy as it is and, if it has a probability, with a few others."""
    others = [p for p in (0.5, 0.9) if subject.allows(p)]
    return [subject, *(subject.changed(mlm_probability=p) for p in others)]


@CHECKS(
    "MASK-037",
    fix="choose each position with the probability that expected returns",
    unless=no_expected,
)
def check_expected_rate(subject: Subject) -> None:
    """In all rows, and in every stratum of positions, the share of targets is the expected one."""
    groups = list(by_vocabulary(subject))
    asked = at_some_rates(subject)
    for one in asked:
        times = max(1, subject.large // (5 if one is subject else 15))
        for cases in groups:
            seen = [_repeated(one, case, times) for case in cases]
            _check_strata(one, cases, seen, among=len(asked) * len(groups))


class _Seen:
    """How often each position of a case is a target, under many chunk ids.

    Attributes:
        times: number of masks.
        expected: float64 ``[B, T]``, the expected rate.
        counts: int64 ``[B, T]``, the number of masks with a target there.
    """

    def __init__(self, expected: Any, masks: Iterator[Any], times: int) -> None:
        self.times, self.expected = times, expected
        self.counts = np.zeros(expected.shape, dtype=np.int64)
        for targets in masks:
            self.counts += targets


def _repeated(subject: Subject, case: Case, times: int) -> _Seen:
    masks = (subject.targets(one) for one in repeated([case], times))
    return _Seen(expected_of(subject, case), masks, times)


def _check_strata(subject: Subject, cases: list[Case], seen: list[_Seen], among: int) -> None:
    """Check the number of targets in each stratum of one vocabulary's positions."""
    usual = cases[0].vocabulary.counts
    sums: dict[str, list[tuple[Any, Any, Any, int]]] = {}
    rng = np.random.default_rng(0)
    for case, part in zip(cases, seen, strict=True):
        inside = (part.expected > 0.0) & (part.expected < 1.0)
        order = rng.permutation(np.count_nonzero(inside))
        rows, counts, expected = np.nonzero(inside)[0], part.counts[inside], part.expected[inside]
        strata = _strata(subject, case, part.expected, inside, usual > np.median(usual))
        for name, where in strata.items():
            one = _one_of_each(rows, where, order)
            sums.setdefault(name, []).append((where[one], counts[one], expected[one], part.times))
    for name, parts in sums.items():
        size = 1 + max((int(where.max(initial=0)) for where, *_ in parts))
        of, chosen, due = np.zeros(size), np.zeros(size), np.zeros(size)
        for where, counts, expected, times in parts:
            of += times * np.bincount(where, minlength=size)
            chosen += np.bincount(where, weights=counts, minlength=size)
            due += times * np.bincount(where, weights=expected, minlength=size)
        doubt = surprising_sum(chosen, of, due)
        worst = int(doubt.argmin())
        if doubt[worst] < FALSE_ALARM / (200 * among * size):
            what = f"at {name} {worst}: {int(chosen[worst]):,} of {int(of[worst]):,} are targets"
            raise Violation(what, expected=round(float(due[worst]), 1), **_options(subject))


def _one_of_each(rows: Any, where: Any, order: Any) -> Any:
    """Return the index of at most one random position of each row and stratum.

    The number of places is limited, so a few pairs of row and stratum lose their only one.

    Args:
        rows: int ``[n]``, the row of each position.
        where: int ``[n]``, the stratum of each position.
        order: a random permutation of ``range(n)``.
    """
    places = np.full(4 * len(order) + 1, -1, dtype=np.int64)
    pairs = rows * (1 + int(where.max(initial=0))) + where
    places[pairs[order] % len(places)] = order  # of several the last one remains
    return places[places >= 0]


def _strata(subject: Subject, case: Case, expected: Any, inside: Any, frequent: Any) -> Any:
    """Return for each property of the positions ``inside`` its value, int ``[n]``."""
    batch, _ = subject.shown(case)
    rate, key = expected[inside], KEYS.index((case.seed, case.pass_))
    strata = {
        "any position": np.zeros(len(rate)),
        "an expected rate in twentieths of": (rate * 20).astype(np.int64),
        "an expected rate up to 2 to the minus": np.minimum(-powers(rate), 60),
        "seed and pass number": np.full(len(rate), key),
    } | strata_of(subject, case, inside, frequent)
    if subject.entry.needs_words:
        words = batch.words
        begins = words >= 0
        begins[:, 1:] &= words[:, 1:] != words[:, :-1]
        lengths = np.bincount(np.cumsum(begins.reshape(-1)), (words >= 0).reshape(-1))
        numbers = np.cumsum(begins.reshape(-1)).reshape(words.shape)[inside]
        strata["a word of tokens"] = np.minimum(lengths[numbers], 40).astype(np.int64)
        strata["word"] = words[inside] + 1
        strata["the first token of a word (0 or 1)"] = begins[inside].astype(np.int64)
    return {name: np.asarray(where, dtype=np.int64) for name, where in strata.items()}


def _options(subject: Subject) -> dict[str, Any]:
    return {"options": subject.options.model_dump(mode="json")}


@CHECKS(
    "MASK-037",
    fix="choose each position with the probability that expected returns for this row",
    unless=no_expected,
)
def check_expected_at_each_position(subject: Subject) -> None:
    """Over thousands of masks of a row, each position is a target as often as expected."""
    asked = [subject, *(subject.changed(mlm_probability=p) for p in (0.5,) if subject.allows(p))]
    texts = [(case, row) for case in large_cases(3, subject.world) for row in range(6)]
    height = 400
    for one in asked:
        for case, row in texts:
            rows = take_rows(case.rows, np.full(height, row))
            rows = replace(rows, chunk_ids=np.arange(height))
            seen = _repeated(one, replace(case, rows=rows), max(1, subject.large // 8))
            counts, of = seen.counts.sum(axis=0), height * seen.times
            doubt = surprising(counts, of, np.clip(seen.expected[0], 1e-12, 1.0 - 1e-12))
            worst = int(doubt.argmin())
            if doubt[worst] < FALSE_ALARM / (len(asked) * len(texts) * len(doubt)):
                what = f"position {worst} is a target in {counts[worst]:,} of {of:,} masks of a row"
                alone = replace(case, rows=take_rows(rows, 0))
                due = round(float(seen.expected[0, worst]), 6)
                raise Violation(what, expected=due, **alone.example, **_options(one))
