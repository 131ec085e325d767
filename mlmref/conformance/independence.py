"""Whether units are drawn by themselves: checks of neighbours, keys, and words of two documents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.core import Checks, Violation
from mlmref.conformance.rates import FALSE_ALARM, no_independence, surprising
from mlmref.conformance.subject import Subject
from mlmref.conformance.worlds import Case, large_cases, make_rows, worlds
from mlmref.contracts import ChunkRows
from mlmref.masking.draws import EVALUATION_PASS

CHECKS: Checks[Subject] = Checks()


@CHECKS("MASK-006", unless=no_independence)
def check_units_are_independent(subject: Subject) -> None:
    """Neighbouring tokens or words, chunks, passes and seeds are chosen independently."""
    one = subject.changed(mlm_probability=0.3)
    base = next(iter(large_cases(1, subject.world)))
    width, height = 128, 2_000 if subject.large > 20 else 64
    ordinary = np.random.default_rng(1).permutation(base.vocabulary.ordinary_ids)
    words = np.arange(width) % 4 != 1  # of one token, of two, of one, of two
    for text, starts in (
        (np.resize(ordinary, width), np.ones(width, dtype=np.bool_)),
        (np.resize(ordinary[:1], width), np.ones(width, dtype=np.bool_)),
        (np.resize(ordinary, width), words),
    ):
        alone = starts if one.entry.rate == "word" else np.ones(width, dtype=np.bool_)
        rows = make_rows(base.vocabulary, np.tile(text, (height, 1)), np.tile(starts, (height, 1)))

        def chosen(seed: int, pass_: int, rows: ChunkRows = rows, alone: Any = alone) -> Any:
            return one.see(replace(base, rows=rows, seed=seed, pass_=pass_)).targets[:, alone]

        _check_independent(chosen, 0.3)


@CHECKS("MASK-012", unless=no_independence)
def check_a_special_token_ends_a_word(subject: Subject) -> None:
    """Documents of one word, side by side with special tokens between, are drawn independently."""
    one = subject.changed(mlm_probability=0.3)
    for world in [subject.world] if subject.world else worlds():
        height, words = 2_000 if subject.large > 20 else 64, 40
        text = [world.cls_id, int(world.begins[0]), world.sep_id] * words
        # By the documents' own count each word is the first, as a tokenizer has it.
        rows = make_rows(world.vocabulary, np.tile(text, (height, 1)))
        case = Case(vocabulary=world.vocabulary, rows=rows)
        chosen = one.see(case).targets[:, 1::3]
        here, there = chosen[:, ::2], chosen[:, 1::2]
        both = int((here & there).sum())
        if surprising(both, here.size, 0.3**2) < FALSE_ALARM / 3:
            what = f"the words of two documents are both targets {both:,} of {here.size:,} times"
            raise Violation(what, expected=0.3**2 * here.size)


def _check_independent(chosen: Callable[[int, int], Any], probability: float) -> None:
    first = chosen(42, 0)
    width = first.shape[1]
    pairs = {
        "the next chunk": (first[::2], first[1::2]),
        "the next pass": (first, chosen(42, 1)),
        "the next seed": (first, chosen(43, 0)),
        "evaluation": (first, chosen(42, EVALUATION_PASS)),
    }
    for lag in (1, 2, 3, 4, 5, 8, 16, 64):
        left = np.arange(width - lag)
        left = left[left // lag % 2 == 0]  # no unit in two pairs, whose counts are then binomial
        pairs[f"the unit {lag} further on"] = (first[:, left], first[:, left + lag])
    for name, (here, there) in pairs.items():
        both = int((here & there).sum())
        if surprising(both, here.size, probability**2) < FALSE_ALARM / 100:
            what = f"a unit and {name} are both targets {both:,} of {here.size:,} times"
            raise Violation(what, expected=probability**2 * here.size)
    _check_spread(first.sum(axis=1), width, probability)


def _check_spread(counts: Any, of: int, probability: float) -> None:
    """Compare targets a row with the binomial distribution by chi-square."""
    from scipy.stats import binom, chisquare

    edges = np.unique(binom.ppf(np.linspace(0, 1, 9)[1:-1], of, probability))
    expected = np.diff(np.concatenate([[0.0], binom.cdf(edges, of, probability), [1.0]]))
    seen = np.bincount(np.searchsorted(edges, counts), minlength=len(expected))
    if chisquare(seen, expected * len(counts)).pvalue < FALSE_ALARM / 10:
        what = "the number of targets in a row does not vary as that of independent draws does"
        raise Violation(
            what, variance=float(counts.var()), expected=of * probability * (1 - probability)
        )
