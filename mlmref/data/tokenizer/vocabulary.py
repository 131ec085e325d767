"""A tokenizer's vocabulary as numbers (clauses TOK-008, TOK-009 and TOK-020, spec/tokens.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.base.errors import ModelError
from mlmref.data.tokenizer.encoding import backend_of, check_template
from mlmref.plugin.arrays import BoolArray, Int32Array
from mlmref.plugin.batches import Vocabulary

if TYPE_CHECKING:
    import tokenizers
    from transformers import PreTrainedTokenizerBase


def _fast_hint(folder: Path) -> str:
    """Return the advice for a model with a slow tokenizer."""
    if (folder / "tokenizer.json").is_file():
        return 'set "tokenizer_class" to "PreTrainedTokenizerFast" in its tokenizer_config.json'
    return "choose a model with a fast tokenizer, which has a tokenizer.json"


def vocabulary_of(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """Return a tokenizer's vocabulary (TOK-009).

    Raises:
        ModelError: it is a slow tokenizer, or has no mask or no padding token (TOK-008).
    """
    name = tokenizer.name_or_path or None
    if not tokenizer.is_fast:
        raise ModelError(
            f"{type(tokenizer).__name__} is a slow tokenizer, which cannot find words",
            where=name,
            hint=_fast_hint(Path(tokenizer.name_or_path)),
        )
    for role, token in (("mask", tokenizer.mask_token), ("padding", tokenizer.pad_token)):
        if token is None:
            raise ModelError(
                f"the tokenizer has no {role} token",
                where=name,
                hint="choose a model that was trained with masks, such as BERT or RoBERTa",
            )
    spelled = {number: token for token, number in tokenizer.get_vocab().items()}
    ids = np.sort(np.fromiter(spelled, np.int32))
    special = np.array(sorted(_special_ids(tokenizer)), dtype=np.int32)
    size = int(ids[-1]) + 1  # ids may leave gaps, and then len(tokenizer) is less
    tokens = tuple(spelled.get(number, "") for number in range(size))
    return Vocabulary(
        size=size,
        mask_id=tokenizer.mask_token_id,
        pad_id=tokenizer.pad_token_id,
        special_ids=special,
        ordinary_ids=np.setdiff1d(ids, special),
        continues=_continues(backend_of(tokenizer), tokens, special),
        spelled=tokens,
    )


def _continues(
    backend: tokenizers.Tokenizer, tokens: Sequence[str], special: Int32Array
) -> BoolArray:
    """Return which ids continue a word, bool ``[V]``; empty if no mark of tokens says so (TOK-028).

    WordPiece marks tokens that continue a word. SentencePiece and byte-level BPE mark tokens that
    begin one by a blank before it, so that punctuation after a word continues it. If a token spans
    several words, the marks say nothing.
    """
    state = json.loads(backend.to_str())
    prefix = state["model"].get("continuing_subword_prefix")
    if prefix:
        continues = np.array([token.startswith(prefix) for token in tokens])
    elif (blanks := tuple(_blanks(state["pre_tokenizer"]))) and not any(
        blank in token.lstrip(blank) for blank in blanks for token in tokens
    ):
        continues = np.array([not token.startswith(blanks) for token in tokens])
    else:
        return np.zeros(0, dtype=np.bool_)
    continues[special] = False
    return continues


def _blanks(pre_tokenizer: Any) -> Iterator[str]:
    """Yield how the tokens of a pre-tokenizer spell a blank before a word."""
    if isinstance(pre_tokenizer, dict):
        if pre_tokenizer.get("type") == "Metaspace":
            yield pre_tokenizer["replacement"]
        if pre_tokenizer.get("type") == "ByteLevel":
            yield from ("Ġ", "Ċ", "ĉ", "č")  # blank, line feed, tab and carriage return
        for part in pre_tokenizer.get("pretokenizers", []):
            yield from _blanks(part)


def special_mask(vocabulary: Vocabulary) -> BoolArray:
    """Return which ids are special, bool ``[vocabulary.size]``."""
    special = np.zeros(vocabulary.size, dtype=np.bool_)
    special[vocabulary.special_ids] = True
    return special


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the ids that are named, marked special, or put around a text (TOK-020)."""
    unknown = unknown_id(tokenizer)
    named = {*tokenizer.all_special_ids, *(() if unknown is None else (unknown,))}
    marked = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return named | marked | set(_around(tokenizer))


def _around(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the ids that the post-processor puts around an empty text."""
    from tokenizers import Tokenizer, models

    check_template(tokenizer.backend_tokenizer, tokenizer.name_or_path or None)
    # Without the tokenizer's own normalizer, truncation and padding, which may give other tokens.
    bare = Tokenizer(models.BPE())
    if tokenizer.backend_tokenizer.post_processor is not None:
        bare.post_processor = tokenizer.backend_tokenizer.post_processor
    return bare.encode("").ids


def unknown_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the id of the unknown token that the tokenizer, or else its model, names."""
    if tokenizer.unk_token_id is not None:
        return int(tokenizer.unk_token_id)
    model = json.loads(backend_of(tokenizer).to_str())["model"]
    if "unk_id" in model:  # Unigram's
        return None if model["unk_id"] is None else int(model["unk_id"])
    token = model.get("unk_token")
    return None if token is None else tokenizer.backend_tokenizer.token_to_id(token)
