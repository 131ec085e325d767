"""Tokenizing, for every text and every family of tokenizers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from strategies.text import corpora, families, plain_words, segmented, starts_of
from support.oracles import plain_word_starts
from support.tokenizers import FAMILIES, tokenizer
from support.tokens import corpus_of, fresh_cache, numbered, rows_of, tokens_of

from mlmref.data.tokens.tokenize import tokenize


@pytest.mark.clause("TOK-003")
@pytest.mark.clause("TOK-004")
@pytest.mark.clause("TOK-005")
@given(texts=corpora, family=families)
def test_ids_and_words_are_the_tokenizers(texts, family):
    """Ids are what calling the tokenizer gives, and word starts what its word ids say."""
    chosen = tokenizer(family)
    with fresh_cache():
        rows = rows_of(tokenize(corpus_of(texts), chosen))
    special = set(chosen.all_special_ids)
    for text, (ids, starts) in zip(texts, rows, strict=True):
        encoding = chosen(text)
        if special.issuperset(encoding["input_ids"]):  # skipped (TOK-025)
            assert (ids, starts) == ([], [])
            continue
        assert ids == encoding["input_ids"]
        assert starts == plain_word_starts(ids, encoding.word_ids(), special)


@pytest.mark.clause("TOK-004")
@pytest.mark.clause("TOK-006")
@given(words=plain_words, family=st.sampled_from([*FAMILIES, "unigram-unsplit"]))
def test_a_text_of_so_many_words_has_so_many(words, family):
    """Plain words with blanks between them are as many words in every family."""
    with fresh_cache():
        tokens = tokenize(corpus_of([" ".join(words)]), tokenizer(family))
    [(ids, starts)] = rows_of(tokens)
    special = set(tokenizer(family).all_special_ids)
    begun = [token for token, start in zip(ids, starts, strict=True) if start]
    assert sum(token not in special for token in begun) == len(words)


@pytest.mark.clause("TOK-010")
@given(texts=corpora, family=families, batch_size=st.integers(1, 9))
def test_the_batch_size_changes_nothing(texts, family, batch_size):
    """Any batch size gives the rows that one batch of all gives."""
    corpus = corpus_of(texts)
    with fresh_cache():
        whole = tokenize(corpus, tokenizer(family))
    with fresh_cache():
        parts = tokenize(corpus, tokenizer(family), batch_size=batch_size)
    assert rows_of(parts) == rows_of(whole)
    assert parts.offsets.tolist() == whole.offsets.tolist()
    everywhere = np.arange(whole.offsets[-1])
    for mine, other in zip(parts.take(everywhere), whole.take(everywhere), strict=True):
        assert mine.tolist() == other.tolist()


@pytest.mark.clause("TOK-013")
@given(layout=segmented(), data=st.data())
def test_take_finds_every_position(layout, data):
    """Positions of any shape give the tokens and word starts that stand there in the stream."""
    lengths, segments = layout
    documents = numbered(lengths)
    starts = data.draw(starts_of(documents))
    tokens = tokens_of(documents, starts, **segments)
    stream = [token for document in documents for token in document]
    begun = [start for document in starts for start in document]
    assert np.diff(tokens.offsets).tolist() == list(lengths)
    assert tokens.offsets.dtype == np.int64
    shape = st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6)
    if not stream:
        shape = st.just((0, 4))
    size = max(len(stream) - 1, 0)
    positions = data.draw(st_numpy.arrays(np.int64, shape, elements=st.integers(0, size)))
    ids, word_start = tokens.take(positions)
    assert (ids.dtype, word_start.dtype) == (np.int32, np.bool_)
    assert ids.shape == word_start.shape == positions.shape
    assert ids.ravel().tolist() == [stream[position] for position in positions.ravel()]
    assert word_start.ravel().tolist() == [begun[position] for position in positions.ravel()]
