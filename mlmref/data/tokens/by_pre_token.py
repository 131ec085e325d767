"""Tokenize each different pre-token once (clause TOK-019, spec/tokens.md).

A pre-token is the text between two places where the tokenizer divides any text and does not look
beyond: a word with its punctuation. A corpus has few different pre-tokens.
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

_KEPT = 2**19  # pre-tokens that are remembered; a large corpus may have any number
_KEPT_BYTES = 64  # largest pre-token that is remembered; longer ones are seldom repeated
_JOINED_BYTES = 2**12  # of pre-tokens that are tokenized as one text
_CALL_BYTES = 2**19  # of text in one call of the tokenizer, whose encodings are in memory
_BETWEEN = "\ue000\ue001\ue002"  # a token between the pre-tokens of one text
_PROBE = ("It isn't\t[MASK]ed <mask>,  naïve\n 这部 \x0b\u0301film \x85\u00a0.", "", " \r\n ", "a")


class PreTokens:
    """Tokenizes documents by pre-tokens, and remembers each pre-token.

    Args:
        backend: a tokenizer that reads one pre-token at a time (see :func:`pre_tokens_of`).
        words: finds its words.
        special: bool ``[V]``, which ids are special.
        cut: finds the bytes of UTF-8 text before which it may be cut.
        around: the ids that the tokenizer adds before and after a document.
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
        # The table: each pre-token, its number of tokens, of visible characters and of lost ones;
        # and the tokens of all pre-tokens as 2 * id + word start. The first entry is not of the
        # text: it stands for the special tokens between two documents.
        self._pre_tokens = pa.array([""], pa.string())
        self._counts: Int32Array = np.array([len(behind) + len(before)], np.int32)
        self._signs = np.zeros((2, 1), np.int64)
        self._tokens: Int32Array = np.array([2 * one + 1 for one in behind + before], np.int32)

    def encode(self, texts: pa.StringArray) -> Encoded | None:
        """Return the tokens of some documents.

        Returns:
            ``None`` if the caller must tokenize whole documents: they contain the token that
            separates pre-tokens here, or one of them cannot be encoded.
        """
        pre_tokens, firsts = self._divided(texts)
        known = len(self._pre_tokens)
        coded = pa.concat_arrays([self._pre_tokens, pre_tokens]).dictionary_encode()
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
        # The entry for "between" also stands before the first and after the last document.
        between = firsts + np.arange(len(firsts))
        offsets = ends[between] - (self._behind + self._before)
        stream = tokens[places[self._behind : len(places) - self._before]]

        visible, lost = (sums(of_each[rows], between) for of_each in signs)
        self._keep(coded.dictionary, counts, tokens, signs)
        return Encoded(offsets, stream >> 1, (stream & 1).astype(np.bool_), visible, lost)

    def _divided(self, texts: pa.StringArray) -> tuple[pa.StringArray, Int64Array]:
        """Return the pre-tokens of all documents, none empty, and the first of each document."""
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        first, end = ends[0], ends[-1]
        text = np.frombuffer(data, np.uint8)[first:end] if end > first else np.empty(0, np.uint8)
        cut = self._cut(text)
        cut[ends - first] = True
        cuts = np.flatnonzero(cut)
        begins = pa.py_buffer((cuts + first).astype(np.int32))
        pre_tokens = pa.StringArray.from_buffers(len(cuts) - 1, begins, data)
        return pre_tokens, np.searchsorted(cuts, ends - first)

    def _learnt(
        self, pre_tokens: pa.StringArray
    ) -> tuple[Int32Array, Int32Array, Int64Array] | None:
        """Return numbers of tokens, all tokens, and characters of pre-tokens, as in the table.

        Many are joined to one text, because a text takes far longer than a pre-token.
        """
        sizes = pc.binary_length(pre_tokens).to_numpy()
        lists = pa.ListArray.from_arrays(bounds(sizes, _JOINED_BYTES), pre_tokens)
        joined = pc.binary_join(lists, _BETWEEN)
        calls = bounds(pc.binary_length(joined).to_numpy(), _CALL_BYTES)
        counts, tokens = [], []
        lengths = pc.utf8_length(pre_tokens).to_numpy().astype(np.int64) + len(_BETWEEN)
        signs: list[Int64Array] = []
        for first, end in pairwise(calls):
            texts = [text + _BETWEEN for text in joined[first:end].to_pylist()]
            try:
                encodings = self._backend.encode_batch(texts, add_special_tokens=False)
            except BaseException as error:
                if not of_the_tokenizer(error):
                    raise
                return None  # tokenizing whole documents names the one that fails
            ids = np.fromiter(chain.from_iterable(one.ids for one in encodings), np.int32)
            between = ids == self._between
            ids[between] = 0  # any id of the vocabulary
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
        # More separators than were added: the text contains one.
        if len(number) != len(pre_tokens):
            return None
        seams = np.append(0, np.cumsum(lengths))
        visible, lost = (sums(flags, seams) for flags in np.concatenate(signs, axis=1))
        # The separator after each pre-token counts as visible, and is in a token.
        return number, np.concatenate(tokens), np.array([visible - len(_BETWEEN), lost])

    def _keep(
        self, pre_tokens: pa.StringArray, counts: Int32Array, tokens: Int32Array, signs: Int64Array
    ) -> None:
        """Store these as the table, without long pre-tokens; empty it if there are too many."""
        keep = pc.binary_length(pre_tokens).to_numpy() <= _KEPT_BYTES
        if np.count_nonzero(keep) > _KEPT:
            keep[1:] = False
        if not keep.all():
            pre_tokens = pre_tokens.filter(pa.array(keep))
            tokens, counts = tokens[np.repeat(keep, counts)], counts[keep]
            signs = signs[:, keep]
        self._pre_tokens, self._counts, self._tokens, self._signs = (
            pre_tokens,
            counts,
            tokens,
            signs,
        )


def pre_tokens_of(
    backend: tokenizers.Tokenizer, words: OwnWords, special: BoolArray
) -> PreTokens | None:
    """Return a tokenizer by pre-tokens; ``None`` if it might give other tokens (TOK-019)."""
    parts = json.loads(backend.to_str())
    divide, outer = cut(parts), around(parts["post_processor"])
    if divide is None or outer is None or not harmless(backend, parts["added_tokens"], _BETWEEN):
        return None
    pre_tokens = PreTokens(backend, words, special, divide, outer)
    probed = pre_tokens.encode(pa.array(_PROBE))
    if probed is None:
        return None
    whole = [one.ids for one in backend.encode_batch(_PROBE)]
    return pre_tokens if probed[1].tolist() == [*chain.from_iterable(whole)] else None


def bounds(sizes: Int64Array, limit: int) -> Int32Array:
    """Return where groups of items begin, each of about ``limit`` in size or of one item."""
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes, dtype=np.int64) // limit)) + 1
    return np.unique(np.concatenate([[0], cuts, [len(sizes)]])).astype(np.int32)
