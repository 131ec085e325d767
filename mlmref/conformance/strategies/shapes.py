"""Check a strategy's plan for a single batch."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.checks import Checks
from mlmref.conformance.strategies.rows import make_rows
from mlmref.conformance.strategies.subject import (
    ARRAYS,
    Subject,
    at_every_rate,
    at_one_half,
    everywhere,
    held,
)
from mlmref.conformance.strategies.worlds import Case, large_cases
from mlmref.conformance.violation import Violation
from mlmref.masking.check_plan import read_only
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.batches import Plan

CHECKS: Checks[Subject] = Checks()


def no_words(subject: Subject) -> str | None:
    """Return why whole words do not apply, or ``None`` if they do."""
    return None if subject.entry.whole_words else "it does not declare whole_words"


def cells(mask: Any) -> str:
    """Return the row and position of the first true cell of a ``[B, T]``, as text."""
    row, position = np.argwhere(mask)[0]
    return f"row {row}, position {position}"


@CHECKS("MASK-016", fix="return Plan(targets=...) with a Boolean NumPy array of the batch's shape")
def check_plan_is_well_formed(subject: Subject) -> None:
    """A plan is a Plan whose NumPy arrays have the right types and the shape of the batch."""

    def holds(subject: Subject, case: Case) -> None:
        shape = case.rows.input_ids.shape
        if is_collator(subject):
            seen = subject.see(case)
            for name in ("input_ids", "labels"):
                if getattr(seen, name).shape != shape:
                    raise Violation(f"{name} has shape {getattr(seen, name).shape}, not {shape}")
            return
        plan = subject.plan(case)
        if not isinstance(plan, Plan):
            raise Violation(f"propose returned {type(plan).__name__}, not Plan")
        for name, array, kinds in (
            ("targets", plan.targets, "b"),
            ("replacements", plan.replacements, "iu"),
        ):
            if array is None and name == "replacements":
                continue
            if type(array) is not np.ndarray:
                raise Violation(f"{name} is {type(array).__name__}, not ndarray")
            if array.dtype.kind not in kinds:
                raise Violation(f"{name} has type {array.dtype}")
            if array.shape != shape:
                raise Violation(f"{name} has shape {array.shape}, not {shape}")

    for one in at_every_rate(subject):
        everywhere(one, holds, large=10)


@CHECKS("MASK-014", fix="handle batches without rows, positions, ordinary tokens or words")
def check_degenerate_batches(subject: Subject) -> None:
    """Batches without rows, positions, text or words are masked without an error."""

    def holds(subject: Subject, case: Case) -> None:
        seen = subject.see(case)
        if np.shape(seen.targets) != case.rows.input_ids.shape:
            raise Violation(f"targets have shape {np.shape(seen.targets)}")

    none = [subject.changed(mlm_probability=0.0)] if subject.allows(0.0) else []
    for one in at_every_rate(subject) + none:
        world = next(iter(large_cases(1, one.world)))
        words = world.vocabulary
        ordinary, special = int(words.ordinary_ids[0]), int(words.special_ids[0])
        for ids, lengths in (
            (np.zeros((0, 0)), None),
            (np.zeros((0, 8)), None),
            (np.zeros((3, 0)), None),
            ([[ordinary]], None),
            ([[special]], None),
            ([[special] * 6] * 2, None),
            ([[ordinary] * 6] * 2, [0, 0]),
            ([[ordinary] * 6] * 2, [1, 6]),
            # Larger than the cases that Hypothesis draws.
            ([[special] * 128] * 64, None),
            ([[ordinary] * 128] * 64, [0] * 64),
            ([[ordinary]] * 512, None),
            ([[ordinary] * 128] * 64, None),
        ):
            height, width = np.shape(ids)
            for starts in (np.ones((height, width)), np.zeros((height, width))):
                rows = make_rows(words, ids, starts, lengths)
                held(one, holds, replace(world, rows=rows))


@CHECKS("MASK-003", fix="never choose a position that batch.special marks")
def check_special_tokens_are_never_targets(subject: Subject) -> None:
    """No special token and no padding is a target."""

    def holds(subject: Subject, case: Case) -> None:
        astray = subject.targets(case) & subject.shown(case)[0].special
        if astray.any():
            raise Violation(f"a special token or padding is a target: {cells(astray)}")

    for one in at_every_rate(subject):
        everywhere(one, holds)


@CHECKS(
    "MASK-011",
    fix="choose all tokens with the same number in batch.words, or none of them",
    unless=no_words,
)
def check_words_are_whole(subject: Subject) -> None:
    """Either all tokens of a word are targets or none is."""

    def holds(subject: Subject, case: Case) -> None:
        targets, words = subject.targets(case), subject.shown(case)[0].words
        together = (words[:, 1:] == words[:, :-1]) & (words[:, 1:] >= 0)
        broken = together & (targets[:, 1:] != targets[:, :-1])
        if broken.any():
            row, position = np.argwhere(broken)[0]
            raise Violation(
                f"some tokens of a word are targets and some are not: row {row}, positions "
                f"{position} and {position + 1}"
            )

    for one in at_every_rate(subject):
        everywhere(one, holds)
    one = at_one_half(subject)
    for case in large_cases(4, subject.world):
        # The same chunks under the same key, with other words than in the call before.
        for starts in (case.rows.word_start, case.rows.word_start[::-1], case.rows.word_start):
            rows = replace(case.rows, word_start=starts)
            held(one, holds, replace(case, rows=rows))


def _own_replacements(subject: Subject, case: Case) -> Any:
    plan = subject.plan(case)
    return None if plan.replacements is None else plan.replacements[plan.targets]


def is_collator(subject: Subject) -> bool:
    """Return whether the strategy is a collator, which writes inputs and labels itself."""
    return subject.collates


def no_replacements(subject: Subject) -> str | None:
    """Return why replacements do not apply, or ``None`` if they do."""
    if is_collator(subject):
        return "a collator writes the inputs itself"
    return None if subject.entry.replaces else "its plans have no replacements"


def writes_itself(subject: Subject) -> str | None:
    """Return why checks of plans do not apply, or ``None`` if they do."""
    return "a collator has no plan" if is_collator(subject) else None


@CHECKS(
    "MASK-036",
    fix="declare in the entry's replaces whether plans have replacements",
    unless=writes_itself,
)
def check_replacements_are_declared(subject: Subject) -> None:
    """Plans have replacements if and only if the strategy declares them."""

    def holds(subject: Subject, case: Case) -> None:
        has = subject.plan(case).replacements is not None
        if has != (subject.entry.replaces is not None):
            raise Violation(f"the plan has {'' if has else 'no '}replacements, unlike the entry")

    for one in at_every_rate(subject):
        everywhere(one, holds, large=10)


@CHECKS("MASK-018", fix="use only ids of the vocabulary as replacements", unless=no_replacements)
def check_replacements_are_ids(subject: Subject) -> None:
    """Each replacement is an id of the vocabulary."""

    def holds(subject: Subject, case: Case) -> None:
        used = _own_replacements(subject, case)
        outside = [] if used is None else used[(used < 0) | (used >= case.vocabulary.size)]
        if len(outside):
            raise Violation(f"the replacement {outside[0]} is not in the vocabulary")

    for one in at_every_rate(subject):
        everywhere(one, holds)


@CHECKS("MASK-004", fix="set the label to the original token at targets and to -100 elsewhere")
def check_labels_are_the_true_tokens(subject: Subject) -> None:
    """The label is the true token at each target and -100 elsewhere."""

    def holds(subject: Subject, case: Case) -> None:
        seen = subject.see(case)
        wrong = np.asarray(seen.labels) != np.where(seen.targets, case.rows.input_ids, IGNORE_INDEX)
        if wrong.any():
            raise Violation(f"a label is not the true token: {cells(wrong)}")

    everywhere(subject, holds)


@CHECKS("MASK-005", fix="change input_ids only at targets")
def check_only_targets_change(subject: Subject) -> None:
    """The model reads the true token at every position that is not a target."""

    def holds(subject: Subject, case: Case) -> None:
        seen = subject.see(case)
        wrong = (np.asarray(seen.input_ids) != case.rows.input_ids) & ~seen.targets
        if wrong.any():
            raise Violation(f"a token that is not a target was changed: {cells(wrong)}")

    everywhere(subject, holds)


@CHECKS("MASK-009", fix="write to copies of the batch's arrays, not to the arrays")
def check_nothing_is_written_to(subject: Subject) -> None:
    """The strategy does not change its batch by a single bit."""

    def holds(subject: Subject, case: Case) -> None:
        batch, draws = subject.shown(case)
        words = copy.deepcopy(batch.vocabulary)  # a copy is writable
        strategy: Any = subject.strategy()
        ask = subject.ask(strategy)
        answer = ask(replace(batch, vocabulary=words), draws)
        if getattr(answer, "written", ""):
            raise Violation(f"it changed {answer.written}")
        before, draws = subject.shown(case)
        for name in ARRAYS:
            if getattr(batch, name).tobytes() != getattr(before, name).tobytes():
                raise Violation(f"it wrote to batch.{name}")
        for name in ("special_ids", "ordinary_ids", "counts"):
            if (getattr(words, name) != getattr(before.vocabulary, name)).any():
                raise Violation(f"it wrote to batch.vocabulary.{name}")
        frozen: Any = {name: read_only(getattr(before, name)) for name in ARRAYS}
        ask(replace(before, **frozen), draws)  # as in a run: writing raises, even if undone later

    for one in at_every_rate(subject):
        everywhere(one, holds)
