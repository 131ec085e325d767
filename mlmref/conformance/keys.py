"""What a mask depends on: checks that a strategy's only source of chance are its draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.core import Checks, Violation
from mlmref.conformance.shapes import cells, is_collator
from mlmref.conformance.subject import Seen, Subject, at_every_rate, everywhere
from mlmref.conformance.worlds import Case, cut_rows, large_cases, make_rows, take_rows, widen
from mlmref.masking.draws import EVALUATION_PASS, Draws

CHECKS: Checks[Subject] = Checks()


def same(first: Seen, second: Seen, what: str, rows: Any = slice(None)) -> None:
    """Raise unless two looks at the same rows agree, targets first."""
    for name in ("targets", "input_ids", "labels"):
        one, other = np.asarray(getattr(first, name)), np.asarray(getattr(second, name))
        if one.shape != other.shape or (one != other).any():
            place = cells(one != other) if one.shape == other.shape else "another shape"
            raise Violation(f"{what}: {name} differ at {place}")


@CHECKS("MASK-001")
def check_same_key_same_mask(subject: Subject) -> None:
    """The same rows under the same key are masked alike, by a new instance too."""

    def holds(subject: Subject, case: Case) -> None:
        first = subject.see(case)
        same(first, subject.see(case), "asked twice")
        same(first, subject.see(case, subject.make()), "made anew")

    for one in at_every_rate(subject):
        everywhere(one, holds)


@CHECKS("MASK-002")
def check_company_does_not_matter(subject: Subject) -> None:
    """A row is masked alike alone, in any order and company, with any padding after it."""

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
            again(take_rows(rows, [row, row, row]), [row] * 3, width, "beside itself")
        again(widen(rows, 5, case.vocabulary.pad_id), slice(None), width, "with more padding")
        longest = int(rows.lengths.max(initial=0))
        again(cut_rows(rows, 0, longest), slice(None), longest, "with less padding")

    for one in at_every_rate(subject):
        everywhere(one, holds, large=subject.large // 3)


def _part(seen: Seen, rows: Any, width: int) -> Seen:
    """Return some rows, and of each the first positions."""
    names = ("targets", "input_ids", "labels", "attention_mask")
    arrays: Any = {name: np.asarray(getattr(seen, name))[rows][:, :width] for name in names}
    return Seen(**arrays)


@CHECKS("MASK-010")
def check_nothing_is_kept_between_calls(subject: Subject) -> None:
    """What was asked before, how often and under which key does not matter."""
    cases = [*large_cases(6, subject.world), *_alike(subject)]
    first = [subject.see(case, subject.make()) for case in cases]
    strategy = subject.make()
    for turn in range(5 * len(cases)):
        number = turn * 5 % len(cases)
        same(first[number], subject.see(cases[number], strategy), f"at call {turn + 1}")
    answer = subject.see(cases[0], strategy)
    subject.see(cases[4], strategy)  # of the same shape
    same(first[0], answer, "after another call the answer to the one before it is another")
    small = replace(cases[0], rows=cut_rows(take_rows(cases[0].rows, [0, 1]), 0, 16))
    answer = subject.see(small, subject.make())
    for turn in range(4_000 if subject.large > 20 else 50):
        same(answer, subject.see(small, strategy), f"at call {turn + 1} for the same rows")


def _alike(subject: Subject) -> list[Case]:
    """Return cases that differ from each other in a single thing, keys and text by turns."""
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


class _Recorded(Draws):
    """Draws that note which streams are asked for."""

    __slots__ = ("streams",)

    def __init__(self, **key: Any) -> None:
        super().__init__(**key)
        self.streams: set[str] = set()

    def bits(self, stream: str, *, at: Any = None) -> Any:
        self.streams.add(stream)
        return super().bits(stream, at=at)


def writes_itself(subject: Subject) -> str | None:
    """Tell why streams do not apply."""
    return "a collator draws from no stream" if is_collator(subject) else None


@CHECKS("MASK-034", unless=writes_itself)
def check_streams_of_the_core_are_left_alone(subject: Subject) -> None:
    """A strategy draws from streams of its own, none of which begins with mlmref."""

    def holds(subject: Subject, case: Case) -> None:
        batch, _ = subject.shown(case)
        width = case.rows.input_ids.shape[1]
        draws = _Recorded(
            seed=case.seed, pass_=case.pass_, chunk_ids=case.rows.chunk_ids, width=width
        )
        subject.strategy().propose(batch, draws)
        reserved = sorted(name for name in draws.streams if name.startswith("mlmref."))
        if reserved:
            raise Violation(f"it draws from {reserved[0]!r}, a stream of the core")

    everywhere(subject, holds, large=4)


def draws_nothing(subject: Subject) -> str | None:
    """Tell why keys do not apply: chance plays no part in the mask."""
    return None if subject.probability is not None else "it has no option mlm_probability"


@CHECKS("MASK-019", unless=draws_nothing)
def check_every_key_has_its_own_mask(subject: Subject) -> None:
    """Chunks, passes and seeds that differ in any bit are masked differently."""
    one = subject.changed(mlm_probability=0.5)
    case = next(iter(large_cases(1, subject.world)))
    ordinary = case.vocabulary.ordinary_ids
    text = np.resize(np.random.default_rng(0).permutation(ordinary), 128)

    def targets(chunk_ids: Any, seed: int = 42, pass_: int = 0) -> Any:
        rows = make_rows(case.vocabulary, np.tile(text, (len(chunk_ids), 1)), chunk_ids=chunk_ids)
        return one.see(replace(case, rows=rows, seed=seed, pass_=pass_)).targets

    powers = 1 << np.arange(63, dtype=np.int64)
    neighbours = np.arange(4_000) if subject.large > 20 else np.arange(400)
    chunk_ids = np.unique(np.concatenate([neighbours, powers, powers + 1, -powers]))
    masks: dict[str, Any] = {}
    _alone(targets(chunk_ids), [f"chunk {number}" for number in chunk_ids])
    few = np.arange(4)
    for seed in [0, 42, *(1 << bit for bit in range(6, 64)), 2**64 - 1]:
        masks[f"seed {seed}"] = targets(few, seed=seed)
    for pass_ in [*range(40), *(1 << bit for bit in range(6, 32)), EVALUATION_PASS]:
        masks[f"seed 42, pass {pass_}"] = targets(few, pass_=pass_)
    del masks["seed 42, pass 0"]  # which is "seed 42"
    for number in few:
        _alone(np.array([mask[number] for mask in masks.values()]), list(masks))


def _alone(masks: Any, names: list[str]) -> None:
    """Raise when two rows of ``[N, T]`` are the same."""
    _, first, back = np.unique(masks, axis=0, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[back.reshape(-1)] != np.arange(len(masks)))
    if len(again):
        one, other = names[first[back.reshape(-1)[again[0]]]], names[again[0]]
        raise Violation(f"{one} and {other} have the same mask", tokens=masks.shape[1])
