"""Characters of documents that no token covers (clause TOK-026, spec/tokens.md)."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from mlmref.plugin.arrays import BoolArray, Int32Array, Int64Array

if TYPE_CHECKING:
    import tokenizers

_DROPPED = "\ue003\ue004\ue005"  # the unknown token of the copy; no text contains it
_NEAR = 4  # characters on each side that a normalizer may compose one with


class Encoded(NamedTuple):
    """The tokens of some documents.

    Attributes:
        offsets: int32 ``[D + 1]``, where each document's tokens begin; last, the end.
        ids: int32 ``[N]``.
        starts: bool ``[N]``, where a word begins.
        visible: int64 ``[D]``, visible characters of each document.
        lost: int64 ``[D]``, visible characters that are in no token.
    """

    offsets: Int32Array
    ids: Int32Array
    starts: BoolArray
    visible: Int64Array
    lost: Int64Array


class Coverage:
    """Finds the characters that a tokenizer drops.

    Args:
        backend: the tokenizer.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        parts = json.loads(backend.to_str())
        self._whole = _keeps_all(parts)
        self._marking, self._dropped = (None, -1) if self._whole else _marking(backend, parts)
        self._normalizer = backend.normalizer
        self._deletes = '"content": ""' in json.dumps(parts["normalizer"])
        # Added tokens that are found before the normalizer is applied.
        self._verbatim = [one["id"] for one in parts["added_tokens"] if not one["normalized"]]
        self._known: dict[str, str] = {}

    def lost(
        self, texts: Sequence[str], encodings: Sequence[tokenizers.Encoding]
    ) -> tuple[BoolArray, BoolArray]:
        """Return which characters are visible, and which of these are in no token.

        Args:
            texts: the texts.
            encodings: their encodings by the tokenizer.

        Returns:
            Two bool arrays ``[C]`` over the characters of all texts in order.
        """
        visible = _visible("".join(texts))
        if self._whole:
            return visible, np.zeros_like(visible)
        if self._marking is not None:
            encodings = self._marking.encode_batch(list(texts), add_special_tokens=False)
        seams = np.append(0, np.cumsum([len(text) for text in texts], dtype=np.int64))
        spans = spans_of(encodings, seams)
        ids = np.fromiter(chain.from_iterable(one.ids for one in encodings), np.int64, len(spans))
        lost = visible & _outside(spans[ids != self._dropped], len(visible))
        if self._normalizer is not None:
            verbatim = spans[np.isin(ids, self._verbatim)]
            lost |= visible & self._deleted("".join(texts)) & _outside(verbatim, len(visible))
            for number in np.flatnonzero(sums(lost, seams)):
                part = slice(seams[number], seams[number + 1])
                lost[part] = self._uncomposed(texts[int(number)], lost[part])
        return visible, lost

    def _deleted(self, text: str) -> BoolArray:
        """Return which characters the normalizer deletes, bool ``[C]``.

        The offsets of a token span those that are deleted inside a word.
        """
        if self._deletes:  # by a pattern, which may be of several characters
            from tokenizers import PreTokenizedString, Regex, pre_tokenizers

            each: Any = PreTokenizedString(text)
            each.normalize(self._normalizer.normalize)
            pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated").pre_tokenize(each)
            spans = [span for _, span, _ in each.get_splits("original", "char")]
            return _outside(np.array(spans, np.int64).reshape(-1, 2), len(text))
        signs, which = np.unique(_codes(text), return_inverse=True)
        deleted: BoolArray = np.array([not self._normalized(chr(sign)) for sign in signs], np.bool_)
        return deleted[which]

    def _uncomposed(self, text: str, lost: BoolArray) -> BoolArray:
        """Return which of the lost characters are not part of a composed character.

        The offsets of a composed character are those of one of its parts. A part changes the text
        around it when it is normalized, and does not make it longer.
        """
        alone = lost.copy()
        places = np.flatnonzero(lost)
        for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
            if len(run) > 1 and self._changed_by(text, run[0], run[-1] + 1) is None:
                continue  # a pattern that is deleted
            for place in run.tolist():
                alone[place] = self._changed_by(text, place, place + 1) != "other"
        return alone

    def _changed_by(self, text: str, begin: int, end: int) -> Literal["longer", "other"] | None:
        """Return how a part of a text changes the normalized text around it, if it does."""
        before, behind = text[max(0, begin - _NEAR) : begin], text[end : end + _NEAR]
        without = self._normalized(before + behind)
        whole = self._normalized(before + text[begin:end] + behind)
        if whole == without:
            return None
        return "longer" if len(whole) > len(without) else "other"

    def _normalized(self, text: str) -> str:
        """Normalize a few characters, each text once."""
        if text not in self._known:
            self._known[text] = self._normalizer.normalize_str(text)
        return self._known[text]


