"""The words of a segmenter, for every text, segmenter and family of tokenizers."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies.words import told
from support.tokenizers import FAMILIES, tokenizer
from support.tokens import corpus_of, fresh_cache, rows_of
from support.words import Told, chosen, plain_segmented_starts

from mlmref.data.tokens.tokenize import tokenize

every_family = st.sampled_from([*FAMILIES, "unigram-unsplit", "unigram-crossing", "wordless"])


def segmented(texts, family, segmenter, **how):
    """Tokenize anew with a segmenter."""
    with fresh_cache():
        return tokenize(corpus_of(texts), tokenizer(family), segmenter=chosen(segmenter), **how)


@pytest.mark.clause("TOK-015")
@pytest.mark.clause("TOK-016")
@pytest.mark.clause("TOK-017")
@given(case=told(), family=every_family)
@example(case=(["New York"], Told({"New York": [0]})), family="byte-bpe")
@example(case=(["a  film"], Told({"a  film": [0, 1, 3]})), family="byte-bpe")
@example(case=(["😀😀 film"], Told({"😀😀 film": [0, 1, 3]})), family="byte-bpe")
def test_words_are_the_segmenters(case, family):
    """Ids are the tokenizer's own, word starts what the clauses say token by token."""
    texts, segmenter = case
    tokens = segmented(texts, family, segmenter)
    backend = tokenizer(family)
    special = set(backend.all_special_ids)
    for text, (ids, starts) in zip(texts, rows_of(tokens), strict=True):
        encoding = backend(text, return_offsets_mapping=True)
        if special.issuperset(encoding["input_ids"]):  # skipped (TOK-025)
            assert (ids, starts) == ([], [])
            continue
        assert ids == encoding["input_ids"]
        begins = segmenter.segment([text])[0].tolist()
        offsets = encoding["offset_mapping"]
        assert starts == plain_segmented_starts(text, ids, offsets, begins, special)
    assert tokens.has_words


@pytest.mark.clause("TOK-010")
@given(case=told(), family=every_family, batch_size=st.integers(1, 5))
def test_the_batch_size_changes_nothing_of_a_segmenters_words(case, family, batch_size):
    """Any batch size gives the rows that one batch of all gives."""
    whole = segmented(*case[:1], family, case[1])
    parts = segmented(*case[:1], family, case[1], batch_size=batch_size)
    assert rows_of(parts) == rows_of(whole)
