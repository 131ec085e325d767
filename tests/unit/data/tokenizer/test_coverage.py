"""Characters that tokenizers drop, counted by hand."""

import numpy as np
import pyarrow as pa
import pytest
from support.separable import SEPARABLE, parts_of, separable
from support.tokenizers import FAMILIES, SPECIAL, TEXT, tokenizer
from support.tokens import corpus_of, fresh_cache
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mlmref.data.tokenizer.coverage import Coverage
from mlmref.data.tokens.by_pre_token import pre_tokens_of
from mlmref.data.tokens.tokenize import _whole, tokenize


def bpe(letters, merges=(), **parts):
    """Return a BPE tokenizer without an unknown token."""
    ids = {token: number for number, token in enumerate([*SPECIAL.values(), *letters])}
    ids |= {one + two: len(ids) + nth for nth, (one, two) in enumerate(merges)}
    backend = Tokenizer(models.BPE(ids, [*merges]))
    for part, value in parts.items():
        setattr(backend, part, value)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **{**SPECIAL, "unk_token": None})


def changed(family, **parts):
    """Return a tokenizer of a family with other parts."""
    backend = Tokenizer.from_str(tokenizer(family).backend_tokenizer.to_str())
    for part, value in parts.items():
        setattr(backend, part, value)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL)


SPLIT = {"pre_tokenizer": pre_tokenizers.WhitespaceSplit()}
GENES = bpe("ACGT", [("A", "C")], **SPLIT)
ADDED = bpe("ACGT", **SPLIT)
ADDED.add_tokens([AddedToken("xyz", normalized=False)])
BYTES = bpe(sorted(pre_tokenizers.ByteLevel.alphabet()), pre_tokenizer=pre_tokenizers.ByteLevel())
FEW_BYTES = bpe("abcĠ", pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False))


@pytest.mark.clause("TOK-026")
@pytest.mark.clause("TOK-027")
@pytest.mark.parametrize(
    ("chosen", "text", "visible", "lost"),
    [
        (GENES, "ACGT acgt", 8, "acgt"),
        (GENES, "AяC\u2603\u2603AC", 7, "я\u2603\u2603"),
        (GENES, "\U0001f600AC\u00e9 G", 5, "\U0001f600\u00e9"),
        (GENES, "nnn", 3, "nnn"),
        (GENES, "AC\u200bG\u00adT\x07 \u00a0\ufeff", 4, ""),
        (GENES, "A[SEP]C [MASK]x", 14, "x"),
        (ADDED, "AxyzC xyz zyx", 11, "zyx"),
        (BYTES, "ça \u2603 \U0001f600", 4, ""),
        (FEW_BYTES, "ab cx \u00e9", 5, "x\u00e9"),
        (bpe("ab", pre_tokenizer=pre_tokenizers.CharDelimiterSplit("|")), "a|b|ab", 6, "||"),
        (changed("wordpiece"), "a \u2603 film", 6, ""),
        (changed("wordpiece"), "na\u00efve naive\u0301", 11, "\u0301"),
        (changed("wordpiece", normalizer=normalizers.Replace(Regex("[0-9]"), "")), "a 19 b", 4,
         "19"),
        (changed("unigram", normalizer=normalizers.Replace("film", "")), "a film", 5, "film"),
        (changed("byte-bpe", normalizer=normalizers.StripAccents()), "na\u00efve", 5, ""),
        (changed("wordpiece"), "nai\u0308ve film", 10, "\u0308"),
        (changed("wordpiece"), "vie\u0323\u0302t", 6, "\u0323\u0302"),
        (changed("wordpiece"), "fi\u094dlm", 5, "\u094d"),
        (changed("wordpiece", normalizer=normalizers.Replace(Regex("[0-9]"), "")), "fi19lm b", 7,
         "19"),
        (changed("wordpiece", normalizer=normalizers.Replace("<br>", "")), "fi<br>lm br <", 11,
         "<br>"),
        (changed("unigram", normalizer=normalizers.NFC()), "cafe\u0301 nai\u0308ve", 11, ""),
        (changed("unigram", normalizer=normalizers.NFC()), "\u1112\u1161\u11ab e\u0301", 5, ""),
        (changed("unigram", normalizer=normalizers.NFKC()), "\uff76\uff9e film", 6, ""),
        (changed("unigram", normalizer=normalizers.Replace("bb", "x")), "abb b", 4, ""),
        (changed("wordpiece", normalizer=normalizers.Replace("...", "\u2026")), "a...b ...", 8, ""),
        (changed("unigram", normalizer=normalizers.Sequence(
            [normalizers.NFC(), normalizers.StripAccents()])), "cafe\u0301s q\u0301", 8, "\u0301"),
    ],
)  # fmt: skip
def test_characters_in_no_token_are_counted(chosen, text, visible, lost):
    """One by one, whatever drops them: model, normalizer or pre-tokenizer."""
    with fresh_cache():
        tokens = tokenize(corpus_of([text, text, ""]), chosen)
    assert tokens.characters("visible").tolist() == [visible, visible, 0]
    assert tokens.characters("lost").tolist() == [len(lost), len(lost), 0]
    backend = chosen.backend_tokenizer
    _, flags = Coverage(backend).lost([text], [backend.encode(text)])
    assert "".join(np.array([*text])[flags]) == lost


@pytest.mark.clause("TOK-026")
@pytest.mark.parametrize("family", FAMILIES)
def test_known_text_loses_nothing(family):
    """The text of which the vocabularies were made is in their tokens."""
    with fresh_cache():
        tokens = tokenize(corpus_of(TEXT), tokenizer(family))
    assert tokens.characters("lost").tolist() == [0] * len(TEXT)
    assert tokens.characters("visible").tolist() == [
        sum(not sign.isspace() for sign in text) for text in TEXT
    ]


@pytest.mark.clause("TOK-019")
@pytest.mark.clause("TOK-026")
@pytest.mark.parametrize("name", SEPARABLE)
def test_pieces_lose_what_documents_lose(name):
    """The same counts by pieces as by documents, also for pieces that were met before."""
    documents = [*TEXT, "", "\u200b", "a\u0301b \x01 film", "naive\u0301 naive\u0301", "film"]
    backend, words, special = parts_of(separable(name))
    whole = _whole(backend, documents, special, words, None, Coverage(backend))
    table = pre_tokens_of(backend, words, special)
    for _ in range(2):
        by_piece = table.encode(pa.array(documents, pa.string()))
        assert by_piece.visible.tolist() == whole.visible.tolist()
        assert by_piece.lost.tolist() == whole.lost.tolist()
