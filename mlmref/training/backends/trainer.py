"""Train with the Hugging Face Trainer (T15).

Trainer provides devices, precision, distribution and clipping; the job provides order, masks,
loss, optimizer and schedule. An item of the data loader is a whole optimizer step, a list of
micro-batches. So Trainer's own accumulation is not used: for many architectures it multiplies the
loss (transformers issue 47688).
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
            num_train_epochs=1,  # one pass over all steps of the job, which counts its own epochs
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
        # The environment could otherwise select another precision than the job's.
        arguments.mixed_precision = "no" if job.precision == "fp32" else job.precision
        if torch.distributed.is_initialized():
            arguments.ddp_find_unused_parameters = leaves_idle(job.model)
        steps = job.steps(arguments.process_index, arguments.world_size)
        if not len(steps):
            return  # Trainer rejects a loader without batches
        with left_as_found(job.model):
            trainer = _StepTrainer(job, arguments, steps)
            trainer.remove_callback(transformers.PrinterCallback)
            if trainer.accelerator.scaler is not None:
                job.keep("scaler", trainer.accelerator.scaler)  # fp16's loss scale
            trainer.train()


class OneGpu(transformers.TrainingArguments):
    """Arguments of a Trainer that uses one GPU per process.

    With more, Trainer would split a batch by rows (DataParallel), but an item of the data loader
    is a list of micro-batches. A launcher starts one process per GPU.
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
            # Trainer's annotation is LambdaLR, but it only calls step().
            optimizers=(job.optimizer, job.scheduler),  # type: ignore[arg-type]
            callbacks=[_AfterStep(job)],
        )
        self._steps = steps

    def get_train_dataloader(self) -> Any:
        """Return the job's steps, which are already distributed over the ranks."""
        return self._steps

    # Trainer's annotation does not allow for the items of this data loader.
    def training_step(  # type: ignore[override]
        self, model: nn.Module, inputs: Step, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Add the gradients of a step's micro-batches; ranks synchronize at the last one."""
        *early, last = inputs
        loss = torch.zeros((), device=self.args.device)
        for micro_batch in early:
            with self.accelerator.no_sync(model):
                loss += super().training_step(model, dict(micro_batch))
        return loss + super().training_step(model, dict(last))


class _AfterStep(transformers.TrainerCallback):
    """Reports each step to the job; only Trainer's log makes the gradient norm public."""

    def __init__(self, job: TrainingJob) -> None:
        self._job = job

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the step that was just taken."""
        logs = kwargs["logs"]
        if "grad_norm" in logs:  # the summary at the end has none
            self._job.after_step(float(logs["grad_norm"]))
