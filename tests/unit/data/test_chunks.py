"""Cutting, on cases small enough to read."""

import pickle

import numpy as np
import pytest
from support.oracles import group_texts, range_of, tutorial_chunks
from support.tokens import PAD_ID, numbered, tokens_of

from mlmref.base.errors import ConfigError, CorpusError
from mlmref.data import chunks as station
from mlmref.data.chunks import chunk, cut
from mlmref.settings.config import ChunkConfig

DROP, PAD = ChunkConfig(size=4), ChunkConfig(size=4, remainder="pad")


def rows_of(chunks):
    """Return all rows of some chunks."""
    return chunks.gather(range_of(chunks))


@pytest.mark.clause("CHUNK-001")
def test_chunks_run_across_documents():
    """A chunk goes on with the next document where one ends before the chunk is full."""
    rows = rows_of(chunk(tokens_of([[10, 11, 12], [13, 14], [15, 16, 17]]), DROP))
    assert rows.input_ids.tolist() == [[10, 11, 12, 13], [14, 15, 16, 17]]


@pytest.mark.clause("CHUNK-003")
def test_drop_leaves_the_remainder_out():
    """Nine tokens are two chunks of four, and the ninth token is in none."""
    rows = rows_of(chunk(tokens_of(numbered([5, 4])), DROP))
    assert rows.input_ids.tolist() == [[10, 11, 12, 13], [14, 15, 16, 17]]
    assert rows.lengths.tolist() == [4, 4]


@pytest.mark.clause("CHUNK-004")
def test_pad_keeps_the_remainder():
    """The ninth token of nine is a third chunk, filled up with padding that is of no document."""
    rows = rows_of(chunk(tokens_of(numbered([5, 4])), PAD))
    assert rows.input_ids[2].tolist() == [18, PAD_ID, PAD_ID, PAD_ID]
    assert rows.documents[2].tolist() == [1, -1, -1, -1]
    assert rows.word_start[2].tolist() == [True, False, False, False]
    assert rows.lengths.tolist() == [4, 4, 1]


@pytest.mark.clause("CHUNK-004")
def test_pad_adds_no_chunk_where_nothing_remains():
    """Eight tokens are two chunks of four under either rule."""
    tokens = tokens_of(numbered([5, 3]))
    assert len(chunk(tokens, PAD)) == len(chunk(tokens, DROP)) == 2


@pytest.mark.clause("CHUNK-005")
@pytest.mark.clause("CHUNK-006")
def test_the_tutorial_loses_a_remainder_for_each_map_batch(monkeypatch):
    """Three groups of six tokens are three chunks of four; the eighteen joined are four."""
    monkeypatch.setattr(station, "TUTORIAL_GROUP", 2)
    documents = numbered([3, 3, 3, 3, 3, 3])
    tokens = tokens_of(documents)
    naive = tutorial_chunks(documents, 4, batch=2)
    tutorial = chunk(tokens, ChunkConfig(size=4, scope="tutorial"))
    assert rows_of(tutorial).input_ids.tolist() == naive
    assert (len(naive), len(chunk(tokens, DROP))) == (3, 4)


@pytest.mark.clause("CHUNK-006")
def test_a_group_is_a_thousand_documents():
    """2,500 documents of one token are three groups, each cut on its own."""
    rule = ChunkConfig(size=600, scope="tutorial", remainder="pad")
    chunks = chunk(tokens_of([[10]] * 2500), rule)
    assert chunks.lengths.tolist() == [600, 400, 600, 400, 500]


@pytest.mark.clause("CHUNK-007")
def test_the_tutorial_loses_a_short_corpus_in_silence():
    """Where the tutorial's algorithm returns no chunk of three tokens, mlmref says what to do."""
    documents = numbered([3])
    assert group_texts(documents, 4) == []
    with pytest.raises(CorpusError) as raised:
        chunk(tokens_of(documents), DROP)
    assert str(raised.value) == (
        "3 tokens do not fill one chunk of 4; use --remainder pad or a smaller --chunk-size"
    )
    assert len(chunk(tokens_of(documents), PAD)) == 1


