"""Intervals over documents and seeds, and a randomization test (COMP-011 to COMP-014).

The multi-bootstrap is that of Sellam et al. ("The MultiBERTs", ICLR 2022). It resamples seeds and
documents independently, and in pairs, because the variants share both. The test is approximate
randomization (Noreen 1989; Riezler and Maxwell 2005), with p-values corrected by Holm's method
(1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlmref.evaluation.intervals import students
from mlmref.plugin.arrays import FloatArray, Int64Array
from mlmref.plugin.draws import Draws

_DRAWN = 2_000_000  # numbers drawn at a time, which bounds the memory

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over seeds, in nats per target, with its intervals; a missing interval is NaN twice.

    Attributes:
        value: the mean.
        by_seed: float64 ``[S]``, the value of each seed.
        both: the interval of the multi-bootstrap, over seeds and documents.
        over_seeds: Student's interval, over seeds only.
        over_documents: the bootstrap interval, over documents only.
    """

    value: float
    by_seed: FloatArray
    both: Range
    over_seeds: Range
    over_documents: Range


def estimates(
    sums: FloatArray, targets: FloatArray, *, seed: int, resamples: int, confidence: float
) -> list[Estimate]:
    """Estimate means, or differences, on the same documents and with the same seeds.

    Args:
        sums: float64 ``[K, S, D]``, sums by document of K figures with S seeds, in nats.
        targets: float64 ``[D]``, targets by document.
        seed: the seed of the resamples.
        resamples: their number.
        confidence: the level of the intervals.

    Returns:
        K estimates. An interval over seeds needs two seeds, an interval over documents two
        documents, and one over both needs both. A figure with an infinite sum has no interval.
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
            over_seeds=students(by_seed[k], confidence),
            over_documents=_range(over_documents[:, k], there=bool(finite[k]) and documents > 1),
        )
        for k in range(figures)
    ]


def randomized(differences: FloatArray, *, seed: int, resamples: int) -> list[float]:
    """Return the p-values of a randomization test, which swaps pairs document by document.

    The p-value is the two-sided probability of a difference at least as large after random swaps,
    counting the observed one. A document is swapped with all its seeds, because their losses on it
    are not independent. So the test is about these models on other documents.

    Args:
        differences: float64 ``[P, D]``, differences by document, summed over seeds.
        seed: the seed of the swaps.
        resamples: their number.

    Returns:
        P p-values; NaN for a difference that is not finite, or with one document.
    """
    pairs, documents = differences.shape
    finite = np.asarray(np.isfinite(differences).all(axis=1))
    kept = np.where(finite[:, None], differences, 0.0)
    observed = np.abs(kept.sum(axis=1)) * (1 - 1e-12)  # a tolerance for rounding
    as_large = np.zeros(pairs, dtype=np.int64)
    for numbers in _batches(resamples, documents):
        draws = Draws(seed=seed, pass_=0, chunk_ids=numbers, width=documents)
        signs = np.where(draws.bernoulli("mlmref.compare.swaps", 0.5), 1.0, -1.0)
        as_large += (np.abs(signs @ kept.T) >= observed).sum(axis=0)
    values = (as_large + 1) / (resamples + 1)
    there = finite & (documents > 1)
    return [float(one) if known else math.nan for one, known in zip(values, there, strict=True)]


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's step-down method (1979); NaN stays NaN."""
    corrected = [math.nan] * len(values)
    known = [place for place, value in enumerate(values) if not math.isnan(value)]
    largest = 0.0
    for rank, place in enumerate(sorted(known, key=lambda one: values[one])):
        largest = max(largest, min(1.0, values[place] * (len(known) - rank)))
        corrected[place] = largest
    return corrected


def _batches(resamples: int, width: int) -> list[Int64Array]:
    """Return the indices of the resamples, in batches that bound the memory."""
    size = max(1, _DRAWN // width)
    return [
        np.arange(begin, min(begin + size, resamples), dtype=np.int64)
        for begin in range(0, resamples, size)
    ]


def _counts(numbers: Int64Array, size: int, stream: str, seed: int) -> FloatArray:
    """Return how often each item is in each resample: float64 ``[len(numbers), size]``."""
    draws = Draws(seed=seed, pass_=0, chunk_ids=numbers, width=size)
    drawn = draws.integers(stream, size)
    drawn += np.arange(len(numbers))[:, None] * size
    counts = np.bincount(drawn.ravel(), minlength=len(numbers) * size)
    return counts.reshape(len(numbers), size).astype(np.float64)


def _range(ends: FloatArray, *, there: bool) -> Range:
    return (float(ends[0]), float(ends[1])) if there else (math.nan, math.nan)
