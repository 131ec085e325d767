"""Measure the perplexity of a model on fixed masks (EVAL-001 to EVAL-011, EVAL-013, EVAL-019).

Losses are summed in float64 and divided by the number of targets, so the perplexity does not
depend on the batch size (E09). The masks depend only on the seed, the chunk and the number of the
draw, so every evaluation of a run uses the same masks (E10).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from mlmref.base.errors import MlmrefError, memory_for
from mlmref.base.generators import seed_generators, torch_state
from mlmref.base.progress import SILENT, Reporter, Stage
from mlmref.base.ranks.process import state, sum_over_ranks
from mlmref.data.chunks import Chunks
from mlmref.evaluation.intervals import Documents
from mlmref.evaluation.kept_targets import Targets
from mlmref.evaluation.metrics import Evaluation
from mlmref.masking.masker import Masker
from mlmref.model.loss import MaskedLMObjective
from mlmref.model.unchanged import evaluating
from mlmref.plugin.arrays import IGNORE_INDEX, FloatArray, Int64Array
from mlmref.plugin.batches import MaskedRows
from mlmref.plugin.draws import EVALUATION_PASS


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
    """Evaluate a model in float32 and in evaluation mode; the ranks share the chunks.

    Args:
        objective: the model with its loss.
        chunks: the held-out chunks.
        masker: masks the chunks.
        batch_size: chunks in a forward pass.
        draw: number of the fixed draw of masks (EVAL-013).
        targets: the targets whose losses are kept one by one.
        reporter: receives the progress.

    Raises:
        MlmrefError: the masking strategy chose no target in any chunk, or a loss is NaN.
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
    """Return the hint that names the setting to reduce if an evaluation is out of memory."""
    if batch_size == 1:
        return "use a smaller --chunk-size, or a smaller model"
    return f"use --set evaluation.batch_size={batch_size // 2}, which does not change the figures"


class MaskedBatch(NamedTuple):
    """The rows of one forward pass.

    Attributes:
        chunks: int64 ``[B]``, the chunk of each row.
        documents: int64 ``[B, T]``, the document of each token.
        masked: the model's input and the labels.
    """

    chunks: Int64Array
    documents: Int64Array
    masked: MaskedRows


def share(numbers: Int64Array) -> Int64Array:
    """Return the chunks that this rank evaluates; each chunk belongs to one rank."""
    rank, ranks = state().process_index, state().num_processes
    return numbers[rank * len(numbers) // ranks : (rank + 1) * len(numbers) // ranks]


def summed(
    objective: MaskedLMObjective,
    chunks: Chunks,
    batches: Iterable[MaskedBatch],
    stage: Stage,
    kept: Targets | None = None,
) -> Evaluation:
    """Sum the losses of all batches over all ranks; the batches may have no target.

    Args:
        objective: the model with its loss.
        chunks: the chunks that all ranks evaluate.
        batches: the batches of this rank.
        stage: receives the progress.
        kept: the targets whose losses are kept one by one.

    Raises:
        MlmrefError: a loss is NaN.
    """
    nll, targets = np.zeros((2, len(chunks)))
    document_nll, document_targets = np.zeros((2, len(chunks.tokens.offsets) - 1))
    correct = np.array([0.0])
    each = np.zeros((2, len(kept or ())))  # losses, and 1 where measured
    with evaluating(objective.model):
        for batch in batches:
            chosen = batch.masked.labels != IGNORE_INDEX
            losses, hits = _losses(objective, batch)
            row, column = np.nonzero(chosen)
            np.add.at(nll, batch.chunks[row], losses)
            np.add.at(targets, batch.chunks[row], 1)
            np.add.at(document_nll, batch.documents[chosen], losses)
            np.add.at(document_targets, batch.documents[chosen], 1)
            if kept:
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
    if kept:
        each = sum_over_ranks(each)
    numbers = np.flatnonzero(document_targets)
    return Evaluation(
        chunk_nll=nll,
        chunk_targets=targets,
        documents=Documents(
            numbers=numbers, nll=document_nll[numbers], targets=document_targets[numbers]
        ),
        correct=int(correct[0]),
        target_nll=np.where(each[1] > 0, each[0], np.nan) if kept else None,
    )


def _losses(objective: MaskedLMObjective, batch: MaskedBatch) -> tuple[FloatArray, int]:
    """Return the loss of each target in row-major order, and the number of correct predictions.

    If the model draws random numbers that change its losses, each row is evaluated alone with its
    chunk number as the seed. The losses then do not depend on the batch or on earlier draws
    (EVAL-019).
    """
    if not objective.draws:
        before = torch_state(objective.device)
        found = _predict(objective, batch.masked)
        if objective.draws is False or torch.equal(torch_state(objective.device), before):
            return found
        # BigBird draws initial weights for full attention, and then overwrites them with its own.
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
    return np.concatenate([losses for losses, _ in each]), sum(hits for _, hits in each)


@torch.inference_mode()
def _predict(objective: MaskedLMObjective, masked: MaskedRows) -> tuple[FloatArray, int]:
    """Return the same as :func:`_losses`, from one forward pass in float32 (EVAL-010)."""
    device = objective.device
    arrays = (masked.input_ids, masked.attention_mask, masked.labels)
    tensors = (torch.from_numpy(array).long().to(device) for array in arrays)
    with torch.autocast(device.type, enabled=False):
        losses, hits = objective.losses(*tensors)
    return losses.double().cpu().numpy(), int(hits.sum())
