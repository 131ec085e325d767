"""Evaluate a model on the common task, with fixed masks (COMP-009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.base.errors import ConfigError
from mlmref.evaluation.intervals import Documents
from mlmref.settings.config import ModelConfig
from mlmref.studies.comparison.plan import ComparisonPlan, task_config

if TYPE_CHECKING:
    from mlmref.base.progress import Reporter
    from mlmref.plugin.registry import Registry


def task_of(plan: ComparisonPlan) -> dict[str, Any]:
    """Return the settings of the common task that change the measures, as JSON values."""
    task = plan.task.model_dump(mode="json", exclude={"resamples", "confidence"})
    return {**task, "seed": plan.base.seed}


def measure(
    plan: ComparisonPlan, model: ModelConfig, of: str, reporter: Reporter, registry: Registry | None
) -> dict[str, Any]:
    """Measure a model on the common task.

    Args:
        plan: the comparison, with its task and text.
        model: the model.
        of: an identifier of the model, to find out later whether the measures are still valid.
        reporter: gets the progress.
        registry: the plugins; by default those installed.

    Returns:
        JSON values: ``of``, the ``model`` and its ``digest``, the ``corpus``, a fingerprint of the
        ``tokens``, the number of ``chunks``; by document ``documents``, ``nll`` and ``targets``,
        summed over all draws of masks; and ``correct``, the number of correct first choices.
    """
    from mlmref.evaluation.perplexity import evaluate
    from mlmref.runner.context import RunContext
    from mlmref.runner.prepare import load, prepare

    config = task_config(plan.base, plan.task).model_copy(update={"model": model})
    context = RunContext.of(config, registry, reporter)
    loaded = load(context)
    ready = prepare(context, loaded)
    evaluations = [
        evaluate(
            ready.objective,
            ready.split.test,
            ready.masker,
            batch_size=ready.config.evaluation.batch_size,
            draw=draw,
            reporter=reporter,
        )
        for draw in range(plan.task.draws)
    ]
    documents = added([one.documents for one in evaluations])
    return {
        "of": of,
        "model": str(loaded),
        "digest": loaded.digest,
        "corpus": ready.corpus.source,
        "tokens": ready.chunks.tokens.fingerprint,
        "chunks": len(ready.split.test),
        "documents": documents.numbers.tolist(),
        "nll": documents.nll.tolist(),
        "targets": documents.targets.tolist(),
        "correct": sum(one.correct for one in evaluations),
    }


def added(parts: Sequence[Documents]) -> Documents:
    """Return the sums by document over several draws of masks."""
    numbers, place = np.unique(np.concatenate([one.numbers for one in parts]), return_inverse=True)
    nll, targets = np.zeros((2, len(numbers)))
    np.add.at(nll, place, np.concatenate([one.nll for one in parts]))
    np.add.at(targets, place, np.concatenate([one.targets for one in parts]))
    return Documents(numbers=numbers, nll=nll, targets=targets)


def check_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Check that two models were measured on the same tokens and targets (COMP-010).

    Raises:
        ConfigError: they were not; names the models.
    """
    for key in ("tokens", "documents", "targets"):
        if one[key] != other[key]:
            raise ConfigError(
                f"{other['model']} has other {key} in the held-out text than {one['model']}",
                where="the common task",
                hint="compare models with the same tokenizer, and do not change the corpus",
            )