@pytest.mark.clause("CHUNK-007")
@pytest.mark.parametrize("rule", [DROP, PAD])
def test_no_tokens_are_no_chunk(rule):
    """Documents without a token are an error under either rule, and padding is no advice."""
    with pytest.raises(CorpusError) as raised:
        chunk(tokens_of([[], []]), rule)
    assert str(raised.value) == (
        "no document has a token that the tokenizer knows (documents: 2); give a --model whose "
        "tokenizer knows this text; mlmref inspect with the same flags shows what is unknown"
    )


@pytest.mark.clause("CHUNK-007")
def test_groups_that_are_each_too_short_are_named(monkeypatch):
    """Six tokens would be a chunk of four, but in groups of one document no three are."""
    monkeypatch.setattr(station, "TUTORIAL_GROUP", 1)
    with pytest.raises(CorpusError, match=r"6 tokens .* one chunk of 4 within 1 documents; use"):
        chunk(tokens_of(numbered([3, 3])), ChunkConfig(size=4, scope="tutorial"))


@pytest.mark.clause("CHUNK-008")
def test_a_chunk_is_no_longer_than_the_model_takes():
    """One token more than the model takes is refused with both numbers, as many are not."""
    tokens = tokens_of(numbered([2000]))
    with pytest.raises(ConfigError) as raised:
        chunk(tokens, ChunkConfig(size=513), max_length=512)
    assert str(raised.value) == (
        "chunks.size: chunks of 513 tokens are too long for a model that takes 512; "
        "use --chunk-size 512 or less"
    )
    assert len(chunk(tokens, ChunkConfig(size=512), max_length=512)) == 3


@pytest.mark.clause("CHUNK-009")
def test_gathered_arrays_are_of_the_contract():
    """The arrays have the types and shapes that ``ChunkRows`` promises."""
    rows = chunk(tokens_of(numbered([9])), PAD).gather(np.array([2, 0]))
    kinds = {name: getattr(rows, name).dtype.name for name in rows.__slots__}
    shapes = {name: getattr(rows, name).shape for name in rows.__slots__}
    assert kinds == {
        "input_ids": "int32",
        "word_start": "bool",
        "documents": "int64",
        "lengths": "int32",
        "chunk_ids": "int64",
    }
    assert shapes == {
        "input_ids": (2, 4),
        "word_start": (2, 4),
        "documents": (2, 4),
        "lengths": (2,),
        "chunk_ids": (2,),
    }


@pytest.mark.clause("CHUNK-009")
def test_a_row_that_is_not_there_is_an_error():
    """Row 2 of two raises instead of giving another one's tokens."""
    with pytest.raises(IndexError):
        chunk(tokens_of(numbered([9])), DROP).gather(np.array([2]))


@pytest.mark.clause("CHUNK-009")
@pytest.mark.clause("CHUNK-010")
@pytest.mark.parametrize("cuts", [[], [1], [2, 4], [1, 2, 3, 4, 5, 6]], ids=str)
@pytest.mark.parametrize(
    "order",
    [
        [0, 1, 2, 3, 4, 5, 6],
        [0, 2, 4, 5, 6],
        [0, 2, 3, 4, 6],
        [6, 5, 4, 3, 2, 1, 0],
        [0, 1, 4, 2, 3, 5],
        [3, 2, 1],
        [1, 3, 0],
    ],
    ids=str,
)
def test_gathering_is_the_plain_slice_whatever_lies_side_by_side(order, cuts):
    """Documents in order or not, empty, of one token, and across record batches."""
    documents = numbered([3, 0, 5, 1, 1, 4, 2])
    tokens = tokens_of(documents, cuts=cuts)
    stream = [(token, number) for number in order for token in documents[number]]
    for size in (2, 3, 5, 7):
        chunks = cut(tokens, ChunkConfig(size=size, remainder="pad"), np.array(order))
        rows = chunks.gather(range_of(chunks)[::-1])
        for nth in range(len(chunks)):
            ids, numbers = zip(*stream[nth * size : (nth + 1) * size], strict=True)
            fill = size - len(ids)
            assert rows.input_ids[-1 - nth].tolist() == [*ids] + [PAD_ID] * fill
            assert rows.documents[-1 - nth].tolist() == [*numbers] + [-1] * fill
            begins = [token % 3 == 0 for token in ids]
            assert rows.word_start[-1 - nth].tolist() == begins + [False] * fill


