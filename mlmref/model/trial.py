"""One forward and backward pass of a model before the work begins (MODEL-013, MODEL-014)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import MlmrefError, ModelError, memory_for, out_of_memory
from mlmref.data.chunks import check_size
from mlmref.model.max_length import NOT_STATED

if TYPE_CHECKING:
    from mlmref.model.load import LoadedModel
    from mlmref.model.loss import MaskedLMObjective
    from mlmref.settings.config import Config

_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Chunk sizes to try if the configured one fails, besides the model's maximum."""


_MANY_BYTES = 2_000_000_000
_RATE = 0.15  # of a masking strategy without a rate

NOT_REPEATABLE = (
    "its layers seed torch's random numbers themselves during training, so two runs with the same "
    "configuration and seed can differ"
)
"""The warning of a model whose training no seed repeats (MODEL-014)."""


def try_model(
    config: Config, loaded: LoadedModel, warn: Callable[[str], None], *, train: bool
) -> MaskedLMObjective:
    """Return the model with its loss, tried at the run's chunk size; the trial leaves no trace.

    Args:
        config: the run's configuration.
        loaded: the model.
        warn: receives a warning if training is not repeatable (MODEL-014) or needs much memory
            for logits (MODEL-018).
        train: try a training step too.

    Raises:
        ConfigError: the chunks are longer than the model reads.
        ModelError: the model fails; suggests a chunk size that works, if there is one.
        MlmrefError: the memory is too small.
    """
    check_size(config.chunks, loaded.max_length)
    size, where = config.chunks.size, config.model.name
    with memory_for("use a smaller --chunk-size, or a smaller model", where=where):
        try:
            objective = _tried(loaded.model, size, train=train)
        except Exception as error:
            if out_of_memory(error):
                raise
            what = f"chunks of {size:,} tokens"
            advice = partial(_advice, loaded, size, train)
            raise failed(error, loaded.model, what, where, advice) from error
        if train and objective.reseeds():
            objective.repeatable = False
            warn(f"{where}: {NOT_REPEATABLE}")
        if train and (size := _logits_bytes(config, objective)) > _MANY_BYTES:
            warn(
                f"{where}: its head cannot be computed in blocks, so a training step needs about "
                f"{size / 1e9:.0f} GB for logits; a smaller --batch-size with more "
                "--accumulation gives the same training with less memory"
            )
    return objective


def _logits_bytes(config: Config, objective: MaskedLMObjective) -> int:
    """Estimate the memory of a step's logits, their softmax and their gradient (MODEL-018)."""
    if objective.path == "projected":
        return 0
    positions = config.training.batch_size * config.chunks.size
    if objective.path == "gathered":
        positions = math.ceil(positions * config.masking.options.get("mlm_probability", _RATE))
    vocabulary = objective.model.config.get_text_config().vocab_size
    return 3 * 4 * positions * int(vocabulary)


def failed(
    error: Exception,
    model: Any,
    what: str,
    where: str | None,
    advice: Callable[[], str],
) -> MlmrefError:
    """Return the error for a model whose forward or backward pass raised one.

    Args:
        error: the model's error.
        model: a Transformers model.
        what: the input, in words.
        where: the model's name.
        advice: returns the advice, if the model's configuration does not show it.
    """
    if isinstance(error, MlmrefError):
        return error
    if out_of_memory(error):
        return MlmrefError(
            f"out of memory on {what}", where=where, hint="use a shorter prompt, or a smaller model"
        )
    reason = " ".join(str(error).split())[:300].rstrip(".")
    languages = getattr(model.config, "languages", None)
    if languages and getattr(model.config, "default_language", "") is None:  # X-MOD
        hint = f"set default_language in its config.json, to one of {', '.join(languages)}"
    else:
        hint = advice()
    return ModelError(
        f"the model fails on {what} ({type(error).__name__}{': ' * bool(reason)}{reason})",
        where=where,
        hint=hint,
    )


def _advice(loaded: LoadedModel, size: int, train: bool) -> str:
    """Return the advice: the chunk size nearest to the configured one that works."""
    longest = loaded.max_length
    sizes = {one for one in _SIZES if one <= longest} | (
        {longest} if longest < NOT_STATED else set()
    )
    for one in sorted(sizes - {size}, key=lambda one: (abs(one - size), one)):
        try:
            _tried(loaded.model, one, train=train)
        except Exception:  # noqa: BLE001, S112 - of any kind
            continue
        return f"use --chunk-size {one}"
    return "choose another model"


def _tried(model: Any, size: int, *, train: bool) -> MaskedLMObjective:
    from mlmref.model.loss import MaskedLMObjective

    objective = MaskedLMObjective(model, length=size)
    objective.trial_losses()
    if train:
        objective.trial()
    return objective
