"""A classifier on a checkpoint: read documents, train with one seed, predict.

Clauses DOWN-001 and DOWN-003 (spec/downstream.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlmref.base.errors import MlmrefError
from mlmref.data.tokenizer.encoding import encoded, refusal
from mlmref.plugin.arrays import Int64Array
from mlmref.settings.config import ModelConfig, TrainingConfig

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from mlmref.data.corpus.corpus import Corpus
    from mlmref.studies.downstream.config import DownstreamConfig

_EVALUATED = 128  # documents in a forward pass of the evaluation


class Documents(NamedTuple):
    """Tokenized documents.

    Attributes:
        ids: the token ids of each document.
        labels: int64 ``[D]``, the class of each document, from 0.
    """

    ids: list[list[int]]
    labels: Int64Array


def read_documents(
    model: ModelConfig, corpus: Corpus, parts: Sequence[Int64Array], classes: Int64Array, most: int
) -> list[Documents]:
    """Tokenize the documents of each part, each truncated to ``most`` tokens."""
    from mlmref.base.quiet_libraries import quiet
    from mlmref.model.load import load_model

    loaded = load_model(model)
    tokenizer: Any = loaded.tokenizer
    most = min(most, loaded.max_length)
    read = []
    for numbers in parts:
        rows = corpus.dataset.select(numbers.tolist())
        with quiet():
            ids = encoded(
                partial(tokenizer, truncation=True, max_length=most),
                rows["text"][:],
                refusal(corpus, numbers, "remove it from the corpus, or choose other models"),
            )
        labels = np.searchsorted(classes, np.asarray(rows.with_format("numpy")["label"][:]))
        read.append(Documents(ids["input_ids"], labels))
    return read


def load_classifier(model: ModelConfig, classes: int, seed: int) -> Any:
    """Load a checkpoint with a new head, whose initial weights depend only on the seed."""
    from mlmref.base.generators import seed_torch
    from mlmref.base.ranks.process import state
    from mlmref.model.load import pretrained

    seed_torch(seed)
    found = pretrained(model, "AutoModelForSequenceClassification", num_labels=classes)[0]
    return found.to(state().device)


def trial(model: PreTrainedModel, documents: Documents) -> None:
    """Run a forward and a backward pass in evaluation mode; the model does not change."""
    import torch

    from mlmref.model.unchanged import evaluating

    with evaluating(model):
        loss = model(**_batch(model, documents, np.arange(2))).loss
        torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)


def train_classifier(
    model: PreTrainedModel, documents: Documents, config: DownstreamConfig, seed: int, steps: int
) -> Iterator[float]:
    """Train a classifier step by step. The order and the dropout depend only on the seed.

    Yields:
        The loss of each step, in nats.

    Raises:
        MlmrefError: the loss is not finite.
    """
    import torch

    from mlmref.base.generators import seed_torch
    from mlmref.training.optimizer import make_optimizer, schedule

    training = TrainingConfig(learning_rate=config.learning_rate)
    optimizer = make_optimizer(model, training)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(training, steps))
    rng = np.random.default_rng(seed)
    seed_torch(seed)
    model.train()
    for _ in range(config.epochs):
        order = rng.permutation(len(documents.labels))
        for first in range(0, len(order), config.batch_size):
            batch = _batch(model, documents, order[first : first + config.batch_size])
            loss = model(**batch).loss
            if not torch.isfinite(loss):
                raise MlmrefError(
                    f"the loss is {loss.item()}", where="downstream", hint="lower --learning-rate"
                )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), training.max_grad_norm)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            yield loss.item()


def predict(model: Any, documents: Documents) -> Int64Array:
    """Return the most probable class of each document: int64 ``[D]``."""
    import torch

    from mlmref.model.unchanged import evaluating, unchanged

    found = np.zeros(len(documents.labels), dtype=np.int64)
    by_length = np.argsort([len(ids) for ids in documents.ids], kind="stable")
    with evaluating(model), torch.inference_mode():
        for first in range(0, len(by_length), _EVALUATED):
            some = by_length[first : first + _EVALUATED]
            with unchanged(model):
                logits = model(**_batch(model, documents, some)).logits
            found[some] = logits.argmax(1).cpu().numpy()
    return found


def _batch(model: PreTrainedModel, documents: Documents, some: Int64Array) -> dict[str, Tensor]:
    """Return the model's inputs for some documents, padded to the longest."""
    import torch

    rows = [documents.ids[number] for number in some]
    width = max(map(len, rows))
    ids = np.full((len(rows), width), model.config.pad_token_id or 0)
    there = np.arange(width) < np.array([len(row) for row in rows])[:, None]
    ids[there] = np.concatenate(rows)
    arrays = {"input_ids": ids, "attention_mask": there, "labels": documents.labels[some]}
    return {name: torch.from_numpy(array).long().to(model.device) for name, array in arrays.items()}
