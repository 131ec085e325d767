"""Tokenizing by pieces, for every text and every tokenizer that is taken to be separable."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies.text import texts
from support.oracles import plain_word_starts
from support.separable import SEPARABLE, WHOLE, parts_of, separable
from support.tokens import corpus_of, fresh_cache, rows_of

from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.data.tokens.by_pre_token import _BETWEEN, pre_tokens_of
from mlmref.data.tokens.tokenize import tokenize

_BLANKS = [" ", "  ", "\t", "\n", "\r", "\r\n", " \n", "\x0b", "\x0c", "\x1c", "\x1f", "\x85",
           "\u00a0", "\u1680", "\u2000", "\u200b", "\u2028", "\u2029", "\u202f", "\u3000", "\ufeff",
           ""]  # fmt: skip
_MARKS = ["\u0301", "\u0323\u0301", "\u0301\u0323", "\u094d", "\u200d", "\u0345", "\u20dd", "\x00",
          "\x01", "\x7f", "\ufffd", "\u00ad", "\U000e0001"]  # fmt: skip
_WORDS = ["film", "Films", "isn't", "n't", "story", "unwatchable!", "10/10", "(sadly).", "Ça", "e",
          "\u0130", "\u03a3\u03a3", "\u1e9b", "naïve", "电影", "这部电影非常好看", "فيلم", "رائع",
          "👩\u200d👩\u200d👧", "☃", "#", "##s", "Ġ", "▁", "x" * 101, "film" * 30, "'s", "a'",
          "\ue000", "\ue000\ue001", "\ue002"]  # fmt: skip
_TOKENS = ["[MASK]", "[SEP][CLS]", "[PAD]film", "film[UNK]", "[mask]", "<mask>", "[MASK", "K]"]
_some = st.sampled_from([*_WORDS, *_BLANKS, *_MARKS, *_TOKENS])
_nasty = st.one_of(
    texts,
    st.lists(_some, max_size=12).map("".join),
    st.lists(st.sampled_from([*_WORDS, *_TOKENS]), max_size=12).map(" ".join),
    st.lists(st.sampled_from([*_BLANKS, *_MARKS]), max_size=6).map("".join),
)
_PANICS = "wordpiece added nothing"  # wherever a character has more than one byte
_documents = st.lists(_nasty, min_size=1, max_size=8)


def _assert_whole(chosen, documents, rows):
    special = set(chosen.all_special_ids)
    for document, (ids, starts) in zip(documents, rows, strict=True):
        encoding = chosen(document)
        assert ids == encoding["input_ids"]
        assert starts == plain_word_starts(ids, encoding.word_ids(), special)


@pytest.mark.clause("TOK-019")
@given(batches=st.lists(_documents, min_size=1, max_size=4), name=st.sampled_from([*SEPARABLE]))
def test_pieces_give_what_whole_documents_give(batches, name):
    """Batch after batch of one table, ids and word starts are those of the whole documents."""
    chosen = separable(name)
    pieces = pre_tokens_of(*parts_of(chosen))
    for documents in batches:
        # A view of a longer array, as the documents of a file are.
        texts = pa.array(["before", *documents, "behind"])[1:-1]
        found = pieces.encode(texts)
        assert (found is None) == any(_BETWEEN in document for document in documents)
        if found is None:
            continue
        offsets, ids, starts, *_ = found
        assert (offsets.dtype, ids.dtype, starts.dtype) == (np.int32, np.int32, np.bool_)
        assert (offsets[0], offsets[-1], len(starts)) == (0, len(ids), len(ids))
        cut = [slice(*pair) for pair in pairwise(offsets)]
        _assert_whole(chosen, documents, [(ids[at].tolist(), starts[at].tolist()) for at in cut])


@pytest.mark.clause("TOK-019")
@given(
    documents=_documents,
    name=st.sampled_from([one for one in (*SEPARABLE, *WHOLE) if one != _PANICS]),
    batch_size=st.none() | st.integers(1, 5),
    split=st.booleans(),
)
def test_whichever_way_the_tokens_are_the_tokenizers(documents, name, batch_size, split):
    """Whether a tokenizer is taken for separable or not, and specials in the text split or not."""
    chosen = separable(name)
    if name == "wordpiece without unknown":
        documents = ["film", " film"]
    before = chosen.split_special_tokens
    try:
        chosen.split_special_tokens = split
        with fresh_cache():
            rows = rows_of(tokenize(corpus_of(documents), chosen, batch_size=batch_size))
        special = set(vocabulary_of(chosen).special_ids.tolist())
        kept = [not special.issuperset(ids) for ids in chosen(documents)["input_ids"]]
        assert [bool(ids) for ids, _ in rows] == kept  # the others are skipped (TOK-025)
        documents = [document for document, there in zip(documents, kept, strict=True) if there]
        rows = [row for row, there in zip(rows, kept, strict=True) if there]
        if not ("unigram" in name or name == "wordless"):
            _assert_whole(chosen, documents, rows)
        elif documents:
            assert [ids for ids, _ in rows] == chosen(documents)["input_ids"]
    finally:
        chosen.split_special_tokens = before
