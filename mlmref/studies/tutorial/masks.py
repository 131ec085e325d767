"""Steps T11 to T14 and T17: masks and the split."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlmref.plugin.arrays import IGNORE_INDEX, BoolArray
from mlmref.plugin.contracts import ChunkRows, MaskedRows
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.studies.tutorial.ground import Ground
from mlmref.studies.tutorial.steps import figure
from mlmref.studies.tutorial.verdicts import Outcome, near, same

_FEW = 100  # chunks on which the model is measured here


def _masked(ground: Ground, strategy: str, pass_: int = 0) -> tuple[ChunkRows, MaskedRows]:
    """Mask the training chunks of the tutorial's split."""
    train = ground.split.train
    rows = train.gather(np.arange(len(train)))
    return rows, ground.masker(strategy)(rows, pass_)


def _targets(masked: MaskedRows) -> BoolArray:
    chosen: BoolArray = masked.labels != IGNORE_INDEX
    return chosen


def _special(ground: Ground, rows: ChunkRows) -> BoolArray:
    special: BoolArray = np.isin(rows.input_ids, ground.tokens().vocabulary.special_ids)
    return special


def _rate(chosen: int | np.integer[Any], of: int | np.integer[Any], printed: float) -> Outcome:
    """Compare a share of draws with its probability."""
    error = math.sqrt(printed * (1 - printed) / of)
    why = f"four standard errors of {of:,} draws"
    return near(chosen / of, printed, 4 * error / printed, why, ".2%")


@figure("T11", "labels are the tokens themselves, and -100 elsewhere")
def labels(ground: Ground) -> Outcome:
    """Compare what is to be predicted with what was there."""
    rows, masked = _masked(ground, "token")
    wanted = np.where(_targets(masked), rows.input_ids, IGNORE_INDEX)
    return same(bool((masked.labels == wanted).all()), expected=True, note="MASK-005")


@figure("T12", "tokens to predict", "15 %")
def token_rate(ground: Ground) -> Outcome:
    """Of all that are not special."""
    rows, masked = _masked(ground, "token")
    ordinary = np.count_nonzero(~_special(ground, rows))
    return _rate(np.count_nonzero(_targets(masked)), ordinary, 0.15)


def _kinds(ground: Ground, strategy: str) -> tuple[int, int, int]:
    """Count the targets that are read as the mask, as another token, and as themselves."""
    rows, masked = _masked(ground, strategy)
    read, truth = masked.input_ids[_targets(masked)], rows.input_ids[_targets(masked)]
    mask = read == ground.tokens().vocabulary.mask_id
    kept = read == truth
    return int(mask.sum()), int((~mask & ~kept).sum()), int(kept.sum())


@figure("T12", "of those read as [MASK]", "80 %")
def read_as_mask(ground: Ground) -> Outcome:
    """Count the first of the three kinds."""
    kinds = _kinds(ground, "token")
    return _rate(kinds[0], sum(kinds), 0.8)


@figure("T12", "read as a random token", "10 %")
def read_as_random(ground: Ground) -> Outcome:
    """Count the second; one in 29,000 is the true token by chance."""
    kinds = _kinds(ground, "token")
    return _rate(kinds[1], sum(kinds), 0.1)


@figure("T12", "kept", "10 %")
def kept(ground: Ground) -> Outcome:
    """Count the third."""
    kinds = _kinds(ground, "token")
    return _rate(kinds[2], sum(kinds), 0.1)


@figure("T12", "each pass has other masks")
def fresh_masks(ground: Ground) -> Outcome:
    """And the same pass the same."""
    first, again, next_ = (_masked(ground, "token", pass_)[1].labels for pass_ in (0, 0, 1))
    differ = np.array_equal(first, again) and not (first == next_).all(axis=1).any()
    return same(differ, expected=True, note="MASK-019; in the tutorial, each call")


def _words(ground: Ground) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each word of the training chunks, its tokens and how many are targets."""
    train = ground.split.train
    rows = train.gather(np.arange(len(train)))
    masker = ground.masker("whole-word")
    batch, _ = masker.shown(rows, 0)
    chosen = _targets(masker(rows, 0))
    inside = batch.words >= 0
    number = np.arange(len(train))[:, None] * rows.input_ids.shape[1] + batch.words
    sizes = np.bincount(number[inside])
    targets = np.bincount(number[inside], chosen[inside])
    return sizes[sizes > 0], targets[sizes > 0]


@figure("T13", "words to predict", "20 %")
def word_rate(ground: Ground) -> Outcome:
    """Each is drawn by itself."""
    _, targets = _words(ground)
    return _rate(np.count_nonzero(targets), len(targets), 0.2)


@figure("T13", "all tokens of such a word are")
def whole_words(ground: Ground) -> Outcome:
    """Or none is."""
    sizes, targets = _words(ground)
    whole = bool(((targets == 0) | (targets == sizes)).all())
    return same(whole, expected=True, note=f"MASK-011, in {len(sizes):,} words")


@figure("T13", "of those read as [MASK]", "all")
def all_masks(ground: Ground) -> Outcome:
    """As the tutorial's collator does; --corruption says otherwise."""
    mask, random, kept_ = _kinds(ground, "whole-word")
    return same("all" if not random + kept_ else f"{mask:,}", "all", f"{mask:,} tokens")


@figure("T14", "chunks to train on, held out", "10,000, 1,000")
def sizes(ground: Ground) -> Outcome:
    """By a permutation of our own, so they are other chunks than the tutorial's."""
    return same(
        [len(ground.split.train), len(ground.split.test)], [10_000, 1_000], "SPLIT-001, SPLIT-003"
    )


@figure("T17", "measured twice, and with another batch size, it is the same")
def frozen(ground: Ground) -> Outcome:
    """On the checkpoint that ships; the masks do not depend on the batch either."""
    from mlmref.evaluation.perplexity import evaluate
    from mlmref.model.loss import MaskedLMObjective

    objective, masker = MaskedLMObjective(ground.embedded.model), ground.masker("token")
    some = ground.split.test.select(np.arange(_FEW))
    found = [evaluate(objective, some, masker, batch_size=size).nll for size in (64, 64, 7)]
    rows = some.gather(np.arange(_FEW))
    by_row = [some.gather(np.array([row])) for row in range(_FEW)]
    alone = np.concatenate([masker(row, EVALUATION_PASS).labels for row in by_row])
    alike = np.array_equal(alone, masker(rows, EVALUATION_PASS).labels)
    unmoved = found[0] == found[1] and math.isclose(found[0], found[2], rel_tol=1e-6)
    return same(alike and unmoved, expected=True, note="EVAL-002, EVAL-003; to a relative 1e-6")
