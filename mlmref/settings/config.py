"""The settings of a run: one typed, immutable section per station (clauses CONF-001, CONF-008).

Where a value can come from, and in which order, is
:mod:`mlmref.settings.resolve`'s.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mlmref.plugin.arrays import Probability
from mlmref.plugin.contracts import Corruption
from mlmref.settings.defaults import fitting

MOST = 2**31 - 1
"""The largest count that a setting takes, which fits the integers of every library."""

Count = Annotated[int, Field(ge=1, le=MOST)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Size = Count | Share
"""A number of chunks, or a share of all of them."""


class Section(BaseModel):
    """Base of a section: immutable, strict about unknown keys and about types."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ModelConfig(Section):
    """Which model to adapt.

    Attributes:
        name: ``embedded`` for the checkpoint that ships, a folder, or a name on the hub.
        revision: branch, tag or commit on the hub.
        trust_remote_code: run code that comes with the model; only if you trust its author.
        dropout: sets every dropout rate of the model; ``checkpoint`` keeps its own.
        tokenizer: ``file`` for the one in tokenizer.json, ``loaded`` for the one that Transformers
            builds, or ``checked``, which refuses a model where the two differ.
    """

    name: str = Field(default="embedded", min_length=1)
    revision: str | None = None
    trust_remote_code: bool = False
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | Literal["checkpoint"] = "checkpoint"
    tokenizer: Literal["checked", "file", "loaded"] = "checked"


class CorpusConfig(Section):
    """Which text to adapt it to.

    Attributes:
        name: ``imdb``, ``hub:NAME[:CONFIG]``, or a file, folder or glob of .txt, .csv, .tsv,
            .jsonl or .parquet, each also with .gz.
        text_column: the column that holds the text.
        label_column: kept when the corpus has it.
        documents: what is one document in a .txt file: a ``line`` or the whole ``file``.
        delimiter: the character between the cells of .csv and .tsv files; ``None`` is a comma in
            .csv and a tab in .tsv.
        quotes: whether quotation marks enclose cells: ``auto`` (in .csv, not in .tsv), ``yes``
            or ``no``.
        split: which split of a data set on the hub.
        limit: use only the first so many documents.
    """

    name: str = Field(default="imdb", min_length=1)
    text_column: str = Field(default="text", min_length=1)
    label_column: str = "label"
    documents: Literal["line", "file"] = "line"
    delimiter: str | None = None
    quotes: Literal["auto", "yes", "no"] = "auto"
    split: str = "train"
    limit: Count | None = None

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value in '"\r\n\0'):
            raise ValueError("give one character, such as ;")
        return value


class WordsConfig(Section):
    """Where words begin.

    Attributes:
        segmenter: a word segmenter; ``mlmref plugins`` lists them. ``tokenizer`` leaves the
            words to the tokenizer.
        options: the segmenter's own options.
    """

    segmenter: str = "tokenizer"
    options: dict[str, Any] = Field(default_factory=dict)


class ChunkConfig(Section):
    """How the joined text is cut.

    Attributes:
        size: tokens in a chunk.
        scope: over what the remainder is taken: once for the ``corpus``, or once for every
            1,000 documents as the ``tutorial`` does (E06).
        remainder: ``drop`` the last, shorter chunk or ``pad`` it (T08).
    """

    size: Annotated[int, Field(ge=2, le=2**20)] = 128
    scope: Literal["corpus", "tutorial"] = "corpus"
    remainder: Literal["drop", "pad"] = "drop"


class SplitConfig(Section):
    """How chunks are held out.

    Attributes:
        by: ``chunk`` as the tutorial does, or ``document``: no text is on both sides (E08).
        train_size: chunks to train on, as a count or a share, or the ``rest``.
        test_size: chunks to hold out, as a count or a share.
        seed: seeds the shuffle.
    """

    by: Literal["chunk", "document"] = "chunk"
    train_size: Size | Literal["rest"] = "rest"
    test_size: Size = 0.1
    seed: Seed = 42

    @field_validator("train_size", "test_size", mode="before")
    @classmethod
    def _not_all(cls, value: object) -> object:
        if isinstance(value, float) and value == 1.0:
            raise ValueError("a share is below 1, and a count has no point: 1 is one chunk")
        return value


