"""Pseudo-perplexity: mask each token in turn (clauses EVAL-015 to EVAL-017).

Salazar et al. 2020, "Masked Language Model Scoring" (ACL): the pseudo-log-likelihood of a text is
the sum of the log-probabilities of its tokens, each given all others. Kauf and Ivanova 2023, "A
Better Way to Do Masked Language Model Scoring" (ACL): the rest of a word reveals its first
subwords, so those to the right in the same word are also masked (``word-l2r``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError, MlmrefError, memory_for
from mlmref.base.progress import SILENT, Reporter
from mlmref.data.chunks import Chunks
from mlmref.evaluation.metrics import Evaluation
from mlmref.evaluation.perplexity import MaskedBatch, less_memory, share, summed
from mlmref.masking.masker import number_words, present
from mlmref.model.loss import MaskedLMObjective
from mlmref.plugin.arrays import IGNORE_INDEX, Int64Array
from mlmref.plugin.batches import MaskedRows
from mlmref.settings.config import EvaluationConfig

Metric = Literal["perplexity", "pseudo-perplexity", "pseudo-perplexity-original"]
METRICS: tuple[Metric, ...] = get_args(Metric)
SAMPLE = 100
"""The default number of chunks to measure; a chunk needs one forward pass per token."""


def check_metric(name: str, sample: int | None = None) -> Metric:
    """Return the metric of this name.

    Raises:
        ConfigError: the name is unknown, or the metric does not use a sample.
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
    """Return the pseudo-perplexity on a sample of chunks, with the keys of the record.

    Raises:
        MlmrefError: the sample has only special tokens.
    """
    order = np.random.default_rng(seed).permutation(len(chunks))
    some = chunks.select(np.sort(order[: sample or SAMPLE]))
    words = metric == "pseudo-perplexity"
    evaluation = pseudo(
        objective, some, words=words, batch_size=config.batch_size, reporter=reporter
    )
    summary = evaluation.summary(config, seed)
    del summary["tutorial_estimate"]  # it is defined for batches of masked chunks
    return summary | {"chunks": len(some)}


def pseudo(
    objective: MaskedLMObjective,
    chunks: Chunks,
    *,
    words: bool = True,
    batch_size: int = 64,
    reporter: Reporter = SILENT,
) -> Evaluation:
    """Mask each token of some chunks in turn, and return the summed losses.

    Args:
        objective: the model with its loss.
        chunks: the chunks.
        words: also mask the tokens to the right in the same word (word-l2r).
        batch_size: rows in a forward pass; a chunk has one row for each ordinary token.
        reporter: gets the progress.

    Raises:
        MlmrefError: the chunks have only special tokens.
    """
    mine = share(np.arange(len(chunks)))
    with (
        reporter.stage("evaluate", len(mine) * chunks.rule.size, "tokens") as stage,
        memory_for(less_memory(batch_size), where="evaluation"),
    ):
        evaluation = summed(objective, chunks, _batches(chunks, mine, words, batch_size), stage)
    if not evaluation.targets:
        raise MlmrefError("all held-out tokens are special", where="evaluation")
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
        ordinary = np.flatnonzero(~special)
        for first in range(0, len(ordinary), batch_size):
            targets = ordinary[first : first + batch_size]
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
