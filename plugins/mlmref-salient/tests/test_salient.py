"""What makes a mask salient: weights, a calibrated rate, and words that mark the domain."""

import numpy as np
import pytest
from cases import SEP, SIZE, batches, options, propose, shares, shown, text, vocabulary, words_of
from hypothesis import given, settings
from hypothesis import strategies as st
from mlmref_salient import UNIT, SalientMasking, SalientOptions, chances, weigh
from mlmref_salient.background import Background

UNLIKELY = 1e-6
"""A test at a fixed seed rejects code that is right with this probability, once and for all."""


def background(counts):
    """Return a background of the tests' vocabulary."""
    return Background(
        name="b.json",
        counts=np.asarray(counts, dtype=np.int64),
        special_ids=vocabulary().special_ids,
    )


@settings(deadline=None, max_examples=300)
@given(asked=batches(), chosen=options)
def test_it_is_the_algorithm_that_one_would_write_by_hand(asked, chosen):
    """The targets are, bit for bit, those of plain loops in exact fractions."""
    plan = SalientMasking(chosen).propose(*asked)
    assert (plan.targets == propose(*asked, chosen)).all()
    assert plan.replacements is None


@pytest.mark.parametrize("seed", range(3))
def test_it_is_that_algorithm_on_rows_as_long_as_real_ones(seed):
    """The same on rows of 256 positions with words and documents of usual lengths."""
    asked = text(8, 256, seed)
    plan = SalientMasking(SalientOptions()).propose(*asked)
    assert (plan.targets == propose(*asked, SalientOptions())).all()


