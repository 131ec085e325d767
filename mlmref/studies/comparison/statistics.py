"""Intervals over documents and seeds, and a test (COMP-011 to COMP-014).

The multi-bootstrap is Sellam et al.'s ("The MultiBERTs", ICLR 2022): seeds and documents are
resampled independently of each other, and since the variants share both, in pairs. The test is
approximate randomisation (Noreen 1989; Riezler and Maxwell 2005), its values corrected by Holm's
method (1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlmref.plugin.arrays import FloatArray, Int64Array
from mlmref.plugin.draws import Draws

_DRAWN = 2_000_000  # numbers drawn at a time, which bounds the memory

Range = tuple[float, float]
NONE: Range = (math.nan, math.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over seeds, in nats a target, with its intervals; NaN twice where there is none.

    Attributes:
        value: the mean.
        by_seed: float64 ``[S]``, what it is the mean of.
        both: the multi-bootstrap's, over seeds and documents.
        over_seeds: Student's, over seeds alone.
        over_documents: the bootstrap's, over documents alone.
    """

    value: float
    by_seed: FloatArray
    both: Range
    over_seeds: Range
    over_documents: Range


def estimates(
    sums: FloatArray, targets: FloatArray, *, seed: int, resamples: int, confidence: float
) -> list[Estimate]:
    """Estimate means, or differences, on the same documents and under the same seeds.

    Args:
        sums: float64 ``[K, S, D]``, by document, of each of K figures under each of S seeds.
        targets: float64 ``[D]``.
        seed: what the resamples are drawn by.
        resamples: how many of them.
        confidence: the intervals' level.

    Returns:
        K estimates. Without a second seed none has an interval over seeds, nor over both;
        without a second document none over documents, nor over both; and where a sum is infinite
        there is none at all.
    """
    figures, seeds, documents = sums.shape
    with np.errstate(invalid="ignore"):
        by_seed = sums.sum(axis=2) / targets.sum()
        values = by_seed.mean(axis=1)
    finite = np.asarray(np.isfinite(sums).all(axis=(1, 2)))
    flat = np.where(finite[:, None, None], sums, 0.0).reshape(figures * seeds, documents)
    means: list[FloatArray] = []
    boths: list[FloatArray] = []
    for numbers in _batches(resamples, documents):
        drawn = _counts(numbers, documents, "mlmref.compare.documents", seed)
        resampled = (drawn @ flat.T / (drawn @ targets)[:, None]).reshape(-1, figures, seeds)
        weights = _counts(numbers, seeds, "mlmref.compare.seeds", seed) / seeds
        means.append(resampled.mean(axis=2))
        boths.append(np.einsum("rks,rs->rk", resampled, weights))
    tail = (1 - confidence) / 2
    both, over_documents = (
        np.quantile(np.concatenate(one), [tail, 1 - tail], axis=0) for one in (boths, means)
    )
    return [
        Estimate(
            value=float(values[k]),
            by_seed=by_seed[k],
            both=_range(both[:, k], there=bool(finite[k]) and seeds > 1 and documents > 1),
            over_seeds=_students(by_seed[k], confidence),
            over_documents=_range(over_documents[:, k], there=bool(finite[k]) and documents > 1),
        )
        for k in range(figures)
    ]


def randomised(differences: FloatArray, *, seed: int, resamples: int) -> list[float]:
    """Test whether the two of each pair can be told apart, by swapping them document by document.

    The two-sided probability that as large a difference comes of swaps at random, the observed
    one counted among them. Documents are swapped with all their seeds, whose losses on one
    document are not independent, so that it is a test of these models on other documents.

    Args:
        differences: float64 ``[P, D]``, of the sums by document, summed over seeds.
        seed: what the swaps are drawn by.
        resamples: how many of them.

    Returns:
        P probabilities; NaN for a difference that is not finite, and with one document.
    """
    pairs, documents = differences.shape
    finite = np.asarray(np.isfinite(differences).all(axis=1))
    kept = np.where(finite[:, None], differences, 0.0)
    observed = np.abs(kept.sum(axis=1)) * (1 - 1e-12)  # but for roundings
    as_large = np.zeros(pairs, dtype=np.int64)
    for numbers in _batches(resamples, documents):
        draws = Draws(seed=seed, pass_=0, chunk_ids=numbers, width=documents)
        signs = np.where(draws.bernoulli("mlmref.compare.swaps", 0.5), 1.0, -1.0)
        as_large += (np.abs(signs @ kept.T) >= observed).sum(axis=0)
    values = (as_large + 1) / (resamples + 1)
    there = finite & (documents > 1)
    return [float(one) if known else math.nan for one, known in zip(values, there, strict=True)]


def holm(values: Sequence[float]) -> list[float]:
    """Correct the values of several tests by Holm's step-down method (1979); NaN stays NaN."""
    corrected = [math.nan] * len(values)
    known = [place for place, value in enumerate(values) if not math.isnan(value)]
    largest = 0.0
    for rank, place in enumerate(sorted(known, key=lambda one: values[one])):
        largest = max(largest, min(1.0, values[place] * (len(known) - rank)))
        corrected[place] = largest
    return corrected


def _batches(resamples: int, width: int) -> list[Int64Array]:
    """Return the resamples' numbers, by which they are drawn, in parts that bound the memory."""
    size = max(1, _DRAWN // width)
    return [
        np.arange(begin, min(begin + size, resamples), dtype=np.int64)
        for begin in range(0, resamples, size)
    ]


def _counts(numbers: Int64Array, size: int, stream: str, seed: int) -> FloatArray:
    """Draw with replacement: float64 ``[len(numbers), size]``, how often each one is in it."""
    draws = Draws(seed=seed, pass_=0, chunk_ids=numbers, width=size)
    drawn = draws.integers(stream, size)
    drawn += np.arange(len(numbers))[:, None] * size
    counts = np.bincount(drawn.ravel(), minlength=len(numbers) * size)
    return counts.reshape(len(numbers), size).astype(np.float64)


def _students(values: FloatArray, confidence: float) -> Range:
    from scipy import stats

    if len(values) < 2 or not np.isfinite(values).all():
        return NONE
    reach = stats.sem(values) * stats.t.ppf((1 + confidence) / 2, len(values) - 1)
    return float(values.mean() - reach), float(values.mean() + reach)


def _range(ends: FloatArray, *, there: bool) -> Range:
    return (float(ends[0]), float(ends[1])) if there else NONE
