"""The masker: asks a strategy for its targets, and writes inputs and labels.

A strategy only proposes. The masker alone writes inputs and labels, so a strategy cannot mislabel a
position, change one that it did not choose, or leak state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mlmref.data.tokenizer.vocabulary import special_mask
from mlmref.data.words.numbers import number_words as number_words
from mlmref.masking.check_plan import checked_plan, read_only
from mlmref.plugin.arrays import IGNORE_INDEX, BoolArray, Int32Array
from mlmref.plugin.batches import Batch, ChunkRows, MaskedRows, Vocabulary
from mlmref.plugin.contracts import Corruption, MaskingStrategy, StrategyEntry
from mlmref.plugin.draws import Draws
from mlmref.plugin.registry import Chosen

CORRUPTION_STREAM = "mlmref.corruption"
REPLACEMENT_STREAM = "mlmref.replacement"

_IGNORED = np.array(IGNORE_INDEX, dtype=np.int32)


def present(rows: ChunkRows) -> BoolArray:
    """Return which positions are not padding, bool ``[B, T]``."""
    height, width = rows.input_ids.shape
    if height and rows.lengths.min() == width:  # the usual case, and faster
        return np.ones((height, width), dtype=np.bool_)
    there: BoolArray = np.arange(width) < rows.lengths[:, None]
    return there


def corrupt(
    truth: Int32Array,
    targets: BoolArray,
    corruption: Corruption,
    vocabulary: Vocabulary,
    draws: Draws,
) -> Int32Array:
    """Return the inputs: targets become the mask token, a random token, or stay (MASK-008).

    Each target is drawn independently. Random tokens are uniform over ``vocabulary.ordinary_ids``
    (MASK-007).

    Args:
        truth: int32 ``[B, T]``.
        targets: bool ``[B, T]``.
        corruption: the three shares.
        vocabulary: the tokenizer's vocabulary.
        draws: random numbers of the batch.

    Returns:
        A new int32 ``[B, T]``, equal to ``truth`` outside the targets.
    """
    inputs = truth.copy()
    np.copyto(inputs, vocabulary.mask_id, where=targets)
    if corruption.random or corruption.keep:
        width = truth.shape[1]
        flat = np.flatnonzero(targets)
        fate = draws.uniform(CORRUPTION_STREAM, at=np.divmod(flat, width))
        # Divided by their sum, which may differ from 1 by rounding: a share of 0 then means never,
        # and a share of 1 always.
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
    """Masks chunks with one strategy; constructed once per run and called for every batch.

    The result depends only on the rows and the pass: a chunk gets the same mask in any batch,
    process or resumed run, and another one in the next pass (MASK-001, MASK-002, MASK-019).

    Attributes:
        entry: the strategy's registered entry.
        strategy: the strategy, constructed from its options.
        corruption: replaces the targets, unless the strategy has its own replacements.
        vocabulary: the tokenizer's vocabulary.
        seed: the run's seed, in ``range(2**64)``.
        owner: the strategy's plugin, for messages.
    """

    entry: StrategyEntry
    strategy: MaskingStrategy
    corruption: Corruption
    vocabulary: Vocabulary
    seed: int
    owner: str

    @cached_property
    def _is_special(self) -> BoolArray:
        """Which ids are special, bool ``[V]``."""
        return special_mask(self.vocabulary)

    @cached_property
    def _shown(self) -> Vocabulary:
        """A read-only copy of the vocabulary, for the strategy."""
        return replace(
            self.vocabulary,
            special_ids=read_only(self.vocabulary.special_ids),
            ordinary_ids=read_only(self.vocabulary.ordinary_ids),
            counts=read_only(self.vocabulary.counts),
        )

    def shown(self, rows: ChunkRows, pass_: int) -> tuple[Batch, Draws]:
        """Return the arguments for the strategy; parameters as of a call."""
        return self._shown_of(rows, present(rows)), self._draws(rows, pass_)

    def _shown_of(
        self, rows: ChunkRows, there: BoolArray, protected: BoolArray | None = None
    ) -> Batch:
        truth = rows.input_ids
        special = self._is_special.take(truth)
        special |= ~there
        if protected is not None:
            special |= protected
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

    def __call__(
        self, rows: ChunkRows, pass_: int, protected: BoolArray | None = None
    ) -> MaskedRows:
        """Return some chunks masked; ``rows`` does not change (MASK-009).

        Args:
            rows: the chunks, ``[B, T]``.
            pass_: the epoch, counted from 0, or ``EVALUATION_PASS``.
            protected: bool ``[B, T]``, further positions to treat as special.

        Raises:
            PluginError: the strategy raises an error, or its plan breaks a clause (MASK-017).
        """
        truth = rows.input_ids
        there = present(rows)
        batch, draws = self._shown_of(rows, there, protected), self._draws(rows, pass_)
        own = self._draws(rows, pass_)  # a strategy may have used up the others
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


def masker_of(
    chosen: Chosen[StrategyEntry],
    vocabulary: Vocabulary,
    corruption: Corruption | None,
    seed: int,
) -> Masker:
    """Return the masker of a strategy with its options.

    Args:
        chosen: the strategy.
        vocabulary: the tokenizer's vocabulary.
        corruption: ``None`` for the strategy's own policy.
        seed: in ``range(2**64)``.
    """
    return Masker(
        entry=chosen.entry,
        strategy=chosen.make(),
        owner=str(chosen.source),
        corruption=corruption or chosen.entry.corruption,
        vocabulary=vocabulary,
        seed=seed,
    )
