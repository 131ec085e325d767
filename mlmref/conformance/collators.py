"""Wrap data collators in the style of Transformers as masking strategies.

A collator is called with a list of features and returns ``input_ids`` and ``labels``. It gets
each row as a tokenizer would have made it: ``input_ids`` and ``attention_mask``, and if asked for
``labels`` (the tokens once more), ``word_ids`` (with ``None`` outside words) and
``offset_mapping`` (words apart, the tokens of a word adjacent). Rows are padded beforehand, and
an empty batch is not passed on, since no data loader makes one.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from mlmref.base.errors import ConfigError
from mlmref.conformance import strategies
from mlmref.conformance.checks import Report, run_checks
from mlmref.conformance.generators import as_they_were, generators
from mlmref.conformance.strategies.subject import Seen, Subject
from mlmref.conformance.strategies.worlds import large_cases
from mlmref.conformance.words import tokenizer, world
from mlmref.plugin.arrays import IGNORE_INDEX, Probability
from mlmref.plugin.contracts import Batch, Corruption, Options, Plan, Rate, StrategyEntry
from mlmref.plugin.draws import Draws

Features = list[dict[str, Any]]
Collator = Callable[..., Mapping[str, Any]]

COLUMNS = ("input_ids", "attention_mask", "labels", "word_ids", "offset_mapping")
"""What a feature can have; the first two it always has."""

_STREAM = "collator"


class CollatorStrategy:
    """A collator as a masking strategy.

    Args:
        collator: takes features, and ``seed`` if its signature has one; then it is given one that
            depends on the batch's key.
        columns: which of :data:`COLUMNS` it needs beside the first two.
    """

    def __init__(self, collator: Collator, columns: Sequence[str] = ()) -> None:
        self._collator = collator
        self._columns = {*COLUMNS[:2], *columns}
        self._takes_seed = "seed" in inspect.signature(collator).parameters

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Let the collator mask a batch, with the process's generators seeded by the key.

        The mask of a row still depends on the rows beside it, which a collator decides.

        Raises:
            ValueError: the collator's labels are not the true tokens (MASK-004), or it changed a
                token that is no target (MASK-005): the core would put both right in silence.
        """
        with _seeded(_key(draws)):
            seen = self.collate(batch, draws)
        truth = batch.input_ids
        if (seen.labels[seen.targets] != truth[seen.targets]).any():
            raise ValueError("the collator's labels are not the true tokens (MASK-004)")
        if (seen.input_ids != truth)[~seen.targets].any():
            raise ValueError("the collator changed a token that is no target (MASK-005)")
        return Plan(targets=seen.targets, replacements=seen.input_ids)

    def collate(self, batch: Batch, draws: Draws) -> Seen:
        """Call the collator as a data loader would, and show what it made."""
        shape = batch.input_ids.shape
        if not batch.input_ids.size:
            nothing = np.zeros(shape, dtype=np.int64)
            present = np.zeros(shape, dtype=np.bool_)
            return Seen(targets=present, input_ids=nothing, labels=nothing, attention_mask=present)
        features = [
            {name: row[name] for name in COLUMNS if name in self._columns}
            for row in features_of(batch)
        ]
        before = copy.deepcopy(features)
        extra = {"seed": _key(draws)} if self._takes_seed else {}
        made = self._collator(features, **extra)
        labels = np.asarray(made["labels"])
        return Seen(
            targets=labels != IGNORE_INDEX,
            input_ids=np.asarray(made["input_ids"]),
            labels=labels,
            attention_mask=np.asarray(made.get("attention_mask", batch.input_ids * 0 + 1)),
            written="" if features == before else "the caller's features",
        )


