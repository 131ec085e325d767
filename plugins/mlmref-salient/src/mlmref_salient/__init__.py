"""The masking strategy ``salient`` for mlmref: prefers words that are typical of the domain.

A word is salient if it is more frequent in the training chunks than in a background (Kilgarriff,
"Simple maths for keywords", Corpus Linguistics 2009). Masking salient words trains on what is new
in the domain (Golchin et al., "Do not mask randomly", RepL4NLP 2023; Wilf et al.,
"Difference-Masking", Findings of EMNLP 2023).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from mlmref.plugin import (
    Batch,
    BoolArray,
    Draws,
    FloatArray,
    Int32Array,
    Int64Array,
    Options,
    Plan,
    Probability,
    StrategyEntry,
    Vocabulary,
    hookimpl,
)
from mlmref_salient.background import Background, read_background

UNIT = 1024
"""Weights are multiples of ``1 / UNIT``, so that sums do not depend on their order."""

COMMON = 1_000.0
"""The frequency per million of a token with weight 1, without a background."""


class SalientOptions(Options):
    """Options of ``salient``.

    Attributes:
        mlm_probability: the share of the tokens that are targets, on average.
        background: a file from ``python -m mlmref_salient background``; without one, rare words
            replace salient words.
        smoothing: occurrences per million added to each token, in the training chunks and in the
            background; a larger value makes fewer rare words salient.
        most: the maximum weight of a token; the minimum is ``1 / most``. 1 makes all words equally
            likely.
    """

    mlm_probability: Probability = 0.15
    background: str | None = None
    smoothing: Annotated[float, Field(gt=0.0, le=1e6, allow_inf_nan=False)] = 100.0
    most: Annotated[float, Field(ge=1.0, le=64.0)] = 10.0


def weigh(
    vocabulary: Vocabulary, background: Background | None, smoothing: float, most: float
) -> Int64Array:
    """Return the weight of each token.

    With a background, the weight is the ratio of the frequencies per million, each with
    ``smoothing`` added; 1 for a token without a count in the background. Without a background, it
    is ``sqrt(1000 / (frequency + smoothing))``, as in word2vec's subsampling (Mikolov et al.,
    NeurIPS 2013, section 2.3), up to a factor that does not matter.

    IEEE 754 defines the result of each operation, so the weights are the same on all machines.

    Returns:
        int64 ``[size]``, multiples of ``1 / UNIT`` between ``1 / most`` and ``most``.

    Raises:
        ValueError: the background belongs to another vocabulary.
    """
    told = np.zeros(vocabulary.size, dtype=np.bool_)
    told[vocabulary.ordinary_ids] = True
    if background is not None:
        background.check(vocabulary)
        told &= background.counts >= 0
    here = per_million(vocabulary.counts, told) + smoothing
    if background is None:
        weights = np.sqrt(COMMON / here)
    else:
        weights = np.where(told, here / (per_million(background.counts, told) + smoothing), 1.0)
    scaled: Int64Array = np.rint(np.clip(weights, 1.0 / most, most) * UNIT).astype(np.int64)
    return scaled


def per_million(counts: Int64Array, told: BoolArray) -> FloatArray:
    """Return frequencies per million among the tokens that are counted on both sides."""
    among = np.where(told, counts, 0)
    # In an empty corpus all frequencies are 0.
    frequencies: FloatArray = among * (1e6 / max(int(among.sum()), 1))
    return frequencies


def chances(words: Int32Array, weights: Int64Array, probability: float) -> FloatArray:
    """Return the probability of each word to be a target.

    It is proportional to the mean weight of the word's tokens. A factor for each row makes the
    expected number of targets ``probability`` times the row's tokens. Words whose probability would
    exceed 1 are always targets, and the other words share the rest.

    Args:
        words: int32 ``[B, T]``, the number of the word within its row, -1 outside words.
        weights: int64 ``[B, T]``, the weight of each token; positive.
        probability: the share of a row's tokens.

    Returns:
        float64 ``[B, W]``, by the number of the word; 0 if the row has fewer words.
    """
    height, columns = len(words), int(words.max(initial=-1)) + 2
    # The first column of each row is for positions outside words; it is removed.
    cells = (words + (np.arange(height) * columns + 1)[:, None]).reshape(-1)

    def total(values: Int64Array | None) -> FloatArray:
        sums = np.bincount(cells, weights=values, minlength=height * columns)
        return sums.astype(np.float64).reshape(height, columns)[:, 1:]

    # All sums and products are whole numbers below 2**53, so nothing is rounded. The result does
    # not depend on the order of sums, on other rows or on padding.
    sizes, masses = total(None), total(weights.reshape(-1))
    mean = np.divide(masses, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    order = np.argsort(-mean, axis=1, kind="stable")
    sizes, masses = (np.take_along_axis(one, order, axis=1) for one in (sizes, masses))

    budget = probability * sizes.sum(axis=1, keepdims=True)
    left = budget - (np.cumsum(sizes, axis=1) - sizes)
    rest = masses.sum(axis=1, keepdims=True) - (np.cumsum(masses, axis=1) - masses)
    certain = np.logical_and.accumulate((left * masses >= rest * sizes) & (sizes > 0), axis=1)
    budget -= (sizes * certain).sum(axis=1, keepdims=True)
    rest = (masses * ~certain).sum(axis=1, keepdims=True)
    others = ~certain & (sizes > 0)
    sorted_ = certain.astype(np.float64)
    np.divide(budget * masses, rest * sizes, out=sorted_, where=others)
    answer = np.empty_like(sorted_)
    np.put_along_axis(answer, order, sorted_, axis=1)
    return answer


class SalientMasking:
    """Selects each word independently, with a probability proportional to its weight."""

    def __init__(self, options: SalientOptions) -> None:
        self._options = options
        self._background = read_background(options.background) if options.background else None

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Return the targets; the k-th word of a row uses the draw at position k."""
        chance = self._chances(batch)
        height, count = chance.shape
        chosen = np.zeros(
            (height, count + 1), dtype=np.bool_
        )  # the last column is for -1: outside words
        np.less(draws.uniform("salient")[:, :count], chance, out=chosen[:, :count])
        return Plan(targets=np.take_along_axis(chosen, batch.words, axis=1))

    def expected(self, batch: Batch) -> FloatArray:
        """Return the probability of each position: that of its word, 0 outside words."""
        chance = np.pad(self._chances(batch), ((0, 0), (0, 1)))  # the last column is for -1
        answer: FloatArray = np.take_along_axis(chance, batch.words, axis=1)
        return answer

    def _chances(self, batch: Batch) -> FloatArray:
        """Return the probability of each word ``[B, W]``."""
        options = self._options
        table = weigh(batch.vocabulary, self._background, options.smoothing, options.most)
        return chances(batch.words, table.take(batch.input_ids), options.mlm_probability)


@hookimpl
def mlmref_masking_strategies() -> list[StrategyEntry]:
    """Return the entry of ``salient``."""
    return [
        StrategyEntry(
            name="salient",
            summary="words that are typical of the domain, 15 % of the tokens",
            build=SalientMasking,
            options=SalientOptions,
            needs_words=True,
            needs_counts=True,
            whole_words=True,
            rate="share",
            expected=True,
        )
    ]
