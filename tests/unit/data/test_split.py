"""Holding out, on cases small enough to read."""

import numpy as np
import pytest
from datasets import Dataset
from support.oracles import leaking_share, range_of
from support.tokens import numbered, tokens_of

from mlmref.base.errors import ConfigError
from mlmref.data import chunks as chunks_station
from mlmref.data import split as station
from mlmref.data.chunks import chunk, cut
from mlmref.data.split import split
from mlmref.settings.config import ChunkConfig, SplitConfig

SIZE = ChunkConfig(size=4)


def chunks_of(lengths, rule=SIZE):
    """Return the chunks of documents of these lengths, no two tokens alike."""
    return chunk(tokens_of(numbered(lengths)), rule)


def tokens_in(chunks):
    """Return the chunks' tokens, chunk by chunk."""
    return chunks.gather(range_of(chunks)).input_ids.tolist()


@pytest.mark.clause("SPLIT-001")
def test_the_tutorials_split_is_datasets_split():
    """10,000 and 1,000 of 61,291 chunks with seed 42 are the rows that datasets gives, in order."""
    chunks = chunks_of([61_291 * 4])
    ours = split(chunks, SplitConfig(train_size=10_000, test_size=1_000))
    theirs = Dataset.from_dict({"row": range(61_291)}).train_test_split(
        train_size=10_000, test_size=1_000, seed=42
    )
    assert ours.train.ids.tolist() == theirs["train"]["row"][:]
    assert ours.test.ids.tolist() == theirs["test"]["row"][:]


@pytest.mark.clause("SPLIT-004")
def test_shares_round_as_in_datasets():
    """A tenth of 25 chunks is 3 to hold out, and nine tenths are 22 to train on."""
    sides = split(chunks_of([100]), SplitConfig(train_size=0.9, test_size=0.1))
    assert (len(sides.train), len(sides.test)) == (22, 3)


@pytest.mark.clause("SPLIT-004")
def test_shares_of_a_whole_always_fit():
    """93 % and 7 % of 100 fit, though 0.07 * 100 is a little more than 7 and rounds up to 8."""
    sides = split(chunks_of([400]), SplitConfig(train_size=0.93, test_size=0.07))
    assert (len(sides.train), len(sides.test)) == (92, 8)


@pytest.mark.clause("SPLIT-005")
def test_the_rest_is_all_that_is_not_held_out():
    """Of 25 chunks with 3 held out, 22 are trained on."""
    sides = split(chunks_of([100]), SplitConfig(train_size="rest", test_size=3))
    assert sorted([*sides.train.ids, *sides.test.ids]) == list(range(25))


@pytest.mark.clause("SPLIT-006")
def test_the_tutorials_split_leaks_and_documents_do_not():
    """Of one document's chunks some are on either side by chunk, and never by document."""
    chunks = chunks_of([40, 40, 40])
    sizes = {"train_size": "rest", "test_size": 10}
    assert leaking_share(split(chunks, SplitConfig(by="chunk", **sizes))) == 1.0
    assert leaking_share(split(chunks, SplitConfig(by="document", **sizes))) == 0.0


@pytest.mark.clause("SPLIT-006")
def test_by_document_holds_out_no_more_documents_than_it_needs():
    """Ten chunks are held out of two documents of seven chunks each, and five are trained on."""
    sides = split(chunks_of([28] * 7), SplitConfig(by="document", train_size="rest", test_size=10))
    assert (len(sides.test), len(sides.train)) == (10, 35)


@pytest.mark.clause("SPLIT-006")
def test_a_padded_remainder_of_each_group_counts(monkeypatch):
    """In groups of three one-token documents, four documents are three padded chunks of two."""
    monkeypatch.setattr(chunks_station, "TUTORIAL_GROUP", 3)
    rule = ChunkConfig(size=2, scope="tutorial", remainder="pad")
    chunks = chunks_of([1] * 9, rule)
    sides = split(chunks, SplitConfig(by="document", train_size="rest", test_size=3))
    assert len(sides.test.documents) == 4


