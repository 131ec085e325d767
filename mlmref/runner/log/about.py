"""The facts of a report that are known before evaluation: corpus, model, plugins, versions."""

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
"""The most training tokens that are counted by id, which bounds the time."""


def counts(ready: Ready) -> Int64Array:
    """Return how often each token id occurs in the training chunks, int64 ``[V]``."""
    return _some(ready).counts()


def _some(ready: Ready) -> Chunks:
    """Return the training chunks that are counted: the first ones of the random split."""
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
    """Return the distribution of the lengths of documents, in tokens.

    Returns:
        ``least``, ``most``, ``mean``, ``quartiles`` and ``histogram``: for each k from 0, the
        number of documents with 2**k to below 2**(k + 1) tokens.
    """
    powers = np.bincount(np.frexp(np.maximum(1, lengths))[1] - 1)
    return {
        "least": int(lengths.min()),
        "most": int(lengths.max()),
        "mean": float(lengths.mean()),
        "quartiles": [float(one) for one in np.quantile(lengths, (0.25, 0.5, 0.75))],
        "histogram": powers.tolist(),
    }
