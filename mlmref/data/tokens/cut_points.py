"""Find the places where a tokenizer divides any text regardless of context (clause TOK-019).

The tokenizer's own description decides. Two types are known: BERT's WordPiece and GPT-2's
byte-level BPE.
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
"""Returns before which bytes of UTF-8 text it may be cut, bool ``[bytes + 1]``."""


def cut(parts: dict[str, Any]) -> Cut | None:
    """Return the function that finds where a text may be cut; ``None`` if the type is unknown.

    The tokenizer's model reads one pre-token at a time. A text may be cut at a place if a pre-token
    ends there and normalizer and pre-tokenizer treat both sides alone as they treat them together.
    """
    model, normalizer, splits = (parts[name] for name in ("model", "normalizer", "pre_tokenizer"))
    if model["type"] not in ("WordPiece", "BPE") or splits is None:
        return None
    # Without an unknown token, the probe could raise an error.
    if model["unk_token"] not in (None, *model["vocab"]):
        return None
    if model["type"] == "WordPiece":
        return _behind_blanks if splits == _BERT_SPLITS and _bert(normalizer) else None
    free = {"add_prefix_space": None, "trim_offsets": None}  # these do not affect places inside
    known = normalizer is None and model["dropout"] is None and {**splits, **free} == _BYTE_SPLITS
    return _before_blanks if known else None


def _bert(normalizer: dict[str, Any] | None) -> bool:
    """Return whether a normalizer is BERT's, which treats each character by itself.

    Only accents depend on their neighbours, and never across a blank.
    """
    if normalizer is None:
        return True
    if normalizer["type"] == "Sequence":
        return all(map(_bert, normalizer["normalizers"]))
    return normalizer["type"] == "BertNormalizer" and normalizer.keys() == _BERT_OPTIONS


def _behind_blanks(text: _Bytes) -> BoolArray:
    """Return the places after each blank that BERT's normalizer keeps.

    It deletes others, such as U+000B and U+0085, and joins the text around them.
    """
    cut = np.zeros(len(text) + 1, np.bool_)
    for blank in b" \t\n\r":
        cut[1:] |= text == blank
    return cut


def _before_blanks(text: _Bytes) -> BoolArray:
    """Return the places before each space that follows a visible ASCII character.

    No pre-token of GPT-2 continues there, and none looks back. After other blanks a token may
    include all blanks before it.
    """
    cut = np.zeros(len(text) + 1, np.bool_)
    cut[1:-1] = (text[1:] == 0x20) & (text[:-1] > 0x20) & (text[:-1] < 0x7F)
    return cut


def around(processor: dict[str, Any] | None) -> tuple[list[int], list[int]] | None:
    """Return the ids added before and after a document; ``None`` if the processor does more."""
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
    """Return whether added tokens are found in pre-tokens as in the whole text.

    None may contain a blank or depend on the text after it. The blanks that one includes before
    itself are in its pre-token, or would give no tokens.
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