def features_of(batch: Batch) -> Features:
    """Return a batch as the features that a tokenizer gives, one dictionary a row."""
    words = batch.words
    # One character a token, and a blank before each word.
    begins = np.ones(words.shape, dtype=np.bool_)
    begins[:, 1:] = (words[:, 1:] != words[:, :-1]) | (words[:, 1:] < 0)
    starts = np.cumsum(1 + begins, axis=1) - 1
    offsets = np.where(batch.special[..., None], 0, np.stack([starts, starts + 1], axis=-1))
    padding = batch.special & (batch.input_ids == batch.vocabulary.pad_id)
    # A tokenizer counts words anew in each document; two special tokens in a row are a seam.
    seams = np.zeros(words.shape, dtype=np.bool_)
    seams[:, 1:] = batch.special[:, 1:] & batch.special[:, :-1]
    ended = np.maximum.accumulate(words, axis=1)
    before = np.maximum.accumulate(np.where(seams, ended + 1, 0), axis=1)
    words = np.where(words < 0, -1, words - before)
    # Padding is what stands at a row's end; the same token within the text is text.
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
    """Return 63 bits that depend on the whole batch's key."""
    mixed = 0
    for bits in draws.bits(_STREAM)[:, :2].reshape(-1).tolist():
        mixed = (mixed * 0x9E3779B97F4A7C15 + bits) % 2**64
    return mixed >> 1


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators that a process shares, and put them back as they were."""
    with as_they_were():
        for _, sow in generators():
            sow(seed % 2**32)
        yield


class CollatorOptions(Options):
    """Options of a collator whose rate can be set."""

    mlm_probability: Probability = 0.15


def collator_subject(
    make: Callable[..., Collator],
    *,
    name: str,
    probability: float | None = None,
    corruption: Corruption = Corruption(),  # noqa: B008 - frozen
    rate: Rate | None = None,
    whole_words: bool = False,
    columns: Sequence[str] = (),
) -> Subject:
    """Put a collator on the bench.

    Args:
        make: makes the collator from the tokenizer, and from ``mlm_probability`` if
            ``probability`` is given.
        name: what the report calls it.
        probability: its rate of targets, if that can be set.
        corruption: what it says that it replaces targets by.
        rate: what the probability is of, as in :class:`StrategyEntry`.
        whole_words: whether it says that it masks whole words.
        columns: as of :class:`CollatorStrategy`.
    """

    def build(options: Options) -> CollatorStrategy:
        rates = {} if probability is None else options.model_dump()
        return CollatorStrategy(make(tokenizer(), **rates), columns)

    entry = StrategyEntry(
        name=name,
        summary="a data collator",
        build=build,
        options=Options if probability is None else CollatorOptions,
        corruption=corruption,
        needs_words=True,
        whole_words=whole_words,
        rate=rate,
        replaces="random",
    )
    options = Options() if probability is None else CollatorOptions(mlm_probability=probability)
    return Subject(
        entry=entry, options=options, corruption=corruption, world=world(), large=12, collates=True
    )


def load_collator(place: str, arguments: Mapping[str, Any]) -> Callable[..., Collator]:
    """Return what makes the collator called ``module:name``.

    Args:
        place: a class, or a function that is a collator itself.
        arguments: what the class takes beside ``tokenizer`` and ``mlm_probability``.

    Raises:
        ConfigError: there is no such thing.
    """
    module, _, name = place.partition(":")
    try:
        found: Any = getattr(import_module(module), name)
        takes = inspect.signature(found).parameters
    except Exception as error:  # a module may raise anything, and not every class has a signature
        raise ConfigError(
            f"no collator {place!r} ({error})", where="--collator", hint="give MODULE:NAME"
        ) from error
    if not inspect.isclass(found):
        return lambda _tokenizer, **_: found

    def make(tokenizer: Any, **rates: Any) -> Collator:
        given: dict[str, Any] = {"tokenizer": tokenizer} if "tokenizer" in takes else {}
        made: Any = found(**given, **arguments, **rates)
        collator: Collator = made
        return collator

    return make


def check_collator(
    place: str, *, arguments: Mapping[str, Any] | None = None, **promises: Any
) -> Report:
    """Hold a collator against every clause of spec/masking.md that is a strategy's.

    Args:
        place: MODULE:NAME of a class, or of a function that is a collator itself.
        arguments: what the class takes beside ``tokenizer`` and ``mlm_probability``.
        promises: what it says of itself: ``corruption``, ``rate``, ``whole_words`` and
            ``columns`` of :func:`collator_subject`.

    Raises:
        ConfigError: there is no such collator, or it cannot be made or called.
    """
    given = dict(arguments or {})
    load_collator(place, given)  # refused before it is looked into
    probability = given.pop("mlm_probability", 0.15) if _takes_probability(place) else None
    try:
        subject = collator_subject(
            load_collator(place, given), name=place, probability=probability, **promises
        )
        subject.see(next(iter(large_cases(1, subject.world))))
    except Exception as error:
        raise ConfigError(
            f"it cannot be called ({type(error).__name__}: {error})",
            where=place,
            hint="give what it needs with --collator-arg and --column",
        ) from error
    return run_checks(strategies.KIT.checks, subject, place)


def _takes_probability(place: str) -> bool:
    """Tell whether a collator's class has the argument ``mlm_probability``."""
    module, _, name = place.partition(":")
    found = getattr(import_module(module), name)
    return inspect.isclass(found) and "mlm_probability" in inspect.signature(found).parameters
