"""Masks the words that mark the domain of a corpus, as often as any others would be masked.

What a word says of the domain is told by its frequency in the training chunks against that in a
background, as keywords are (Kilgarriff, "Simple maths for keywords", Corpus Linguistics 2009).
To mask such words is to learn what the domain has of its own (Golchin et al., "Do not mask
randomly", RepL4NLP 2023; Wilf et al., "Difference-Masking", Findings of EMNLP 2023).
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
"""A token's weight is a whole number of such parts, so that sums do not depend on their order."""

COMMON = 1_000.0
"""Without a background: the frequency per million of a token whose weight is about 1."""


class SalientOptions(Options):
    """Options of ``salient``.

    Attributes:
        mlm_probability: the share of the tokens that are targets, on average.
        background: a file of ``python -m mlmref_salient background``; without one, rare words
            take the place of salient ones.
        smoothing: occurrences per million that every token is granted, here and in the
            background; the more, the fewer rare words are salient.
        most: how much more, or less, than usual a word can weigh; 1 makes all words alike.
    """

    mlm_probability: Probability = 0.15
    background: str | None = None
    smoothing: Annotated[float, Field(gt=0.0, le=1e6, allow_inf_nan=False)] = 100.0
    most: Annotated[float, Field(ge=1.0, le=64.0)] = 10.0


def weigh(
    vocabulary: Vocabulary, background: Background | None, smoothing: float, most: float
) -> Int64Array:
    """Return how much each token says of the domain.

    With a background it is the ratio of both frequencies per million, each with ``smoothing``
    added to it, and 1 for a token of which the background tells nothing. Without one it is
    ``sqrt(1000 / (frequency + smoothing))``, the rule by which word2vec leaves out frequent words
    (Mikolov et al., NeurIPS 2013, section 2.3) to within a factor, which does not count.

    Every operation is one that IEEE 754 rounds exactly, so all machines weigh alike.

    Returns:
        int64 ``[size]``, multiples of ``1 / UNIT`` between ``1 / most`` and ``most``.

    Raises:
        ValueError: the background is of another vocabulary.
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
    """Return frequencies per million among the tokens of which both sides tell."""
    among = np.where(told, counts, 0)
    # Nothing was counted in an empty corpus, and no frequency is above another then.
    frequencies: FloatArray = among * (1e6 / max(int(among.sum()), 1))
    return frequencies


def chances(words: Int32Array, weights: Int64Array, probability: float) -> FloatArray:
    """Return each word's probability to be a target.

    It is in proportion to the mean weight of the word's tokens and at most 1, with the one factor
    for each row that makes ``probability`` times the row's tokens targets on average: the words
    that would exceed 1 are certain, and what they leave is divided among the others.

    Args:
        words: int32 ``[B, T]``, the word's number within its row, -1 outside words.
        weights: int64 ``[B, T]``, of each token; positive.
        probability: the share of a row's tokens.

    Returns:
        float64 ``[B, W]``, by the word's number; 0 for those that a row does not have.
    """
    height, columns = len(words), int(words.max(initial=-1)) + 2
    # Each row's first column is of what is in no word, and left out.
    cells = (words + (np.arange(height) * columns + 1)[:, None]).reshape(-1)

    def total(values: Int64Array | None) -> FloatArray:
        sums = np.bincount(cells, weights=values, minlength=height * columns)
        return sums.astype(np.float64).reshape(height, columns)[:, 1:]

    # Sums and products of whole numbers below 2**53, so nothing is rounded, and neither the
    # order of summing nor other rows nor padding can be told from what comes out.
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
    """Chooses each word independently, the likelier the more it says of the domain."""

    def __init__(self, options: SalientOptions) -> None:
        self._options = options
        self._background = read_background(options.background) if options.background else None

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Draw for the k-th word of a row at the row's position k."""
        options, words = self._options, batch.words
        table = weigh(batch.vocabulary, self._background, options.smoothing, options.most)
        chance = chances(words, table.take(batch.input_ids), options.mlm_probability)
        height, count = chance.shape
        chosen = np.zeros((height, count + 1), dtype=np.bool_)  # the last is for -1: in no word
        np.less(draws.uniform("salient")[:, :count], chance, out=chosen[:, :count])
        return Plan(targets=np.take_along_axis(chosen, words, axis=1))


@hookimpl
def mlmref_masking_strategies() -> list[StrategyEntry]:
    """Return ``salient``."""
    return [
        StrategyEntry(
            name="salient",
            summary="words by what they say of the domain against a background, 15 % of the tokens",
            build=SalientMasking,
            options=SalientOptions,
            needs_words=True,
            needs_counts=True,
            whole_words=True,
            rate="share",
        )
    ]
