"""Check that a mask depends only on its draws."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np

from mlmref.conformance.checks import Checks
from mlmref.conformance.strategies.rows import cut_rows, make_rows, take_rows, widen
from mlmref.conformance.strategies.shapes import cells, writes_itself
from mlmref.conformance.strategies.subject import (
    Seen,
    Subject,
    at_every_rate,
    at_one_half,
    everywhere,
)
from mlmref.conformance.strategies.worlds import Case, large_cases
from mlmref.conformance.violation import Violation
from mlmref.plugin.draws import EVALUATION_PASS, Draws

CHECKS: Checks[Subject] = Checks()


INDEPENDENT = ("token", "word")
"""Rates for which units are drawn independently."""

SMALL = 10_000
"""Maximum number of tokens of a batch for which much padding is tried."""


def same(first: Seen, second: Seen, what: str, rows: Any = slice(None)) -> None:
    """Raise Violation unless two masks of the same rows are equal."""
    for name in ("targets", "input_ids", "labels"):
        one, other = np.asarray(getattr(first, name)), np.asarray(getattr(second, name))
        if one.shape != other.shape or (one != other).any():
            place = cells(one != other) if one.shape == other.shape else "another shape"
            raise Violation(f"{what}: {name} differ at {place}")


@CHECKS("MASK-001", fix="take all randomness from draws, so that one key gives one mask")
def check_same_key_same_mask(subject: Subject) -> None:
    """The same rows under the same key get the same mask, also from a new instance."""

    def holds(subject: Subject, case: Case) -> None:
        first = subject.see(case)
        same(first, subject.see(case), "in a second call")
        same(first, subject.see(case, subject.make()), "from a new instance")

    for one in at_every_rate(subject):
        everywhere(one, holds)


@CHECKS("MASK-002", fix="choose the targets of a row from that row only")
def check_company_does_not_matter(subject: Subject) -> None:
    """The mask of a row does not depend on the other rows, their order or padding."""

    def holds(subject: Subject, case: Case) -> None:
        rows, whole = case.rows, subject.see(case)
        height = len(rows.lengths)
        order = np.random.default_rng(0).permutation(height)

        def again(rows: Any, which: Any, width: int, what: str) -> None:
            seen = subject.see(replace(case, rows=rows))
            same(_part(whole, which, width), _part(seen, slice(None), width), what)

        width = rows.input_ids.shape[1]
        again(take_rows(rows, order), order, width, "in another order")
        again(take_rows(rows, order[: height // 2]), order[: height // 2], width, "with fewer rows")
        for row in order[:2]:
            again(take_rows(rows, row), [row], width, "alone")
            again(take_rows(rows, [row, row, row]), [row] * 3, width, "three times in a batch")
        for more in (5, 70, 1_000) if rows.input_ids.size <= SMALL else (5,):
            wide = widen(rows, more, case.vocabulary.pad_id)
            again(wide, slice(None), width, f"with {more} more positions of padding")
        longest = int(rows.lengths.max(initial=0))
        again(cut_rows(rows, 0, longest), slice(None), longest, "with less padding")

    for one in at_every_rate(subject):
        everywhere(one, holds, large=subject.large // 3)
    _check_counts(subject)


def _check_counts(subject: Subject) -> None:
    """Check the same few rows in batches of many sizes."""
    (case,) = large_cases(1, subject.world)
    rows = cut_rows(take_rows(case.rows, np.arange(5)), 0, 32)
    few = subject.see(replace(case, rows=rows))
    counts = [*range(1, 34), 48, 63, 64, 65, 96, 100, 127, 128, 192, 200, 255, 256, 257, 384, 512]
    for count in counts + ([1_000, 1_024, 2_048] if subject.large > 20 else []):
        order = np.resize(np.arange(5), count)
        many = subject.see(replace(case, rows=take_rows(rows, order)))
        same(_part(few, order, 32), many, f"in a batch of {count} rows")


def _part(seen: Seen, rows: Any, width: int) -> Seen:
    """Return the first positions of some rows."""
    names = ("targets", "input_ids", "labels", "attention_mask")
    arrays: Any = {name: np.asarray(getattr(seen, name))[rows][:, :width] for name in names}
    return Seen(**arrays)


@CHECKS("MASK-010", fix="keep nothing from one call to the next")
def check_nothing_is_kept_between_calls(subject: Subject) -> None:
    """Masks do not depend on earlier calls, their number or their keys."""
    cases = [*large_cases(6, subject.world), *_alike(subject)]
    first = [subject.see(case, subject.make()) for case in cases]
    strategy = subject.make()
    for turn in range(5 * len(cases)):
        number = turn * 5 % len(cases)
        same(first[number], subject.see(cases[number], strategy), f"at call {turn + 1}")
    _check_answers_stay(subject, cases)
    small = replace(cases[0], rows=cut_rows(take_rows(cases[0].rows, [0, 1]), 0, 16))
    answer, strategy = subject.see(small, subject.make()), subject.make()
    sizes = []
    for turn in range(4_000 if subject.large > 20 else 50):
        same(answer, subject.see(small, strategy), f"at call {turn + 1} for the same rows")
        if turn in {100, 3_999}:
            sizes.append(_size(strategy))
    if len(sizes) == 2 and sizes[1] > sizes[0] + 4_000:
        raise Violation(f"pickled, it grew from {sizes[0]:,} to {sizes[1]:,} bytes in 3,900 calls")


def _size(strategy: Any) -> int:
    """Return the size of the pickled strategy in bytes; 0 if it cannot be pickled."""
    try:
        return len(pickle.dumps(strategy))
    except Exception:  # noqa: BLE001 - MASK-035 reports it
        return 0


def _check_answers_stay(subject: Subject, cases: list[Case]) -> None:
    """Check that a call does not change the result of the call before it."""
    strategy = subject.make()
    ask = subject.ask(strategy)
    for one, other in ((cases[0], cases[4]), (cases[6], cases[7])):
        for part in (slice(None), slice(1)):
            first, second = (
                replace(case, rows=take_rows(case.rows, np.arange(len(case.rows.lengths))[part]))
                for case in (one, other)
            )
            answer = ask(*subject.shown(first))
            before = pickle.dumps(answer)
            ask(*subject.shown(second))
            if pickle.dumps(answer) != before:
                raise Violation("a call changes the result of the call before it")


def _alike(subject: Subject) -> list[Case]:
    """Return cases that differ in one property: the text, the words, or a part of the key."""
    (case,) = large_cases(1, subject.world)
    rows = take_rows(case.rows, np.arange(16))
    case = replace(case, rows=rows)
    turned = make_rows(
        case.vocabulary,
        rows.input_ids[::-1],
        rows.word_start[::-1],
        rows.lengths[::-1],
        rows.chunk_ids,
    )
    return [
        case,
        replace(case, rows=turned),
        replace(case, rows=replace(rows, word_start=np.ones_like(rows.word_start))),
        replace(case, rows=replace(rows, chunk_ids=rows.chunk_ids + 1)),
        replace(case, seed=case.seed + 1),
        replace(case, pass_=case.pass_ + 1),
    ]


@contextmanager
def _noted() -> Iterator[set[str]]:
    """Yield the set of the streams that are used until exit."""
    streams: set[str] = set()
    bits = Draws.bits

    def noting(self: Draws, stream: str, *, at: Any = None) -> Any:
        streams.add(stream)
        return bits(self, stream, at=at)

    with mock.patch.object(Draws, "bits", noting):
        yield streams


@CHECKS("MASK-034", fix="name your streams without the prefix mlmref", unless=writes_itself)
def check_streams_of_the_core_are_left_alone(subject: Subject) -> None:
    """No stream of a strategy has a name that begins with mlmref."""

    def holds(subject: Subject, case: Case) -> None:
        with _noted() as streams:
            subject.plan(case)
        reserved = sorted(name for name in streams if name.startswith("mlmref."))
        if reserved:
            raise Violation(f"it draws from {reserved[0]!r}, a reserved stream")

    for one in at_every_rate(subject):
        everywhere(one, holds, large=24)


def draws_nothing(subject: Subject) -> str | None:
    """Return why keys do not apply, or ``None`` if they do."""
    return None if subject.probability is not None else "it has no option mlm_probability"


@CHECKS(
    "MASK-019", fix="take all randomness from draws, with no seed of your own", unless=draws_nothing
)
def check_every_key_has_its_own_mask(subject: Subject) -> None:
    """Chunks, passes and seeds that differ in any bit have different masks.

    If units are drawn independently, no two masks may be equal: the chance is negligible. Otherwise
    few masks may be possible, and only masks that are all equal are a violation.
    """
    one, differ = at_one_half(subject), _alone if subject.entry.rate in INDEPENDENT else _not_all
    case = next(iter(large_cases(1, subject.world)))
    ordinary = case.vocabulary.ordinary_ids
    text = np.resize(np.random.default_rng(0).permutation(ordinary), 128)

    def targets(chunk_ids: Any, seed: int = 42, pass_: int = 0) -> Any:
        rows = make_rows(case.vocabulary, np.tile(text, (len(chunk_ids), 1)), chunk_ids=chunk_ids)
        return one.targets(replace(case, rows=rows, seed=seed, pass_=pass_))

    powers = 1 << np.arange(63, dtype=np.int64)
    neighbours = np.arange(4_000) if subject.large > 20 else np.arange(400)
    chunk_ids = np.unique(np.concatenate([neighbours, powers, powers + 1, -powers]))
    differ(targets(chunk_ids), [f"chunk {number}" for number in chunk_ids])
    few = np.arange(4)
    seeds = [0, 42, *(1 << bit for bit in range(6, 64)), 2**64 - 1]
    passes = [*range(40), *(1 << bit for bit in range(6, 32)), EVALUATION_PASS]
    of_seeds = np.array([targets(few, seed=seed) for seed in seeds])
    of_passes = np.array([targets(few, pass_=pass_) for pass_ in passes])
    for number in few:
        differ(of_seeds[:, number], [f"seed {seed}" for seed in seeds])
        differ(of_passes[:, number], [f"pass {pass_}" for pass_ in passes])


def _not_all(masks: Any, names: list[str]) -> None:
    """Raise Violation if all rows of ``[N, T]`` are equal."""
    if (masks == masks[0]).all():
        raise Violation(f"{names[0]} to {names[-1]} all have the same mask", tokens=masks.shape[1])


def _alone(masks: Any, names: list[str]) -> None:
    """Raise Violation if two rows of ``[N, T]`` are equal."""
    _, first, back = np.unique(masks, axis=0, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[back.reshape(-1)] != np.arange(len(masks)))
    if len(again):
        one, other = names[first[back.reshape(-1)[again[0]]]], names[again[0]]
        raise Violation(f"{one} and {other} have the same mask", tokens=masks.shape[1])
