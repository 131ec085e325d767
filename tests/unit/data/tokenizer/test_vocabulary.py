"""A tokenizer's vocabulary as numbers and as text (spec/tokens.md)."""

import pickle

import numpy as np
import pytest
from support.tokenizers import tokenizer

from mlmref.data.tokenizer.vocabulary import vocabulary_of


@pytest.mark.clause("TOK-028")
@pytest.mark.parametrize("family", ["wordpiece", "byte-bpe", "unigram", "wordless"])
def test_tokens_are_those_of_the_vocabulary(family):
    """Each id has its token, created once, read-only, and the same after pickling."""
    words = vocabulary_of(tokenizer(family))
    assert words.tokens.tolist() == tokenizer(family).convert_ids_to_tokens(range(words.size))
    assert words.tokens is words.tokens
    with pytest.raises(ValueError, match="read-only"):
        words.tokens[0] = "x"
    assert (pickle.loads(pickle.dumps(words)).tokens == words.tokens).all()  # noqa: S301 - own


@pytest.mark.clause("TOK-028")
@pytest.mark.parametrize(
    ("family", "begins"),
    [
        ("wordpiece", lambda token: not token.startswith("##")),
        ("byte-bpe", lambda token: token[:1] in "ĠĊĉč"),
        ("unigram", lambda token: token.startswith("▁")),
        ("unigram-unsplit", lambda token: token.startswith("▁")),
    ],
)
def test_marks_say_which_tokens_continue_a_word(family, begins):
    """By the mark of the family; a special token continues none."""
    words = vocabulary_of(tokenizer(family))
    special = np.isin(np.arange(words.size), words.special_ids)
    expected = [not begins(token) for token in words.spelled] & ~special
    assert words.continues.tolist() == expected.tolist()
    assert 0 < words.continues.sum() < words.size


@pytest.mark.clause("TOK-028")
@pytest.mark.parametrize("family", ["unigram-crossing", "wordless"])
def test_without_marks_nothing_is_said(family):
    """A token that spans several words, or a tokenizer without marks, tells no continuation."""
    assert len(vocabulary_of(tokenizer(family)).continues) == 0
