"""The tutorial's errata: one check each, which the naive algorithm fails and mlmref passes.

The naive algorithms are the tutorial's in our own words (``support/``); the numbers are those of
spec/errata.md. A check is written once, as a function of an algorithm.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from support.jobs import masker, some_chunks
from support.maskers import CLS, MASK, PAD, SEP, built_in, chunk_rows, text_rows
from support.models import tiny_model
from support.naive_masking import tutorial_token_collator, tutorial_whole_word_collator
from support.oracles import (
    leaking_share,
    plain_word_starts,
    range_of,
    tutorial_chunks,
    tutorial_perplexity,
    tutorial_split,
)
from support.tokens import numbered, tokens_of
from torch.nn import functional as F

from mlmref.base.errors import MlmrefError
from mlmref.data.chunks import chunk
from mlmref.data.split import split
from mlmref.data.tokens.tokens import Tokens
from mlmref.evaluation.perplexity import evaluate
from mlmref.model.loss import MaskedLMObjective
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.contracts import Corruption
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.settings.config import ChunkConfig, SplitConfig

# The naive figures are wrong ones, and not the NaN of a mean over nothing.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
SIGNIFICANT = 1e-4
"""A p-value below this fails; the seeds are fixed, so a test fails always or never."""
SPECIAL = range(5)
CHUNKS = some_chunks(40, pad=True)
OBJECTIVE = MaskedLMObjective(tiny_model("bert").eval())
# "[CLS] good [SEP] [CLS] bad [SEP]": two documents of one word each.
TWO_DOCUMENTS = [CLS, 30, SEP, CLS, 40, SEP]
WORD_IDS = [None, 0, None, None, 0, None]


def tell_apart(check, *, naive, ours):
    """Let a check reject the naive algorithm and accept ours."""
    with pytest.raises(AssertionError):
        check(naive)
    check(ours)


def told(function):
    """Return what a function gives or, where it refuses, why."""
    try:
        return str(function())
    except MlmrefError as error:
        return str(error)


def features(height):
    """Return rows of two documents as the tutorial's collator is given them."""
    return [
        {"input_ids": [*TWO_DOCUMENTS], "labels": [*TWO_DOCUMENTS], "word_ids": [*WORD_IDS]}
        for _ in range(height)
    ]


def naive_whole_words(rows, probability=0.5):
    """Mask the tutorial's features by its whole-word collator."""
    drawn = np.random.default_rng(0)
    return tutorial_whole_word_collator(rows, probability, MASK, drawn)


def our_whole_words(rows, probability=0.5):
    """Mask the same features by ``whole-word``."""
    ids = [row["input_ids"] for row in rows]
    starts = [plain_word_starts(row["input_ids"], row["word_ids"], SPECIAL) for row in rows]
    masked = built_in("whole-word", mlm_probability=probability)(chunk_rows(ids, starts), 0)
    return masked.input_ids.tolist(), masked.labels.tolist()


@pytest.mark.clause("ERR-002")
@pytest.mark.clause("MASK-012")
def test_e02_words_of_two_documents_are_two_words():
    """Each of two one-word documents is chosen on its own, so they agree in half of the rows."""

    def check(mask):
        labels = np.array(mask(features(400))[1])
        good, bad = (labels[:, position] == IGNORE_INDEX for position in (1, 4))
        assert stats.binomtest(np.count_nonzero(good == bad), 400, 0.5).pvalue > SIGNIFICANT

    tell_apart(check, naive=naive_whole_words, ours=our_whole_words)


@pytest.mark.clause("ERR-003")
@pytest.mark.clause("MASK-009")
def test_e03_what_is_masked_is_not_changed():
    """After masking, the rows given are as before, and can be masked again."""

    def check(mask):
        given = features(3)
        before = copy.deepcopy(given)
        mask(given, 1.0)
        assert given == before

    tell_apart(check, naive=naive_whole_words, ours=our_whole_words)