def spans_of(encodings: Sequence[tokenizers.Encoding], seams: Int64Array) -> Int64Array:
    """Return begin and end of each token, int64 ``[N, 2]``, in characters of all texts.

    Args:
        encodings: of some texts.
        seams: int64 ``[D + 1]``, where each text begins; last, the end.
    """
    counts = [len(one) for one in encodings]
    flat = chain.from_iterable(chain.from_iterable(one.offsets for one in encodings))
    spans = np.fromiter(flat, np.int64, 2 * sum(counts)).reshape(-1, 2)
    spans += np.repeat(seams[:-1], counts)[:, None]
    return spans


def sums(amounts: BoolArray | Int64Array, seams: Int64Array) -> Int64Array:
    """Return the sums of amounts between seams, int64 ``[D]``."""
    before = np.append(0, np.cumsum(amounts))
    counted: Int64Array = before[seams[1:]] - before[seams[:-1]]
    return counted


def _visible(text: str) -> BoolArray:
    """Return which characters are neither blank nor control or format characters."""
    codes = _codes(text)
    visible: BoolArray = (codes > ord(" ")) & (codes != 0x7F)
    other = codes >= 0x80
    if other.any():
        signs, which = np.unique(codes[other], return_inverse=True)
        visible[other] = np.array([_is_visible(chr(sign)) for sign in signs])[which]
    return visible


def _codes(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    """Return the code of each character."""
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _outside(spans: Int64Array, size: int) -> BoolArray:
    """Return which of so many characters are in no span, bool ``[size]``."""
    begins = np.bincount(spans[:, 0], minlength=size + 1)
    ends = np.bincount(spans[:, 1], minlength=size + 1)
    outside: BoolArray = np.cumsum(begins - ends)[:-1] == 0
    return outside


def _is_visible(sign: str) -> bool:
    hidden = unicodedata.category(sign) in {"Cc", "Cf"} or "\ufe00" <= sign <= "\ufe0f"
    return not hidden and not sign.isspace()


def _keeps_all(parts: dict[str, Any]) -> bool:
    """Return whether a tokenizer covers any text: it has GPT-2's bytes, and a token for each."""
    from tokenizers import pre_tokenizers

    model, splits = parts["model"], parts["pre_tokenizer"]
    if model["type"] != "BPE" or parts["normalizer"] or not splits or splits["type"] != "ByteLevel":
        return False
    return all(one in model["vocab"] for one in pre_tokenizers.ByteLevel.alphabet())


def _marking(
    backend: tokenizers.Tokenizer, parts: dict[str, Any]
) -> tuple[tokenizers.Tokenizer | None, int]:
    """Return a copy that has an unknown token where BPE drops characters, and that token's id.

    BPE without an unknown token drops a character and shifts the offsets after it.
    """
    from tokenizers import Tokenizer

    model = parts["model"]
    if model["type"] != "BPE" or model["unk_token"] is not None:
        return None, -1
    taken = max([*backend.get_vocab().values(), *model["vocab"].values()])
    number = taken + 1 + len(parts["added_tokens"])
    model["vocab"][_DROPPED] = number
    model["unk_token"], model["fuse_unk"] = _DROPPED, False
    copy = Tokenizer.from_str(json.dumps(parts))
    copy.encode_special_tokens = backend.encode_special_tokens
    return copy, number
