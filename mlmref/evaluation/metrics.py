"""The metrics of an evaluation: perplexity, its interval and accuracy (EVAL-005 to EVAL-007)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mlmref.base.number_format import number
from mlmref.base.progress import Reporter
from mlmref.evaluation.intervals import Documents, exp, mean_interval
from mlmref.plugin.arrays import FloatArray
from mlmref.settings.config import EvaluationConfig

TUTORIAL_BATCH_SIZE = 64
"""The tutorial's evaluation batch size, over which it takes the mean of means (T15)."""

_TOO_GOOD = 1.05  # no text is predictable enough for a lower perplexity


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The summed losses of a model on the held-out chunks, and the metrics that follow from them.

    Attributes:
        chunk_nll: float64 ``[N]``, summed negative log-likelihood of each chunk, in nats.
        chunk_targets: float64 ``[N]``, number of targets in each chunk.
        documents: both sums by document.
        correct: number of targets for which the model ranked the true token first.
        target_nll: float64 ``[n]``, negative log-likelihood of each kept target; NaN where the
            masker chose no target. ``None`` if no targets were kept.
    """

    chunk_nll: FloatArray
    chunk_targets: FloatArray
    documents: Documents
    correct: int
    target_nll: FloatArray | None = None

    def __repr__(self) -> str:
        chunks, documents = len(self.chunk_nll), len(self.documents)
        return (
            f"Evaluation(perplexity {number(self.perplexity)} of {self.targets:,} targets in "
            f"{chunks:,} chunks of {documents:,} documents)"
        )

    @property
    def targets(self) -> int:
        """Number of targets."""
        return int(self.chunk_targets.sum())

    @property
    def nll(self) -> float:
        """Cross-entropy: the mean negative log-likelihood of a target, in nats."""
        return float(self.chunk_nll.sum() / self.targets)

    @property
    def perplexity(self) -> float:
        """Exponential of the cross-entropy; infinity if it overflows (EVAL-005)."""
        return exp(self.nll)

    @property
    def accuracy(self) -> float:
        """Share of targets for which the model ranked the true token first."""
        return self.correct / self.targets

    @property
    def tutorial_estimate(self) -> float:
        """The tutorial's perplexity, from the mean over chunks of their batch's mean loss (E09)."""
        edges = np.arange(0, len(self.chunk_nll), TUTORIAL_BATCH_SIZE)
        targets = np.add.reduceat(self.chunk_targets, edges)
        nll = np.add.reduceat(self.chunk_nll, edges)
        sizes = np.diff(np.append(edges, len(self.chunk_nll)))
        counted = targets > 0  # without targets, the tutorial's mean is NaN (E04)
        means = nll[counted] / targets[counted]
        return exp(float(np.average(means, weights=sizes[counted])))

    def interval(self, config: EvaluationConfig, seed: int) -> tuple[float, float]:
        """Return the bounds of the perplexity; both are NaN with fewer than two documents."""
        low, high = mean_interval(self.documents, config, seed)
        return exp(low), exp(high)

    def summary(self, config: EvaluationConfig, seed: int) -> dict[str, Any]:
        """Return the metrics in the form of the record."""
        low, high = self.interval(config, seed)
        return {
            "value": self.perplexity,
            "low": low,
            "high": high,
            "nll": self.nll,
            "targets": self.targets,
            "accuracy": self.accuracy,
            "tutorial_estimate": self.tutorial_estimate,
        }


class Measured(NamedTuple):
    """What a run keeps of an evaluation: metrics, sums by document, and losses of kept targets."""

    summary: dict[str, Any]
    documents: Documents
    target_nll: FloatArray | None = None


def measured(
    evaluations: Sequence[Evaluation], config: EvaluationConfig, seed: int, reporter: Reporter
) -> Measured:
    """Return the metrics of the first evaluation, and the spread over all draws of masks.

    A perplexity close to 1 gives a warning (EVAL-014).

    Args:
        evaluations: evaluations of one model, one for each draw of masks.
        config: the confidence and the resamples of the interval.
        seed: the seed of the resamples.
        reporter: receives the warning.
    """
    first = evaluations[0]
    summary = first.summary(config, seed)
    if len(evaluations) > 1:
        values = [one.perplexity for one in evaluations]
        summary["draws"] = {"values": values, "standard_deviation": float(np.std(values, ddof=1))}
    if first.perplexity < _TOO_GOOD:
        reporter.warn(
            f"a perplexity of {first.perplexity:.3f} is too good to be true: the model "
            "sees the tokens that it predicts (see --corruption and the strategy's replacements), "
            "or the text has the same tokens everywhere"
        )
    return Measured(summary, first.documents, first.target_nll)
