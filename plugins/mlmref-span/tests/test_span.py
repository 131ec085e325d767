"""What makes a mask SpanBERT's: its spans' lengths, borders, budget and fate."""

import numpy as np
import pytest
from batches import MASK, SEP, VOCABULARY, batches, options, rows_of, shown, text
from hypothesis import given, settings
from mlmref_span import SpanMasking, SpanOptions, Spans, choose, length_cdf, tile
from reference import chosen_spans, neighbours, propose, segments, spans_of
from scipy.stats import chisquare

from mlmref.plugin import Corruption

UNLIKELY = 1e-6
"""A test at a fixed seed rejects code that is right with this probability, once and for all."""

GEOMETRIC = 0.2 * 0.8 ** np.arange(10) / (1 - 0.8**10)
"""The paper's distribution: geometric with p = 0.2, cut off at 10 words and scaled up."""


def ask(rows, **given_):
    """Return the plan for some rows, and the batch."""
    batch, draws = shown(rows)
    return SpanMasking(SpanOptions(**given_)).propose(batch, draws), batch


@settings(deadline=None, max_examples=300)
@given(asked=batches(), chosen=options())
def test_it_is_the_algorithm_that_one_would_write_by_hand(asked, chosen):
    """Targets and replacements are, bit for bit, those of plain loops."""
    plan = SpanMasking(chosen).propose(*asked)
    targets, read = propose(*asked, chosen)
    assert (plan.targets == targets).all()
    assert (plan.replacements[targets] == read[targets]).all()


@pytest.mark.parametrize("seed", range(3))
def test_it_is_that_algorithm_on_rows_as_long_as_real_ones(seed):
    """The same on 16 rows of 512 positions with words and documents of usual lengths."""
    batch, draws = shown(text(16, 512, seed))
    plan = SpanMasking(SpanOptions()).propose(batch, draws)
    targets, read = propose(batch, draws, SpanOptions())
    assert (plan.targets == targets).all()
    assert (plan.replacements[targets] == read[targets]).all()


def test_the_mean_length_is_the_papers():
    """A span has 3.8 words on average, as section 3.1 says."""
    cdf = length_cdf(0.2, 10)
    assert np.allclose(np.diff(cdf, prepend=0.0), GEOMETRIC, rtol=1e-12)
    assert round(float((1.0 - cdf[:-1]).sum() + 1), 1) == 3.8


@pytest.mark.parametrize(
    ("length_p", "max_length", "probabilities"),
    [(0.0, 4, [0.25] * 4), (1.0, 3, [1, 0, 0]), (0.5, 1, [1]), (0.5, 2, [2 / 3, 1 / 3])],
)
def test_the_lengths_can_be_chosen(length_p, max_length, probabilities):
    """0 makes all lengths alike, 1 gives single words, one word at most gives single words."""
    cdf = length_cdf(length_p, max_length)
    assert np.allclose(np.diff(cdf, prepend=0.0), probabilities, atol=1e-12)


def first_spans(rows, count=10):
    """Return the lengths of the first spans of each row, which no row's end has cut, ``[B, n]``."""
    batch, draws = shown(rows)
    spans = tile(batch.words, length_cdf(0.2, 10), draws.bits("span.length"))
    plan = SpanMasking(SpanOptions(mlm_probability=0.3)).propose(batch, draws)
    number = np.arange(len(spans.rows)) - np.searchsorted(spans.rows, spans.rows)
    shape = (len(batch.words), count)
    chosen = plan.targets[spans.rows, spans.positions]
    return spans.sizes[number < count].reshape(shape), chosen[number < count].reshape(shape)


def test_lengths_are_geometric():
    """20,000 spans of one-token words are as long as the geometric distribution has it."""
    lengths, chosen = first_spans(rows_of(np.full((2_000, 128), 7)))
    for some in (lengths, lengths[chosen]):
        counts = np.bincount(some.ravel(), minlength=11)[1:]
        assert len(counts) == 10
        assert chisquare(counts, GEOMETRIC * counts.sum()).pvalue > UNLIKELY


def test_lengths_of_neighbouring_spans_are_independent():
    """How long a span is says nothing of the next one in the row, nor of the next row's."""
    lengths, _ = first_spans(rows_of(np.full((2_000, 128), 7)))
    for here, there in (
        (lengths[:, ::2], lengths[:, 1::2]),
        (lengths[::2], lengths[1::2]),
    ):
        pairs = np.bincount((here * 11 + there).ravel(), minlength=121).reshape(11, 11)[1:, 1:]
        expected = np.outer(GEOMETRIC, GEOMETRIC) * pairs.sum()
        assert chisquare(pairs.ravel(), expected.ravel()).pvalue > UNLIKELY


