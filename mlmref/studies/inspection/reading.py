"""Read the texts once and keep a few numbers per document (INSP-004, INSP-006)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
from scipy.sparse import coo_array, csgraph

from mlmref.base.progress import Reporter
from mlmref.data.tokens.tokenize import batches
from mlmref.plugin.arrays import FloatArray, Int64Array
from mlmref.studies.inspection.similar import alike, counted, normalised, signatures, spaced

if TYPE_CHECKING:
    from mlmref.data.corpus.corpus import Corpus

_BATCH = 1_000  # documents at a time, or fewer if they exceed 4 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What reading found in each document.

    Attributes:
        characters: int64 ``[D]``.
        words: int64 ``[D]``, words as in comparisons (INSP-021).
        blanks: int64 ``[D]``, words between blanks.
        copies: int64 ``[D]``, the first document with the same text; usually the document itself.
        pairs: int64 ``[P, 2]``, near copies; of equal documents, only the first.
        similarity: float64 ``[P]``, the similarity of each pair.
    """

    characters: Int64Array
    words: Int64Array
    blanks: Int64Array
    copies: Int64Array
    pairs: Int64Array
    similarity: FloatArray

    def groups(self) -> Int64Array:
        """Return a number for each document: equal for documents that pairs connect.

        Returns:
            int64 ``[D]``.
        """
        size = len(self.copies)
        edges = coo_array((np.ones(len(self.pairs)), tuple(self.pairs.T)), shape=(size, size))
        groups: Int64Array = csgraph.connected_components(edges, directed=False)[1]
        return groups[self.copies]


def read(corpus: Corpus, reporter: Reporter) -> Seen:
    """Read all documents once, and candidates for near copies again."""
    characters, words, blanks = ([np.empty(0, np.int64)] for _ in range(3))
    digests, bands = [b""], [signatures([])]
    with reporter.stage("compare", len(corpus), "documents") as stage:
        for texts in batches(corpus, _BATCH):
            same = [normalised(text) for text in texts.to_pylist()]
            apart = [spaced(text) for text in same]
            characters.append(pc.utf8_length(texts).to_numpy().astype(np.int64))
            words.append(counted(apart))
            blanks.append(counted(same))
            digests.append(b"".join(map(_digest, same)))
            bands.append(signatures(apart))
            stage.advance(len(texts))
        _, firsts, groups = np.unique(
            np.frombuffer(b"".join(digests), "V16"), return_index=True, return_inverse=True
        )
        copies: Int64Array = firsts[groups]
        own = np.flatnonzero(copies == np.arange(len(copies)))
        lengths = np.concatenate(characters)
        pairs, similarity = alike(
            np.concatenate(bands)[own],
            4 * lengths[own],  # bytes, at most
            lambda numbers: [spaced(normalised(text)) for text in texts_of(corpus, own[numbers])],
        )
    return Seen(
        characters=lengths,
        words=np.concatenate(words),
        blanks=np.concatenate(blanks),
        copies=copies,
        pairs=own[pairs],
        similarity=similarity,
    )


def _digest(text: str) -> bytes:
    """Hash a text with a cryptographic hash: documents with equal hashes are equal."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def texts_of(corpus: Corpus, numbers: Int64Array) -> list[str]:
    """Return the texts of some documents, by their indices."""
    rows = corpus.dataset.select_columns(["text"]).with_format("arrow")[numbers]
    texts: list[str] = rows.column("text").to_pylist()
    return texts
