"""The settings of a run: one typed, immutable section per station (clauses CONF-001, CONF-008).

Where a value can come from, and in which order, is
:mod:`mlmref.settings.resolve`'s.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from mlmref.plugin.arrays import Probability
from mlmref.plugin.contracts import Corruption
from mlmref.settings.defaults import fitting
from mlmref.settings.setting import Section as Section
from mlmref.settings.setting import setting

MOST = 2**31 - 1
"""The largest count that a setting takes, which fits the integers of every library."""

Count = Annotated[int, Field(ge=1, le=MOST)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Size = Count | Share
"""A number of chunks, or a share of all of them."""


class ModelConfig(Section):
    """Which model to adapt."""

    name: str = setting(
        "embedded",
        "embedded, a folder, or a name on the hub. ``embedded`` is the checkpoint that ships",
        flag="--model",
        suggest="models",
        min_length=1,
    )
    revision: str | None = setting(
        None, "branch, tag or commit on the hub", flag="--revision", rare=True
    )
    trust_remote_code: bool = setting(
        False,
        "run code that comes with the model. Do this only if you trust its author",
        flag="--trust-remote-code",
        rare=True,
    )
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | Literal["checkpoint"] = setting(
        "checkpoint",
        "every dropout rate of the model. ``checkpoint`` keeps the model's own rates",
        flag="--dropout",
        rare=True,
    )
    tokenizer: Literal["checked", "file", "loaded"] = setting(
        "checked",
        "if tokenizer.json and Transformers differ: file or loaded. ``file`` uses tokenizer.json, "
        "``loaded`` the tokenizer that Transformers builds, and ``checked`` refuses the model",
        flag="--tokenizer",
        rare=True,
    )


class CorpusConfig(Section):
    """Which text to adapt it to."""

    name: str = setting(
        "imdb",
        "imdb, hub:NAME[:CONFIG], or a file, folder or glob. Files are .txt, .csv, .tsv, .jsonl "
        "or .parquet, each also with .gz",
        flag="--corpus",
        suggest=("imdb",),
        min_length=1,
    )
    text_column: str = setting(
        "text", "the column that contains the text", flag="--text-column", min_length=1
    )
    label_column: str = setting(
        "label",
        "the column that contains the labels, if the corpus has it. An empty name stands for none",
        flag="--label-column",
        rare=True,
    )
    documents: Literal["line", "file"] = setting(
        "line", "one document in a .txt file: line or file", flag="--documents", rare=True
    )
    delimiter: str | None = setting(
        None,
        "the character between the cells of .csv and .tsv files. If it is not set, it is a comma "
        "in .csv and a tab in .tsv",
    )
    quotes: Literal["auto", "yes", "no"] = setting(
        "auto", "whether quotation marks enclose cells. ``auto`` is yes in .csv and no in .tsv"
    )
    split: str = setting(
        "train", "split of a data set on the hub", flag="--corpus-split", rare=True
    )
    limit: Count | None = setting(None, "use only the first N documents", flag="--limit")

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value in '"\r\n\0'):
            raise ValueError("give one character, such as ;")
        return value


class WordsConfig(Section):
    """Where words begin."""

    segmenter: str = setting(
        "tokenizer",
        "a word segmenter; see mlmref plugins. ``tokenizer`` uses the tokenizer's word boundaries",
        flag="--segmenter",
        rare=True,
        suggest="segmenters",
    )
    options: dict[str, Any] = setting({}, "the segmenter's own options")


class ChunkConfig(Section):
    """How the joined text is cut."""

    size: Annotated[int, Field(ge=2, le=2**20)] = setting(
        128, "tokens in a chunk", flag="--chunk-size"
    )
    scope: Literal["corpus", "tutorial"] = setting(
        "corpus",
        "one remainder for the corpus, or as in the tutorial. The ``tutorial`` has one remainder "
        "for every 1,000 documents, which loses text (E06)",
        flag="--chunk-scope",
        rare=True,
    )
    remainder: Literal["drop", "pad"] = setting(
        "drop", "drop or pad the last, shorter chunk (T08)", flag="--remainder", rare=True
    )


class SplitConfig(Section):
    """How chunks are held out."""

    by: Literal["chunk", "document"] = setting(
        "chunk",
        "by chunk, or by document. The tutorial splits by ``chunk``; by ``document``, no document "
        "is on both sides (E08)",
        flag="--split",
    )
    train_size: Size | Literal["rest"] = setting(
        "rest", "chunks to train on: count, share or rest", flag="--train-size"
    )
    test_size: Size = setting(0.1, "chunks to hold out: count or share", flag="--test-size")
    seed: Seed = setting(42, "seed of the shuffle")

    @field_validator("train_size", "test_size", mode="before")
    @classmethod
    def _not_all(cls, value: object) -> object:
        if isinstance(value, float) and value == 1.0:
            raise ValueError("a share is below 1, and a count has no point: 1 is one chunk")
        return value


class MaskingConfig(Section):
    """Which positions the model predicts, and what it reads there."""

    strategy: str = setting(
        "token",
        "a masking strategy; see mlmref plugins",
        flag="--masking",
        suggest="strategies",
    )
    options: dict[str, Any] = setting(
        {},
        "the strategy's own options. ``--mlm-probability`` sets the option ``mlm_probability``",
        properties={
            "mlm_probability": {
                "type": "number",
                "description": "probability that a token or word is a target",
                "flag": "--mlm-probability",
            }
        },
    )
    corruption: Corruption | None = setting(
        None,
        "percentages MASK/RANDOM/KEEP, such as 80/10/10. They are the shares of mask, random and "
        "kept tokens among the targets; a table is possible too. If they are not set, the "
        "strategy's own apply",
        flag="--corruption",
        rare=True,
    )

    @field_validator("corruption", mode="before")
    @classmethod
    def _shares(cls, value: object) -> object:
        """Read ``80/10/10`` as three percentages."""
        if not isinstance(value, str):
            return value
        try:
            mask, random, keep = (float(part) / 100 for part in value.split("/"))
        except ValueError:
            raise ValueError("give percentages as MASK/RANDOM/KEEP, such as 80/10/10") from None
        return {"mask": mask, "random": random, "keep": keep}


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


class Config(Section):
    """Everything that shapes a run. Same configuration, same numbers.

    A setting that is not given has the value that ``mlmref run`` would use: for the embedded
    checkpoint and IMDb that of the preset ``tiny``, else the section's own default (CONF-006).
    """

    seed: Seed = setting(
        42, "seed of masks, order of examples, dropout and bootstrap", flag="--seed"
    )
    model: ModelConfig = ModelConfig()
    corpus: CorpusConfig = CorpusConfig()
    words: WordsConfig = WordsConfig()
    chunks: ChunkConfig = ChunkConfig()
    split: SplitConfig = SplitConfig()
    masking: MaskingConfig = MaskingConfig()
    training: TrainingConfig = TrainingConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    tracking: TrackingConfig = TrackingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    fill: FillConfig = FillConfig()
    output: OutputConfig = OutputConfig()

    @model_validator(mode="after")
    def _fit(self) -> Config:
        """Fill in what the embedded checkpoint and IMDb have other defaults for."""
        for name, values in fitting(self.model.name, self.corpus.name).items():
            section: Section = getattr(self, name)
            unset = {key: one for key, one in values.items() if key not in section.model_fields_set}
            object.__setattr__(self, name, section.model_copy(update=unset))
        return self

    @property
    def training_seed(self) -> int:
        """What order, training masks and dropout go by (CONF-010)."""
        return self.seed if self.training.seed is None else self.training.seed


def plain_defaults() -> dict[str, dict[str, Any]]:
    """Return the sections' own defaults of what ``Config._fit`` fills in.

    Whoever names a preset gets all of it, and below it these (CONF-006).
    """
    plain = Config.model_construct()
    return {
        name: {key: getattr(getattr(plain, name), key) for key in values}
        for name, values in fitting(plain.model.name, plain.corpus.name).items()
    }
