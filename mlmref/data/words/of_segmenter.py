"""Word starts from a word segmenter (TOK-015 to TOK-017, SEG-010)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.base.errors import PluginError
from mlmref.data.tokenizer.coverage import spans_of
from mlmref.plugin.arrays import BoolArray, Int32Array, Int64Array
from mlmref.plugin.contracts import SegmenterEntry, WordSegmenter
from mlmref.plugin.registry import Chosen, faulty

if TYPE_CHECKING:
    import tokenizers

_STEP = 1  # version of the rule; a new one replaces every cached entry
_BLANK = np.array([chr(code).isspace() for code in range(0x3002)])  # the last blank is U+3000


class SegmentedWords:
    """Finds words with a segmenter.

    Args:
        chosen: the segmenter's entry, with its options.

    Attributes:
        told: always true (TOK-017).
        identity: everything that shapes its words, as JSON values (TOK-011).

    Raises:
        PluginError: the segmenter cannot be constructed, or has no fingerprint.
    """

    told = True

    def __init__(self, chosen: Chosen[SegmenterEntry]) -> None:
        self._segmenter: WordSegmenter = chosen.make()
        self._owner = chosen.owner
        self.identity = {
            "step": _STEP,
            "name": chosen.entry.name,
            "distribution": chosen.source.distribution,
            "version": chosen.source.version,
            "options": chosen.options.model_dump(mode="json"),
            "fingerprint": self._fingerprint(),
        }

    def starts(
        self, encodings: Sequence[tokenizers.Encoding], ids: Int32Array, texts: Sequence[str]
    ) -> BoolArray:
        """Return which tokens begin a word of the segmenter, bool ``[N]``.

        The caller corrects special tokens and the first token of each document.

        Args:
            encodings: of some documents.
            ids: int32 ``[N]``, their tokens in order.
            texts: the documents.

        Raises:
            PluginError: the segmenter raises an error, or its answer breaks SEG-001.
        """
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        seams = np.append(0, np.cumsum(lengths))
        return self.starts_of(spans_of(encodings, seams), texts, seams)

    def starts_of(self, spans: Int64Array, texts: Sequence[str], seams: Int64Array) -> BoolArray:
        """Return the same from begin and end of each token in characters of all texts.

        Args:
            spans: int64 ``[N, 2]``.
            texts: the documents.
            seams: int64 ``[D + 1]``, where each document begins; last, the end.
        """
        # Blanks are not counted, because they belong to no word (TOK-015).
        solid = _solid_before("".join(texts))
        begins = np.unique(solid[np.append(self._begins(texts, seams), seams)])
        first = np.searchsorted(begins, solid[spans[:, 0]], side="right") - 1
        last = np.searchsorted(begins, solid[spans[:, 1]] - 1, side="right") - 1
        # A token contains characters of the words first to last. A token without characters has
        # the word around it, or none if a word begins there: first is then last + 1 (TOK-016).
        starts = np.ones(len(spans), dtype=np.bool_)
        starts[1:] = (first[1:] > last[:-1]) | (first[:-1] > last[1:])
        return starts

    def _begins(self, texts: Sequence[str], seams: Int64Array) -> Int64Array:
        """Return the offsets at which the segmenter's words begin, counted over all texts."""
        try:
            # A tuple, so that the segmenter cannot change it (SEG-006).
            given: Any = self._segmenter.segment(tuple(texts))
            answers = list(given) if isinstance(given, Iterable) else None
        except Exception as error:  # a plugin may raise anything, and its owner is to be named
            raise self._fault(f"segment raised {type(error).__name__}: {error}") from error
        if answers is None:
            raise self._fault(f"segment gave {type(given).__name__}, not answers")
        if len(answers) != len(texts):
            raise self._fault(f"segment gave {len(answers)} answers for {len(texts)} texts")
        begins = [np.empty(0, dtype=np.int64)]
        for text, answer, seam in zip(texts, answers, seams[:-1], strict=True):
            try:
                begins.append(read_answer(answer, len(text)) + seam)
            except ValueError as error:
                raise self._fault(f"segment gave {error} for {_excerpt(text)}") from None
        return np.concatenate(begins)

    def _fingerprint(self) -> str:
        try:
            fingerprint = self._segmenter.fingerprint
        except Exception as error:  # a plugin may raise anything, and its owner is to be named
            what = f"fingerprint raised {type(error).__name__}: {error}"
            raise self._fault(what, "SEG-005") from error
        if not isinstance(fingerprint, str):
            raise self._fault(f"fingerprint is {type(fingerprint).__name__}, not str", "SEG-005")
        return fingerprint

    def _fault(self, what: str, clause: str = "SEG-001") -> PluginError:
        return faulty(f"{what} ({clause})", self._owner)


def read_answer(answer: Any, length: int) -> Int64Array:
    """Return the offsets at which words begin in a text of ``length`` characters, int64.

    Raises:
        ValueError: the answer breaks SEG-001; describes the answer.
    """
    try:
        begins = np.asarray(answer)
    except Exception:  # noqa: BLE001 - what cannot be an array, such as lists of several lengths
        raise ValueError(f"{type(answer).__name__}, not offsets,") from None
    if begins.ndim != 1:
        raise ValueError(f"{type(answer).__name__} of {begins.ndim} dimensions, not offsets,")
    if not len(begins):
        return np.empty(0, dtype=np.int64)
    if begins.dtype.kind not in "iu":
        raise ValueError(f"offsets of type {begins.dtype}, not integers,")
    outside = begins[(begins < 0) | (begins >= length)]
    if len(outside):
        raise ValueError(f"offset {outside[0]}, which is not in range({length}),")
    if (begins[1:] <= begins[:-1]).any():
        raise ValueError("offsets that do not ascend,")
    return begins.astype(np.int64)


def _solid_before(text: str) -> Int64Array:
    """Return the number of characters before each character and the end, without blanks."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    solid = np.zeros(len(text) + 1, dtype=np.int64)
    np.cumsum(~_BLANK[np.minimum(codes, len(_BLANK) - 1)], out=solid[1:])
    return solid


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 30 else f"{text[:27]}...")
