"""Pseudo-perplexity: mask each token in turn (clauses EVAL-015 to EVAL-017).

Salazar et al. 2020, "Masked Language Model Scoring" (ACL): the pseudo-log-likelihood of a text is
the sum over its tokens of the log-probability of each, given all the others. Kauf and Ivanova
2023, "A Better Way to Do Masked Language Model Scoring" (ACL): the rest of a word gives its first
pieces away, so those to the right within the word are masked as well (``word-l2r``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError, MlmrefError, memory_for
from mlmref.base.progress import SILENT, Reporter
from mlmref.data.chunks import Chunks
from mlmref.evaluation.perplexity import Evaluation, MaskedBatch, less_memory, share, summed
from mlmref.masking.masker import number_words, present
from mlmref.model.loss import MaskedLMObjective
from mlmref.plugin.arrays import IGNORE_INDEX, Int64Array
from mlmref.plugin.contracts import MaskedRows
from mlmref.settings.config import EvaluationConfig

Metric = Literal["perplexity", "pseudo-perplexity", "pseudo-perplexity-original"]
METRICS: tuple[Metric, ...] = get_args(Metric)
SAMPLE = 100
"""Chunks that are measured unless it is said how many: each is as many forward passes as tokens."""


def check_metric(name: str, sample: int | None = None) -> Metric:
    """Return a metric by its name.

    Raises:
        ConfigError: there is none of that name, or it measures no sample.
    """
    for metric in METRICS:
        if metric == name:
            if sample is not None and metric == "perplexity":
                raise ConfigError(
                    "perplexity is measured on all held-out chunks, not on a sample",
                    where="--sample",
                    hint="add --metric pseudo-perplexity, or omit --sample",
                )
            return metric
    raise ConfigError(f"no metric {name!r}", where="--metric", hint=suggest(name, METRICS))


def pseudo_perplexity(
    objective: MaskedLMObjective,
    chunks: Chunks,
    metric: Metric,
    config: EvaluationConfig,
    seed: int,
    *,
    sample: int | None = None,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Measure a model on a sample of chunks, and sum up as the record does.

    Raises:
        MlmrefError: there is nothing to predict in them.
    """
    order = np.random.default_rng(seed).permutation(len(chunks))
    some = chunks.select(np.sort(order[: sample or SAMPLE]))
    words = metric == "pseudo-perplexity"
    evaluation = pseudo(
        objective, some, words=words, batch_size=config.batch_size, reporter=reporter
    )
    summary = evaluation.summary(config, seed)
    del summary["tutorial_estimate"]  # it is of batches of masked chunks
    return summary | {"chunks": len(some)}


def pseudo(
    objective: MaskedLMObjective,
    chunks: Chunks,
    *,
    words: bool = True,
    batch_size: int = 64,
    reporter: Reporter = SILENT,
) -> Evaluation:
    """Mask each token of some chunks in its turn, and add up what the model makes of it.

    Args:
        objective: the model with its loss.
        chunks: the chunks.
        words: mask the tokens to its right within its word as well (word-l2r).
        batch_size: rows in a forward pass; a chunk has one for each token that is not special.
        reporter: told of each batch.

    Raises:
        MlmrefError: there is no token but special ones.
    """
    mine = share(np.arange(len(chunks)))
    with (
        reporter.stage("evaluate", len(mine) * chunks.rule.size, "tokens") as stage,
        memory_for(less_memory(batch_size), where="evaluation"),
    ):
        evaluation = summed(objective, chunks, _batches(chunks, mine, words, batch_size), stage)
    if not evaluation.targets:
        raise MlmrefError("there are no tokens but special ones", where="evaluation")
    return evaluation


def _batches(
    chunks: Chunks, numbers: Int64Array, words: bool, batch_size: int
) -> Iterator[MaskedBatch]:
    """Yield the rows of some chunks, one for each of their ordinary tokens."""
    vocabulary = chunks.tokens.vocabulary
    for number in numbers:
        rows = chunks.gather(np.array([number]))
        [ids], [there] = rows.input_ids, present(rows)
        special = np.isin(ids, vocabulary.special_ids) | ~there
        [word] = number_words(rows.word_start, special[None])
        tokens = np.arange(len(ids))
        for targets in _parts(np.flatnonzero(~special), batch_size):
            chosen = tokens == targets[:, None]
            hidden = chosen
            if words:
                hidden = (word == word[targets][:, None]) & (tokens >= targets[:, None])
            yield MaskedBatch(
                np.full(len(targets), number),
                np.broadcast_to(rows.documents, chosen.shape),
                MaskedRows(
                    input_ids=np.where(hidden, np.int32(vocabulary.mask_id), ids),
                    labels=np.where(chosen, ids, np.int32(IGNORE_INDEX)),
                    attention_mask=np.broadcast_to(there, chosen.shape).copy(),
                ),
            )


def _parts(numbers: Int64Array, size: int) -> list[Int64Array]:
    return [numbers[first : first + size] for first in range(0, len(numbers), size)]