def test_spans_are_runs_of_whole_words_within_a_document():
    """A span has no gap, stops at a special token, and cuts no word."""
    rows = text(64, 128)
    batch, draws = shown(rows)
    spans = tile(batch.words, length_cdf(0.2, 10), draws.bits("span.length"))
    seen = np.zeros(batch.words.shape, dtype=int)
    for row, position, size in zip(spans.rows, spans.positions, spans.sizes, strict=True):
        run = slice(position, position + size)
        seen[row, run] += 1
        inside = batch.words[row, run]
        assert (inside >= 0).all()
        assert (rows.input_ids[row, run] != SEP).all()
        assert len(np.unique(inside)) <= 10
        for edge in (position, position + size):
            if 0 < edge < batch.words.shape[1]:
                before, after = batch.words[row, edge - 1 : edge + 1]
                assert before != after or before < 0
    assert (seen == (batch.words >= 0)).all()  # every token of a word is in one span


def test_no_word_is_a_target_in_part():
    """The tokens of a word are targets together."""
    plan, batch = ask(text(64, 128), mlm_probability=0.5)
    for words, targets in zip(batch.words, plan.targets, strict=True):
        assert all(targets[a] == targets[b] for a, b in neighbours(words.tolist()))


def test_the_tokens_of_a_span_share_their_fate():
    """Of each span all tokens are masked, all are kept, or all are drawn anew."""
    rows = text(64, 128, words=0.9)
    asked = SpanOptions(mlm_probability=0.5, shares=Corruption(mask=0.4, random=0.3, keep=0.3))
    batch, draws = shown(rows)
    plan = SpanMasking(asked).propose(batch, draws)
    fates = {"masked": 0, "kept": 0, "random": 0}
    for row in range(64):
        for span in chosen_spans(row, batch, draws, asked):
            read, truth = plan.replacements[row, span], rows.input_ids[row, span]
            if (read == MASK).any():
                assert (read == MASK).all()
                fates["masked"] += 1
            elif (read == truth).all():
                fates["kept"] += 1
            else:
                assert np.isin(read, VOCABULARY.ordinary_ids).all()
                # A random token is the true one by chance once in 196 times.
                assert (read == truth).sum() <= 2
                fates["random"] += 1
    shares = np.array([0.4, 0.3, 0.3]) * sum(fates.values())
    assert chisquare(list(fates.values()), shares).pvalue > UNLIKELY


def test_a_row_misses_its_budget_by_less_than_a_span():
    """Targets a row are the asked share of its tokens, to within its longest span."""
    rows = text(256, 128)
    for probability in (0.05, 0.15, 0.5, 0.9):
        plan, batch = ask(rows, mlm_probability=probability)
        _, draws = shown(rows)
        for row, targets in enumerate(plan.targets):
            spans = spans_of(row, batch, draws, SpanOptions())
            budget = probability * (batch.words[row] >= 0).sum()
            longest = max((len(span) for span in spans), default=0)
            assert abs(targets.sum() - budget) < max(longest, 1)


def test_every_position_is_a_target_as_often_as_any_other():
    """The first and last words of a row, and those beside a document's end, have the rate too."""
    ids = np.full((20_000, 24), 7)
    ids[:, 10] = SEP
    plan, _ = ask(rows_of(ids), mlm_probability=0.15)
    targets = plan.targets[:, ids[0] != SEP]
    from scipy.stats import binomtest

    for count in targets.sum(axis=0):
        assert binomtest(int(count), len(ids), 0.15).pvalue > UNLIKELY / 24


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_none_and_all(probability, expected):
    """At 0 nothing is a target, at 1 everything in a word is."""
    plan, batch = ask(text(64, 128), mlm_probability=probability)
    assert (plan.targets[batch.words >= 0] == expected).all()
    assert not plan.targets[batch.words < 0].any()


@pytest.mark.parametrize("shape", [(0, 0), (0, 8), (3, 0), (1, 1), (2, 5)])
@pytest.mark.parametrize("token", [SEP, 7])
def test_batches_of_next_to_nothing(shape, token):
    """No rows, no positions, no words, one token: a plan of the batch's shape."""
    plan, _ = ask(rows_of(np.full(shape, token)), mlm_probability=1.0)
    assert plan.targets.shape == plan.replacements.shape == shape
    assert plan.targets.all() == (token != SEP or 0 in shape)


def test_what_a_segment_is():
    """The reference splits "a bc [SEP] d" where it should."""
    assert segments([0, 1, 1, -1, 2]) == [[[0], [1, 2]], [[4]]]


def test_chances_edge():
    """An arc that begins at 0, and spans of equal priority: none at 0, the first in the text."""
    two = np.zeros(2, dtype=np.int64)
    spans = Spans(tokens=np.arange(6), rows=two, positions=np.array([0, 3]), sizes=two + 3)
    alike, first = np.zeros(2, dtype=np.uint32), np.zeros(1)
    assert choose(spans, 0.0, alike, first).tolist() == [False, False]
    assert choose(spans, 0.5, alike, first).tolist() == [True, False]
    assert choose(spans, 1.0, alike, first).tolist() == [True, True]
    assert choose(spans, 1.0, alike, first + (1 - 2.0**-32)).tolist() == [True, True]
