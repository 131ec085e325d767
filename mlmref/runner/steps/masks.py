"""Mask chunks and show them as text (clauses API-005 and API-006)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.base.errors import ConfigError
from mlmref.plugin.batches import ChunkRows, MaskedRows
from mlmref.runner.steps.models import tokenizer_of
from mlmref.runner.steps.settings import with_strategy

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mlmref.data.chunks import Chunks
    from mlmref.plugin.contracts import Corruption, StrategyEntry


def mask(
    chunks: Chunks,
    strategy: str | StrategyEntry = "token",
    *,
    seed: int = 42,
    epoch: int | None = 0,
    corruption: str | Corruption | None = None,
    **options: Any,
) -> MaskedRows:
    """Return chunks as a masking strategy leaves them: what the model reads, and the labels.

    The masks are those of a run with this seed. They depend on the seed, the epoch and the ids of
    the chunks, and on nothing else.

    >>> import mlmref
    >>> chunks = mlmref.chunk(mlmref.tokenize("reviews.txt"), 12)
    >>> rows = mlmref.mask(chunks[:4], "whole-word", mlm_probability=0.2, seed=42)
    >>> rows
    MaskedRows(4 rows of 12 tokens, 7 targets)
    >>> mlmref.decode(rows, "embedded")[1]
    '[CLS] a great film about [MASK] sea, number 1. [SEP]'

    Args:
        chunks: the chunks; ``chunks[:4]`` are the first four.
        strategy: the name of a masking strategy, or the entry of your own.
        seed: the seed of the masks.
        epoch: the epoch, from 0; ``None`` gives the fixed masks of the evaluation.
        corruption: percentages MASK/RANDOM/KEEP, such as ``80/10/10``; by default the strategy's.
        options: the strategy's options, such as ``mlm_probability``.

    Raises:
        ConfigError: an argument is invalid.
        ModelError: the strategy needs words, and the tokens have none.
        PluginError: there is no such strategy, or it fails.
    """
    from mlmref.plugin.draws import EVALUATION_PASS
    from mlmref.runner.text import masker_of_chunks

    if epoch is not None and not (isinstance(epoch, int) and 0 <= epoch < 2**31):
        raise ConfigError(f"no epoch {epoch!r}", where="mlmref.mask", hint="count from 0")
    context = with_strategy("mlmref.mask", strategy, options, corruption, seed)
    masker = masker_of_chunks(context, chunks, "mlmref.mask")
    return masker(
        chunks.gather(np.arange(len(chunks))), EVALUATION_PASS if epoch is None else epoch
    )


def decode(
    rows: MaskedRows | ChunkRows | Chunks, tokenizer: str | PreTrainedTokenizerBase
) -> list[str]:
    """Return each row as text, with its special tokens and masks, without padding.

    >>> import mlmref
    >>> chunks = mlmref.chunk(mlmref.tokenize(["A great film.", "A bad film."]), 6)
    >>> mlmref.decode(chunks, "embedded")
    ['[CLS] a great film. [SEP]', '[CLS] a bad film. [SEP]']

    Args:
        rows: chunks, or rows as :func:`mask` returns them.
        tokenizer: the tokenizer, or the name of its model.
    """
    words = tokenizer_of(tokenizer)
    if not isinstance(rows, MaskedRows | ChunkRows):
        rows = rows.gather(np.arange(len(rows)))
    width = rows.input_ids.shape[1]
    there = (
        rows.attention_mask
        if isinstance(rows, MaskedRows)
        else np.arange(width) < rows.lengths[:, None]
    )
    found = zip(rows.input_ids, there, strict=True)
    return [str(words.decode(ids[kept].tolist())) for ids, kept in found]
