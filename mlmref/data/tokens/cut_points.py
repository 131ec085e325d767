"""Find where a tokenizer cuts any text independently of its context (clause TOK-019).

It is read off the tokenizer's own description, and only two makes are known here: BERT's WordPiece
and the byte-level BPE of GPT-2. Of all others nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.plugin.arrays import BoolArray

if TYPE_CHECKING:
    import tokenizers

_BERT_SPLITS = {"type": "BertPreTokenizer"}
_BERT_OPTIONS = {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"}
_BYTE_SPLITS = {
    "type": "ByteLevel",
    "use_regex": True,
    "add_prefix_space": None,
    "trim_offsets": None,
}
_ADDED_OPTIONS = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}

_Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
Cut = Callable[[_Bytes], BoolArray]
"""Tells before which bytes of UTF-8 text it may be cut, bool ``[bytes + 1]``."""


def cut(parts: dict[str, Any]) -> Cut | None:
    """Tell where any text may be cut, or ``None`` where nothing is known of that.

    The model sees one word of the pre-tokenizer at a time. So a place will do if normalizer and
    pre-tokenizer do the same to both sides apart as together, and a word ends there.
    """
    model, normalizer, splits = (parts[name] for name in ("model", "normalizer", "pre_tokenizer"))
    if model["type"] not in ("WordPiece", "BPE") or splits is None:
        return None
    # Without a token for it, an unknown piece of the probe would be an error.
    if model["unk_token"] not in (None, *model["vocab"]):
        return None
    if model["type"] == "WordPiece":
        return _behind_blanks if splits == _BERT_SPLITS and _bert(normalizer) else None
    free = {"add_prefix_space": None, "trim_offsets": None}  # neither has to do with a place inside
    known = normalizer is None and model["dropout"] is None and {**splits, **free} == _BYTE_SPLITS
    return _before_blanks if known else None


def _bert(normalizer: dict[str, Any] | None) -> bool:
    """Tell whether all that is done to a text is what BERT does: to each character by itself.

    Only accents look at their neighbours, and never across a blank.
    """
    if normalizer is None:
        return True
    if normalizer["type"] == "Sequence":
        return all(map(_bert, normalizer["normalizers"]))
    return normalizer["type"] == "BertNormalizer" and normalizer.keys() == _BERT_OPTIONS


def _behind_blanks(text: _Bytes) -> BoolArray:
    """Cut BERT's texts behind each of the blanks that its normalizer leaves blanks.

    It takes out others, such as U+000B and U+0085, and joins what they part.
    """
    cut = np.zeros(len(text) + 1, np.bool_)
    for blank in b" \t\n\r":
        cut[1:] |= text == blank
    return cut


def _before_blanks(text: _Bytes) -> BoolArray:
    """Cut GPT-2's texts before each space behind a visible ASCII character.

    None of its words goes on behind such a one with a blank, and none looks back. Behind other
    blanks it would be another matter, since a token may take all in that are before it.
    """
    cut = np.zeros(len(text) + 1, np.bool_)
    cut[1:-1] = (text[1:] == 0x20) & (text[:-1] > 0x20) & (text[:-1] < 0x7F)
    return cut


def around(processor: dict[str, Any] | None) -> tuple[list[int], list[int]] | None:
    """Return the ids put before and behind a document, or ``None`` if that is not all there is."""
    before: list[int] = []
    behind: list[int] = []
    if processor is None:
        return before, behind
    if processor["type"] in ("BertProcessing", "RobertaProcessing"):
        return [processor["cls"][1]], [processor["sep"][1]]
    if processor["type"] != "TemplateProcessing":
        return None
    documents = 0
    for part in processor["single"]:
        if "Sequence" in part:
            documents += 1
        else:
            token = processor["special_tokens"][part["SpecialToken"]["id"]]
            (behind if documents else before).extend(token["ids"])
    return (before, behind) if documents == 1 else None


def harmless(backend: tokenizers.Tokenizer, added: list[dict[str, Any]], between: str) -> bool:
    """Tell whether tokens found in the text before all else are found in its pieces as well.

    None may hold a blank or look at what follows. The blanks that one takes in before itself are
    in its piece, or would give no tokens.
    """
    for token in added:
        if token.keys() != _ADDED_OPTIONS or token["single_word"] or token["rstrip"]:
            return False
        content = token["content"]
        if token["normalized"] and backend.normalizer:
            content = backend.normalizer.normalize_str(content)
        for one in (content, token["content"]):
            if not one or between[0] in one or any(map(str.isspace, one)):
                return False
    return True