class MaskingConfig(Section):
    """Which positions are to be predicted, and what the model reads there.

    Attributes:
        strategy: a masking strategy; ``mlmref plugins`` lists them.
        options: the strategy's own options.
        corruption: shares of mask, random and kept tokens among the targets, as a table or as
            ``"80/10/10"``; ``None`` for the strategy's own.
    """

    strategy: str = "token"
    options: dict[str, Any] = Field(default_factory=dict)
    corruption: Corruption | None = None

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
    """How to train.

    Attributes:
        backend: a training backend; ``mlmref plugins`` lists them.
        options: the backend's own options.
        epochs: passes over the training chunks.
        max_steps: stop after so many optimiser steps, whatever ``epochs`` says.
        batch_size: chunks in a micro-batch, on each device.
        accumulation: micro-batches in an optimiser step, on each device.
        learning_rate: the peak of the schedule.
        schedule: its shape after the warm-up.
        warmup_steps: steps of linear warm-up.
        weight_decay: AdamW's, decoupled (Loshchilov and Hutter 2019).
        decay: what it applies to: ``weights`` leaves out biases and norms, as Trainer does;
            ``all`` leaves out nothing, as a bare ``AdamW(model.parameters())`` does.
        adam_beta1: decay of AdamW's first moment.
        adam_beta2: decay of its second moment.
        adam_epsilon: added to its denominator.
        max_grad_norm: clip the gradient's norm to this; 0 does not clip.
        precision: ``auto`` is bf16 or fp16 on a GPU that has it and fp32 elsewhere.
        workers: processes that prepare batches; 0 prepares them in the main process.
        seed: seeds order, training masks and dropout; ``None`` leaves them to the run's seed,
            which evaluation's masks and the bootstrap go by in any case.
    """

    backend: str = "trainer"
    options: dict[str, Any] = Field(default_factory=dict)
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    max_steps: Count | None = None
    batch_size: Count = 64
    accumulation: Count = 1
    learning_rate: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 5e-5
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup_steps: Annotated[int, Field(ge=0, le=MOST)] = 0
    weight_decay: NonNegative = 0.01
    decay: Literal["weights", "all"] = "weights"
    adam_beta1: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    adam_beta2: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    adam_epsilon: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1e-8
    max_grad_norm: NonNegative = 1.0
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    workers: Annotated[int, Field(ge=0, le=1_024)] = 0
    seed: Seed | None = None


class CheckpointConfig(Section):
    """What is kept so that a run which is cut short can go on.

    Attributes:
        every: save after so many optimiser steps too; each epoch's end is saved in any case.
        last: how many checkpoints to keep.
        keep: leave them in the run folder when the run is finished.
    """

    every: Count | None = None
    last: Count = 2
    keep: bool = False


class TrackingConfig(Section):
    """Which trackers a run reports to as it goes.

    Attributes:
        to: any of ``tensorboard``, ``trackio``, ``wandb`` and ``mlflow``; also with commas in
            one text.
        project: what they are to file the run under; TensorBoard files nothing.
        name: what they are to call it; ``None`` for the run folder's name.
    """

    to: tuple[Literal["tensorboard", "trackio", "wandb", "mlflow"], ...] = ()
    project: str = Field(default="mlmref", min_length=1)
    name: str | None = None

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
    """How the held-out chunks are measured.

    Attributes:
        batch_size: chunks in a forward pass; changes memory and speed, not the figures.
        resamples: bootstrap resamples of the documents for the interval.
        confidence: the interval's level.
        draws: measure under so many fixed draws of masks, and report how far they differ.
    """

    batch_size: Count = 64
    draws: Annotated[int, Field(ge=1, le=1_000)] = 1
    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1_000
    confidence: Probability = 0.95

    @model_validator(mode="after")
    def _open_interval(self) -> EvaluationConfig:
        if not 0.0 < self.confidence < 1.0:
            raise ValueError("confidence is between 0 and 1, without its ends")
        return self


class FillConfig(Section):
    """What to ask the model before and after.

    Attributes:
        prompts: texts with one or several masks; ``{mask}`` stands for the tokenizer's own.
        top_k: answers for each mask.
    """

    prompts: tuple[str, ...] = ("This is a great {mask}.",)
    top_k: Count = 5


class OutputConfig(Section):
    """Where the result goes.

    Attributes:
        folder: the run folder, which must not exist or be empty; ``None`` makes a new one
            under ``runs/``.
        push: a model repository on the hub to publish to.
        push_every_epoch: publish after each epoch too, as the tutorial does (T18).
        private: whether a repository that has to be made is private.
    """

    folder: str | None = None
    push: str | None = None
    push_every_epoch: bool = False
    private: bool = False


class Config(Section):
    """Everything that shapes a run. Same configuration, same numbers.

    A setting that is not given has the value that ``mlmref run`` would use: for the embedded
    checkpoint and IMDb that of the preset ``tiny``, else the section's own default (CONF-006).

    Attributes:
        seed: seeds masks, order of examples, dropout and the bootstrap.
    """

    seed: Seed = 42
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
