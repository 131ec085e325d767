"""Perplexity on fixed masks, with an interval (EVAL-001 to EVAL-014, EVAL-018, EVAL-019).

Summed negative log-likelihood over counted targets, in float64 from the batch on, so the figure
does not move with the batch size (E09). Masks are keyed and their pass is a constant, so they
are the same before, between and after (E10).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from mlmref.base.errors import MlmrefError, memory_for
from mlmref.base.generators import seed_generators, torch_state
from mlmref.base.progress import SILENT, Reporter, Stage
from mlmref.base.ranks.process import state, sum_over_ranks
from mlmref.data.chunks import Chunks
from mlmref.evaluation.intervals import Documents, exp, mean_interval
from mlmref.evaluation.kept_targets import Targets
from mlmref.masking.masker import Masker
from mlmref.model.loss import MaskedLMObjective
from mlmref.model.unchanged import evaluating
from mlmref.plugin.arrays import IGNORE_INDEX, FloatArray, Int64Array
from mlmref.plugin.contracts import MaskedRows
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.settings.config import EvaluationConfig

TUTORIAL_BATCH_SIZE = 64
"""The batch size of the tutorial's evaluation, over which it takes the mean of means (T15)."""

_TOO_GOOD = 1.05  # perplexity: no text is that predictable


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured on the held-out chunks.

    Attributes:
        chunk_nll: float64 ``[N]``, summed negative log-likelihood of each chunk, in nats.
        chunk_targets: float64 ``[N]``, its number of targets.
        documents: the same by document.
        correct: targets whose true token was the model's first choice.
        target_nll: float64 ``[n]``, of each target that was to be kept; NaN for one that was
            none. ``None`` if none were to be kept.
    """

    chunk_nll: FloatArray
    chunk_targets: FloatArray
    documents: Documents
    correct: int
    target_nll: FloatArray | None = None

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
        return exp(self.nll)

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
        return exp(float(np.average(means, weights=sizes[counted])))

    def interval(self, config: EvaluationConfig, seed: int) -> tuple[float, float]:
        """Return the interval of the perplexity; NaN twice with fewer than two documents."""
        low, high = mean_interval(self.documents, config, seed)
        return exp(low), exp(high)

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


class Measured(NamedTuple):
    """What a run remembers of an evaluation: figures, sums by document, and losses kept."""

    summary: dict[str, Any]
    documents: Documents
    target_nll: FloatArray | None = None


def measured(
    evaluations: Sequence[Evaluation], config: EvaluationConfig, seed: int, reporter: Reporter
) -> Measured:
    """Sum up evaluations of one model under different draws of masks: figures are the first's.

    A perplexity that nearly is 1 is warned of (EVAL-014).
    """
    first = evaluations[0]
    summary = first.summary(config, seed)
    if len(evaluations) > 1:
        values = [one.perplexity for one in evaluations]
        summary["draws"] = {"values": values, "standard_deviation": float(np.std(values, ddof=1))}
    if first.perplexity < _TOO_GOOD:
        reporter.warn(
            f"a perplexity of {first.perplexity:.3f} means that the model reads what it is to "
            "predict; see --corruption, and what the masking strategy replaces"
        )
    return Measured(summary, first.documents, first.target_nll)


def evaluate(
    objective: MaskedLMObjective,
    chunks: Chunks,
    masker: Masker,
    *,
    batch_size: int = 64,
    draw: int = 0,
    targets: Targets | None = None,
    reporter: Reporter = SILENT,
) -> Evaluation:
    """Measure a model on chunks: in float32, evaluation mode, each chunk once over all ranks.

    Args:
        objective: the model with its loss.
        chunks: the chunks.
        masker: masks them.
        batch_size: chunks in a forward pass.
        draw: which of the fixed draws of masks (EVAL-013).
        targets: of these the loss is kept one by one.
        reporter: told of each batch.

    Raises:
        MlmrefError: the strategy proposed no target in any chunk, so there is nothing to measure;
            or the model's losses are no numbers.
    """

    def batches() -> Iterator[MaskedBatch]:
        for begin in range(0, len(mine), batch_size):
            numbers = mine[begin : begin + batch_size]
            rows = chunks.gather(numbers)
            yield MaskedBatch(numbers, rows.documents, masker(rows, EVALUATION_PASS - draw))

    mine = share(np.arange(len(chunks)))
    with (
        reporter.stage("evaluate", len(mine), "chunks") as stage,
        memory_for(less_memory(batch_size), where="evaluation"),
    ):
        evaluation = summed(objective, chunks, batches(), stage, targets)
    if not evaluation.targets:
        raise MlmrefError(
            "no target in any held-out chunk, so there is no perplexity",
            where=f"masking strategy {masker.entry.name!r}",
            hint="raise --mlm-probability or --test-size",
        )
    return evaluation


def less_memory(batch_size: int) -> str:
    """Name the setting that lowers the memory of an evaluation."""
    if batch_size == 1:
        return "use a smaller --chunk-size, or a smaller model"
    return f"use --set evaluation.batch_size={batch_size // 2}, which does not change the figures"


class MaskedBatch(NamedTuple):
    """Rows to be predicted in one forward pass.

    Attributes:
        chunks: int64 ``[B]``, which of the chunks each row is.
        documents: int64 ``[B, T]``, the document that each token comes from.
        masked: what the model reads and is to predict.
    """

    chunks: Int64Array
    documents: Int64Array
    masked: MaskedRows


def share(numbers: Int64Array) -> Int64Array:
    """Return the part of some chunks that this rank is to measure; together they are all."""
    rank, ranks = state().process_index, state().num_processes
    return numbers[rank * len(numbers) // ranks : (rank + 1) * len(numbers) // ranks]


def summed(
    objective: MaskedLMObjective,
    chunks: Chunks,
    batches: Iterable[MaskedBatch],
    stage: Stage,
    kept: Targets | None = None,
) -> Evaluation:
    """Predict batch by batch, and add up over all ranks; there may be no target at all.

    Raises:
        MlmrefError: the model's losses are no numbers.
    """
    nll, targets = np.zeros((2, len(chunks)))
    document_nll, document_targets = np.zeros((2, len(chunks.tokens.offsets) - 1))
    correct = np.zeros(1)
    each = np.zeros((2, len(kept))) if kept else None  # losses, and which were measured
    with evaluating(objective.model):
        for batch in batches:
            chosen = batch.masked.labels != IGNORE_INDEX
            losses, hits = _losses(objective, batch)
            row, column = np.nonzero(chosen)
            np.add.at(nll, batch.chunks[row], losses)
            np.add.at(targets, batch.chunks[row], 1)
            np.add.at(document_nll, batch.documents[chosen], losses)
            np.add.at(document_targets, batch.documents[chosen], 1)
            if kept and each is not None:
                places, there = kept.find(batch.chunks[row], column)
                each[:, places] = losses[there], np.ones(len(places))
            correct += hits
            stage.advance(len(batch.chunks))
    nll, targets, document_nll, document_targets, correct = map(
        sum_over_ranks, (nll, targets, document_nll, document_targets, correct)
    )
    if np.isnan(nll).any():
        raise MlmrefError(
            f"the loss is NaN in {np.count_nonzero(np.isnan(nll)):,} held-out chunks",
            where="evaluation",
            hint="the model is damaged, or its training diverged: lower --learning-rate",
        )
    if each is not None:
        each = sum_over_ranks(each)
        each[0, each[1] == 0] = np.nan
    numbers = np.flatnonzero(document_targets)
    return Evaluation(
        chunk_nll=nll,
        chunk_targets=targets,
        documents=Documents(
            numbers=numbers, nll=document_nll[numbers], targets=document_targets[numbers]
        ),
        correct=int(correct[0]),
        target_nll=None if each is None else each[0],
    )


def _losses(objective: MaskedLMObjective, batch: MaskedBatch) -> tuple[FloatArray, int]:
    """Return each target's loss in row-major order, and how many were the first choice.

    If they depend on random numbers, each row is predicted alone, with a seed of its chunk, so that
    the losses depend neither on the batch nor on draws before (EVAL-019).
    """
    if not objective.draws:
        before = torch_state(objective.device)
        found = _predict(objective, batch.masked)
        if objective.draws is False or torch.equal(torch_state(objective.device), before):
            return found
        # BigBird draws for the weights of another attention, and then copies its own into it.
        seed_generators(0)
        again = _predict(objective, batch.masked)
        objective.draws = not np.array_equal(again[0], found[0])
        if not objective.draws:
            return found
    each, masked = [], batch.masked
    for row, chunk in enumerate(batch.chunks.tolist()):
        one = slice(row, row + 1)
        seed_generators(chunk)
        alone = MaskedRows(
            input_ids=masked.input_ids[one],
            labels=masked.labels[one],
            attention_mask=masked.attention_mask[one],
        )
        each.append(_predict(objective, alone))
    losses, hits = zip(*each, strict=True)
    return np.concatenate(losses), sum(hits)


@torch.inference_mode()
def _predict(objective: MaskedLMObjective, masked: MaskedRows) -> tuple[FloatArray, int]:
    device = objective.device
    arrays = (masked.input_ids, masked.attention_mask, masked.labels)
    tensors = (torch.from_numpy(array).long().to(device) for array in arrays)
    with torch.autocast(device.type, enabled=False):
        losses, hits = objective.losses(*tensors)
    return losses.double().cpu().numpy(), int(hits.sum())