@pytest.mark.clause("SPLIT-006")
@pytest.mark.parametrize("remainder", ["drop", "pad"])
@pytest.mark.parametrize("length", [1, 3])
def test_a_single_cut_tells_how_many_documents_it_takes(monkeypatch, remainder, length):
    """Where all documents are joined, their lengths say when there are enough chunks."""
    chunks, cuts = chunks_of([length] * 2000, ChunkConfig(size=4, remainder=remainder)), []
    monkeypatch.setattr(station, "cut", lambda *given: cuts.append(given) or cut(*given))
    split(chunks, SplitConfig(by="document", train_size="rest", test_size=100))
    assert len(cuts) == 1 + 2, "and one for each side"


@pytest.mark.clause("SPLIT-007")
def test_each_side_is_cut_on_its_own():
    """Documents of three tokens fill chunks of four with the next document of their own side."""
    chunks = chunks_of([3] * 8)
    sides = split(chunks, SplitConfig(by="document", train_size="rest", test_size=3))
    held = np.unique(sides.test.gather(range_of(sides.test)).documents)
    again = chunk(chunks.tokens, SIZE, documents=held)
    assert sorted(tokens_in(sides.test)) == tokens_in(again)
    assert sides.test.documents.tolist() == held.tolist(), "in the corpus' order"


@pytest.mark.clause("SPLIT-008")
@pytest.mark.parametrize("by", ["chunk", "document"])
def test_the_seed_decides(by):
    """The same seed holds out the same chunks, another seed others."""
    chunks = chunks_of([8] * 20)
    first, again, other = (
        tokens_in(split(chunks, SplitConfig(by=by, test_size=10, train_size=20, seed=seed)).test)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.clause("SPLIT-008")
def test_training_chunks_are_drawn_from_everywhere():
    """Ten training chunks by document are not the first ten of the corpus."""
    chunks = chunks_of([8] * 50)
    rule = SplitConfig(by="document", train_size=10, test_size=10)
    documents = split(chunks, rule).train.gather(np.arange(10)).documents
    assert documents.max() > 20


@pytest.mark.clause("SPLIT-009")
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"train_size": 10_000, "test_size": 1_000},
            "split: train_size 10,000 + test_size 1,000 (a preset's sizes) is more than "
            "the 312 chunks there are; "
            "use --train-size rest and a --test-size such as 0.1, or smaller chunks",
        ),
        (
            {"train_size": 0.9, "test_size": 0.2},
            "split: train_size 0.9 + test_size 0.2 is more than the 312 chunks there are; "
            "use --train-size rest and a --test-size such as 0.1, or smaller chunks",
        ),
        (
            {"train_size": 312, "test_size": 1},
            "split: train_size 312 + test_size 1 is more than the 312 chunks there are; "
            "use --train-size rest and a --test-size such as 0.1, or smaller chunks",
        ),
        (
            {"train_size": "rest", "test_size": 312},
            "split: train_size rest and test_size 312 leave none of the 312 chunks there are to "
            "train on; use --train-size rest and a --test-size such as 0.1, or smaller chunks",
        ),
        (
            {"train_size": 0.001, "test_size": 1},
            "split: train_size 0.001 and test_size 1 leave none of the 312 chunks there are to "
            "train on; use --train-size rest and a --test-size such as 0.1, or smaller chunks",
        ),
        (
            {"by": "document", "train_size": 300, "test_size": 12},
            "split: holding out 12 chunks by document leaves 208 to train on, not 300; "
            "use fewer chunks, more documents or --split chunk",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_told_with_their_numbers(sizes, message):
    """What is asked for, what there is and what to do are in one line."""
    with pytest.raises(ConfigError) as raised:
        split(chunks_of([416] * 3), SplitConfig(**sizes))
    assert str(raised.value) == message


@pytest.mark.clause("SPLIT-009")
def test_one_document_cannot_be_on_both_sides():
    """A single document is refused by document, however many chunks it has."""
    with pytest.raises(ConfigError, match="10 chunks by document leaves 0 to train on;"):
        split(chunks_of([400]), SplitConfig(by="document", train_size="rest", test_size=10))


@pytest.mark.clause("SPLIT-004")
def test_a_share_by_document_is_of_what_there_is():
    """Where cutting each side costs a chunk, a share to train on is a chunk less, not an error."""
    chunks = chunks_of([6, 6])
    rule = {"by": "document", "test_size": 0.3}
    assert len(chunks) == 3
    assert len(split(chunks, SplitConfig(train_size=0.7, **rule)).train) == 1
    with pytest.raises(ConfigError):
        split(chunks, SplitConfig(train_size=2, **rule))
