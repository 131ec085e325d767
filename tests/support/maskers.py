"""Vocabularies, rows and maskers for tests, made in one line."""

import numpy as np

from mlmref.masking.builtin import mlmref_masking_strategies
from mlmref.masking.masker import Masker
from mlmref.plugin.batches import ChunkRows, Vocabulary
from mlmref.plugin.contracts import StrategyEntry

PAD, UNK, CLS, SEP, MASK = range(5)
BUILT_IN = ("token", "whole-word")


def vocabulary(size=100, special=(PAD, UNK, CLS, SEP, MASK), mask_id=MASK, pad_id=PAD):
    """Return a vocabulary whose other ids are ordinary."""
    ids = np.arange(size, dtype=np.int32)
    special = np.array(sorted(special), dtype=np.int32)
    return Vocabulary(
        size=size,
        mask_id=mask_id,
        pad_id=pad_id,
        special_ids=special,
        ordinary_ids=np.setdiff1d(ids, special),
    )


def chunk_rows(input_ids, word_start=None, lengths=None, chunk_ids=None):
    """Return rows from lists; by default every token is a word and no row is padded."""
    input_ids = np.array(input_ids, dtype=np.int32)
    height, width = input_ids.shape
    lengths = np.array([width] * height if lengths is None else lengths, dtype=np.int32)
    present = np.arange(width) < lengths[:, None]
    starts = present if word_start is None else np.array(word_start, dtype=np.bool_)
    return ChunkRows(
        input_ids=input_ids,
        word_start=starts,
        documents=np.where(present, 0, -1),
        lengths=lengths,
        chunk_ids=np.arange(height) if chunk_ids is None else np.array(chunk_ids, dtype=np.int64),
    )


def text_rows(height, width, first_chunk=0, special_every=0):
    """Return rows of ordinary tokens in words of one to three tokens, made without chance.

    With ``special_every``, each so-manieth token is a separator.
    """
    index = np.arange(height * width).reshape(height, width)
    input_ids = 5 + index * 31 % 95
    word_start = index % 7 % 3 == 0
    if special_every:
        special = index % special_every == 0
        input_ids[special], word_start[special] = SEP, True
    return chunk_rows(input_ids, word_start, chunk_ids=first_chunk + np.arange(height))


def entry_of(name):
    """Return a built-in strategy's entry, registered anew: a mutant of that is to be found out."""
    return {entry.name: entry for entry in mlmref_masking_strategies()}[name]


def built_in(name, corruption=None, seed=42, words=vocabulary(), **options):  # noqa: B008 - frozen
    """Return a masker of a built-in strategy."""
    entry = entry_of(name)
    return Masker(
        entry=entry,
        strategy=entry.build(entry.options(**options)),
        corruption=corruption or entry.corruption,
        vocabulary=words,
        seed=seed,
        owner="mlmref:builtin-masking",
    )


class Proposes:
    """A strategy that is one function of the batch and the draws."""

    def __init__(self, function):
        self.propose = function


def proposing(function, *, needs_words=False, replaces=False, words=vocabulary(), **fields):  # noqa: B008 - frozen
    """Return a masker whose strategy is ``function``, of the plugin ``acme:odd 1.0``."""
    entry = StrategyEntry(
        name="odd",
        summary="of a test",
        build=lambda _: Proposes(function),
        needs_words=needs_words,
        replaces="own" if replaces else None,
    )
    fields = {"corruption": entry.corruption, "seed": 42} | fields
    strategy = entry.build(None)
    return Masker(entry=entry, strategy=strategy, vocabulary=words, owner="acme:odd 1.0", **fields)
