"""Word starts from the tokenizer itself (clauses TOK-004, TOK-006 and TOK-007)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.data.tokenizer.encoding import of_the_tokenizer
from mlmref.plugin.arrays import BoolArray, Int32Array

if TYPE_CHECKING:
    import tokenizers

_BLANKS = re.compile(r"(?<=\S)\s+(?=\S)")
_LONGEST = 10  # characters in a word, on average; longer ones are clauses or sentences
_WORD_MARK = "▁"  # SentencePiece's: the first subword of each word begins with it


class OwnWords:
    """Finds words by the pre-tokenizer, or by the marks of subwords if it keeps the text whole.

    Args:
        backend: the tokenizer.
        size: of its vocabulary.
        sample: documents of the corpus.

    Attributes:
        told: whether the tokenizer has word boundaries (TOK-007).
        identity: ``None``, because the words depend only on the tokenizer.
    """

    identity: None = None

    def __init__(
        self, backend: tokenizers.Tokenizer, size: int, sample: Sequence[str] = ("ab cd",)
    ) -> None:
        splits = splits_words(backend, sample)
        self._marks = np.zeros(size, dtype=np.bool_)
        if not splits:
            self._marks[_word_marks(backend.get_vocab(with_added_tokens=False))] = True
        self.told = splits or bool(self._marks.any())

    def starts(
        self, encodings: Sequence[tokenizers.Encoding], ids: Int32Array, texts: Sequence[str]
    ) -> BoolArray:
        """Return which tokens begin a word, bool ``[N]``.

        The caller corrects special tokens and the first token of each document.

        Args:
            encodings: of some documents.
            ids: int32 ``[N]``, their tokens in order.
            texts: the documents; not used.
        """
        # Tokens outside words have None, here NaN, which differs from everything.
        words: np.ndarray[Any, Any] = np.fromiter(
            chain.from_iterable(encoding.word_ids for encoding in encodings), np.float64, len(ids)
        )
        starts = self._marks[ids]
        starts[1:] |= words[1:] != words[:-1]
        return starts


def splits_words(backend: tokenizers.Tokenizer, sample: Sequence[str]) -> bool:
    """Return whether the pre-tokenizer divides documents into words (TOK-007).

    It does if it divides most of the places that have blanks between other characters, regardless
    of added tokens and vocabulary.

    Args:
        backend: the tokenizer.
        sample: documents; if none has blanks, the first one is tried next to itself.
    """
    texts = [text.strip() for text in sample if text.strip()]
    between = [cut for text in texts for cut in _cuts_between(backend, text)]
    if between or not texts:
        return 2 * sum(between) >= len(between) > 0
    if all(_cuts_between(backend, f"{texts[0]} {texts[0]}")):
        return True
    cuts = sum(len(_pre_tokens(backend, text)) - 1 for text in texts)
    return cuts * _LONGEST >= sum(map(len, texts))


def _cuts_between(backend: tokenizers.Tokenizer, text: str) -> list[bool]:
    """Return for each run of blanks in a text whether a pre-token begins in it or after it."""
    begins = {begin for begin, _ in _pre_tokens(backend, text)}
    runs = _BLANKS.finditer(text)
    return [not begins.isdisjoint(range(run.start(), run.end() + 1)) for run in runs]


def _pre_tokens(backend: tokenizers.Tokenizer, text: str) -> list[tuple[int, int]]:
    """Return begin and end of each pre-token; the whole text if there is no pre-tokenizer."""
    from tokenizers import PreTokenizedString

    divided: Any = PreTokenizedString(text)
    try:
        if backend.normalizer is not None:
            divided.normalize(backend.normalizer.normalize)
        if backend.pre_tokenizer is not None:
            backend.pre_tokenizer.pre_tokenize(divided)
    except BaseException as error:  # the document may be one that the tokenizer cannot encode
        if not of_the_tokenizer(error):
            raise
    return [span for _, span, _ in divided.get_splits("original", "char")]


def _word_marks(subwords: dict[str, int]) -> list[int]:
    """Return the ids of subwords that begin a word; none if a subword spans several words."""
    if any(_WORD_MARK in subword.lstrip(_WORD_MARK) for subword in subwords):
        return []
    return [number for subword, number in subwords.items() if subword.startswith(_WORD_MARK)]
