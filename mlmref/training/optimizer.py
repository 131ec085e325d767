"""Optimizer, schedule and precision, the same for all backends (BACK-001)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from mlmref.base.errors import ConfigError
from mlmref.plugin.training import Precision
from mlmref.settings.config import TrainingConfig


def make_optimizer(
    model: nn.Module, config: TrainingConfig, precision: Precision = "fp32"
) -> torch.optim.Optimizer:
    """Return AdamW (Loshchilov and Hutter 2019) for the trainable parameters of a model.

    With ``decay = "weights"``, biases and norms do not decay: parameters with ``bias`` in their
    name, and those with fewer than two dimensions.
    """
    trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
    names = [name for name, one in trained.items() if one.ndim < 2 or "bias" in name]
    spared = [trained.pop(name) for name in names] if config.decay == "weights" else []
    rest = list(trained.values())
    device = next(model.parameters()).device.type
    return torch.optim.AdamW(
        [
            {"params": rest, "weight_decay": config.weight_decay},
            {"params": spared, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        # The fused step applies fp16's loss scale itself, and hides that it skipped a step.
        fused=device in {"cpu", "cuda"} and precision != "fp16",
    )


def schedule(config: TrainingConfig, total_steps: int) -> Callable[[int], float]:
    """Return a function from a step, counted from 0, to the factor on the learning rate."""
    warmup = config.warmup_steps

    def factor(step: int) -> float:
        if step < warmup:
            return step / warmup
        gone = min(1.0, (step - warmup) / max(1, total_steps - warmup))
        if config.schedule == "linear":
            return 1.0 - gone
        if config.schedule == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * gone))
        return 1.0

    return factor


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """Return the requested precision, or for ``auto`` the best that the device supports.

    Raises:
        ConfigError: fp16 without a GPU, or bf16 on a GPU that does not support it (E14).
    """
    gpu = device.type == "cuda"
    if wanted == "auto":
        return ("bf16" if _has_bf16() else "fp16") if gpu else "fp32"
    if wanted == "fp16" and not gpu:
        raise ConfigError(
            "training.precision = fp16 needs a GPU, and none was found",
            hint="use --precision auto or --precision fp32",
        )
    if wanted == "bf16" and gpu and not _has_bf16():
        raise ConfigError(
            "training.precision = bf16: this GPU does not support bf16", hint="use --precision fp16"
        )
    return "fp16" if wanted == "fp16" else "bf16" if wanted == "bf16" else "fp32"


def _has_bf16() -> bool:
    """Return whether the GPU computes in bf16 itself; emulated bf16 is slower than fp16."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
