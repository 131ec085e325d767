"""Tokenize each different pre-token once (clause TOK-019, spec/tokens.md).

A *piece* is what stands between two places at which the tokenizer divides any text and looks at
nothing beyond: a word of a text, with the punctuation on it. A corpus has few different ones.
"""

from __future__ import annotations

import json
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmref.data.tokenizer.coverage import Coverage, Encoded, sums
from mlmref.data.tokenizer.encoding import of_the_tokenizer
from mlmref.data.tokens.cut_points import Cut, around, cut, harmless
from mlmref.plugin.arrays import BoolArray, Int32Array, Int64Array

if TYPE_CHECKING:
    import tokenizers

    from mlmref.data.words.of_tokenizer import OwnWords

_KEPT = 2**19  # pieces remembered, at most: a large corpus may have any number of them
_KEPT_BYTES = 64  # of a piece that is remembered; longer ones seldom come again
_JOINED_BYTES = 2**12  # of pieces tokenised as one text
_CALL_BYTES = 2**19  # of text tokenised in one call, whose encodings are held at a time
_BETWEEN = "\ue000\ue001\ue002"  # a token that parts the pieces tokenised as one text
_PROBE = ("It isn't\t[MASK]ed <mask>,  naïve\n 这部 \x0b\u0301film \x85\u00a0.", "", " \r\n ", "a")


