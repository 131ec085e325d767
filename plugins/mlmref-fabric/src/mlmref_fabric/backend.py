"""The backend: a plain training loop on Lightning Fabric."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from typing import Any

from lightning_fabric import Fabric
from torch import nn

from mlmref.plugin import Options, PluginError, TrainingJob

PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}
"""Fabric's name of each precision; both keep the weights in float32."""


class FabricBackend:
    """Trains a job with :class:`lightning_fabric.Fabric`, on the model's device, in one process."""

    def __init__(self, options: Options) -> None:
        del options  # this backend has no options

    def train(self, job: TrainingJob) -> None:
        """Train ``job.model`` in place through every step of the job.

        Raises:
            PluginError: the precision is fp16. Fabric does not report the steps that it skips then.
        """
        if job.precision not in PRECISIONS:
            raise PluginError(
                f"the backend fabric does not support the precision {job.precision}",
                hint="use --precision bf16 or fp32, or --backend accelerate",
            )
        with quiet(), left_as_found(job.model):
            fabric = Fabric(
                # "auto" would move the model to another device.
                accelerator=next(job.model.parameters()).device.type,
                devices=1,
                precision=PRECISIONS[job.precision],
            )
            _train(job, fabric)


def _train(job: TrainingJob, fabric: Fabric) -> None:
    model, optimizer = fabric.setup(job.model, job.optimizer)
    optimizer.zero_grad()  # the parameters may have gradients from before the job
    for step in job.steps(fabric.global_rank, fabric.world_size):
        model.train()
        for number, micro_batch in enumerate(step, start=1):
            # Ranks synchronize only in the last micro-batch.
            with fabric.no_backward_sync(model, enabled=number < len(step)):
                loss = model(**fabric.to_device(dict(micro_batch)))["loss"]
                fabric.backward(loss)
        # Fabric's clipping sums in the order of the optimizer's groups, which changes the last bit.
        # Without loss scaling it does nothing else (BACK-017).
        grad_norm = nn.utils.clip_grad_norm_(job.model.parameters(), job.max_grad_norm)
        optimizer.step()
        job.scheduler.step()
        optimizer.zero_grad()
        job.after_step(float(grad_norm))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Fabric's messages, such as the one about the precision."""
    logger = getLogger("lightning_fabric")
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def left_as_found(model: nn.Module) -> Iterator[None]:
    """Remove the attributes that Fabric adds to the model, on exit (BACK-023)."""
    held = {module: set(vars(module)) for module in model.modules()}
    try:
        yield
    finally:
        for module, names in held.items():
            for name in vars(module).keys() - names:
                delattr(module, name)
