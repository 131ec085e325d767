"""Train with a plain loop over Accelerate (T18)."""

from __future__ import annotations

from contextlib import nullcontext

import accelerate
import torch
from accelerate.utils import (
    DistributedDataParallelKwargs,
    GradientAccumulationPlugin,
    send_to_device,
)

from mlmref.base.libraries.accelerate import forget_precision
from mlmref.plugin.contracts import Options
from mlmref.plugin.training import TrainingJob
from mlmref.training.backends.library_state import leaves_idle, left_as_found


class AccelerateBackend:
    """Trains a job with :class:`accelerate.Accelerator`."""

    def __init__(self, options: Options) -> None:
        del options  # there are none

    def train(self, job: TrainingJob) -> None:
        """Train ``job.model`` in place through every step of the job."""
        forget_precision()  # of an earlier job in this process
        handlers = []
        if torch.distributed.is_initialized():
            idle = leaves_idle(job.model)
            handlers.append(DistributedDataParallelKwargs(find_unused_parameters=idle))
        accelerator = accelerate.Accelerator(
            mixed_precision="no" if job.precision == "fp32" else job.precision,
            # Explicit: the environment could otherwise divide the loss, which the job does.
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
            kwargs_handlers=handlers,
        )
        with left_as_found(job.model):
            self._train(job, accelerator)

    def _train(self, job: TrainingJob, accelerator: accelerate.Accelerator) -> None:
        model, optimizer = accelerator.prepare(job.model, job.optimizer)
        if accelerator.scaler is not None:
            job.keep("scaler", accelerator.scaler)  # fp16's loss scale and its counters
        optimizer.zero_grad()  # discard gradients from before the job
        for step in job.steps(accelerator.process_index, accelerator.num_processes):
            model.train()
            for number, micro_batch in enumerate(step, start=1):
                # Ranks synchronize at the last micro-batch only.
                waits = accelerator.no_sync(model) if number < len(step) else nullcontext()
                with waits:
                    loss = model(**send_to_device(micro_batch, accelerator.device))["loss"]
                    accelerator.backward(loss)
            grad_norm = accelerator.clip_grad_norm_(model.parameters(), job.max_grad_norm)
            optimizer.step()
            if not accelerator.optimizer_step_was_skipped:  # by fp16's loss scaling
                job.scheduler.step()
            optimizer.zero_grad()
            job.after_step(float(grad_norm))
