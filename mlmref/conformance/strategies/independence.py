"""Check that units are drawn independently: neighbours, keys, words of two documents.

At probability 0.5, whether two independent units agree is a fair coin, and the coins of all pairs
at one distance are independent. Every count below is therefore exactly binomial.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.checks import Checks
from mlmref.conformance.p_values import at_most, chi_square, surprising
from mlmref.conformance.strategies.rates import FALSE_ALARM, no_independence
from mlmref.conformance.strategies.rows import make_rows
from mlmref.conformance.strategies.subject import Subject, at_one_half
from mlmref.conformance.strategies.worlds import Case, large_cases, worlds
from mlmref.conformance.violation import Violation
from mlmref.plugin.batches import ChunkRows
from mlmref.plugin.draws import EVALUATION_PASS

CHECKS: Checks[Subject] = Checks()

PARTS = 100
"""Number of comparisons, among which the probability of a false alarm is divided."""


def _texts(subject: Subject, case: Case) -> Iterator[tuple[ChunkRows, Any]]:
    """Yield rows of ordinary tokens, and the positions at which their units begin."""
    rng, ordinary = np.random.default_rng(1), case.vocabulary.ordinary_ids
    few = subject.large <= 20
    height, width = (64, 128) if few else (2_000, 128)
    every = np.ones(width, dtype=np.bool_)
    pairs = np.arange(width) % 2 == 0
    shuffled = np.resize(rng.permutation(ordinary), (1, width))
    texts = [
        (shuffled, every),
        (np.full((1, width), ordinary[0]), every),
        (rng.choice(ordinary[:3], (height, width)), every),
        (shuffled, np.arange(width) % 4 != 1),  # words of one and two tokens in turn
        (np.resize(ordinary[:2], (1, width)), pairs),  # one word of two tokens, repeated
    ]
    if not few:
        long = 8_192
        texts.append((np.resize(rng.permutation(ordinary), (1, long)), np.ones(long, np.bool_)))
    for text, starts in texts:
        count = height if len(starts) == width else 24
        tokens = np.broadcast_to(text, (count, len(starts)))
        rows = make_rows(case.vocabulary, tokens, np.tile(starts, (count, 1)))
        alone = starts if subject.entry.rate == "word" else np.ones(len(starts), dtype=np.bool_)
        yield rows, np.flatnonzero(alone)


@CHECKS(
    "MASK-006", fix="draw one number per unit with draws.uniform(stream)", unless=no_independence
)
def check_units_are_independent(subject: Subject) -> None:
    """Units of a row, at any distance, and of neighbouring chunks are drawn independently."""
    one = subject.changed(mlm_probability=0.5)
    (case,) = large_cases(1, subject.world)
    for rows, units in _texts(subject, case):
        signs = _signs(one.targets(replace(case, rows=rows))[:, units])
        for lag, agreed, of in _by_distance(signs):
            _compare(agreed, of, f"units {lag} apart")
        for lag, agreed, of in _by_distance(signs.T, most=64):
            _compare(agreed, of, f"the same units of chunks {lag} apart")
        if signs.shape[1] <= 128:
            agreed = (len(signs) + signs.T @ signs) / 2
            first, second = np.triu_indices(len(agreed), 1)
            doubt = surprising(agreed[first, second], len(signs), 0.5)
            worst = int(doubt.argmin())
            if doubt[worst] < FALSE_ALARM / PARTS / len(doubt):
                where = f"units {first[worst]} and {second[worst]}"
                got = int(agreed[first[worst], second[worst]])
                raise Violation(f"{where} of a row agree in {got:,} of {len(signs):,} rows")
        _check_spread((signs > 0).sum(axis=1), signs.shape[1])


def _signs(chosen: Any) -> Any:
    """Return 1 for a target and -1 otherwise: the product is 1 if two units agree."""
    return np.where(chosen, 1.0, -1.0)


def _by_distance(signs: Any, most: int | None = None) -> Iterator[tuple[int, float, int]]:
    """Yield each distance along the rows of ``[n, m]``, the pairs that agree, and all pairs.

    Computed as an autocorrelation by Fourier transforms, rounded to whole numbers.
    """
    height, width = signs.shape
    power = np.abs(np.fft.rfft(signs, 2 * width, axis=1)) ** 2
    sums = np.rint(np.fft.irfft(power.sum(axis=0), 2 * width))
    for lag in range(1, min(width, most + 1 if most else width)):
        of = height * (width - lag)
        if of >= 100:
            yield lag, (of + sums[lag]) / 2, of


def _compare(agreed: float, of: int, what: str, among: int = 8_192) -> None:
    if surprising(agreed, of, 0.5) < FALSE_ALARM / PARTS / among:
        raise Violation(f"{what} agree {int(agreed):,} of {of:,} times", expected=of / 2)


def _check_spread(counts: Any, of: int) -> None:
    """Compare the number of targets in a row with the binomial distribution, by chi-square."""
    up_to = np.append(at_most(np.arange(of), of, 0.5), 1.0)
    edges = np.unique(np.searchsorted(up_to, np.linspace(0, 1, 9)[1:-1]))
    expected = np.diff(np.concatenate([[0.0], up_to[edges], [1.0]]))
    seen = np.bincount(np.searchsorted(edges, counts), minlength=len(expected))
    enough = len(counts) * expected.min() >= 5
    if enough and chi_square(seen, expected * len(counts)) < FALSE_ALARM / PARTS:
        what = "the number of targets in a row does not vary as for independent draws"
        raise Violation(what, variance=float(counts.var()), expected=of / 4)


@CHECKS(
    "MASK-019",
    fix="take all randomness from draws, and combine no two keys",
    unless=no_independence,
)
def check_keys_are_independent(subject: Subject) -> None:
    """Masks of different seeds and passes, with that of evaluation, are independent."""
    one = subject.changed(mlm_probability=0.5)
    (case,) = large_cases(1, subject.world)
    ordinary, height = case.vocabulary.ordinary_ids, 16
    text = np.resize(np.random.default_rng(0).permutation(ordinary), 128)
    rows = make_rows(case.vocabulary, np.tile(text, (height, 1)))
    keys = [(seed, 0) for seed in (0, *(1 << bit for bit in range(64)), 41, 43, 2**64 - 1)]
    keys += [(42, pass_) for pass_ in (*range(130), *(1 << bit for bit in range(8, 32)))]
    keys.append((42, EVALUATION_PASS))
    masks = [one.targets(replace(case, rows=rows, seed=seed, pass_=p)) for seed, p in keys]
    signs = _signs(np.array(masks).reshape(len(keys), -1))
    names = [f"seed {seed} and pass {pass_}" for seed, pass_ in keys]
    first, second = np.triu_indices(len(keys), 1)
    agreed = ((signs.shape[1] + signs @ signs.T) / 2)[first, second]
    doubt = surprising(agreed, signs.shape[1], 0.5)
    worst = int(doubt.argmin())
    if doubt[worst] < FALSE_ALARM / PARTS / len(doubt):
        what = f"{names[first[worst]]}, and {names[second[worst]]}, agree at"
        raise Violation(f"{what} {int(agreed[worst]):,} of {signs.shape[1]:,} tokens")
    passes = signs[[keys.index((42, pass_)) for pass_ in range(130)]]
    for lag in (1, 2, 3):
        for start in range(2 * lag):  # disjoint pairs of passes
            here, there = passes[start : 130 - lag : 2 * lag], passes[start + lag :: 2 * lag]
            _compare(int((here == there).sum()), here.size, f"passes {lag} apart", 12)
    often = (signs > 0).sum(axis=0)
    doubt = surprising(often, len(keys), 0.5)
    worst = int(doubt.argmin())
    if doubt[worst] < FALSE_ALARM / PARTS / len(doubt):
        chunk, position = divmod(worst, 128)
        what = f"position {position} of chunk {chunk} is a target under {often[worst]}"
        raise Violation(f"{what} of {len(keys)} keys")


def no_seam(subject: Subject) -> str | None:
    """Return why words around a special token do not apply, or ``None`` if they do."""
    if subject.entry.whole_words or no_independence(subject) is None:
        return None
    return "it declares neither whole words nor that units are drawn independently"


@CHECKS(
    "MASK-012", fix="use batch.words to group tokens: a special token ends a word", unless=no_seam
)
def check_a_special_token_ends_a_word(subject: Subject) -> None:
    """Words on the two sides of special tokens are not drawn as one word."""
    one = at_one_half(subject)
    together = (
        no_independence(subject) is not None
    )  # then they may depend on each other, but not always agree
    for world in [subject.world] if subject.world else worlds():
        height, words = 2_000 if subject.large > 20 else 64, 40
        for inside in (1, 3):  # documents of one word, and of three
            begins = np.resize(world.begins, (words, inside))
            ends = [np.full((words, 1), token) for token in (world.cls_id, world.sep_id)]
            text = np.concatenate([ends[0], begins, ends[1]], axis=1).reshape(-1)
            rows = make_rows(world.vocabulary, np.tile(text, (height, 1)))
            case = Case(vocabulary=world.vocabulary, rows=rows)
            chosen = one.targets(case).reshape(height, words, inside + 2)[:, :, 1:-1]
            agreed = chosen[:, :-1, -1] == chosen[:, 1:, 0]
            if together:
                if agreed.all() and chosen.any() and not chosen.all():
                    raise Violation("the words on the two sides of special tokens always agree")
            else:
                _compare(
                    int(agreed.sum()),
                    agreed.size,
                    "the words on the two sides of special tokens",
                    6,
                )
