"""Number the words of rows of tokens (clauses MASK-011 to MASK-013)."""

from __future__ import annotations

import numpy as np

from mlmref.plugin.arrays import BoolArray, Int32Array


def number_words(word_start: BoolArray, special: BoolArray) -> Int32Array:
    """Return the number of each position's word in its row, from 0 (MASK-011 to MASK-013).

    A word begins where ``word_start`` is true, at a row's first position and after a special
    position. If the edge of a chunk cuts a word, the part in the chunk counts as a word.

    Args:
        word_start: bool ``[B, T]``.
        special: bool ``[B, T]``.

    Returns:
        int32 ``[B, T]``, -1 at special positions.
    """
    begins = word_start.copy()
    # Flat, which is faster: the first position of the next row is set to true below.
    begins.ravel()[1:] |= special.ravel()[:-1]
    begins[:, :1] = True
    np.greater(begins, special, out=begins)  # for bools: the first and not the second
    # Counted over all rows, which is faster, and then from the start of each row.
    words: Int32Array = np.add.accumulate(begins.ravel(), dtype=np.int32).reshape(begins.shape)
    words -= words[:, :1] - begins[:, :1] + 1
    np.copyto(words, np.int32(-1), where=special)
    return words