word = st.tuples(st.integers(1, 5), st.integers(UNIT // 64, 64 * UNIT))


@settings(deadline=None, max_examples=100)
@given(asked=batches(), chosen=options)
def test_the_expected_rate_of_a_token_is_that_of_its_word(asked, chosen):
    """It is the probability of the word by hand, at each of its tokens, and 0 outside words."""
    batch, _ = asked
    strategy = SalientMasking(chosen)
    weights = weigh(batch.vocabulary, None, chosen.smoothing, chosen.most).take(batch.input_ids)
    expected = np.zeros(batch.words.shape)
    for row, numbers in enumerate(batch.words):
        words = words_of(numbers)
        masses = [int(weights[row, word].sum()) for word in words]
        by_hand = shares([len(word) for word in words], masses, chosen.mlm_probability)
        for word, share in zip(words, by_hand, strict=True):
            expected[row, word] = float(share)
    np.testing.assert_allclose(strategy.expected(batch), expected, rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=300)
@given(row=st.lists(word, min_size=1, max_size=12), probability=st.floats(0.0, 1.0))
def test_the_expected_targets_are_the_asked_share(row, probability):
    """Word by word the probabilities add up to the budget, none above 1, in order of weight."""
    numbers = np.repeat(np.arange(len(row)), [size for size, _ in row])[None].astype(np.int32)
    weights = np.repeat([weight for _, weight in row], [size for size, _ in row])[None]
    (got,) = chances(numbers, weights, probability)
    sizes = np.array([size for size, _ in row])
    assert (got * sizes).sum() == pytest.approx(probability * sizes.sum(), rel=1e-12, abs=1e-12)
    assert ((got >= 0) & (got <= 1)).all()
    expected = shares(sizes.tolist(), [size * weight for size, weight in row], probability)
    assert got.tolist() == pytest.approx([float(one) for one in expected], rel=1e-12, abs=1e-12)
    by_weight = got[np.argsort([weight for _, weight in row], kind="stable")]
    assert (np.diff(by_weight) >= -1e-12).all()


def test_probabilities_are_in_proportion_to_weights():
    """A word that weighs three times as much is a target three times as often, until certain."""
    words, weights = np.arange(4, dtype=np.int32)[None], UNIT * np.array([[1, 3, 1, 1]])
    assert chances(words, weights, 0.3)[0].tolist() == pytest.approx([0.2, 0.6, 0.2, 0.2])
    assert chances(words, weights, 0.7)[0].tolist() == pytest.approx([0.6, 1.0, 0.6, 0.6])


def test_a_row_has_no_chances_of_words_that_it_does_not_have():
    """A row of one word beside one of three: two zeros, at 1 too."""
    words = np.array([[0, 0, -1], [0, 1, 2]], dtype=np.int32)
    weights = np.full(words.shape, UNIT)
    for probability in (0.0, 0.5, 1.0):
        got = chances(words, weights, probability)
        assert got.tolist() == [[probability, 0.0, 0.0], [probability] * 3]


def test_a_word_weighs_what_its_tokens_weigh_on_average():
    """A word of a heavy and a light token stands between those of one token each."""
    words = np.array([[0, 0, 1, 2]], dtype=np.int32)
    heavy, light = 4 * UNIT, 2 * UNIT
    got = chances(words, np.array([[heavy, light, heavy, light]]), 0.3)[0]
    assert got.tolist() == pytest.approx([0.3, 0.4, 0.2])


def test_weights_are_ratios_of_smoothed_frequencies():
    """By hand: 200 against 50 in a thousand, 300 against 450, and none against 100."""
    counts, usual = np.zeros(SIZE), np.zeros(SIZE)
    counts[4:8], usual[4:8] = [200, 300, 500, 0], [50, 450, 400, 100]
    weights = weigh(vocabulary(counts), background(usual), 1_000.0, 10.0) / UNIT
    expected = [201 / 51, 301 / 451, 501 / 401, 1 / 10]
    assert weights[4:8].tolist() == pytest.approx(expected, abs=0.5 / UNIT)
    assert (weights[8:] == 1.0).all()  # smoothing against smoothing


def test_special_tokens_count_on_no_side():
    """However often a special token stands, no weight changes."""
    counts, more = 6_000 // np.arange(1, SIZE + 1), 6_000 // np.arange(1, SIZE + 1)
    more[:4] = 10**9
    usual = background(np.arange(SIZE))
    for told in (None, usual):
        assert (
            weigh(vocabulary(counts), told, 100.0, 10.0)[4:]
            == weigh(vocabulary(more), told, 100.0, 10.0)[4:]
        ).all()


def test_what_the_background_does_not_tell_weighs_one():
    """A token of -1 has weight 1 and is left out of both frequencies."""
    counts, usual = np.zeros(SIZE), np.zeros(SIZE)
    counts[4:7], usual[4:7] = [10, 30, 10**6], [30, 10, -1]
    weights = weigh(vocabulary(counts), background(usual), 1.0, 10.0) / UNIT
    assert weights[4:7].tolist() == pytest.approx([1 / 3, 3, 1], abs=1e-3)


def test_weights_are_clipped():
    """No word weighs more than ``most`` or less than its inverse; with 1 all are alike."""
    counts, usual = np.zeros(SIZE), np.zeros(SIZE)
    counts[4], usual[5] = 100, 100
    weights = weigh(vocabulary(counts), background(usual), 1.0, 4.0) / UNIT
    assert weights[4:6].tolist() == [4.0, 0.25]
    assert (weigh(vocabulary(counts), background(usual), 1.0, 1.0) == UNIT).all()


def test_without_a_background_rare_words_weigh_more():
    """The square root of 1,000 per million over the frequency, smoothed."""
    counts = np.zeros(SIZE)
    counts[4:7] = [900_000, 99_900, 100]
    weights = weigh(vocabulary(counts), None, 100.0, 10.0) / UNIT
    expected = [np.sqrt(1_000 / (one + 100)) for one in (900_000, 99_900, 100)]
    assert weights[4:7].tolist() == pytest.approx([max(0.1, one) for one in expected], abs=1e-3)


def test_without_counts_all_words_are_alike():
    """An empty corpus gives no reason to prefer a word."""
    assert len(np.unique(weigh(vocabulary(np.zeros(SIZE)), None, 100.0, 10.0))) == 1


def test_a_salient_word_is_a_target_as_much_more_often_as_it_weighs():
    """In 20,000 rows the counts of each token agree with the binomial distribution."""
    from scipy.stats import binomtest

    ids = np.tile(np.arange(4, 24), (20_000, 1))
    usual = np.full(SIZE, 100)
    usual[4:8] = [10, 20, 50, 1000]
    batch, draws = shown(ids, np.ones_like(ids), words=vocabulary(np.full(SIZE, 100)))
    strategy = SalientMasking(SalientOptions())
    strategy._background = background(usual)
    targets = strategy.propose(batch, draws).targets
    weights = weigh(batch.vocabulary, strategy._background, 100.0, 10.0)[4:24]
    expected = 0.15 * 20 * weights / weights.sum()
    assert expected[0] > 3 * expected[10] > 9 * expected[3]
    for count, share in zip(targets.sum(axis=0), expected, strict=True):
        assert binomtest(int(count), len(ids), float(share)).pvalue > UNLIKELY / 20
    both = int((targets[:, 0] & targets[:, 1]).sum())
    assert binomtest(both, len(ids), float(expected[0] * expected[1])).pvalue > UNLIKELY


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_none_and_all(probability):
    """At 0 nothing is a target, at 1 everything in a word is."""
    batch, draws = text(64, 128)
    strategy = SalientMasking(SalientOptions(mlm_probability=probability))
    targets = strategy.propose(batch, draws).targets
    assert (targets[batch.words >= 0] == probability).all()
    assert not targets[batch.words < 0].any()


def test_no_word_is_a_target_in_part():
    """The tokens of a word are targets together."""
    batch, draws = text(64, 128)
    targets = SalientMasking(SalientOptions(mlm_probability=0.5)).propose(batch, draws).targets
    for row, numbers in zip(targets, batch.words, strict=True):
        assert all(len(set(row[word].tolist())) == 1 for word in words_of(numbers))


@pytest.mark.parametrize("shape", [(0, 0), (0, 8), (3, 0), (1, 1), (2, 5)])
@pytest.mark.parametrize("token", [SEP, 7])
def test_batches_of_next_to_nothing(shape, token):
    """No rows, no positions, no words, one token: a plan of the batch's shape."""
    batch, draws = shown(np.full(shape, token), np.ones(shape))
    targets = SalientMasking(SalientOptions(mlm_probability=1.0)).propose(batch, draws).targets
    assert targets.shape == shape
    assert targets.all() == (token != SEP or 0 in shape)
