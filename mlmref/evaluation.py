"""Perplexity on frozen masks, with an interval (clauses EVAL-001 to EVAL-011).

Summed negative log-likelihood over counted targets, in float64 from the batch on, so the figure
does not move with the batch size (E09). Masks are keyed and their pass is a constant, so they
are the same before, between and after (E10).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mlmref.chunks import Chunks
from mlmref.config import EvaluationConfig
from mlmref.contracts import IGNORE_INDEX, FloatArray, MaskedRows
from mlmref.distributed import state, sum_over_ranks
from mlmref.errors import MlmrefError
from mlmref.masking.apply import Masker
from mlmref.masking.draws import EVALUATION_PASS
from mlmref.objective import MaskedLMObjective
from mlmref.progress import SILENT, Reporter

TUTORIAL_BATCH_SIZE = 64
"""The batch size of the tutorial's evaluation, over which it takes the mean of means (T15)."""

_RESAMPLED = 4_000_000  # documents drawn at a time for the interval, which bounds its memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured on the held-out chunks.

    Attributes:
        chunk_nll: float64 ``[N]``, summed negative log-likelihood of each chunk, in nats.
        chunk_targets: float64 ``[N]``, its number of targets.
        document_nll: float64 ``[D]``, the same by document; only documents with a target.
        document_targets: float64 ``[D]``.
        correct: targets whose true token was the model's first choice.
    """

    chunk_nll: FloatArray
    chunk_targets: FloatArray
    document_nll: FloatArray
    document_targets: FloatArray
    correct: int

    @property
    def targets(self) -> int:
        """Number of targets."""
        return int(self.chunk_targets.sum())

    @property
    def nll(self) -> float:
        """Mean negative log-likelihood of a target, in nats: the cross-entropy."""
        return float(self.chunk_nll.sum() / self.targets)

    @property
    def perplexity(self) -> float:
        """Exponential of the cross-entropy (T16); infinity where that overflows."""
        return _exp(self.nll)

    @property
    def accuracy(self) -> float:
        """Share of targets whose true token was the model's first choice."""
        return self.correct / self.targets

    @property
    def tutorial_estimate(self) -> float:
        """The tutorial's own figure: the mean over chunks of their batch's mean loss (E09)."""
        edges = np.arange(0, len(self.chunk_nll), TUTORIAL_BATCH_SIZE)
        targets = np.add.reduceat(self.chunk_targets, edges)
        nll = np.add.reduceat(self.chunk_nll, edges)
        sizes = np.diff(np.append(edges, len(self.chunk_nll)))
        counted = targets > 0  # the tutorial's loss would be NaN here (E04)
        means = nll[counted] / targets[counted]
        return _exp(float(np.average(means, weights=sizes[counted])))

    def interval(self, config: EvaluationConfig, seed: int) -> tuple[float, float]:
        """Bootstrap the perplexity over documents: percentile interval.

        The chunks of one document are not independent (Miller 2024, arXiv 2411.00640), so
        documents are resampled. With a single document there is no interval: NaN twice.
        """
        if len(self.document_nll) < 2:
            return math.nan, math.nan
        from scipy import stats

        result = stats.bootstrap(
            (self.document_nll, self.document_targets),
            lambda nll, targets, axis: nll.sum(axis) / targets.sum(axis),
            paired=True,
            method="percentile",
            n_resamples=config.resamples,
            batch=max(1, _RESAMPLED // len(self.document_nll)),
            confidence_level=config.confidence,
            rng=np.random.default_rng(seed),
        ).confidence_interval
        return _exp(float(result.low)), _exp(float(result.high))

    def summary(self, config: EvaluationConfig, seed: int) -> dict[str, Any]:
        """Return the figures as the record holds them."""
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


def _exp(nll: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(nll))


def evaluate(
    objective: MaskedLMObjective,
    chunks: Chunks,
    masker: Masker,
    *,
    batch_size: int = 64,
    reporter: Reporter = SILENT,
) -> Evaluation:
    """Measure a model on chunks: in float32, evaluation mode, each chunk once over all ranks.

    Raises:
        MlmrefError: the strategy proposed no target in any chunk, so there is nothing to measure;
            or the model's losses are no numbers.
    """
    size, documents = len(chunks), len(chunks.tokens.offsets) - 1
    nll, targets = np.zeros(size), np.zeros(size)
    document_nll, document_targets = np.zeros(documents), np.zeros(documents)
    correct = np.zeros(1)
    rank, ranks = state().process_index, state().num_processes
    mine = np.arange(rank * size // ranks, (rank + 1) * size // ranks)
    was_training = objective.model.training
    objective.model.eval()
    try:
        with reporter.stage("evaluate", len(mine)) as stage:
            for begin in range(0, len(mine), batch_size):
                numbers = mine[begin : begin + batch_size]
                rows = chunks.gather(numbers)
                masked = masker(rows, EVALUATION_PASS)
                chosen = masked.labels != IGNORE_INDEX
                losses, hits = _losses(objective, masked)
                row = np.nonzero(chosen)[0]
                nll[numbers] = np.bincount(row, losses, len(numbers))
                targets[numbers] = np.bincount(row, minlength=len(numbers))
                np.add.at(document_nll, rows.documents[chosen], losses)
                np.add.at(document_targets, rows.documents[chosen], 1)
                correct += hits
                stage.advance(len(numbers))
    finally:
        objective.model.train(was_training)
    nll, targets, document_nll, document_targets, correct = map(
        sum_over_ranks, (nll, targets, document_nll, document_targets, correct)
    )
    if not targets.any():
        raise MlmrefError(
            "no target in any held-out chunk, so there is no perplexity",
            where=f"masking strategy {masker.entry.name!r}",
            hint="raise --mlm-probability or --test-size",
        )
    if np.isnan(nll).any():
        raise MlmrefError(
            f"the loss is no number in {np.count_nonzero(np.isnan(nll)):,} held-out chunks",
            where="evaluation",
            hint="the model is damaged, or its training diverged: lower --learning-rate",
        )
    with_targets = document_targets > 0
    return Evaluation(
        chunk_nll=nll,
        chunk_targets=targets,
        document_nll=document_nll[with_targets],
        document_targets=document_targets[with_targets],
        correct=int(correct[0]),
    )


@torch.inference_mode()
def _losses(objective: MaskedLMObjective, masked: MaskedRows) -> tuple[FloatArray, int]:
    """Return each target's loss in row-major order, and how many were the first choice."""
    device = next(objective.model.parameters()).device
    arrays = (masked.input_ids, masked.attention_mask, masked.labels)
    tensors = (torch.from_numpy(array).long().to(device) for array in arrays)
    with torch.autocast(device.type, enabled=False):
        losses, hits = objective.losses(*tensors)
    return losses.double().cpu().numpy(), int(hits.sum())
