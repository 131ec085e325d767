"""Find near-duplicates without comparing every pair (INSP-007 to INSP-010).

MinHash (Broder 1997) makes a short signature of each document's shingles, in which two documents
agree at a place with a probability that is their similarity. Documents that agree on a whole *band*
of places are candidates (locality-sensitive hashing: Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", chapter 3), and each pair of candidates is compared exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy import sparse

from mlmref.data.tokens.by_pre_token import bounds
from mlmref.plugin.arrays import FloatArray, Int64Array
from mlmref.studies.inspection.words import counted, hashed, numbered, stirred, windows

Hashes = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]

ALIKE = 0.8
"""The similarity from which two documents are near-duplicates, as in Lee et al. (2022)."""

BANDS, ROWS = 32, 4
"""With so many bands of so many places a pair with a similarity of 0.8 is overlooked with a
probability of (1 - 0.8**4)**32 = 5e-8, and one with 0.3 is compared in a quarter of all cases."""

NEIGHBOURS = 16
"""How many following documents in its bucket of a band a document is compared with. Texts made from
a form are in one bucket by the thousand, and would be compared each with each otherwise."""

_COMPARED = 2**23  # bytes of text compared at a time, which bounds the memory

_KEYS: Hashes = stirred(np.arange(1, BANDS * ROWS + 1, dtype=np.uint64)) | np.uint64(1)
"""An odd multiplier for each place, which puts 64-bit numbers in an order of its own."""


def signatures(texts: Sequence[str]) -> Hashes:
    """Make the bands of spaced texts' MinHash signatures.

    Returns:
        uint64 ``[D, BANDS]``: a hash of each band's places.
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


def candidates(bands: Hashes) -> Int64Array:
    """Pair documents that agree on a band.

    Args:
        bands: uint64 ``[D, BANDS]``.

    Returns:
        int64 ``[P, 2]``, ascending, the smaller number first, no pair twice.
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
    """Compute the exact Jaccard similarity of the shingles of pairs of spaced texts.

    Args:
        texts: the documents.
        pairs: int64 ``[P, 2]``, numbers of documents.

    Returns:
        float64 ``[P]``, from 0 to 1.
    """
    counts = counted(texts)
    runs, shingles = windows(numbered(texts), counts)
    ids = np.zeros(len(runs), np.int64)
    for column in runs.T:
        # Numbered anew with each word, so that equal numbers are equal runs, and none overflows.
        ids = np.unique(ids * (counts.sum() + 1) + column, return_inverse=True)[1]
    owners = np.repeat(np.arange(len(texts)), shingles)
    has = sparse.csr_array((np.ones(len(ids), np.int64), (owners, ids)))
    has.data[:] = 1  # a run that a document has twice is in its set once
    sizes = np.diff(has.indptr)
    left, right = pairs.T
    common = has[left].multiply(has[right]).sum(axis=1)
    jaccard: FloatArray = common / (sizes[left] + sizes[right] - common)
    return jaccard


def alike(
    bands: Hashes, sizes: Int64Array, texts_of: Callable[[Int64Array], Sequence[str]]
) -> tuple[Int64Array, FloatArray]:
    """Find pairs of documents that are nearly the same.

    Args:
        bands: uint64 ``[D, BANDS]``, of :func:`signatures`.
        sizes: int64 ``[D]``, about how long each document is, in bytes.
        texts_of: returns the spaced texts of some documents.

    Returns:
        int64 ``[P, 2]``, ascending, the smaller number first, no pair twice; and float64 ``[P]``,
        the exact similarity of each, none less than :data:`ALIKE`.
    """
    pairs = candidates(bands)
    found = [np.empty(0)]
    for first, end in pairwise(bounds(sizes[pairs].sum(axis=1), _COMPARED)):
        numbers, places = np.unique(pairs[first:end], return_inverse=True)
        found.append(similarities(texts_of(numbers), places.reshape(-1, 2)))
    similarity = np.concatenate(found)
    enough = similarity >= ALIKE
    return pairs[enough], similarity[enough]
