"""Count the tokens of all documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlmref.plugin.arrays import Int64Array

if TYPE_CHECKING:
    from mlmref.data.tokenizer.vocabulary import special_mask
from mlmref.data.tokens.tokens import Tokens

_BLOCK = 2**20  # tokens looked at at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The tokens of all documents, counted.

    Attributes:
        ids: int64 ``[V]``, how often each id is there.
        ordinary: tokens of the text, unknown ones among them.
        words: ordinary tokens that begin a word.
        unknown: int64, the documents that have the unknown token, skipped ones among them.
        unknown_skipped: unknown tokens in documents without an ordinary token, which are skipped.
    """

    ids: Int64Array
    ordinary: int
    words: int
    unknown: Int64Array
    unknown_skipped: int = 0


def count(tokens: Tokens, unknown: int | None) -> Counted:
    """Go through all tokens once."""
    size, total = tokens.vocabulary.size, int(tokens.offsets[-1])
    special = special_mask(tokens.vocabulary)
    if unknown is not None:
        special[unknown] = False  # it stands for some of the text
    ids, words, places = np.zeros(size, np.int64), 0, [np.empty(0, np.int64)]
    for first in range(0, total, _BLOCK):
        some, begins = tokens.take(np.arange(first, min(first + _BLOCK, total)))
        ids += np.bincount(some, minlength=size)
        words += int((begins & ~special[some]).sum())
        if unknown is not None:
            places.append(first + np.flatnonzero(some == unknown))
    documents = np.searchsorted(tokens.offsets, np.concatenate(places), side="right") - 1
    return Counted(
        ids=ids,
        ordinary=total - int(ids[special].sum()),
        words=words,
        unknown=np.unique(documents),
    )
