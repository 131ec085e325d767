"""Bootstrap intervals over documents (clauses EVAL-006 and EVAL-012).

The chunks of one document are not independent (Miller 2024, arXiv 2411.00640), so documents are
resampled; each target belongs to the document that its token comes from.
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
    """What was measured by document; only of documents with a target.

    Attributes:
        numbers: int64 ``[D]``, ascending, which documents of the corpus they are.
        nll: float64 ``[D]``, summed negative log-likelihood of each one's targets, in nats.
        targets: float64 ``[D]``, how many there are.
    """

    numbers: Int64Array
    nll: FloatArray
    targets: FloatArray

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a model gained on another, on the same targets.

    Attributes:
        nll: the difference in cross-entropy, second less first, in nats a target.
        low, high: its interval; NaN where there are fewer than two documents.
    """

    nll: float
    low: float
    high: float

    def summary(self) -> dict[str, float]:
        """Return it as the record holds it, with the ratio of the perplexities."""
        ratios = {"ratio": self.nll, "ratio_low": self.low, "ratio_high": self.high}
        return {
            "nll": self.nll,
            "low": self.low,
            "high": self.high,
            **{name: exp(value) for name, value in ratios.items()},
        }


def exp(nll: float) -> float:
    """Return the exponential; infinity where it overflows (EVAL-005)."""
    if math.isnan(nll):
        return math.nan  # the very one, so that two figures that are unknown compare as equal
    with np.errstate(over="ignore"):
        return float(np.exp(nll))


def mean_interval(documents: Documents, config: EvaluationConfig, seed: int) -> tuple[float, float]:
    """Return the interval of the cross-entropy; NaN twice with fewer than two documents."""
    return bootstrap(documents.nll, documents.targets, config, seed)


def difference(
    before: Documents, after: Documents, config: EvaluationConfig, seed: int
) -> Difference:
    """Compare two models on the same chunks and masks, document by document (EVAL-012).

    Raises:
        MlmrefError: they were measured on different targets.
    """
    same = np.array_equal(before.numbers, after.numbers) and np.array_equal(
        before.targets, after.targets
    )
    if not same:
        raise MlmrefError("the two were not measured on the same targets", where="evaluation")
    with np.errstate(invalid="ignore"):  # infinity less infinity
        gained = after.nll - before.nll
    low, high = bootstrap(gained, after.targets, config, seed)
    return Difference(nll=float(gained.sum() / after.targets.sum()), low=low, high=high)


def better(
    sums: Sequence[Documents], config: EvaluationConfig, seed: int
) -> tuple[int, Difference] | None:
    """Find an earlier evaluation that was better than the last one, by the paired interval.

    Returns:
        The number of the best such evaluation, and the difference of the last one from it;
        ``None`` if no earlier one was better by more than chance.

    Raises:
        MlmrefError: they were measured on different targets.
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
    """Return the percentile interval of the ratio of summed sums to summed counts."""
    if len(sums) < 2:
        return math.nan, math.nan
    from scipy import stats

    with np.errstate(invalid="ignore"):  # it takes a spread of infinities, too
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
