"""Find near copies without comparing every pair (INSP-006 to INSP-010, INSP-021).

Similarity is the *resemblance* of Broder ("On the resemblance and containment of documents", 1997):
the Jaccard similarity of two documents' sets of *shingles*, runs of words. MinHash (Broder 1997)
gives each document a short signature; two signatures agree at a place with a probability that
equals the similarity. Documents that agree on a whole *band* of places are candidates
(locality-sensitive hashing: Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets",
chapter 3). Each pair of candidates is then compared exactly.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from mlmref.data.tokens.by_pre_token import bounds
from mlmref.plugin.arrays import FloatArray, Int64Array

Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]
Bands = np.ndarray[tuple[int, int], np.dtype[np.uint64]]

ALIKE = 0.8
"""The least similarity of near copies, as in Lee et al. (2022)."""

WIDTH = 5
"""Words in a shingle, as in Lee et al. (2022, "Deduplicating training data makes language models
better"). Shorter shingles are phrases that unrelated texts share."""

BANDS, ROWS = 32, 4
"""Bands of a signature, and places of a band. They miss a pair with a similarity of 0.8 with a
probability of (1 - 0.8**4)**32 = 5e-8, and compare a pair with 0.3 in a quarter of all cases."""

NEIGHBOURS = 16
"""Each document is compared with at most this many following documents in its bucket of a band.
Texts from one template share a bucket by the thousand."""

_COMPARED = 2**23  # bytes of text compared at a time; bounds the memory

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
"""Characters of Thai, Lao, Burmese, Khmer, Japanese and Chinese, which have no blanks between
words: each counts as a word (INSP-021)."""


def normalised(text: str) -> str:
    """Return a text without the differences that copies may have (INSP-006).

    The result is in Unicode form NFC, case-folded, with one blank for each run of white space.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split())


def spaced(text: str) -> str:
    """Return a normalised text with one blank between all of its words."""
    return text if text.isascii() else " ".join(_UNSPACED.sub(r" \g<0> ", text).split())


def counted(texts: Sequence[str]) -> Int64Array:
    """Count the words of spaced texts: int64 ``[D]``."""
    return np.array([text.count(" ") + 1 if text else 0 for text in texts], dtype=np.int64)


def stirred(values: Hashes) -> Hashes:
    """Mix the bits of each value, with the finalizer of SplitMix64 (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_KEYS = stirred(np.arange(1, BANDS * ROWS + 1, dtype=np.uint64)) | np.uint64(1)
"""An odd multiplier for each place, which permutes the 64-bit numbers."""


def signatures(texts: Sequence[str]) -> Bands:
    """Return the MinHash signatures of spaced texts, by band.

    Returns:
        uint64 ``[D, BANDS]``: a hash of the places of each band.
    """
    if not texts:
        return np.empty((0, BANDS), np.uint64)
    runs, counts = windows(hashed(texts), counted(texts))
    shingles = np.zeros(len(runs), np.uint64)
    for nth, column in enumerate(runs.T):
        shingles = stirred(shingles + column * _KEYS[nth])
    firsts = np.cumsum(counts) - counts
    bands = np.zeros((BANDS, len(texts)), np.uint64)
    buffer = np.empty_like(shingles)
    for place, key in enumerate(_KEYS):
        np.multiply(shingles, key, out=buffer)
        band = place // ROWS
        bands[band] = stirred(bands[band] + np.minimum.reduceat(buffer, firsts))
    return np.ascontiguousarray(bands.T)


def candidates(bands: Bands) -> Int64Array:
    """Return the pairs of documents that agree on a band.

    Args:
        bands: uint64 ``[D, BANDS]``.

    Returns:
        int64 ``[P, 2]``, ascending, the smaller number first, without duplicates.
    """
    size = len(bands)
    pairs = [np.empty(0, np.int64)]
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        keys = band[order]
        for away in range(1, min(NEIGHBOURS, size - 1) + 1):
            alike = keys[away:] == keys[:-away]
            if not alike.any():
                break
            pairs.append(order[:-away][alike] * size + order[away:][alike])
    return np.stack(np.divmod(np.unique(np.concatenate(pairs)), max(1, size)), axis=1)


def similarities(texts: Sequence[str], pairs: Int64Array) -> FloatArray:
    """Compute the exact Jaccard similarity of the shingles of pairs of spaced texts (INSP-007).

    Args:
        texts: the documents.
        pairs: int64 ``[P, 2]``, indices of documents.

    Returns:
        float64 ``[P]``, from 0 to 1.
    """
    counts = counted(texts)
    runs, shingles = windows(numbered(texts), counts)
    ids = np.zeros(len(runs), np.int64)
    for column in runs.T:
        # Renumbered with each word: equal numbers are equal runs, and no number overflows.
        ids = np.unique(ids * (counts.sum() + 1) + column, return_inverse=True)[1]
    owners = np.repeat(np.arange(len(texts)), shingles)
    has = sparse.csr_array((np.ones(len(ids), np.int64), (owners, ids)))
    has.data[:] = 1  # a set counts a shingle that occurs twice once
    sizes = np.diff(has.indptr)
    left, right = pairs.T
    common = has[left].multiply(has[right]).sum(axis=1)
    jaccard: FloatArray = common / (sizes[left] + sizes[right] - common)
    return jaccard


def alike(
    bands: Bands, sizes: Int64Array, texts_of: Callable[[Int64Array], Sequence[str]]
) -> tuple[Int64Array, FloatArray]:
    """Find the pairs of near copies.

    Args:
        bands: uint64 ``[D, BANDS]``, of :func:`signatures`.
        sizes: int64 ``[D]``, the approximate size of each document, in bytes.
        texts_of: returns the spaced texts of some documents.

    Returns:
        int64 ``[P, 2]``, ascending, the smaller number first, without duplicates; and float64
        ``[P]``, the exact similarity of each pair, at least :data:`ALIKE`.
    """
    pairs = candidates(bands)
    found = [np.empty(0)]
    for first, end in pairwise(bounds(sizes[pairs].sum(axis=1), _COMPARED)):
        numbers, places = np.unique(pairs[first:end], return_inverse=True)
        found.append(similarities(texts_of(numbers), places.reshape(-1, 2)))
    similarity = np.concatenate(found)
    enough = similarity >= ALIKE
    return pairs[enough], similarity[enough]


def hashed(texts: Sequence[str]) -> Hashes:
    """Hash each word of spaced texts to 64 bits, in order: uint64 ``[W]``.

    The hash of a word is a polynomial in its bytes modulo 2**64, with its bits mixed.
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


def numbered(texts: Sequence[str]) -> Int64Array:
    """Return a number from 1 for each word of spaced texts, the same for equal words: ``[W]``."""
    words = pc.list_flatten(pc.split_pattern(pa.array(texts, pa.large_string()), " "))
    coded = words.filter(pc.not_equal(words, "")).dictionary_encode()
    numbers: Int64Array = coded.indices.to_numpy().astype(np.int64) + 1
    return numbers


def windows(
    words: np.ndarray[tuple[int], np.dtype[np.generic]], counts: Int64Array
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.generic]], Int64Array]:
    """Return all shingles of some documents.

    A document with fewer than :data:`WIDTH` words is one shingle, with 0 for the missing words.

    Args:
        words: ``[W]``, the words of all documents, none of them 0.
        counts: int64 ``[D]``, the number of words of each document.

    Returns:
        The shingles ``[S, WIDTH]``, document by document, and int64 ``[D]``, the number of each.
    """
    shingles = np.maximum(1, counts - WIDTH + 1)
    ends = np.cumsum(counts)
    firsts = np.repeat((ends - counts) - (np.cumsum(shingles) - shingles), shingles)
    firsts += np.arange(len(firsts))
    places = firsts[:, None] + np.arange(WIDTH)
    places[places >= np.repeat(ends, shingles)[:, None]] = len(words)
    return np.append(words, words.dtype.type(0))[places], shingles
