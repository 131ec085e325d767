"""Wrap data collators in the style of Transformers as masking strategies.

A collator takes a list of features and returns ``input_ids`` and ``labels``. A feature is a row as
a tokenizer returns it: ``input_ids`` and ``attention_mask``, and on request ``labels`` (the same
tokens), ``word_ids`` (``None`` outside words) and ``offset_mapping`` (a gap between words, no gap
within a word). Rows are already padded. Empty batches are not passed to the collator, because no
data loader makes one.

A collator with ``set_epoch`` is keyed: its masks depend on its attribute ``seed``, the epoch and
the ``id`` of each feature. Any other collator draws from the process's generators; the kit seeds
them.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from mlmref.conformance.generators import as_they_were, generators
from mlmref.conformance.strategies.subject import Seen
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.batches import Batch, Plan
from mlmref.plugin.draws import Draws

Features = list[dict[str, Any]]
Collator = Callable[..., Mapping[str, Any]]

COLUMNS = ("input_ids", "attention_mask", "labels", "word_ids", "offset_mapping")
"""The columns of a feature; the first two are always present."""

_STREAM = "collator"


class CollatorStrategy:
    """A collator as a masking strategy.

    Args:
        collator: takes features. If its signature has ``seed``, it gets one that depends on the key
            of the batch.
        columns: the columns of :data:`COLUMNS` that it needs besides the first two.
    """

    def __init__(self, collator: Collator, columns: Sequence[str] = ()) -> None:
        self._collator: Any = collator
        self._columns = {*COLUMNS[:2], *columns}
        self._takes_seed = "seed" in inspect.signature(collator).parameters

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Return the collator's mask of a batch; the process's generators are seeded by the key.

        The mask of a row can still depend on the other rows.

        Raises:
            ValueError: the collator's labels are not the true tokens (MASK-004), or it changed a
                token that is not a target (MASK-005). mlmref would silently correct both.
        """
        with _seeded(_key(draws)):
            seen = self.collate(batch, draws)
        truth = batch.input_ids
        if (seen.labels[seen.targets] != truth[seen.targets]).any():
            raise ValueError("the collator's labels are not the true tokens (MASK-004)")
        if (seen.input_ids != truth)[~seen.targets].any():
            raise ValueError("the collator changed a token that is not a target (MASK-005)")
        return Plan(targets=seen.targets, replacements=seen.input_ids)

    def collate(self, batch: Batch, draws: Draws) -> Seen:
        """Return what the collator makes of a batch, called as by a data loader."""
        shape = batch.input_ids.shape
        if not batch.input_ids.size:
            nothing = np.zeros(shape, dtype=np.int64)
            present = np.zeros(shape, dtype=np.bool_)
            return Seen(targets=present, input_ids=nothing, labels=nothing, attention_mask=present)
        call, features = self.ready(batch, draws)
        before = copy.deepcopy(features)
        made = call()
        labels = np.asarray(made["labels"])
        return Seen(
            targets=labels != IGNORE_INDEX,
            input_ids=np.asarray(made["input_ids"]),
            labels=labels,
            attention_mask=np.asarray(made.get("attention_mask", batch.input_ids * 0 + 1)),
            written="" if features == before else "the caller's features",
        )

    def ready(self, batch: Batch, draws: Draws) -> tuple[Callable[[], Any], Features]:
        """Return the call of the collator on a batch, and its features."""
        features = [
            {name: row[name] for name in COLUMNS if name in self._columns}
            for row in features_of(batch)
        ]
        if is_keyed(self._collator):
            self._collator.seed = draws._seed
            self._collator.set_epoch(draws._pass)
            for feature, number in zip(features, batch.chunk_ids.tolist(), strict=True):
                feature["id"] = number
        extra = {"seed": _key(draws)} if self._takes_seed else {}
        return partial(self._collator, features, **extra), features


def is_keyed(collator: Any) -> bool:
    """Return whether a collator, or its class, has masks with a key of their own."""
    return callable(getattr(collator, "set_epoch", None))


def features_of(batch: Batch) -> Features:
    """Return a batch as the features that a tokenizer returns, one dictionary per row."""
    words = batch.words
    # Each token is one character, with a space before each word.
    begins = np.ones(words.shape, dtype=np.bool_)
    begins[:, 1:] = (words[:, 1:] != words[:, :-1]) | (words[:, 1:] < 0)
    starts = np.cumsum(1 + begins, axis=1) - 1
    offsets = np.where(batch.special[..., None], 0, np.stack([starts, starts + 1], axis=-1))
    padding = batch.special & (batch.input_ids == batch.vocabulary.pad_id)
    # A tokenizer numbers the words of each document from 0. Two adjacent special tokens are a
    # border between documents.
    seams = np.zeros(words.shape, dtype=np.bool_)
    seams[:, 1:] = batch.special[:, 1:] & batch.special[:, :-1]
    ended = np.maximum.accumulate(words, axis=1)
    before = np.maximum.accumulate(np.where(seams, ended + 1, 0), axis=1)
    words = np.where(words < 0, -1, words - before)
    # Padding is at the end of a row; the same token within the text is text.
    padding = np.logical_and.accumulate(padding[:, ::-1], axis=1)[:, ::-1]
    return [
        {
            "input_ids": batch.input_ids[row].tolist(),
            "attention_mask": (~padding[row]).astype(int).tolist(),
            "word_ids": [None if word < 0 else word for word in words[row].tolist()],
            "offset_mapping": offsets[row].tolist(),
            "labels": batch.input_ids[row].tolist(),
        }
        for row in range(len(batch.input_ids))
    ]


def _key(draws: Draws) -> int:
    """Return a seed of 63 bits that depends on the keys of all rows of a batch."""
    mixed = 0
    for bits in draws.bits(_STREAM)[:, :2].reshape(-1).tolist():
        mixed = (mixed * 0x9E3779B97F4A7C15 + bits) % 2**64
    return mixed >> 1


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the process's shared generators, and restore them on exit."""
    with as_they_were():
        for _, sow in generators():
            sow(seed % 2**32)
        yield
