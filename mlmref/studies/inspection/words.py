"""Texts as normalised words, for comparison (INSP-006, INSP-007).

The similarity is the *resemblance* of Broder ("On the resemblance and containment of documents",
1997): the Jaccard similarity of two documents' sets of *shingles*, runs of words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmref.plugin.arrays import Int64Array

WIDTH = 5
"""Words in a shingle, as Lee et al. (2022, "Deduplicating training data makes language models
better") take them: shorter ones are phrases that unrelated texts have in common."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
"""Characters of Thai, Lao, Burmese, Khmer, Japanese and Chinese, which no blank parts into words:
each is a word of its own here."""


def normalised(text: str) -> str:
    """Return a text without what does not tell two copies apart (INSP-006).

    In Unicode's form NFC, with case folded, and a single blank for each run of white space.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split())


def spaced(text: str) -> str:
    """Return a normalised text with a blank between all of its words."""
    return text if text.isascii() else " ".join(_UNSPACED.sub(r" \g<0> ", text).split())


def counted(texts: Sequence[str]) -> Int64Array:
    """Count the words of spaced texts, ``[D]``."""
    return np.array([text.count(" ") + 1 if text else 0 for text in texts], dtype=np.int64)


def hashed(texts: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Hash each word of spaced texts to 64 bits, one after the other, as uint64 ``[W]``.

    A word's hash is a polynomial in its bytes modulo 2**64, stirred.
    """
    letters = np.frombuffer(f" {' '.join(texts)} ".encode(), np.uint8)
    blank = letters == ord(" ")
    begins = np.flatnonzero(blank[:-1] & ~blank[1:]) + 1
    if not len(begins):
        return np.empty(0, np.uint64)
    lengths = np.flatnonzero(~blank[:-1] & blank[1:]) + 1 - begins
    firsts = np.cumsum(lengths) - lengths
    powers = np.cumprod(np.full(lengths.max(), 0x9E3779B97F4A7C15, np.uint64))
    terms = powers[np.arange(lengths.sum()) - np.repeat(firsts, lengths)]
    terms *= letters[~blank] + np.uint64(1)
    return stirred(np.add.reduceat(terms, firsts))


def stirred(
    values: np.ndarray[tuple[int], np.dtype[np.uint64]],
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Let every bit depend on every other, by the finaliser of SplitMix64 (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def numbered(texts: Sequence[str]) -> Int64Array:
    """Give each word of spaced texts a number from 1, equal words the same, as int64 ``[W]``."""
    words = pc.list_flatten(pc.split_pattern(pa.array(texts, pa.large_string()), " "))
    coded = words.filter(pc.not_equal(words, "")).dictionary_encode()
    numbers: Int64Array = coded.indices.to_numpy().astype(np.int64) + 1
    return numbers


def windows(
    words: np.ndarray[tuple[int], np.dtype[np.generic]], counts: Int64Array
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.generic]], Int64Array]:
    """Return all shingles of some documents.

    A document of fewer words than a shingle has is one shingle, with 0 in the places of the words
    that it lacks.

    Args:
        words: ``[W]``, all documents' words, none of them 0.
        counts: int64 ``[D]``, how many each document has.

    Returns:
        The shingles ``[S, WIDTH]``, document by document, and int64 ``[D]``, how many each has.
    """
    shingles = np.maximum(1, counts - WIDTH + 1)
    ends = np.cumsum(counts)
    firsts = np.repeat((ends - counts) - (np.cumsum(shingles) - shingles), shingles)
    firsts += np.arange(len(firsts))
    places = firsts[:, None] + np.arange(WIDTH)
    places[places >= np.repeat(ends, shingles)[:, None]] = len(words)
    return np.append(words, words.dtype.type(0))[places], shingles
