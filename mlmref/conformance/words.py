"""The tokenizer and vocabulary with which the kit constructs collators."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from mlmref.conformance.strategies.worlds import World, make_vocabulary

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORDS, _PARTS = 600, 400
_TOKENS = (*_SPECIAL, *(f"w{n}" for n in range(_WORDS)), *(f"##p{n}" for n in range(_PARTS)))


@cache
def tokenizer() -> Any:
    """Return a WordPiece tokenizer of a thousand made-up words and parts of words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    numbered = {token: number for number, token in enumerate(_TOKENS)}
    inner = Tokenizer(WordPiece(numbered, unk_token="[UNK]"))  # noqa: S106 - a token
    inner.pre_tokenizer = Whitespace()
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    make: Any = PreTrainedTokenizerFast  # without type annotations
    return make(tokenizer_object=inner, **dict(zip(names, _SPECIAL, strict=True)))


@cache
def world() -> World:
    """Return the vocabulary of :func:`tokenizer`: tokens that begin and that continue a word."""
    first = len(_SPECIAL)
    size = len(_TOKENS)
    special = np.arange(first, dtype=np.int32)
    vocabulary = make_vocabulary(size, special, mask_id=4, pad_id=0)
    continues = np.arange(size) >= first + _WORDS
    return World(
        vocabulary=replace(vocabulary, spelled=_TOKENS, continues=continues),
        begins=np.arange(first, first + _WORDS, dtype=np.int32),
        continues=np.arange(first + _WORDS, size, dtype=np.int32),
        cls_id=2,
        sep_id=3,
    )
