"""Count the tokens of all documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlmref.data.tokenizer.vocabulary import special_mask
from mlmref.plugin.arrays import Int64Array

if TYPE_CHECKING:
    from mlmref.data.tokens.tokens import Tokens

_BLOCK = 2**20  # tokens at a time; bounds the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Counts of the tokens of all documents.

    Attributes:
        ids: int64 ``[V]``, the occurrences of each id.
        ordinary: tokens of the text, including unknown tokens.
        words: ordinary tokens that begin a word.
        unknown: int64, the documents with an unknown token, including skipped documents.
        unknown_skipped: unknown tokens in skipped documents, which have no ordinary token.
    """

    ids: Int64Array
    ordinary: int
    words: int
    unknown: Int64Array
    unknown_skipped: int = 0


def count(tokens: Tokens, unknown: int | None) -> Counted:
    """Count all tokens in one pass.

    Args:
        tokens: the tokens of the documents that are not skipped.
        unknown: the id of the unknown token, if there is one.
    """
    size, total = tokens.vocabulary.size, int(tokens.offsets[-1])
    special = special_mask(tokens.vocabulary)
    if unknown is not None:
        special[unknown] = False  # an unknown token is part of the text
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