@pytest.mark.clause("ERR-004")
@pytest.mark.clause("LOSS-003")
@pytest.mark.clause("MASK-014")
def test_e04_a_batch_may_have_no_target():
    """A batch of short rows without a target is met, and has a loss and gradients of 0."""
    rows = chunk_rows([[CLS, 30, 31, SEP]] * 2)
    masks = (masker(seed=seed)(rows, 0) for seed in range(100))
    empty = next(masked for masked in masks if (masked.labels == IGNORE_INDEX).all())
    ids, attention, labels = (
        torch.from_numpy(array).long()
        for array in (empty.input_ids, empty.attention_mask, empty.labels)
    )
    model = tiny_model("bert")
    objective = MaskedLMObjective(model)

    def naive():
        logits = model(input_ids=ids, attention_mask=attention).logits
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE_INDEX)

    def check(loss_of):
        model.zero_grad()
        loss = loss_of()
        loss.backward()
        assert loss == 0
        assert all((p.grad == 0).all() for p in model.parameters() if p.grad is not None)

    tell_apart(check, naive=naive, ours=lambda: objective(ids, attention, labels, 0.0)["loss"])


@pytest.mark.clause("ERR-005")
@pytest.mark.clause("MASK-023")
def test_e05_token_and_whole_word_can_be_the_same_task():
    """With one policy for both, the model reads the mask at the same share of their targets."""
    rows = text_rows(64, 64)
    word_ids = (np.cumsum(rows.word_start, axis=1) - 1).tolist()
    ids = rows.input_ids.tolist()

    def naive():
        drawn = np.random.default_rng(0)
        yield tutorial_token_collator(ids, SPECIAL, 100, 0.15, MASK, drawn)
        given = [
            {"input_ids": [*row], "labels": [*row], "word_ids": words}
            for row, words in zip(ids, word_ids, strict=True)
        ]
        yield tutorial_whole_word_collator(given, 0.2, MASK, drawn)

    def ours():
        for name in ("token", "whole-word"):
            masked = built_in(name, Corruption(mask=0.8, random=0.1, keep=0.1))(rows, 0)
            yield masked.input_ids, masked.labels

    def check(pair):
        table = []
        for inputs, labels in pair():
            read = np.array(inputs)[np.array(labels) != IGNORE_INDEX]
            table.append([np.count_nonzero(read == MASK), np.count_nonzero(read != MASK)])
        assert stats.fisher_exact(table).pvalue > SIGNIFICANT

    tell_apart(check, naive=naive, ours=ours)


def naive_chunks(documents, size):
    """Return the number of the tutorial's chunks, joining two documents at a time."""
    return len(tutorial_chunks(documents, size, batch=2))


def our_chunks(documents, size):
    """Return the number of ours; refused documents have none, and are told so."""
    return len(chunk(tokens_of(documents), ChunkConfig(size=size)))


@pytest.mark.clause("ERR-006")
@pytest.mark.clause("CHUNK-005")
def test_e06_the_remainder_is_dropped_once():
    """Eighteen tokens in six documents are four chunks of four, in whatever order."""

    def check(count):
        documents = numbered([1, 5, 2, 4, 3, 3])
        counts = {count(documents, 4), count(documents[::-1], 4), count(documents[1:], 4)}
        assert counts == {4}

    tell_apart(check, naive=naive_chunks, ours=our_chunks)


@pytest.mark.clause("ERR-006")
@pytest.mark.clause("CHUNK-007")
def test_e06_a_short_corpus_does_not_vanish():
    """Three tokens are no chunk of four, and that is said."""

    def check(count):
        assert "3 tokens" in told(lambda: count(numbered([3]), 4))

    tell_apart(check, naive=naive_chunks, ours=our_chunks)


class Counted(list):
    """A list that counts how many elements its additions copy."""

    copied = 0

    def __add__(self, other):
        """Join two lists as ``sum`` does, into a new one."""
        Counted.copied += len(self) + len(other)
        return Counted([*self, *other])


