"""Train with the Hugging Face Trainer (T15).

Trainer brings devices, precision, distribution and clipping; order, masks, loss, optimiser and
schedule are the job's. An item of the data loader is a whole optimiser step, a list of
micro-batches, so Trainer's own accumulation, which for many architectures multiplies the loss
(transformers issue 47688), has no part in it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import transformers
from torch import nn

from mlmref.plugin.contracts import Options
from mlmref.plugin.training import Step, Steps, TrainingJob
from mlmref.training.backends.library_state import leaves_idle, left_as_found


class TrainerBackend:
    """Trains a job with :class:`transformers.Trainer`."""

    def __init__(self, options: Options) -> None:
        del options  # there are none

    def train(self, job: TrainingJob) -> None:
        """Train ``job.model`` in place through every step of the job."""
        arguments = OneGpu(
            output_dir=str(job.scratch),
            num_train_epochs=1,  # one pass over all steps of the job, whose epochs are its own
            max_grad_norm=0.0 if math.isinf(job.max_grad_norm) else job.max_grad_norm,
            fp16=job.precision == "fp16",
            bf16=job.precision == "bf16",
            use_cpu=next(job.model.parameters()).device.type == "cpu",
            seed=job.seed % 2**32,
            save_strategy="no",
            eval_strategy="no",
            logging_strategy="steps",
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
        )
        # The environment could else ask for another precision than the job's.
        arguments.mixed_precision = "no" if job.precision == "fp32" else job.precision
        if torch.distributed.is_initialized():
            arguments.ddp_find_unused_parameters = leaves_idle(job.model)
        steps = job.steps(arguments.process_index, arguments.world_size)
        if not len(steps):
            return  # Trainer takes a loader without batches for a mistake
        with left_as_found(job.model):
            trainer = _StepTrainer(job, arguments, steps)
            trainer.remove_callback(transformers.PrinterCallback)
            if trainer.accelerator.scaler is not None:
                job.keep("scaler", trainer.accelerator.scaler)  # fp16's loss scale
            trainer.train()


class OneGpu(transformers.TrainingArguments):
    """Arguments of a Trainer that uses one GPU per process.

    With more it would split a batch by rows (DataParallel), but an item of the data loader is a
    list of micro-batches. A launcher starts one process per GPU.
    """

    @property
    def n_gpu(self) -> int:
        """Return 1, or 0 without a GPU."""
        return min(int(super().n_gpu), 1)


class _StepTrainer(transformers.Trainer):
    """A Trainer whose batches are the job's steps."""

    def __init__(
        self, job: TrainingJob, arguments: transformers.TrainingArguments, steps: Steps
    ) -> None:
        super().__init__(
            model=job.model,
            args=arguments,
            # Trainer asks for a LambdaLR and needs no more than step().
            optimizers=(job.optimizer, job.scheduler),  # type: ignore[arg-type]
            callbacks=[_AfterStep(job)],
        )
        self._steps = steps

    def get_train_dataloader(self) -> Any:
        """Return the job's steps, which are shared out among ranks already."""
        return self._steps

    # What the data loader gives is ours to choose, which Trainer's annotation does not know.
    def training_step(  # type: ignore[override]
        self, model: nn.Module, inputs: Step, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Add up the gradients of a step's micro-batches; ranks meet at the last one."""
        *early, last = inputs
        loss = torch.zeros((), device=self.args.device)
        for micro_batch in early:
            with self.accelerator.no_sync(model):
                loss += super().training_step(model, dict(micro_batch))
        return loss + super().training_step(model, dict(last))


class _AfterStep(transformers.TrainerCallback):
    """Books each step with the job; Trainer's log is where the gradient's norm is public."""

    def __init__(self, job: TrainingJob) -> None:
        self._job = job

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Book the step that was just taken."""
        logs = kwargs["logs"]
        if "grad_norm" in logs:  # the summary at the end has none
            self._job.after_step(float(logs["grad_norm"]))