@pytest.mark.clause("CHUNK-009")
def test_full_chunks_of_documents_in_order_are_copied_whole(monkeypatch):
    """Nothing is looked up token by token, empty documents and documents left out or not."""
    tokens = tokens_of(numbered([3, 0, 5, 1, 1, 0, 4, 2]))
    monkeypatch.setattr(type(tokens), "take", None)
    assert rows_of(cut(tokens, DROP, np.arange(8))).input_ids[:, 0].tolist() == [10, 14, 18, 22]
    rows = rows_of(cut(tokens, DROP, np.array([5, 0, 5, 1, 2, 1])))
    assert rows.input_ids.tolist() == [[10, 11, 12, 13], [14, 15, 16, 17]]
    assert rows.documents.tolist() == [[0, 0, 0, 2], [2] * 4]
    chunks = cut(tokens, PAD, np.arange(7))
    assert rows_of(chunks.select(np.array([2, 1, 2]))).input_ids[:, 0].tolist() == [18, 14, 18]


@pytest.mark.clause("CHUNK-009")
def test_only_what_is_in_no_run_is_looked_up(monkeypatch):
    """Of chunks of which one is padded and one is of documents apart, the others are copied."""
    tokens, taken = tokens_of(numbered([6, 1, 6, 1])), []
    take = type(tokens).take
    monkeypatch.setattr(
        type(tokens), "take", lambda self, at: (taken.append(at.tolist()), take(self, at))[1]
    )
    rows = rows_of(cut(tokens, PAD, np.array([0, 2, 3])))
    assert rows.input_ids[:, 0].tolist() == [10, 14, 19, 23]
    assert taken == [[4, 5, 7, 8, 13]]


@pytest.mark.clause("CHUNK-009")
def test_gathering_nothing_gives_no_rows():
    """No rows asked for, no rows given, still as wide as a chunk."""
    rows = chunk(tokens_of(numbered([9])), DROP).gather(np.array([], dtype=np.int64))
    assert rows.input_ids.shape == (0, 4)


@pytest.mark.clause("CHUNK-010")
def test_documents_are_joined_in_the_order_asked_for():
    """Document 2 before document 0, and document 1 not at all."""
    tokens = tokens_of([[10, 11], [12], [13, 14]])
    rows = rows_of(chunk(tokens, DROP, documents=np.array([2, 0])))
    assert rows.input_ids.tolist() == [[13, 14, 10, 11]]
    assert rows.documents.tolist() == [[2, 2, 0, 0]]


@pytest.mark.clause("CHUNK-012")
def test_cutting_reads_no_token(monkeypatch):
    """Chunks are cut from the documents' lengths alone, whatever the tokens are."""
    tokens = tokens_of(numbered([50, 50]))
    monkeypatch.setattr(type(tokens), "take", None)
    assert len(chunk(tokens, DROP)) == 25


@pytest.mark.clause("CHUNK-012")
def test_chunks_travel_to_another_process():
    """Pickled and loaded again, chunks give the same rows."""
    chunks = chunk(tokens_of(numbered([9, 9]), cuts=[1]), PAD).select(np.array([3, 1]))
    again = pickle.loads(pickle.dumps(chunks))  # noqa: S301 - made in this line
    assert rows_of(again).input_ids.tolist() == rows_of(chunks).input_ids.tolist()


@pytest.mark.clause("CHUNK-007")
def test_cut_may_give_no_chunk():
    """``cut`` leaves it to its caller what no chunk means."""
    assert len(cut(tokens_of(numbered([3])), DROP, np.array([0]))) == 0
    assert len(cut(tokens_of(numbered([3])), DROP, np.array([], dtype=np.int64))) == 0


@pytest.mark.clause("CHUNK-013")
@pytest.mark.parametrize("block", [1, 3, 4_096])
def test_tokens_are_counted_without_the_padding(monkeypatch, block):
    """Each id as often as it stands in the chunks asked for, in blocks of any size."""
    monkeypatch.setattr(station, "_BLOCK", block)
    tokens = tokens_of([[10, 11, 10], [PAD_ID, 12], [10] * 4])
    chunks = chunk(tokens, ChunkConfig(size=4, remainder="pad"))
    assert len(chunks) == 3
    counts = chunks.counts()
    assert counts.dtype == np.int64
    assert counts.shape == (tokens.vocabulary.size,)
    assert {i: n for i, n in enumerate(counts.tolist()) if n} == {10: 6, 11: 1, 12: 1, PAD_ID: 1}
    assert chunks.select(np.array([0])).counts().sum() == 4
