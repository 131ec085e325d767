"""MaskingCollator: any masking strategy in any training script (spec/collator.md)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlmref.base.errors import ConfigError, CorpusError
from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.data.words.of_segmenter import SegmentedWords
from mlmref.masking import features as columns
from mlmref.masking.epochs import Epochs, check_range
from mlmref.masking.keys import keys_of
from mlmref.masking.masker import masker_of
from mlmref.plugin.arrays import BoolArray, Int64Array
from mlmref.plugin.batches import ChunkRows, Vocabulary
from mlmref.plugin.contracts import Corruption, StrategyEntry
from mlmref.plugin.discovery import discover
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.plugin.registry import Chosen, Registered, Source, choose
from mlmref.settings.data import MaskingConfig

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase

Tensors = Literal["pt", "np"]


class MaskingCollator:
    """Masks and pads features; a drop-in for ``DataCollatorForLanguageModeling``.

    The mask of an example depends only on the seed, the epoch and the example: its ``id`` column
    if it has one, otherwise its tokens. It does not depend on the batch, padding, position,
    workers or ranks. The epoch advances each time a ``DataLoader`` is iterated, also with
    persistent workers, under Trainer and under Accelerate. For this, the collator itself must be
    the ``collate_fn``. Evaluation by Trainer always has the same masks; elsewhere, use
    :meth:`frozen` for evaluation.

    Args:
        tokenizer: a fast tokenizer with a mask and a padding token.
        strategy: the name of a registered masking strategy, or its entry.
        corruption: what replaces the targets, such as ``80/10/10``; by default the strategy's own.
        segmenter: the name of a word segmenter. It reads the columns ``text`` and
            ``offset_mapping`` of the features.
        seed: in ``range(2**64)``.
        pad_to_multiple_of: rounds the width of a batch up.
        return_tensors: ``pt`` or ``np``.
        counts: int64 ``[V]``, how often each token id occurs in the training examples, for a
            strategy that needs it.
        options: options of the strategy, such as ``mlm_probability=0.2``.

    Raises:
        ConfigError: an unknown option, or an invalid value.
        ModelError: the tokenizer is slow, or has no mask or padding token.
        PluginError: no strategy or segmenter has this name.

    Example::

        >>> from transformers import AutoTokenizer
        >>> from mlmref import MaskingCollator
        >>> collator = MaskingCollator(tokenizer, "whole-word", mlm_probability=0.2, seed=42)
        >>> batch = collator([tokenizer("A great film!")])
        >>> sorted(batch)
        ['attention_mask', 'input_ids', 'labels']
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        strategy: str | StrategyEntry = "token",
        *,
        corruption: str | Corruption | None = None,
        segmenter: str | None = None,
        seed: int = 42,
        pad_to_multiple_of: int | None = None,
        return_tensors: Tensors = "pt",
        counts: Int64Array | None = None,
        **options: Any,
    ) -> None:
        if return_tensors not in ("pt", "np"):
            raise ConfigError(
                f"{return_tensors!r} is not a kind of tensors",
                where="return_tensors",
                hint='use "pt" or "np"',
            )
        check_range("seed", seed, 2**64)
        self.tokenizer = tokenizer
        self.return_tensors = return_tensors
        self.pad_to_multiple_of = pad_to_multiple_of
        self._chosen = _chosen(strategy, options)
        self._segmenter = _segmenter(segmenter)
        self._masker = masker_of(
            self._chosen, _vocabulary(tokenizer, counts), _corruption(corruption), seed
        )
        if self._chosen.entry.needs_counts and counts is None:
            raise ConfigError(
                f"{self._chosen.entry.name!r} masking needs counts",
                where="counts",
                hint="pass np.bincount(np.concatenate(train['input_ids']), minlength="
                "len(tokenizer))",
            )
        self._frozen = False
        self._epochs = Epochs()

    def __repr__(self) -> str:
        given = self._chosen.options.model_dump()
        options = "".join(f", {name}={value!r}" for name, value in given.items())
        frozen = ".frozen()" if self._frozen else ""
        return (
            f"MaskingCollator({type(self.tokenizer).__name__}, {self._chosen.entry.name!r}, "
            f"seed={self.seed}{options}){frozen}"
        )

    def __call__(
        self, features: Sequence[columns.Feature], return_tensors: Tensors | None = None
    ) -> BatchEncoding:
        """Return the features masked and padded; they do not change.

        Args:
            features: rows as of a tokenizer: ``input_ids``, and optionally ``attention_mask``,
                ``special_tokens_mask``, ``word_ids``, ``offset_mapping``, ``id`` and others.
            return_tensors: overrides that of the collator.

        Returns:
            ``input_ids``, ``attention_mask`` and ``labels`` (``IGNORE_INDEX`` where no token is to
            be predicted), int64 ``[B, T]``, and all other columns with a number per token or
            feature.

        Raises:
            CorpusError: a column is missing or malformed.
            PluginError: the strategy has a bug.
        """
        pass_ = EVALUATION_PASS if self._frozen else self._epochs.now
        return self.masked(features, pass_, return_tensors)

    @property
    def seed(self) -> int:
        """The seed of the masks."""
        return self._masker.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._masker = replace(self._masker, seed=seed)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; later ones count on from it.

        Trainer needs no call. A script that resumes training without Trainer does.
        """
        self._epochs.set(epoch)

    def frozen(self) -> MaskingCollator:
        """Return a collator that gives an example the same mask every time, for evaluation.

        With the same ids, the masks are those of mlmref's own evaluation.
        """
        collator = copy.copy(self)
        collator._frozen = True
        return collator

    def pass_of(self, loader: Any) -> int:
        """Return the pass of an iteration of a ``DataLoader`` that begins now."""
        return EVALUATION_PASS if self._frozen else self._epochs.begin(loader)

    def masked(
        self, features: Sequence[columns.Feature], pass_: int, return_tensors: Tensors | None = None
    ) -> BatchEncoding:
        """Return the features masked in a given pass; otherwise as a call."""
        from transformers import BatchEncoding

        left = self.tokenizer.padding_side == "left"
        layout = columns.layout_of(features, multiple_of=self.pad_to_multiple_of, left=left)
        ids = columns.flat(features, "input_ids", layout, np.int64)
        columns.check_ids(ids, self._masker.vocabulary.size)
        truth = layout.rows(ids, self._masker.vocabulary.pad_id)
        present = columns.flags(features, "attention_mask", layout)
        if present is None:
            present = layout.filled
        masked = self._mask(features, layout, ids, truth, present, pass_)
        pads = {"token_type_ids": self.tokenizer.pad_token_type_id}
        made = columns.others(features, layout, pads) | masked
        made["attention_mask"] = present.astype(np.int64)
        if (return_tensors or self.return_tensors) == "pt":
            import torch

            made = {name: torch.from_numpy(value) for name, value in made.items()}
        return BatchEncoding(made)

    def _mask(
        self,
        features: Sequence[columns.Feature],
        layout: columns.Layout,
        ids: Int64Array,
        truth: Int64Array,
        present: BoolArray,
        pass_: int,
    ) -> dict[str, Int64Array]:
        """Return inputs and labels, int64 ``[B, T]``; padding may be anywhere in a row."""
        starts = layout.rows(self._starts(features, ids, layout), fill=False)
        protected = columns.flags(features, "special_tokens_mask", layout)
        lengths = np.count_nonzero(present, axis=1)
        whole = bool(lengths.min() == layout.width)  # the usual case, and faster
        first = present if whole else np.arange(layout.width) < lengths[:, None]
        # Masks are drawn with the tokens of a row at its beginning, so that padding has no effect.
        aligned = whole or np.array_equal(first, present)
        order = None if aligned else np.argsort(~present, 1, kind="stable")
        if order is not None:
            truth, starts = (np.take_along_axis(one, order, 1) for one in (truth, starts))
            protected = None if protected is None else np.take_along_axis(protected, order, 1)
        tokens = truth.astype(np.int32)
        if not whole:
            np.copyto(tokens, self._masker.vocabulary.pad_id, where=~first)
        rows = ChunkRows(
            input_ids=tokens,
            word_start=starts,
            documents=np.where(first, 0, -1),
            lengths=lengths.astype(np.int32),
            chunk_ids=keys_of(features, tokens, first),
        )
        masked = self._masker(rows, pass_, protected)
        inputs, labels = masked.input_ids.astype(np.int64), masked.labels.astype(np.int64)
        if not whole:
            np.copyto(inputs, truth, where=~first)
        if order is not None:
            back = np.argsort(order, 1)
            inputs, labels = (np.take_along_axis(one, back, 1) for one in (inputs, labels))
        return {"input_ids": inputs, "labels": labels}

    def _starts(
        self, features: Sequence[columns.Feature], ids: Int64Array, layout: columns.Layout
    ) -> BoolArray:
        """Return which tokens begin a word, bool ``[sum of lengths]``."""
        if not self._chosen.entry.needs_words:
            return np.zeros(len(ids), dtype=np.bool_)
        if self._segmenter is not None:
            return columns.segmented_starts(features, layout, self._segmenter)
        starts = columns.word_starts(features, ids, layout, self._masker.vocabulary)
        if starts is None:
            raise CorpusError(
                f"{self._chosen.entry.name!r} masking needs words, and the features have no column "
                "word_ids or offset_mapping",
                hint="add one with tokenizer(texts, return_offsets_mapping=True); Trainer also "
                "needs remove_unused_columns=False",
            )
        return starts


def _chosen(strategy: str | StrategyEntry, options: dict[str, Any]) -> Chosen[StrategyEntry]:
    """Return a strategy with its options."""
    if isinstance(strategy, str):
        registered = discover().strategy(strategy)
    else:
        registered = Registered(strategy, Source("the caller", strategy.name, ""))
    return choose(registered, options, "MaskingCollator")


def _corruption(given: str | Corruption | None) -> Corruption | None:
    """Return a corruption policy, also from percentages MASK/RANDOM/KEEP."""
    try:
        return MaskingConfig.model_validate({"corruption": given}).corruption
    except ValueError:
        raise ConfigError(
            f"{given!r} is not MASK/RANDOM/KEEP", where="corruption", hint="such as 80/10/10"
        ) from None


def _segmenter(name: str | None) -> SegmentedWords | None:
    """Return a word segmenter; ``None`` for the tokenizer's own words."""
    if name is None:
        return None
    chosen = choose(discover().segmenter(name), {}, "segmenter")
    return SegmentedWords(chosen) if chosen.entry.build else None


def _vocabulary(tokenizer: PreTrainedTokenizerBase, counts: Int64Array | None) -> Vocabulary:
    """Return the tokenizer's vocabulary, with counts of its ids."""
    vocabulary = vocabulary_of(tokenizer)
    if counts is None:
        return vocabulary
    given = np.zeros(vocabulary.size, dtype=np.int64)
    given[: len(counts)] = np.asarray(counts)[: vocabulary.size]
    return replace(vocabulary, counts=given)
