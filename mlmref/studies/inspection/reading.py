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
from mlmref.studies.inspection.similar import alike, signatures
from mlmref.studies.inspection.words import counted, normalised, spaced

if TYPE_CHECKING:
    from mlmref.data.corpus.corpus import Corpus

_BATCH = 1_000  # documents at a time, where 4 MB do not hold fewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of each document.

    Attributes:
        characters: int64 ``[D]``.
        words: int64 ``[D]``, words as documents are compared by (INSP-021).
        blanks: int64 ``[D]``, words between blanks.
        copies: int64 ``[D]``, the first document that is the same; most often itself.
        pairs: int64 ``[P, 2]``, documents that are nearly the same, of each that are the same the
            first alone.
        similarity: float64 ``[P]``, how much each pair is.
    """

    characters: Int64Array
    words: Int64Array
    blanks: Int64Array
    copies: Int64Array
    pairs: Int64Array
    similarity: FloatArray

    def kin(self) -> Int64Array:
        """Tell which documents pairs lead to from one another.

        Returns:
            int64 ``[D]``, the same number for those that are so, and no other.
        """
        size = len(self.copies)
        edges = coo_array((np.ones(len(self.pairs)), tuple(self.pairs.T)), shape=(size, size))
        groups: Int64Array = csgraph.connected_components(edges, directed=False)[1]
        return groups[self.copies]


def read(corpus: Corpus, reporter: Reporter) -> Seen:
    """Read all documents once, and those that may be alike again."""
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
        copies = _firsts(np.frombuffer(b"".join(digests), "V16"))
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


def texts_of(corpus: Corpus, numbers: Int64Array) -> list[str]:
    """Look up the texts of some documents."""
    rows = corpus.dataset.select_columns(["text"]).with_format("arrow")[numbers]
    texts: list[str] = rows.column("text").to_pylist()
    return texts


def _digest(text: str) -> bytes:
    """Hash a text so that two with one hash are the same text, whoever wrote them."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _firsts(digests: np.ndarray[tuple[int], np.dtype[np.void]]) -> Int64Array:
    """Return for each of them which is the first that is the same."""
    _, firsts, groups = np.unique(digests, return_index=True, return_inverse=True)
    copies: Int64Array = firsts[groups]
    return copies
