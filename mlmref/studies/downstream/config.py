"""Settings of ``mlmref downstream``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlmref.settings.config import CorpusConfig, Count
from mlmref.settings.setting import Section, setting


class DownstreamConfig(Section):
    """Settings of the training and evaluation of the classifiers."""

    panel = "Classifiers"

    adapted: str = setting(..., "the model after adaptation: a run folder, or a name on the hub")
    base: str | None = setting(
        None,
        "the model before; default: the one in the run folder",
        flag="--base",
        suggest="models",
    )
    tokenizer: Literal["checked", "file", "loaded"] = setting(
        "checked",
        "if tokenizer.json and Transformers differ: file or loaded. Both models use this tokenizer",
        flag="--tokenizer",
    )
    corpus: CorpusConfig = CorpusConfig()
    seeds: Annotated[int, Field(ge=1, le=1_000)] = setting(5, "number of seeds", flag="--seeds")
    train_size: Count = setting(2_000, "documents to train on", flag="--train-size")
    test_size: Count = setting(2_000, "documents to measure on", flag="--test-size")
    max_tokens: Annotated[int, Field(ge=8, le=2**20)] = setting(
        256, "tokens to read of each document, from its beginning", flag="--max-tokens"
    )
    epochs: Count = setting(2, "passes over the training documents", flag="--epochs")
    batch_size: Count = setting(32, "documents in a step", flag="--batch-size")
    learning_rate: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = setting(
        5e-4, "peak learning rate. The schedule is linear", flag="--learning-rate"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = setting(
        42, "seed of the choice of documents, and the first seed", flag="--seed"
    )