class Pieces:
    """Tokenises documents by their pieces, and remembers what it has seen.

    Args:
        backend: a tokenizer that sees no more than a piece at a time (:func:`pieces_of`).
        words: the words that it tells.
        special: bool ``[V]``, which ids are special.
        cut: tells where UTF-8 text may be cut: before which of its bytes.
        around: the ids that the tokenizer puts before and behind a document.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        words: OwnWords,
        special: BoolArray,
        cut: Cut,
        around: tuple[list[int], list[int]],
    ) -> None:
        from tokenizers import AddedToken, Tokenizer

        self._backend = Tokenizer.from_str(backend.to_str())
        self._backend.encode_special_tokens = backend.encode_special_tokens
        self._backend.add_tokens([AddedToken(_BETWEEN, normalized=False)])
        self._between = self._backend.token_to_id(_BETWEEN)
        self._words, self._special, self._cut = words, special, cut
        self._coverage = Coverage(self._backend)
        before, behind = around
        self._before, self._behind = len(before), len(behind)
        # The table: pieces, the number of each one's tokens, of its visible characters and of those
        # in no token, and all tokens, one piece after the other, as 2 * id + word start. The first
        # piece is none of the text: what stands between two documents.
        self._pieces = pa.array([""], pa.string())
        self._counts: Int32Array = np.array([len(behind) + len(before)], np.int32)
        self._signs = np.zeros((2, 1), np.int64)
        self._tokens: Int32Array = np.array([2 * one + 1 for one in behind + before], np.int32)

    def encode(self, texts: pa.StringArray) -> Encoded | None:
        """Tokenise some documents.

        Returns:
            Their tokens. ``None``, for the caller to tokenise them whole, if they hold what parts
            pieces here, or one of them cannot be encoded.
        """
        pieces, firsts = self._divided(texts)
        known = len(self._pieces)
        coded = pa.concat_arrays([self._pieces, pieces]).dictionary_encode()
        learnt = self._learnt(coded.dictionary[known:])
        if learnt is None:
            return None
        counts = np.concatenate([self._counts, learnt[0]])
        tokens = np.concatenate([self._tokens, learnt[1]])
        signs = np.concatenate([self._signs, learnt[2]], axis=1)

        rows = np.insert(coded.indices[known:].to_numpy(), firsts, 0)
        sizes = counts[rows]
        ends = np.cumsum(sizes, dtype=np.int32)
        begins = np.cumsum(counts, dtype=np.int32) - counts
        places = np.repeat(begins[rows] - (ends - sizes), sizes)
        places += np.arange(len(places), dtype=np.int32)
        # Before the first document is what would end one, behind the last what would begin one.
        between = firsts + np.arange(len(firsts))
        offsets = ends[between] - (self._behind + self._before)
        stream = tokens[places[self._behind : len(places) - self._before]]

        visible, lost = (sums(of_each[rows], between) for of_each in signs)
        self._keep(coded.dictionary, counts, tokens, signs)
        return Encoded(offsets, stream >> 1, (stream & 1).astype(np.bool_), visible, lost)

    def _divided(self, texts: pa.StringArray) -> tuple[pa.StringArray, Int64Array]:
        """Return all documents' pieces, none of them empty, and each document's first."""
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        first, end = ends[0], ends[-1]
        text = np.frombuffer(data, np.uint8)[first:end] if end > first else np.empty(0, np.uint8)
        cut = self._cut(text)
        cut[ends - first] = True
        cuts = np.flatnonzero(cut)
        begins = pa.py_buffer((cuts + first).astype(np.int32))
        pieces = pa.StringArray.from_buffers(len(cuts) - 1, begins, data)
        return pieces, np.searchsorted(cuts, ends - first)

    def _learnt(self, pieces: pa.StringArray) -> tuple[Int32Array, Int32Array, Int64Array] | None:
        """Tokenise pieces: numbers of tokens, all tokens, and characters, as the table has them.

        Many are joined to one text, since each text takes far longer than a piece does.
        """
        sizes = pc.binary_length(pieces).to_numpy()
        lists = pa.ListArray.from_arrays(bounds(sizes, _JOINED_BYTES), pieces)
        joined = pc.binary_join(lists, _BETWEEN)
        calls = bounds(pc.binary_length(joined).to_numpy(), _CALL_BYTES)
        counts, tokens = [], []
        lengths = pc.utf8_length(pieces).to_numpy().astype(np.int64) + len(_BETWEEN)
        signs: list[Int64Array] = []
        for first, end in pairwise(calls):
            texts = [text + _BETWEEN for text in joined[first:end].to_pylist()]
            try:
                encodings = self._backend.encode_batch(texts, add_special_tokens=False)
            except BaseException as error:
                if not of_the_tokenizer(error):
                    raise
                return None  # tokenised whole, the document is found
            ids = np.fromiter(chain.from_iterable(one.ids for one in encodings), np.int32)
            between = ids == self._between
            ids[between] = 0  # which is in the vocabulary
            outside = between | self._special[ids]
            starts = outside | self._words.starts(encodings, ids, texts)
            starts[1:] |= outside[:-1]
            starts[0] = True
            tokens.append((2 * ids + starts)[~between])
            counts.append(np.diff(np.flatnonzero(between), prepend=-1) - 1)
            signs.append(np.array(self._coverage.lost(texts, encodings)))
        if not counts:
            return np.empty(0, np.int32), np.empty(0, np.int32), np.zeros((2, 0), np.int64)
        number = np.concatenate(counts).astype(np.int32)
        # More than were put there: it is in the text too. Never fewer, since none is in another.
        if len(number) != len(pieces):
            return None
        seams = np.append(0, np.cumsum(lengths))
        visible, lost = (sums(flags, seams) for flags in np.concatenate(signs, axis=1))
        # What stands behind each piece is private use, and covered.
        return number, np.concatenate(tokens), np.array([visible - len(_BETWEEN), lost])

    def _keep(
        self, pieces: pa.StringArray, counts: Int32Array, tokens: Int32Array, signs: Int64Array
    ) -> None:
        """Make these the table, without long pieces; begin a new one where they are too many."""
        keep = pc.binary_length(pieces).to_numpy() <= _KEPT_BYTES
        if np.count_nonzero(keep) > _KEPT:
            keep[1:] = False
        if not keep.all():
            pieces = pieces.filter(pa.array(keep))
            tokens, counts = tokens[np.repeat(keep, counts)], counts[keep]
            signs = signs[:, keep]
        self._pieces, self._counts, self._tokens, self._signs = pieces, counts, tokens, signs


def pieces_of(backend: tokenizers.Tokenizer, words: OwnWords, special: BoolArray) -> Pieces | None:
    """Return what tokenises by pieces, or ``None`` where that might not give the same tokens."""
    parts = json.loads(backend.to_str())
    divide, outer = cut(parts), around(parts["post_processor"])
    if divide is None or outer is None or not harmless(backend, parts["added_tokens"], _BETWEEN):
        return None
    pieces = Pieces(backend, words, special, divide, outer)
    probed = pieces.encode(pa.array(_PROBE))
    if probed is None:
        return None
    whole = [one.ids for one in backend.encode_batch(_PROBE)]
    return pieces if probed[1].tolist() == [*chain.from_iterable(whole)] else None


def bounds(sizes: Int64Array, limit: int) -> Int32Array:
    """Divide things by their sizes, so many together or one alone: where each part begins."""
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes, dtype=np.int64) // limit)) + 1
    return np.unique(np.concatenate([[0], cuts, [len(sizes)]])).astype(np.int32)
