"""Cutting, for every ragged corpus, rule and layout of the file."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies.text import chunk_rules, ragged, segmented, starts_of
from support.oracles import plain_chunks, range_of, tutorial_chunks
from support.tokens import PAD_ID, numbered, tokens_of

from mlmref.data import chunks as station
from mlmref.data.chunks import cut
from mlmref.settings.config import ChunkConfig

GROUP = 3


@pytest.fixture(autouse=True, scope="module")
def _small_groups():
    """Take the tutorial's groups this small, so that small corpora have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(station, "TUTORIAL_GROUP", GROUP)
        yield


def everything(tokens):
    """Return all documents' numbers."""
    return np.arange(len(tokens.offsets) - 1)


def grouped(rule, tokens):
    """Return how many documents are cut together."""
    return GROUP if rule.scope == "tutorial" else len(everything(tokens)) or 1


@pytest.mark.clause("CHUNK-001")
@pytest.mark.clause("CHUNK-002")
@pytest.mark.clause("CHUNK-003")
@pytest.mark.clause("CHUNK-004")
@pytest.mark.clause("CHUNK-005")
@pytest.mark.clause("CHUNK-006")
@given(layout=segmented(), rule=chunk_rules)
def test_nothing_is_lost_and_order_is_kept(layout, rule):
    """Joined again, the chunks of a group are its documents' tokens, less what drop leaves out."""
    lengths, segments = layout
    documents = numbered(lengths)
    tokens = tokens_of(documents, **segments)
    chunks = cut(tokens, rule, everything(tokens))
    rows = chunks.gather(range_of(chunks))
    kept = [row[:n].tolist() for row, n in zip(rows.input_ids, rows.lengths, strict=True)]

    at_a_time = grouped(rule, tokens)
    for first in range(0, len(documents), at_a_time):
        left = sum(documents[first : first + at_a_time], [])  # noqa: RUF017 - a few tokens
        while left and kept and kept[0] == left[: len(kept[0])]:
            assert 0 < len(kept[0]) <= rule.size
            assert len(kept[0]) in (rule.size, len(left)), "only the last may be short"
            left = left[len(kept.pop(0)) :]
        assert len(left) < rule.size
        assert not left or rule.remainder == "drop"
    assert not kept


@pytest.mark.clause("CHUNK-009")
@given(layout=segmented(), rule=chunk_rules, data=st.data())
def test_gather_is_the_plain_slice(layout, rule, data):
    """Any rows, in any order, hold the ids, word starts and documents of a plain Python slice."""
    lengths, segments = layout
    documents = numbered(lengths)
    starts = data.draw(starts_of(documents))
    tokens = tokens_of(documents, starts, **segments)
    expected = plain_chunks(documents, rule.size, grouped(rule, tokens), rule.remainder)
    chunks = cut(tokens, rule, everything(tokens))
    assert len(chunks) == len(expected)
    some = st.lists(st.integers(0, len(expected) - 1)) if expected else st.just([])
    rows = chunks.gather(np.array(data.draw(some), dtype=np.int64))

    for nth, number in enumerate(rows.chunk_ids):
        places = expected[number]
        fill = rule.size - len(places)
        assert rows.lengths[nth] == len(places)
        assert (
            rows.input_ids[nth].tolist() == [documents[d][p] for d, p in places] + [PAD_ID] * fill
        )
        assert rows.word_start[nth].tolist() == [starts[d][p] for d, p in places] + [False] * fill
        assert rows.documents[nth].tolist() == [d for d, _ in places] + [-1] * fill


@pytest.mark.clause("CHUNK-006")
@given(lengths=ragged, size=st.integers(2, 16))
def test_tutorial_scope_is_the_tutorials_algorithm(lengths, size):
    """Scope ``tutorial`` gives the chunks of ``group_texts`` called batch by batch."""
    documents = numbered(lengths)
    tokens = tokens_of(documents)
    chunks = cut(tokens, ChunkConfig(size=size, scope="tutorial"), everything(tokens))
    naive = tutorial_chunks(documents, size, batch=GROUP)
    assert chunks.gather(range_of(chunks)).input_ids.tolist() == naive


@pytest.mark.clause("CHUNK-010")
@given(layout=segmented(), rule=chunk_rules, data=st.data())
def test_documents_in_another_order_are_another_corpus(layout, rule, data):
    """Some documents in some order give the chunks of a corpus that has just those, so ordered."""
    lengths, segments = layout
    documents = numbered(lengths)
    order = data.draw(st.lists(st.integers(0, len(lengths) - 1), unique=True))
    if data.draw(st.booleans()):
        order.sort()  # as a side of a split is: some side by side, and some are left out
    picked = tokens_of([documents[number] for number in order])
    here = cut(tokens_of(documents, **segments), rule, np.array(order, dtype=np.int64))
    there = cut(picked, rule, everything(picked))
    mine, other = (chunks.gather(range_of(chunks)) for chunks in (here, there))
    assert mine.input_ids.tolist() == other.input_ids.tolist()
    assert mine.word_start.tolist() == other.word_start.tolist()
    numbers = np.array([*order, -1])
    assert mine.documents.tolist() == numbers[other.documents].tolist()


@pytest.mark.clause("CHUNK-011")
@given(lengths=ragged, rule=chunk_rules, data=st.data())
def test_selected_chunks_keep_their_ids_and_tokens(lengths, rule, data):
    """Selecting twice is selecting once, and a chunk's id says which chunk of all it is."""
    tokens = tokens_of(numbered(lengths))
    chunks = cut(tokens, rule, everything(tokens))
    assert chunks.ids.tolist() == list(range(len(chunks)))
    order = np.array(data.draw(st.permutations(range(len(chunks)))), dtype=np.int64)
    half = order[::2][::-1]
    selected = chunks.select(order[::2]).select(np.arange(len(half))[::-1])
    assert selected.ids.tolist() == half.tolist()
    mine, whole = selected.gather(range_of(selected)), chunks.gather(half)
    assert mine.input_ids.tolist() == whole.input_ids.tolist()
    assert mine.chunk_ids.tolist() == half.tolist()


@pytest.mark.clause("CHUNK-014")
@given(ragged, chunk_rules, st.data())
def test_parts_are_the_documents_of_the_gathered_tokens(lengths, rule, data):
    """Each of a row's documents once, in the order of the stream, of any selection of rows."""
    order = np.array(data.draw(st.permutations(range(len(lengths)))), dtype=np.int64)
    chunks = cut(tokens_of(numbered(lengths)), rule, order)
    some = data.draw(st.lists(st.integers(0, max(0, len(chunks) - 1)), max_size=4))
    chunks = chunks.select(np.array(some if len(chunks) else [], dtype=np.int64))
    rows, documents = chunks.parts()
    gathered = chunks.gather(np.arange(len(chunks))).documents if len(chunks) else []
    expected = [
        (row, document)
        for row, across in enumerate(gathered)
        for document in dict.fromkeys(across[across >= 0].tolist())
    ]
    assert [*zip(rows.tolist(), documents.tolist(), strict=True)] == expected
