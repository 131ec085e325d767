"""Steps T11 to T14 and T17: masks and the split."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlmref.plugin.arrays import IGNORE_INDEX, BoolArray
from mlmref.plugin.batches import ChunkRows, MaskedRows
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.studies.tutorial.ground import Figure, Ground
from mlmref.studies.tutorial.verdicts import Outcome, near, same

_FEW = 100  # chunks on which the model is evaluated here


def _masked(on: Ground, strategy: str, pass_: int = 0) -> tuple[ChunkRows, MaskedRows]:
    """Mask the training chunks of the tutorial's split."""
    train = on.split.train
    rows = train.gather(np.arange(len(train)))
    return rows, on.masker(strategy)(rows, pass_)


def _targets(masked: MaskedRows) -> BoolArray:
    chosen: BoolArray = masked.labels != IGNORE_INDEX
    return chosen


def _rate(chosen: int | np.integer[Any], of: int | np.integer[Any], printed: float) -> Outcome:
    """Compare a share of random draws with its probability."""
    error = math.sqrt(printed * (1 - printed) / of)
    why = f"four standard errors of {of:,} draws"
    return near(chosen / of, printed, 4 * error / printed, why, ".2%")


def _labels(on: Ground) -> Outcome:
    rows, masked = _masked(on, "token")
    wanted = np.where(_targets(masked), rows.input_ids, IGNORE_INDEX)
    return same(bool((masked.labels == wanted).all()), expected=True, note="MASK-005")


def _token_rate(on: Ground) -> Outcome:
    rows, masked = _masked(on, "token")
    ordinary = np.count_nonzero(~np.isin(rows.input_ids, on.tokens().vocabulary.special_ids))
    return _rate(np.count_nonzero(_targets(masked)), ordinary, 0.15)


def _kinds(on: Ground, strategy: str) -> tuple[int, int, int]:
    """Count the targets that are read as the mask token, as another token, and as themselves."""
    rows, masked = _masked(on, strategy)
    read, truth = masked.input_ids[_targets(masked)], rows.input_ids[_targets(masked)]
    mask = read == on.tokens().vocabulary.mask_id
    kept = read == truth
    return int(mask.sum()), int((~mask & ~kept).sum()), int(kept.sum())


def _kind(on: Ground, which: int, printed: float) -> Outcome:
    kinds = _kinds(on, "token")
    return _rate(kinds[which], sum(kinds), printed)


def _fresh_masks(on: Ground) -> Outcome:
    """Compare the masks of one pass, of the same pass again, and of the next pass."""
    first, again, next_ = (_masked(on, "token", pass_)[1].labels for pass_ in (0, 0, 1))
    differ = np.array_equal(first, again) and not (first == next_).all(axis=1).any()
    return same(differ, expected=True, note="MASK-019; in the tutorial, each call")


def _words(on: Ground) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each word of the training chunks, its tokens and how many are targets."""
    train, masker = on.split.train, on.masker("whole-word")
    rows = train.gather(np.arange(len(train)))
    batch, _ = masker.shown(rows, 0)
    chosen = _targets(masker(rows, 0))
    inside = batch.words >= 0
    number = np.arange(len(train))[:, None] * rows.input_ids.shape[1] + batch.words
    sizes = np.bincount(number[inside])
    targets = np.bincount(number[inside], chosen[inside])
    return sizes[sizes > 0], targets[sizes > 0]


def _word_rate(on: Ground) -> Outcome:
    _, targets = _words(on)
    return _rate(np.count_nonzero(targets), len(targets), 0.2)


def _whole_words(on: Ground) -> Outcome:
    sizes, targets = _words(on)
    whole = bool(((targets == 0) | (targets == sizes)).all())
    return same(whole, expected=True, note=f"MASK-011, in {len(sizes):,} words")


def _all_masks(on: Ground) -> Outcome:
    mask, random, kept = _kinds(on, "whole-word")
    return same("all" if not random + kept else f"{mask:,}", "all", f"{mask:,} tokens")


def _sizes(on: Ground) -> Outcome:
    """Count both sides; mlmref's permutation selects other chunks than the tutorial's."""
    sizes = [len(on.split.train), len(on.split.test)]
    return same(sizes, [10_000, 1_000], "SPLIT-001, SPLIT-003")


def _frozen(on: Ground) -> Outcome:
    """Evaluate the embedded checkpoint three times, and mask chunks alone and in a batch."""
    from mlmref.evaluation.perplexity import evaluate
    from mlmref.model.loss import MaskedLMObjective

    objective, masker = MaskedLMObjective(on.embedded.model), on.masker("token")
    some = on.split.test.select(np.arange(_FEW))
    found = [evaluate(objective, some, masker, batch_size=size).nll for size in (64, 64, 7)]
    rows = some.gather(np.arange(_FEW))
    by_row = [some.gather(np.array([row])) for row in range(_FEW)]
    alone = np.concatenate([masker(row, EVALUATION_PASS).labels for row in by_row])
    alike = np.array_equal(alone, masker(rows, EVALUATION_PASS).labels)
    unmoved = found[0] == found[1] and math.isclose(found[0], found[2], rel_tol=1e-6)
    return same(alike and unmoved, expected=True, note="EVAL-002, EVAL-003; to a relative 1e-6")


FIGURES = (
    Figure("T11", "labels are the tokens at targets, and -100 elsewhere", "", _labels),
    Figure("T12", "ordinary tokens that are targets", "15 %", _token_rate),
    Figure("T12", "targets read as [MASK]", "80 %", lambda on: _kind(on, 0, 0.8)),
    # One random token in 29,000 is the true one by chance.
    Figure("T12", "targets read as a random token", "10 %", lambda on: _kind(on, 1, 0.1)),
    Figure("T12", "targets read as themselves", "10 %", lambda on: _kind(on, 2, 0.1)),
    Figure("T12", "each pass has different masks", "", _fresh_masks),
    Figure("T13", "words that are targets", "20 %", _word_rate),
    Figure("T13", "all tokens of such a word are targets", "", _whole_words),
    Figure("T13", "targets read as [MASK]", "all", _all_masks),
    Figure("T14", "training and held-out chunks", "10,000, 1,000", _sizes),
    Figure("T17", "the same loss again, and with another batch size", "", _frozen),
)
