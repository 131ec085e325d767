"""Settings of ``mlmref downstream``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlmref.settings.config import CorpusConfig, Count, Section


class DownstreamConfig(Section):
    """How to train and measure the classifiers.

    Attributes:
        adapted: the model after adaptation: a run folder, or a name on the hub.
        base: the model before; left out, the one that the run folder says it is of.
        tokenizer: which tokenizer both use where tokenizer.json and Transformers differ, as in
            :class:`mlmref.settings.config.ModelConfig`.
        corpus: documents with labels.
        seeds: how many times both are trained.
        train_size: documents to train on.
        test_size: documents to measure on.
        max_tokens: tokens of a document that are read, from its beginning.
        epochs: passes over the documents.
        batch_size: documents in a step.
        learning_rate: the peak of a linear schedule.
        seed: chooses the documents, and the first of the seeds.
    """

    adapted: str
    base: str | None = None
    tokenizer: Literal["checked", "file", "loaded"] = "checked"
    corpus: CorpusConfig = CorpusConfig()
    seeds: Annotated[int, Field(ge=1, le=1_000)] = 5
    train_size: Count = 2_000
    test_size: Count = 2_000
    max_tokens: Annotated[int, Field(ge=8, le=2**20)] = 256
    epochs: Count = 2
    batch_size: Count = 32
    learning_rate: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 5e-4
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
