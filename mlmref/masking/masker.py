"""The masker: asks a strategy for its targets, and writes inputs and labels.

A strategy proposes and nothing more; inputs and labels are written here alone, so a strategy
cannot mislabel, touch a position that it did not choose, or leak state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mlmref.masking.check_plan import checked_plan, read_only
from mlmref.plugin.arrays import IGNORE_INDEX, BoolArray, Int32Array
from mlmref.plugin.contracts import (
    Batch,
    ChunkRows,
    Corruption,
    MaskedRows,
    MaskingStrategy,
    StrategyEntry,
    Vocabulary,
)
from mlmref.plugin.draws import Draws

CORRUPTION_STREAM = "mlmref.corruption"
REPLACEMENT_STREAM = "mlmref.replacement"

_IGNORED = np.array(IGNORE_INDEX, dtype=np.int32)


def present(rows: ChunkRows) -> BoolArray:
    """Tell which positions are no padding, bool ``[B, T]``."""
    height, width = rows.input_ids.shape
    if height and rows.lengths.min() == width:  # as nearly always, and quicker
        return np.ones((height, width), dtype=np.bool_)
    there: BoolArray = np.arange(width) < rows.lengths[:, None]
    return there


def number_words(word_start: BoolArray, special: BoolArray) -> Int32Array:
    """Give the words of each row their numbers, from 0 (MASK-011, MASK-012, MASK-013).

    A word begins where ``word_start`` says so, at a row's first position and after a special
    position; so a word that the chunk's edge cuts counts as the part that is there.

    Args:
        word_start: bool ``[B, T]``.
        special: bool ``[B, T]``.

    Returns:
        int32 ``[B, T]``, -1 at special positions.
    """
    begins = word_start.copy()
    # Flat, which is quicker: what spills into the next row is set true anyway.
    begins.ravel()[1:] |= special.ravel()[:-1]
    begins[:, :1] = True
    np.greater(begins, special, out=begins)  # of two bools: the first and not the second
    # Counted through all rows, which is quicker, and then from each row's start.
    words: Int32Array = np.add.accumulate(begins.ravel(), dtype=np.int32).reshape(begins.shape)
    words -= words[:, :1] - begins[:, :1] + 1
    np.copyto(words, np.int32(-1), where=special)
    return words


def corrupt(
    truth: Int32Array,
    targets: BoolArray,
    corruption: Corruption,
    vocabulary: Vocabulary,
    draws: Draws,
) -> Int32Array:
    """Replace the targets by the mask token, random ordinary tokens, or themselves (MASK-008).

    Each target's fate is drawn independently; random tokens are uniform over
    ``vocabulary.ordinary_ids`` (MASK-007).

    Returns:
        A new int32 ``[B, T]``; equal to ``truth`` outside the targets.
    """
    inputs = truth.copy()
    np.copyto(inputs, vocabulary.mask_id, where=targets)
    if corruption.random or corruption.keep:
        width = truth.shape[1]
        flat = np.flatnonzero(targets)
        fate = draws.uniform(CORRUPTION_STREAM, at=np.divmod(flat, width))
        # Divided by their sum, which may miss 1 by a rounding, a share of 0 is exactly never
        # and a share of all exactly always.
        whole = corruption.mask + corruption.random + corruption.keep
        random_from = corruption.mask / whole
        kept_from = (corruption.mask + corruption.random) / whole
        kept = flat[fate >= kept_from]
        swapped = flat[(fate >= random_from) & (fate < kept_from)]
        inputs.ravel()[kept] = truth.ravel()[kept]
        if corruption.random:
            ordinary = vocabulary.ordinary_ids
            drawn = draws.integers(REPLACEMENT_STREAM, len(ordinary), at=np.divmod(swapped, width))
            inputs.ravel()[swapped] = ordinary[drawn]
    return inputs


@dataclass(frozen=True, kw_only=True)
class Masker:
    """Masks chunks with one strategy; made once a run and called for every batch.

    A pure function of the rows and the pass: the same chunk gets the same mask in any batch,
    process or resumed run, and another one in the next pass (MASK-001, MASK-002, MASK-019).

    Attributes:
        entry: the strategy as it was registered.
        strategy: the strategy, made from its options.
        corruption: what the model reads at a target, unless the strategy says so itself.
        vocabulary: the tokenizer in plain numbers.
        seed: the run's seed, in ``range(2**64)``.
        owner: the plugin that brought the strategy, for messages.
    """

    entry: StrategyEntry
    strategy: MaskingStrategy
    corruption: Corruption
    vocabulary: Vocabulary
    seed: int
    owner: str

    @cached_property
    def _is_special(self) -> BoolArray:
        """Tell for each id whether it is special; looked up once a token."""
        is_special = np.zeros(self.vocabulary.size, dtype=np.bool_)
        is_special[self.vocabulary.special_ids] = True
        return is_special

    @cached_property
    def _shown(self) -> Vocabulary:
        """Copy the vocabulary for the strategy, read-only."""
        return replace(
            self.vocabulary,
            special_ids=read_only(self.vocabulary.special_ids),
            ordinary_ids=read_only(self.vocabulary.ordinary_ids),
            counts=read_only(self.vocabulary.counts),
        )

    def shown(self, rows: ChunkRows, pass_: int) -> tuple[Batch, Draws]:
        """Return what the strategy is asked with; arguments as of a call."""
        return self._shown_of(rows, present(rows)), self._draws(rows, pass_)

    def _shown_of(self, rows: ChunkRows, there: BoolArray) -> Batch:
        truth = rows.input_ids
        special = self._is_special.take(truth)
        special |= ~there
        words = (
            number_words(rows.word_start, special)
            if self.entry.needs_words
            else np.full(truth.shape, -1, dtype=np.int32)
        )
        return Batch(
            input_ids=truth,
            special=special,
            words=words,
            chunk_ids=rows.chunk_ids,
            vocabulary=self._shown,
        )

    def _draws(self, rows: ChunkRows, pass_: int) -> Draws:
        width = rows.input_ids.shape[1]
        return Draws(seed=self.seed, pass_=pass_, chunk_ids=rows.chunk_ids, width=width)

    def __call__(self, rows: ChunkRows, pass_: int) -> MaskedRows:
        """Mask some chunks; ``rows`` is not written to (MASK-009).

        Args:
            rows: the chunks, ``[B, T]``.
            pass_: the epoch, counted from 0, or ``EVALUATION_PASS``.

        Raises:
            PluginError: the strategy raised, or its plan breaks a clause (MASK-017).
        """
        truth = rows.input_ids
        there = present(rows)
        batch, draws = self._shown_of(rows, there), self._draws(rows, pass_)
        own = self._draws(rows, pass_)  # not those that a strategy has had in its hands
        where = f"masking strategy {self.entry.name!r} of {self.owner}"
        plan = checked_plan(
            self.strategy, batch, draws, replaces=self.entry.replaces is not None, where=where
        )
        if plan.replacements is None:
            inputs = corrupt(truth, plan.targets, self.corruption, self.vocabulary, own)
        else:
            inputs = np.where(plan.targets, plan.replacements, truth).astype(np.int32)
        labels = np.where(plan.targets, truth, _IGNORED)
        return MaskedRows(input_ids=inputs, labels=labels, attention_mask=there)
