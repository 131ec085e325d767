"""What a report states about a run before evaluation: corpus, model, plugins, versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.data.tokenizer.vocabulary import unknown_id
from mlmref.plugin.arrays import Int64Array
from mlmref.results.record import versions
from mlmref.runner.log.provenance import corpus_used, model_used, plugins_used

if TYPE_CHECKING:
    from mlmref.data.chunks import Chunks
    from mlmref.runner.prepare import Ready

_COUNTED = 2**24
"""Tokens to train on that are counted by their ids, at most, which bounds the time."""


def counts(ready: Ready) -> Int64Array:
    """Count how often each token id stands in the training chunks, int64 ``[V]``."""
    return _some(ready).counts()


def _some(ready: Ready) -> Chunks:
    """Return the training chunks that are counted: the first ones, which are drawn by chance."""
    train = ready.split.train
    return train.select(np.arange(min(len(train), max(1, _COUNTED // train.rule.size))))


def about(ready: Ready, counted: Int64Array) -> dict[str, Any]:
    """Return ``model``, ``plugins``, ``versions``, ``words`` and ``corpus`` as JSON values."""
    from mlmref.base.ranks.process import state

    unknown = unknown_id(ready.loaded.tokenizer)
    tokens = ready.chunks.tokens
    return {
        "model": model_used(ready),
        "plugins": plugins_used(ready.context.plugins),
        "versions": versions(str(state().device)),
        "words": tokens.has_words,
        "corpus": {
            **corpus_used(ready),
            "lengths": _lengths(np.diff(tokens.offsets)),
            "counted": {
                "chunks": len(_some(ready)),
                "tokens": int(counted.sum()),
                "unknown": None if unknown is None else int(counted[unknown]),
            },
        },
    }


def _lengths(lengths: Int64Array) -> dict[str, Any]:
    """Sum up how many tokens the documents have.

    Returns:
        ``least``, ``most``, ``mean``, the ``quartiles`` and, as ``histogram``, how many documents
        have 2**k to below 2**(k + 1) tokens, for each k from 0.
    """
    powers = np.bincount(np.frexp(np.maximum(1, lengths))[1] - 1)
    return {
        "least": int(lengths.min()),
        "most": int(lengths.max()),
        "mean": float(lengths.mean()),
        "quartiles": [float(one) for one in np.quantile(lengths, (0.25, 0.5, 0.75))],
        "histogram": powers.tolist(),
    }
