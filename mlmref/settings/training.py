"""The sections of the settings from training to the run folder."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from mlmref.plugin.arrays import Probability
from mlmref.settings.setting import MOST, Count, NonNegative, Section, Seed, setting


class TrainingConfig(Section):
    """How to train."""

    panel = "Training"

    backend: str = setting(
        "trainer",
        "a training backend; see mlmref plugins",
        flag="--backend",
        suggest="backends",
    )
    options: dict[str, Any] = setting({}, "the backend's own options")
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = setting(
        1, "passes over the training chunks", flag="--epochs"
    )
    max_steps: Count | None = setting(
        None, "stop after N optimizer steps. This overrides ``epochs``", flag="--max-steps"
    )
    batch_size: Count = setting(
        64, "chunks in a micro-batch. The size applies to each device", flag="--batch-size"
    )
    accumulation: Count = setting(
        1,
        "micro-batches in an optimizer step. The number applies to each device",
        flag="--accumulation",
        rare=True,
    )
    learning_rate: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = setting(
        5e-5, "peak learning rate", flag="--learning-rate"
    )
    schedule: Literal["linear", "cosine", "constant"] = setting(
        "linear",
        "linear, cosine or constant. The shape of the learning rate after the warm-up",
        flag="--schedule",
        rare=True,
    )
    warmup_steps: Annotated[int, Field(ge=0, le=MOST)] = setting(
        0, "steps of linear warm-up", flag="--warmup-steps", rare=True
    )
    weight_decay: NonNegative = setting(
        0.01,
        "AdamW's weight decay. It is decoupled (Loshchilov and Hutter 2019)",
        flag="--weight-decay",
        rare=True,
    )
    decay: Literal["weights", "all"] = setting(
        "weights",
        "the parameters that the weight decay applies to. ``weights`` excludes biases and norms, "
        "as Trainer does; ``all`` excludes nothing, as a bare ``AdamW(model.parameters())`` does",
    )
    adam_beta1: Annotated[float, Field(ge=0.0, lt=1.0)] = setting(
        0.9, "decay rate of AdamW's first moment"
    )
    adam_beta2: Annotated[float, Field(ge=0.0, lt=1.0)] = setting(
        0.999, "decay rate of AdamW's second moment"
    )
    adam_epsilon: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = setting(
        1e-8, "the constant that AdamW adds to its denominator"
    )
    max_grad_norm: NonNegative = setting(
        1.0, "clip the norm of the gradient to this value. 0 does not clip"
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = setting(
        "auto",
        "auto, fp32, fp16 or bf16. ``auto`` is bf16 or fp16 on a GPU that supports it, and fp32 "
        "otherwise",
        flag="--precision",
    )
    workers: Annotated[int, Field(ge=0, le=1_024)] = setting(
        0,
        "processes that prepare batches. 0 prepares them in the main process",
        flag="--workers",
        rare=True,
    )
    seed: Seed | None = setting(
        None,
        "seed of order, training masks and dropout. If it is not set, the run's seed applies, "
        "which always determines the evaluation masks and the bootstrap",
    )


class CheckpointConfig(Section):
    """Which checkpoints are kept, so that an interrupted run can be resumed."""

    panel = "Training"

    every: Count | None = setting(
        None,
        "save a checkpoint every N steps too; see --resume. The end of each epoch is always saved",
        flag="--save-every",
    )
    last: Count = setting(2, "how many checkpoints to keep")
    keep: bool = setting(False, "keep them in the run folder when the run is finished")


class TrackingConfig(Section):
    """Which trackers a run reports to."""

    panel = "Run"

    to: tuple[Literal["tensorboard", "trackio", "wandb", "mlflow"], ...] = setting(
        (),
        "trackers: tensorboard, trackio, wandb, mlflow. Several can be a list, or one text with "
        "commas",
        flag="--report-to",
    )
    project: str = setting(
        "mlmref", "the project of the run. TensorBoard has no projects", min_length=1
    )
    name: str | None = setting(
        None, "the run's name in the tracker. If it is not set, it is the run folder's name"
    )

    @field_validator("to", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        """Read ``tensorboard,wandb`` as two names; none is meant twice."""
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",") if name.strip()]
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            return tuple(dict.fromkeys(value))
        return value


class EvaluationConfig(Section):
    """How the held-out chunks are measured."""

    batch_size: Count = setting(
        64, "chunks in a forward pass. This changes memory and speed, not the results"
    )
    draws: Annotated[int, Field(ge=1, le=1_000)] = setting(
        1, "number of fixed draws of masks to measure under. The spread over the draws is reported"
    )
    resamples: Annotated[int, Field(ge=100, le=100_000)] = setting(
        1_000, "bootstrap resamples of the documents for the interval"
    )
    confidence: Probability = setting(0.95, "confidence level of the interval")

    @model_validator(mode="after")
    def _open_interval(self) -> EvaluationConfig:
        if not 0.0 < self.confidence < 1.0:
            raise ValueError("confidence is between 0 and 1, without its ends")
        return self


class FillConfig(Section):
    """Prompts that the model fills before and after training."""

    panel = "Run"

    prompts: tuple[str, ...] = setting(
        ("This is a great {mask}.",),
        "a text with {mask} to fill before and after; repeatable. ``{mask}`` is replaced by the "
        "tokenizer's mask token, and a text can have several",
        flag="--prompt",
    )
    top_k: Count = setting(5, "answers for each mask", flag="--top-k", rare=True)


class OutputConfig(Section):
    """Where the result goes."""

    panel = "Run"

    folder: str | None = setting(
        None,
        "the run folder; default: a new one under runs/. It must be empty or not exist",
        flag="--output",
    )
    push: str | None = setting(None, "publish to this repository on the hub", flag="--push")
    push_every_epoch: bool = setting(
        False, "publish after each epoch too, as the tutorial does (T18)"
    )
    private: bool = setting(False, "whether a new repository on the hub is private")
