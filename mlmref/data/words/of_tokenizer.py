"""Word starts from the tokenizer itself (clauses TOK-004, TOK-006 and TOK-007)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.plugin.arrays import BoolArray, Int32Array

if TYPE_CHECKING:
    import tokenizers

_WORD_MARK = "▁"  # SentencePiece's: the first piece of each word begins with it


class OwnWords:
    """Tells words by the pre-tokenizer, or by the pieces' marks where that keeps the text whole.

    Attributes:
        told: whether the tokenizer tells words at all (TOK-007).
        identity: nothing, since the tokenizer's own words come from the tokenizer alone.
    """

    identity: None = None

    def __init__(self, backend: tokenizers.Tokenizer, size: int) -> None:
        splits = _splits_words(backend)
        self._marks = np.zeros(size, dtype=np.bool_)
        if not splits:
            self._marks[_word_marks(backend.get_vocab())] = True
        self.told = splits or bool(self._marks.any())

    def starts(
        self, encodings: Sequence[tokenizers.Encoding], ids: Int32Array, texts: Sequence[str]
    ) -> BoolArray:
        """Tell which tokens begin a word, going by their words alone.

        Args:
            encodings: of some documents.
            ids: int32 ``[N]``, their tokens, one document after the other.
            texts: the documents, which the tokenizer has no need of.

        Returns:
            Bool ``[N]``; what it says of special tokens and at seams is for the caller to mend.
        """
        # Tokens that belong to no word have None, here nan, which differs from everything.
        words: np.ndarray[Any, Any] = np.fromiter(
            chain.from_iterable(encoding.word_ids for encoding in encodings), np.float64, len(ids)
        )
        starts = self._marks[ids]
        starts[1:] |= words[1:] != words[:-1]
        return starts


def _splits_words(backend: tokenizers.Tokenizer) -> bool:
    """Probe whether the pre-tokenizer tells one word from the next."""
    probe = backend.encode("ab cd", add_special_tokens=False)
    return bool(probe.char_to_word(0) != probe.char_to_word(3))


def _word_marks(pieces: dict[str, int]) -> list[int]:
    """Return the ids of pieces that begin a word, if pieces tell: if none runs across words."""
    if any(_WORD_MARK in piece.lstrip(_WORD_MARK) for piece in pieces):
        return []
    return [number for piece, number in pieces.items() if piece.startswith(_WORD_MARK)]
