"""Check the function ``expected``, with which a strategy declares its rate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.checks import Checks
from mlmref.conformance.strategies.rows import take_rows, widen
from mlmref.conformance.strategies.shapes import cells
from mlmref.conformance.strategies.subject import ARRAYS, Subject, at_every_rate, everywhere
from mlmref.conformance.strategies.worlds import Case
from mlmref.conformance.violation import Violation
from mlmref.plugin.contracts import MaskingStrategy

CHECKS: Checks[Subject] = Checks()

EXACT = 1e-9
"""Maximum difference between two answers for the same row: sums may be rounded differently."""


def no_expected(subject: Subject) -> str | None:
    """Return why the checks do not apply, or ``None`` if they do."""
    return None if subject.entry.expected else "it does not declare expected"


def expected_of(subject: Subject, case: Case, strategy: MaskingStrategy | None = None) -> Any:
    """Return the answer of ``expected`` for a case, unchecked."""
    chosen: Any = strategy or subject.strategy()
    return chosen.expected(subject.shown(case)[0])


@CHECKS(
    "MASK-037",
    fix="return probabilities from expected(batch), in the batch's shape and 0 at batch.special",
    unless=no_expected,
)
def check_expected_is_well_formed(subject: Subject) -> None:
    """The expected rate has the batch's shape, is between 0 and 1, and is 0 at special tokens."""

    def holds(subject: Subject, case: Case) -> None:
        strategy: Any = subject.strategy()
        batch = subject.shown(case)[0]
        before = {name: getattr(batch, name).copy() for name in ARRAYS}
        got = strategy.expected(batch)
        if type(got) is not np.ndarray or got.dtype.kind != "f":
            kind = f"an array of {got.dtype}" if isinstance(got, np.ndarray) else type(got).__name__
            raise Violation(f"expected returned {kind}, not a NumPy array of floats")
        if got.shape != batch.special.shape:
            raise Violation(f"expected has shape {got.shape}, not {batch.special.shape}")
        outside = ~((got >= 0.0) & (got <= 1.0))
        if outside.any():
            raise Violation(f"it expects {got[outside][0]:g} at {cells(outside)}")
        if got[batch.special].any():
            at = cells(batch.special & (got > 0.0))
            raise Violation(f"it expects targets at a special token: {at}")
        changed = [name for name in ARRAYS if (getattr(batch, name) != before[name]).any()]
        if changed:
            raise Violation(f"expected writes to batch.{changed[0]}")

    for one in at_every_rate(subject):
        everywhere(one, holds, large=24)


@CHECKS(
    "MASK-037",
    fix="compute expected from the row's tokens and words only, and keep nothing between calls",
    unless=no_expected,
)
def check_expected_depends_on_the_row_alone(subject: Subject) -> None:
    """The expected rate of a row is the same in each call and batch, under any chunk id."""

    def holds(subject: Subject, case: Case) -> None:
        rows, width = case.rows, case.rows.input_ids.shape[1]
        first = expected_of(subject, case)
        backwards = take_rows(rows, np.arange(len(rows.lengths))[::-1])
        ids = replace(rows, chunk_ids=rows.chunk_ids ^ 5)
        wide = widen(rows, 3, case.vocabulary.pad_id)
        few = take_rows(rows, np.arange(len(rows.lengths))[::3])
        for what, there, again in (
            ("in another order", first[::-1], replace(case, rows=backwards)),
            ("under other chunk ids", first, replace(case, rows=ids)),
            ("with more padding", first, replace(case, rows=wide)),
            ("in a smaller batch", first[::3], replace(case, rows=few)),
        ):
            _same(there, expected_of(subject, again)[:, :width], what)
        _same(first, expected_of(subject, case, subject.make()), "of a new instance")
        subject.targets(case)
        _same(first, expected_of(subject, case), "after a call of propose")

    for one in at_every_rate(subject):
        everywhere(one, holds, large=24)


def _same(first: Any, second: Any, what: str) -> None:
    """Raise Violation unless two answers for the same rows are equal."""
    differ = ~(np.abs(first - second) <= EXACT)
    if differ.any():
        values = f"{first[differ][0]:.6g} and then {second[differ][0]:.6g}"
        raise Violation(f"the expected rate {what} is another one: {values}, at {cells(differ)}")


@CHECKS(
    "MASK-037",
    fix="choose no position where expected is 0, and every position where it is 1",
    unless=no_expected,
)
def check_expected_never_and_always(subject: Subject) -> None:
    """Where the expected rate is 0 there is no target, and where it is 1 always one."""

    def holds(subject: Subject, case: Case) -> None:
        expected, targets = expected_of(subject, case), subject.targets(case)
        extra, missing = targets & (expected == 0.0), ~targets & (expected == 1.0)
        if extra.any():
            raise Violation(f"it expects no target, and there is one: {cells(extra)}")
        if missing.any():
            raise Violation(f"it expects a target, and there is none: {cells(missing)}")

    for one in at_every_rate(subject):
        everywhere(one, holds)
