"""The built-in strategies: their defaults, their rates and their shares, by exact statistics."""

import numpy as np
import pytest
from pydantic import ValidationError
from support.maskers import (
    BUILT_IN,
    MASK,
    SEP,
    built_in,
    chunk_rows,
    entry_of,
    text_rows,
    vocabulary,
)

from mlmref.masking.builtin import mlmref_masking_strategies
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.contracts import Corruption
from mlmref.plugin.draws import EVALUATION_PASS

SIGNIFICANT = 1e-4
"""A p-value below this fails; the seeds are fixed, so a test fails always or never."""
ROWS = text_rows(256, 128, special_every=37)
ORDINARY = ROWS.input_ids != SEP

PUBLISHED = {
    "token": (
        [3, 36, 4, 98, 34, 65, 4, 32, 63, 94, 30, 3, 92, 4, 4, 4, 4, 57, 88, 24, 55, 86, 3, 4],
        [2, 4, 5, 6, 13, 14, 15, 16, 19, 23],
    ),
    "whole-word": (
        [3, 36, 67, 4, 34, 65, 4, 32, 63, 94, 30, 3, 92, 4, 59, 90, 26, 57, 88, 24, 55, 86, 3, 4],
        [3, 4, 5, 6, 10, 13, 23],
    ),
}


def _chosen(name, **options):
    return built_in(name, **options)(ROWS, 0).labels != IGNORE_INDEX


def _p_of_rate(count, total, probability):
    from scipy import stats

    return stats.binomtest(int(count), int(total), probability).pvalue


def _p_of_shares(counts, shares):
    from scipy import stats

    expected = np.array(shares) / np.sum(shares) * np.sum(counts)
    return stats.chisquare(counts, expected).pvalue


@pytest.mark.clause("MASK-021")
def test_token_defaults():
    """``token`` is 15 % of tokens at 80/10/10, whatever tells words (T12)."""
    entry = entry_of("token")
    assert entry.options().model_dump() == {"mlm_probability": 0.15}
    assert entry.corruption == Corruption(mask=0.8, random=0.1, keep=0.1)
    assert entry.needs_words is False
    assert entry.whole_words is False
    assert entry.rate == "token"
    assert entry.summary == "each token on its own with probability 0.15, of them 80/10/10"


@pytest.mark.clause("MASK-022")
def test_whole_word_defaults():
    """``whole-word`` is 20 % of words, every one of their tokens masked (T13)."""
    entry = entry_of("whole-word")
    assert entry.options().model_dump() == {"mlm_probability": 0.2}
    assert entry.corruption == Corruption(mask=1.0, random=0.0, keep=0.0)
    assert entry.needs_words is True
    assert entry.whole_words is True
    assert entry.rate == "word"
    assert entry.summary == (
        "each word with probability 0.2, all of its tokens become the mask token"
    )
    masked = built_in("whole-word")(ROWS, 0)
    assert (masked.input_ids[masked.labels != IGNORE_INDEX] == MASK).all()


@pytest.mark.clause("MASK-021")
@pytest.mark.clause("MASK-022")
def test_they_register_through_the_hook():
    """Both come from an ordinary implementation of the hook, in this order."""
    assert hasattr(mlmref_masking_strategies, "mlmref_impl")
    assert [entry.name for entry in mlmref_masking_strategies()] == ["token", "whole-word"]


@pytest.mark.clause("MASK-006")
@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "often"])
def test_a_probability_is_between_0_and_1(name, value):
    """A rate that is no probability is refused, with the option's name."""
    with pytest.raises(ValidationError, match="mlm_probability"):
        entry_of(name).options(mlm_probability=value)


@pytest.mark.clause("MASK-006")
@pytest.mark.parametrize("seed", [0, 1, 2**63])
@pytest.mark.parametrize("probability", [0.001, 0.15, 0.5, 0.999])
def test_rate_of_tokens(probability, seed):
    """The number of chosen tokens is one of a binomial distribution."""
    hits = _chosen("token", seed=seed, mlm_probability=probability)
    assert _p_of_rate(hits.sum(), ORDINARY.sum(), probability) > SIGNIFICANT


def _word_heads():
    """Find the first position of every word: its flag, the row's edge, or after a special token."""
    heads = ROWS.word_start.copy()
    heads[:, 0] = True
    heads[:, 1:] |= ~ORDINARY[:, :-1]
    return heads & ORDINARY


