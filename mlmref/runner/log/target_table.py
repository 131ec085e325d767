"""The table of held-out targets: the token, word and count of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from mlmref.data.tokens.spelling import Spelling
from mlmref.evaluation.kept_targets import Targets
from mlmref.masking.rates import look
from mlmref.plugin.arrays import BoolArray, Int64Array
from mlmref.plugin.draws import EVALUATION_PASS

if TYPE_CHECKING:
    from mlmref.data.chunks import Chunks
    from mlmref.runner.prepare import Ready

LONGEST = 32
"""The most characters of a token or word that are kept."""

PARTS = ("whole", "first", "later")
"""The part of its word that a token is: all of it, its first subword, or a later one."""

_BLOCK = 256  # chunks that are masked at once


def columns(ready: Ready, targets: Targets, counts: Int64Array) -> pa.Table:
    """Return a row for each target, with the columns that need no model.

    Args:
        ready: chunks and masks.
        targets: the targets.
        counts: int64 ``[V]``, how often each token occurs in the training text.

    Returns:
        ``chunk`` (its number in the corpus), ``position`` in it, ``token`` (its id), ``text``,
        ``word`` (the text of the token's word), ``part`` (of :data:`PARTS`; null if the tokenizer
        has no words), ``count`` in the training text.
    """
    test, spelling = ready.split.test, Spelling(ready.loaded.tokenizer)
    known: dict[bytes, int] = {}
    texts: list[str] = []
    words: list[int] = []
    ids, parts = [np.empty(0, np.int32)], [np.empty(0, np.int8)]
    for word in _words(ready, targets):
        ids.append(word.ids[word.targets])
        parts.append(word.parts)
        for begin, end in zip(word.begins.tolist(), word.ends.tolist(), strict=True):
            key = word.ids[begin:end].tobytes()
            if key not in known:
                known[key] = len(texts)
                texts.append(short(spelling.text(word.ids[begin:end][:LONGEST].tolist())))
            words.append(known[key])
    token = np.concatenate(ids)
    unique, inverse = np.unique(token, return_inverse=True)
    subwords = [short(one) for one in spelling.subwords(unique.tolist())] if len(unique) else []
    has_words = ready.chunks.tokens.has_words
    part = pa.DictionaryArray.from_arrays(pa.array(np.concatenate(parts)), pa.array(PARTS))
    return pa.table(
        {
            "chunk": pa.array(test.ids[targets.rows], pa.int64()),
            "position": pa.array(targets.positions, pa.int32()),
            "token": pa.array(token, pa.int32()),
            "text": _dictionary(inverse, subwords),
            "word": _dictionary(np.array(words, np.int64), texts),
            "part": part if has_words else pa.nulls(len(token), part.type),
            "count": pa.array(counts[token], pa.int64()),
        }
    )


def _dictionary(indices: Int64Array, texts: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, pa.int32()), pa.array(texts, pa.string())
    )


class _Words(NamedTuple):
    """The words of the targets in some chunks.

    Attributes:
        ids: int32 ``[k]``, the chunks' tokens, row by row.
        targets: int64 ``[n]``, the index of each target in ``ids``.
        begins, ends: int64 ``[n]``, the interval of its word in ``ids``.
        parts: int8 ``[n]``, index of :data:`PARTS`.
    """

    ids: np.ndarray[Any, np.dtype[np.int32]]
    targets: Int64Array
    begins: Int64Array
    ends: Int64Array
    parts: np.ndarray[Any, np.dtype[np.int8]]


def _words(ready: Ready, targets: Targets) -> Iterator[_Words]:
    """Yield the words of the targets, :data:`_BLOCK` chunks at a time."""
    has_words = ready.chunks.tokens.has_words
    for first in range(0, len(targets.chunks), _BLOCK):
        some = targets.chunks[first : first + _BLOCK]
        rows = ready.split.test.gather(some)
        looked = look(ready.masker, rows, EVALUATION_PASS)
        span = slice(*np.searchsorted(targets.rows, [some[0], some[-1] + 1]))
        at = np.searchsorted(some, targets.rows[span]) * targets.width + targets.positions[span]
        # The tokens of a word are adjacent, and a word ends where its row ends.
        flat = looked.words + np.arange(len(some))[:, None] * (targets.width + 1)
        edges = np.flatnonzero(np.diff(flat.ravel(), prepend=-2, append=-2))
        nth = np.searchsorted(edges, at, side="right") - 1
        begins, ends = edges[nth], edges[nth + 1]
        if not has_words:
            begins, ends = at, at + 1
        # A token's part of its word does not depend on the edges of the chunk.
        test, row = ready.split.test, at // targets.width
        from_before = (begins == row * targets.width) & _continues(test, test.starts[some])[row]
        last = row * targets.width + rows.lengths[row]
        to_next = (ends == last) & _continues(test, test.starts[some] + rows.lengths)[row]
        whole = (ends - begins == 1) & ~from_before & ~to_next
        parts = np.select([whole, (begins == at) & ~from_before], [0, 1], 2).astype(np.int8)
        yield _Words(rows.input_ids.ravel(), at, begins, ends, parts)


def _continues(chunks: Chunks, at: Int64Array) -> BoolArray:
    """Return whether tokens of the stream continue the word before them, bool ``[B]``."""
    found = np.zeros(len(at), np.bool_)
    nth = np.searchsorted(chunks.offsets, at, side="right") - 1
    # The first token of a document continues no word.
    inside = (at < chunks.offsets[-1]) & (at > chunks.offsets[nth])
    nth, at = nth[inside], at[inside]
    here = at - chunks.offsets[nth] + chunks.tokens.offsets[chunks.documents[nth]]
    ids, starts = chunks.tokens.take(here[:, None] - [1, 0])
    special = np.isin(ids, chunks.tokens.vocabulary.special_ids).any(axis=1)
    found[inside] = ~starts[:, 1] & ~special
    return found


def short(text: str) -> str:
    """Return a text, cut to :data:`LONGEST` characters."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
