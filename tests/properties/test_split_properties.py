"""Holding out, for every ragged corpus and rule."""

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import event, given
from strategies.text import chunk_rules, ragged, split_rules
from support.oracles import documents_in, range_of
from support.tokens import numbered, tokens_of

from mlmref.base.errors import ConfigError
from mlmref.data import chunks as station
from mlmref.data.chunks import cut
from mlmref.data.split import split


@pytest.fixture(autouse=True, scope="module")
def _small_groups():
    """Take the tutorial's groups this small, so that small corpora have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(station, "TUTORIAL_GROUP", 3)
        yield


def chunks_of(lengths, rule):
    """Return the chunks of documents of these lengths, no two tokens alike."""
    lengths = [5, *lengths, *[2 * rule.size] * 4]  # else most rules ask for more than there is
    documents = np.arange(1, len(lengths))[::-1]  # neither all of them nor in their own order
    return cut(tokens_of(numbered(lengths)), rule, documents)


def tokens_in(chunks):
    """Return each chunk's tokens, without padding."""
    rows = chunks.gather(range_of(chunks))
    return [tuple(row[:n].tolist()) for row, n in zip(rows.input_ids, rows.lengths, strict=True)]


def datasets_split(chunks, rule):
    """Split as ``datasets`` does; ``None`` where it refuses."""
    rows = Dataset.from_dict({"row": range(len(chunks))})
    train_size = None if rule.train_size == "rest" else rule.train_size
    try:
        sides = rows.train_test_split(rule.test_size, train_size, seed=rule.seed)
    except ValueError:
        return None
    return sides["train"]["row"][:], sides["test"]["row"][:]


@pytest.mark.clause("SPLIT-001")
@pytest.mark.clause("SPLIT-004")
@pytest.mark.clause("SPLIT-005")
@pytest.mark.clause("SPLIT-009")
@given(lengths=ragged, cutting=chunk_rules, rule=split_rules(by="chunk"))
def test_by_chunk_is_what_datasets_does(lengths, cutting, rule):
    """The same rows in the same order, and refused where datasets refuses."""
    chunks = chunks_of(lengths, cutting)
    expected = datasets_split(chunks, rule)
    event(f"datasets refuses: {expected is None}")
    try:
        sides = split(chunks, rule)
    except ConfigError:
        assert expected is None
        return
    if expected is None:  # only for two shares of a whole that binary fractions make overflow
        assert rule.train_size + rule.test_size <= 1
        assert len(sides.train) + len(sides.test) == len(chunks)
    else:
        assert (sides.train.ids.tolist(), sides.test.ids.tolist()) == expected


@pytest.mark.clause("SPLIT-002")
@pytest.mark.clause("SPLIT-003")
@pytest.mark.clause("SPLIT-010")
@given(lengths=ragged, cutting=chunk_rules, rule=split_rules())
def test_no_token_is_on_both_sides_and_counts_are_exact(lengths, cutting, rule):
    """Sides are disjoint, ids unique within each, counts to the chunk, whatever the mode."""
    chunks = chunks_of(lengths, cutting)
    try:
        sides = split(chunks, rule)
    except ConfigError:
        return
    train, test = tokens_in(sides.train), tokens_in(sides.test)
    event(f"by {rule.by}")
    assert train
    assert test
    everything = [token for side in (train, test) for row in side for token in row]
    assert len(everything) == len(set(everything)), "all tokens of the corpus differ"
    for side in (sides.train, sides.test):
        assert len(set(side.ids.tolist())) == len(side)
    if isinstance(rule.train_size, int):
        assert len(train) == rule.train_size
    if isinstance(rule.test_size, int):
        assert len(test) == rule.test_size


@pytest.mark.clause("SPLIT-006")
@given(lengths=ragged, cutting=chunk_rules, rule=split_rules(by="document"))
def test_by_document_shares_no_document(lengths, cutting, rule):
    """No document has tokens on both sides."""
    try:
        sides = split(chunks_of(lengths, cutting), rule)
    except ConfigError:
        return
    event("split")
    train, test = (set().union(*documents_in(side)) for side in (sides.train, sides.test))
    assert train
    assert not train & test


@pytest.mark.clause("SPLIT-006")
@pytest.mark.clause("SPLIT-007")
@pytest.mark.clause("SPLIT-009")
@given(lengths=ragged, cutting=chunk_rules, rule=split_rules(by="document", train_size="rest"))
def test_by_document_deals_out_whole_documents(lengths, cutting, rule):
    """As few shuffled documents as give the test size are held out; a refusal has its reason."""
    chunks = chunks_of(lengths, cutting)
    wanted = rule.test_size
    if isinstance(wanted, float):
        wanted = int(np.ceil(wanted * len(chunks)))

    def side(nth):
        return cut(chunks.tokens, cutting, chunks.documents[np.sort(nth)])

    order = np.random.default_rng(rule.seed).permutation(len(chunks.documents))
    enough = (k for k in range(len(order) + 1) if len(side(order[:k])) >= wanted)
    held = next(enough, len(order))
    test, train = side(order[:held]), side(order[held:])
    try:
        sides = split(chunks, rule)
    except ConfigError:
        assert not len(train) or wanted >= len(chunks)
        return
    event("split")
    assert set(tokens_in(sides.test)) <= set(tokens_in(test))
    assert len(sides.test) == wanted
    assert sorted(tokens_in(sides.train)) == sorted(tokens_in(train))