@pytest.mark.clause("MASK-006")
@pytest.mark.parametrize("seed", [0, 1, 2**63])
@pytest.mark.parametrize("probability", [0.001, 0.2, 0.5, 0.999])
def test_rate_of_words(probability, seed):
    """The number of chosen words is one of a binomial distribution, long words and short."""
    hits, heads = _chosen("whole-word", seed=seed, mlm_probability=probability), _word_heads()
    assert _p_of_rate(hits[heads].sum(), heads.sum(), probability) > SIGNIFICANT
    long = heads[:, :-1] & ~heads[:, 1:] & ORDINARY[:, 1:]
    assert _p_of_rate(hits[:, :-1][long].sum(), long.sum(), probability) > SIGNIFICANT


@pytest.mark.clause("MASK-006")
@pytest.mark.parametrize("name", BUILT_IN)
def test_all_and_nothing(name):
    """With probability 1 every ordinary token is chosen, with 0 none."""
    assert np.array_equal(_chosen(name, mlm_probability=1.0), ORDINARY)
    assert not _chosen(name, mlm_probability=0.0).any()


@pytest.mark.clause("MASK-006")
def test_tokens_are_drawn_independently():
    """Targets in a row vary as a binomial number does, and neighbours tell nothing."""
    from scipy import stats

    rows = chunk_rows(np.full((4096, 32), 50))
    hits = built_in("token", mlm_probability=0.25)(rows, 0).labels != IGNORE_INDEX
    counts = np.bincount(np.clip(hits.sum(axis=1), 2, 14) - 2, minlength=13)
    shares = stats.binom.pmf(range(2, 15), 32, 0.25)
    shares[0], shares[-1] = stats.binom.cdf(2, 32, 0.25), stats.binom.sf(13, 32, 0.25)
    assert _p_of_shares(counts, shares) > SIGNIFICANT
    for lag in (1, 2, 3, 4, 8):
        both = (hits[:, lag:] & hits[:, :-lag]).ravel()
        assert _p_of_rate(both.sum(), both.size, 0.0625) > SIGNIFICANT
    positions = hits.sum(axis=0)
    assert _p_of_shares(positions, np.ones(32)) > SIGNIFICANT


AXES = {
    # Which of 32 chunks, positions, passes or seeds, and the targets there.
    "positions": lambda hits_of: hits_of(42, 0, 1024).sum(axis=0),
    "chunks": lambda hits_of: hits_of(42, 0, 32, repeats=32).sum(axis=1),
    "passes": lambda hits_of: [hits_of(42, pass_, 32).sum() for pass_ in range(32)],
    "seeds": lambda hits_of: [hits_of(seed, 0, 32).sum() for seed in range(32)],
}


def _hits(name):
    """Return a function of a key that tells which of the units of a row are chosen."""

    def hits_of(seed, pass_, height, first=0, repeats=1):
        # Whole words are of two tokens here, so that a unit is not a position.
        length = {"token": 1, "whole-word": 2}[name]
        width = 32 * repeats * length
        starts = np.tile(np.arange(width) % length == 0, (height, 1))
        ids = first + np.arange(height)
        rows = chunk_rows(np.full((height, width), 50), starts, chunk_ids=ids)
        masker = built_in(name, seed=seed, mlm_probability=0.25)
        return (masker(rows, pass_).labels != IGNORE_INDEX)[:, ::length]

    return hits_of


