"""Hold out chunks, by chunk or by document (clauses SPLIT-001 to SPLIT-010)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlmref.base.errors import ConfigError
from mlmref.data.chunks import Chunks, cut, documents_joined
from mlmref.plugin.arrays import Int64Array
from mlmref.settings.config import SplitConfig

_HINT = "use --train-size rest and a --test-size such as 0.1, or smaller chunks"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Training chunks and held-out chunks; ids are unique on each side (SPLIT-010)."""

    train: Chunks
    test: Chunks

    def __repr__(self) -> str:
        return f"Split({len(self.train):,} chunks to train on, {len(self.test):,} held out)"


def split(chunks: Chunks, rule: SplitConfig) -> Split:
    """Return the chunks, split into training and held-out ones (T14).

    By chunk, rows and order equal those of ``datasets``' ``train_test_split`` (SPLIT-001). By
    document, whole documents are held out (SPLIT-006).

    Raises:
        ConfigError: there are too few chunks (SPLIT-009).
    """
    train_size, test_size = _sizes(len(chunks), rule)
    rng = np.random.default_rng(rule.seed)
    if rule.by == "document":
        return _by_document(chunks, rule, train_size, test_size, rng)
    order = rng.permutation(len(chunks))
    return Split(
        train=chunks.select(order[test_size : test_size + train_size]),
        test=chunks.select(order[:test_size]),
    )


def _by_document(
    chunks: Chunks, rule: SplitConfig, train_size: int, test_size: int, rng: np.random.Generator
) -> Split:
    """Hold out whole documents, then cut and draw each side by itself."""
    order = rng.permutation(len(chunks.documents))
    held = _until(chunks, order, test_size)
    train, test = _side(chunks, order[held:]), _side(chunks, order[:held])
    if rule.train_size == "rest":
        train_size = len(train)
    elif isinstance(rule.train_size, float):
        # Cutting each side by itself can lose chunks: the share is of those that remain.
        train_size = min(train_size, len(train))
    if not 0 < train_size <= len(train):
        asked = f", not {train_size:,}" if train_size else ""
        raise ConfigError(
            f"holding out {test_size:,} chunks by document leaves {len(train):,} to "
            f"train on{asked}",
            where="split",
            hint="use fewer chunks, more documents or --split chunk",
        )
    return Split(
        train=train.select(rng.permutation(len(train))[:train_size]),
        test=test.select(rng.permutation(len(test))[:test_size]),
    )


def _side(chunks: Chunks, nth: Int64Array) -> Chunks:
    """Return the chunks of the nth documents, cut by the same rule and in order (SPLIT-007)."""
    return cut(chunks.tokens, chunks.rule, chunks.documents[np.sort(nth)])


def _until(chunks: Chunks, order: Int64Array, size: int) -> int:
    """Return the smallest number of documents, in this order, that give ``size`` chunks."""
    rule = chunks.rule
    tokens = np.cumsum(np.diff(chunks.offsets)[order])
    most = tokens
    if rule.remainder == "pad":
        # The last chunk of each joined group needs only one token.
        groups = -(-np.arange(1, len(order) + 1) // documents_joined(rule, len(order)))
        most = tokens + groups * (rule.size - 1)
    enough = np.flatnonzero(most >= size * rule.size) + 1
    return next(int(held) for held in enough if len(_side(chunks, order[:held])) >= size)


def _sizes(there_are: int, rule: SplitConfig) -> tuple[int, int]:
    """Return sizes as counts: a test share rounds up, a training share down (SPLIT-004)."""
    train, test = rule.train_size, rule.test_size
    # Two shares that add up to 1 fit, despite binary fractions.
    too_much = isinstance(train, float) and isinstance(test, float) and train + test > 1
    n_test = math.ceil(test * there_are) if isinstance(test, float) else test
    if train == "rest":
        n_train = there_are - n_test
    elif isinstance(train, float):
        n_train = math.floor(train * there_are)
        if isinstance(test, float):
            n_train = min(n_train, there_are - n_test)
    else:
        n_train = train
    if too_much or n_train + n_test > there_are:
        whose = " (a preset's sizes)" if (train, test) == (10_000, 1_000) else ""
        raise ConfigError(
            f"train_size {train:,} + test_size {test:,}{whose} is more than the {there_are:,} "
            "chunks there are",
            where="split",
            hint=_HINT,
        )
    if n_train < 1:
        raise ConfigError(
            f"train_size {train} and test_size {test:,} leave none of the {there_are:,} chunks "
            "there are to train on",
            where="split",
            hint=_HINT,
        )
    return n_train, n_test
