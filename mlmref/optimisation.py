"""Optimiser, schedule and precision: the core's, so that backends cannot differ (BACK-001)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from mlmref.config import TrainingConfig
from mlmref.contracts import Precision
from mlmref.errors import ConfigError


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Make AdamW (Loshchilov and Hutter 2019) over the parameters that are to be trained.

    With ``decay = "weights"`` biases and norms, the parameters of one dimension, do not decay.
    """
    trained = [one for one in model.parameters() if one.requires_grad]
    spared = [one for one in trained if config.decay == "weights" and one.ndim < 2]
    rest = [one for one in trained if not any(one is other for other in spared)]
    device = trained[0].device.type
    return torch.optim.AdamW(
        [
            {"params": rest, "weight_decay": config.weight_decay},
            {"params": spared, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        fused=device in {"cpu", "cuda"},
    )


def schedule(config: TrainingConfig, total_steps: int) -> Callable[[int], float]:
    """Return the factor on the learning rate at each step, counted from 0."""
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
    """Choose how to compute: what was asked for, or with ``auto`` the best the device has.

    Raises:
        ConfigError: fp16 without a GPU, or bf16 on a GPU that has none (E14).
    """
    gpu = device.type == "cuda"
    if wanted == "auto":
        return ("bf16" if torch.cuda.is_bf16_supported() else "fp16") if gpu else "fp32"
    if wanted == "fp16" and not gpu:
        raise ConfigError(
            "training.precision = fp16 needs a GPU, and there is none",
            hint="add --precision auto, or fp32",
        )
    if wanted == "bf16" and gpu and not torch.cuda.is_bf16_supported():
        raise ConfigError("training.precision = bf16: this GPU has none", hint="use fp16")
    return "fp16" if wanted == "fp16" else "bf16" if wanted == "bf16" else "fp32"