@pytest.mark.clause("MASK-006")
@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("axis", AXES)
def test_choice_is_uniform(name, axis):
    """Targets are equally many at each position, in each chunk, pass and under each seed."""
    chosen = np.array(AXES[axis](_hits(name)))
    assert chosen.shape == (32,)
    # Against what is not chosen, as in a table of 32 by 2: binomial numbers, not Poisson's.
    each = 1024
    expected = np.array([0.25, 0.75]) * each
    from scipy import stats

    table = np.stack([chosen, each - chosen], axis=1)
    statistic = ((table - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(statistic, 32) > SIGNIFICANT


NEIGHBOURS = {
    "position": lambda hits_of: (hits_of(42, 0, 512)[:, 1:], hits_of(42, 0, 512)[:, :-1]),
    "chunk": lambda hits_of: (hits_of(42, 0, 512), hits_of(42, 0, 512, first=1)),
    "pass": lambda hits_of: (hits_of(42, 0, 512), hits_of(42, 1, 512)),
    "evaluation": lambda hits_of: (hits_of(42, 0, 512), hits_of(42, EVALUATION_PASS, 512)),
    "seed": lambda hits_of: (hits_of(42, 0, 512), hits_of(43, 0, 512)),
}


@pytest.mark.clause("MASK-006")
@pytest.mark.clause("MASK-019")
@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("key", NEIGHBOURS)
def test_neighbouring_choices_are_independent(name, key):
    """What is chosen tells nothing of the next position, chunk, pass or seed."""
    one, other = (hits.ravel() for hits in NEIGHBOURS[key](_hits(name)))
    pairs = np.bincount(one * 2 + other, minlength=4)
    assert _p_of_shares(pairs, np.outer([0.75, 0.25], [0.75, 0.25]).ravel()) > SIGNIFICANT


@pytest.mark.clause("MASK-006")
def test_words_are_drawn_independently():
    """Chosen words in a row vary as a binomial number does."""
    from scipy import stats

    rows = chunk_rows(np.full((4096, 32), 50), np.tile([True, False], (4096, 16)))
    labels = built_in("whole-word", mlm_probability=0.25)(rows, 0).labels
    counts = np.bincount(np.clip((labels[:, ::2] != IGNORE_INDEX).sum(axis=1), 0, 9), minlength=10)
    shares = stats.binom.pmf(range(10), 16, 0.25)
    shares[-1] = stats.binom.sf(8, 16, 0.25)
    assert _p_of_shares(counts, shares) > SIGNIFICANT


@pytest.mark.clause("MASK-008")
@pytest.mark.clause("MASK-023")
@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.5, 0.5, 0.0), (0.01, 0.01, 0.98)])
def test_shares_of_corruption(name, shares):
    """Masked, random and kept targets are as many as the shares say, for either strategy."""
    mask, random, keep = shares
    words = vocabulary(100)
    masker = built_in(name, Corruption(mask=mask, random=random, keep=keep), mlm_probability=1.0)
    masked = masker(ROWS, 3)
    read, truth = masked.input_ids[ORDINARY], ROWS.input_ids[ORDINARY]
    own = random / len(words.ordinary_ids)  # a random token may be the true one
    counts = [(read == MASK).sum(), (read == truth).sum()]
    counts.append(len(read) - sum(counts))
    assert _p_of_shares(counts, [mask, keep + own, random - own]) > SIGNIFICANT


@pytest.mark.clause("MASK-007")
@pytest.mark.parametrize("seed", [0, 1])
def test_random_tokens_are_uniform(seed):
    """Every ordinary token is drawn equally often, the first and the last among them."""
    corruption = Corruption(mask=0.0, random=1.0, keep=0.0)
    masked = built_in("token", corruption, seed, mlm_probability=1.0)(ROWS, 0)
    counts = np.bincount(masked.input_ids[ORDINARY], minlength=100)
    assert counts[:5].sum() == 0
    assert _p_of_shares(counts[5:], np.ones(95)) > SIGNIFICANT


@pytest.mark.clause("MASK-007")
@pytest.mark.clause("MASK-008")
def test_fate_and_choice_are_independent():
    """Being chosen, the fate and the random token at a position are draws of their own."""
    from scipy import stats

    masker = built_in("token", mlm_probability=0.5)
    passes = [masker(ROWS, pass_) for pass_ in range(4)]
    low, masked = [], []
    for rows in passes:
        hit = rows.labels != IGNORE_INDEX
        swapped = hit & (rows.input_ids != MASK) & (rows.input_ids != ROWS.input_ids)
        low.append(rows.input_ids[swapped] < 52)
        masked.append((rows.input_ids == MASK)[hit])
    # 47 of the 95 ordinary tokens are under 52, among the true ones as among the random ones.
    low = np.concatenate(low)
    assert _p_of_rate(low.sum(), low.size, 47 / 95) > SIGNIFICANT
    masked = np.concatenate(masked)
    assert _p_of_rate(masked.sum(), masked.size, 0.8) > SIGNIFICANT
    first, second = (rows.input_ids == MASK for rows in passes[:2])
    table = np.histogram2d(first[ORDINARY], second[ORDINARY], bins=2)[0]
    assert stats.chi2_contingency(table).pvalue > SIGNIFICANT


@pytest.mark.clause("MASK-030")
@pytest.mark.parametrize("name", BUILT_IN)
def test_masks_stay_as_they_were_published(name):
    """A mask that was taken down once is still the same."""
    rows = text_rows(1, 24, first_chunk=5, special_every=11)
    masked = built_in(name, Corruption(), mlm_probability=0.5)(rows, 1)
    assert masked.input_ids.tolist() == [PUBLISHED[name][0]]
    assert np.flatnonzero(masked.labels[0] != IGNORE_INDEX).tolist() == PUBLISHED[name][1]
