"""Bootstrap intervals over documents, and Student's over seeds (clauses EVAL-006 and EVAL-012).

The chunks of one document are not independent (Miller 2024, arXiv 2411.00640), so documents are
resampled. Each target belongs to the document of its token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlmref.base.errors import MlmrefError
from mlmref.plugin.arrays import FloatArray, Int64Array
from mlmref.settings.config import EvaluationConfig

_RESAMPLED = 4_000_000  # documents drawn at a time, which bounds the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Losses summed by document, without documents that have no target.

    Attributes:
        numbers: int64 ``[D]``, indices of the documents in the corpus, ascending.
        nll: float64 ``[D]``, summed negative log-likelihood of each document's targets, in nats.
        targets: float64 ``[D]``, the number of targets of each document.
    """

    numbers: Int64Array
    nll: FloatArray
    targets: FloatArray

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference between two models on the same targets.

    Attributes:
        nll: cross-entropy of the second minus that of the first, in nats per target.
        low, high: its interval; NaN with fewer than two documents.
    """

    nll: float
    low: float
    high: float

    def summary(self) -> dict[str, float]:
        """Return the difference as in the record, with the ratio of the perplexities."""
        return {
            "nll": self.nll,
            "low": self.low,
            "high": self.high,
            "ratio": exp(self.nll),
            "ratio_low": exp(self.low),
            "ratio_high": exp(self.high),
        }


def exp(nll: float) -> float:
    """Return the exponential; infinity if it overflows (EVAL-005)."""
    if math.isnan(nll):
        return math.nan  # this object, because two records with the same NaN object are equal
    with np.errstate(over="ignore"):
        return float(np.exp(nll))


def mean_interval(documents: Documents, config: EvaluationConfig, seed: int) -> tuple[float, float]:
    """Return the interval of the cross-entropy; NaN twice with fewer than two documents."""
    return bootstrap(documents.nll, documents.targets, config, seed)


def difference(
    before: Documents, after: Documents, config: EvaluationConfig, seed: int
) -> Difference:
    """Return the difference between two models, paired by document (EVAL-012).

    Raises:
        MlmrefError: the evaluations have different targets.
    """
    same = np.array_equal(before.numbers, after.numbers) and np.array_equal(
        before.targets, after.targets
    )
    if not same:
        raise MlmrefError("the two evaluations have different targets", where="evaluation")
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        gained = after.nll - before.nll
    low, high = bootstrap(gained, after.targets, config, seed)
    return Difference(nll=float(gained.sum() / after.targets.sum()), low=low, high=high)


def better(
    sums: Sequence[Documents], config: EvaluationConfig, seed: int
) -> tuple[int, Difference] | None:
    """Return the best earlier evaluation that is better than the last one by more than chance.

    Returns:
        Its index, and the difference between it and the last one; ``None`` if the paired interval
        shows no such evaluation.

    Raises:
        MlmrefError: the evaluations have different targets.
    """
    totals = [float(one.nll.sum()) for one in sums]
    for number in sorted(range(len(sums) - 1), key=totals.__getitem__):
        if not totals[number] < totals[-1]:
            break
        lost = difference(sums[number], sums[-1], config, seed)
        if lost.low > 0:
            return number, lost
    return None


def bootstrap(
    sums: FloatArray, counts: FloatArray, config: EvaluationConfig, seed: int
) -> tuple[float, float]:
    """Return the percentile interval of the total of ``sums`` divided by that of ``counts``.

    Both are float64 ``[D]``, by document; the interval is NaN twice with fewer than two.
    """
    if len(sums) < 2:
        return math.nan, math.nan
    from scipy import stats

    with np.errstate(invalid="ignore"):  # SciPy also computes the spread of infinities
        result = stats.bootstrap(
            (sums, counts),
            lambda one, other, axis: one.sum(axis) / other.sum(axis),
            paired=True,
            method="percentile",
            n_resamples=config.resamples,
            batch=max(1, _RESAMPLED // len(sums)),
            confidence_level=config.confidence,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return float(result.low), float(result.high)


def students(values: FloatArray, confidence: float) -> tuple[float, float]:
    """Return Student's interval of the mean; NaN twice with fewer than two, or infinite, values."""
    from scipy import stats

    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan, math.nan
    reach = stats.sem(values) * stats.t.ppf((1 + confidence) / 2, len(values) - 1)
    return float(values.mean() - reach), float(values.mean() + reach)