@pytest.mark.clause("ERR-007")
def test_e07_joining_is_linear(monkeypatch):
    """Of four times as many documents, four times as many tokens are moved and not sixteen."""
    looked_up = []
    take, runs = Tokens.take, Tokens.runs

    def counted_take(self, positions):
        looked_up.append(positions.size)
        return take(self, positions)

    def counted_runs(self, begins, width):
        looked_up.append(len(begins) * width)
        return runs(self, begins, width)

    monkeypatch.setattr(Tokens, "take", counted_take)
    monkeypatch.setattr(Tokens, "runs", counted_runs)

    def naive(documents):
        Counted.copied = 0
        assert len(sum((Counted(one) for one in documents), Counted())) == 3 * len(documents)
        return Counted.copied

    def ours(documents):
        looked_up.clear()
        chunks = chunk(tokens_of(documents), ChunkConfig(size=4))
        chunks.gather(range_of(chunks))
        return sum(looked_up)

    def check(moved):
        few, many = (moved(numbered([3] * count)) for count in (24, 96))
        assert many <= 4 * few

    tell_apart(check, naive=naive, ours=ours)
    assert naive(numbered([3] * 24)) == 3 * 24 * 25 / 2
    assert ours(numbered([3] * 96)) >= 3 * 96


@pytest.mark.clause("ERR-008")
@pytest.mark.clause("SPLIT-006")
def test_e08_no_document_is_on_both_sides():
    """No held-out chunk shares a document with a training chunk."""
    chunks = chunk(tokens_of(numbered([9, 14, 30, 6, 11] * 8)), ChunkConfig(size=4))

    def check(deal_out):
        assert leaking_share(deal_out(chunks)) == 0

    rule = SplitConfig(by="document", train_size=60, test_size=12, seed=42)
    tell_apart(
        check,
        naive=lambda chunks: tutorial_split(chunks, 60, 12, seed=42),
        ours=lambda chunks: split(chunks, rule),
    )


def losses_by_chunk(masked):
    """Return a list of the losses of each row's targets, from all logits at once."""
    tensors = (masked.input_ids, masked.attention_mask, masked.labels)
    ids, attention, labels = (torch.from_numpy(array).long() for array in tensors)
    with torch.no_grad():
        logits = OBJECTIVE.model(input_ids=ids, attention_mask=attention).logits
    losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    return [row[mask].tolist() for row, mask in zip(losses, labels != IGNORE_INDEX, strict=True)]


@pytest.mark.clause("ERR-009")
@pytest.mark.clause("EVAL-002")
def test_e09_perplexity_does_not_move_with_the_batch_size():
    """At batch sizes of 3, 16 and 64 the perplexity is the same to a relative 1e-6."""
    losses = losses_by_chunk(masker()(CHUNKS.gather(range_of(CHUNKS)), EVALUATION_PASS))

    def check(perplexity):
        figures = [perplexity(size) for size in (3, 16, 64)]
        assert figures == pytest.approx([figures[0]] * 3, rel=1e-6)

    tell_apart(
        check,
        naive=lambda size: tutorial_perplexity(losses, size),
        ours=lambda size: evaluate(OBJECTIVE, CHUNKS, masker(), batch_size=size).perplexity,
    )


@pytest.mark.clause("ERR-010")
@pytest.mark.clause("EVAL-003")
def test_e10_a_second_evaluation_is_of_the_same_masks():
    """Measured twice, a model that did not change has the same perplexity."""
    rows = CHUNKS.gather(range_of(CHUNKS))
    drawn = np.random.default_rng(0)  # goes on from one call to the next, as a collator's does

    def naive():
        special = [*SPECIAL, PAD]
        inputs, labels = tutorial_token_collator(rows.input_ids, special, 64, 0.15, MASK, drawn)
        masked = replace(masker()(rows, 0), input_ids=np.array(inputs), labels=np.array(labels))
        return tutorial_perplexity(losses_by_chunk(masked), 64)

    def check(measure):
        assert measure() == measure()

    tell_apart(check, naive=naive, ours=lambda: evaluate(OBJECTIVE, CHUNKS, masker()).perplexity)


@pytest.mark.clause("ERR-004")
@pytest.mark.clause("EVAL-008")
def test_e04_nothing_to_measure_is_said():
    """Where no chunk has a target, there is no perplexity that is no number."""

    def check(perplexity):
        assert "no target" in told(perplexity)

    nothing = masker(mlm_probability=0.0)
    tell_apart(
        check,
        naive=lambda: np.exp(F.cross_entropy(torch.empty(0, 64), torch.empty(0).long()).item()),
        ours=lambda: evaluate(OBJECTIVE, CHUNKS, nothing).perplexity,
    )
