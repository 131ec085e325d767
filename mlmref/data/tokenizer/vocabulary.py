"""A tokenizer's vocabulary as numbers (clauses TOK-008, TOK-009 and TOK-020, spec/tokens.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlmref.base.errors import ModelError
from mlmref.data.tokenizer.encoding import backend_of, check_template
from mlmref.plugin.arrays import BoolArray
from mlmref.plugin.contracts import Vocabulary

if TYPE_CHECKING:
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
    ids = np.unique(np.fromiter(tokenizer.get_vocab().values(), np.int32))
    special = np.array(sorted(_special_ids(tokenizer)), dtype=np.int32)
    return Vocabulary(
        size=int(ids[-1]) + 1,  # ids may leave gaps, and then len(tokenizer) is less
        mask_id=tokenizer.mask_token_id,
        pad_id=tokenizer.pad_token_id,
        special_ids=special,
        ordinary_ids=np.setdiff1d(ids, special),
    )


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
