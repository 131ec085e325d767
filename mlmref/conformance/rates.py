"""How often: checks of rates, of independence, and of what stands at the targets.

All bounds are exact (binomial, chi-square, empirical Bernstein) at fixed seeds: a strategy that is
right fails one of these checks with probability :data:`FALSE_ALARM` at most, once and for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlmref.conformance.core import Checks, Violation
from mlmref.conformance.shapes import cells, is_collator, no_replacements
from mlmref.conformance.subject import Subject, everywhere
from mlmref.conformance.worlds import Case, large_cases, make_rows
from mlmref.contracts import Corruption

CHECKS: Checks[Subject] = Checks()

FALSE_ALARM = 1e-6
"""Probability that a check rejects a strategy that is right; divided among what it compares."""


def no_rate(subject: Subject) -> str | None:
    """Tell why rates do not apply."""
    return None if subject.entry.rate else "it declares no rate"


def no_independence(subject: Subject) -> str | None:
    """Tell why independence does not apply."""
    if subject.entry.rate in {"token", "word"}:
        return None
    return "it does not declare that tokens or words are drawn independently"


@CHECKS("MASK-006", unless=no_rate)
def check_never_and_always(subject: Subject) -> None:
    """At probability 0 nothing is a target, and at 1 every ordinary token is."""

    def nothing(subject: Subject, case: Case) -> None:
        targets = subject.see(case).targets
        if targets.any():
            raise Violation(f"at probability 0 there is a target: {cells(targets)}")

    def everything(subject: Subject, case: Case) -> None:
        left = ~subject.see(case).targets & ~subject.shown(case)[0].special
        if left.any():
            raise Violation(f"at probability 1 a token is left out: {cells(left)}")

    everywhere(subject.changed(mlm_probability=0.0), nothing)
    everywhere(subject.changed(mlm_probability=1.0), everything, large=2 * subject.large)


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What was drawn, one after the other: ordinary tokens, or words.

    Attributes:
        chosen: bool ``[n]``, whether it is a target.
        strata: for each way of sorting the units, int ``[n]``, where each belongs.
    """

    chosen: Any
    strata: dict[str, Any]


def units_of(subject: Subject, case: Case) -> Units:
    """Ask for a mask and list the units of the strategy's rate."""
    batch, _ = subject.shown(case)
    targets = subject.see(case).targets
    first = ~batch.special
    strata = {}
    if subject.entry.rate == "word":
        words = batch.words
        begins = np.ones(words.shape, dtype=np.bool_)
        begins[:, 1:] = words[:, 1:] != words[:, :-1]
        first = begins & (words >= 0)
        numbers = np.cumsum(first.reshape(-1)) - 1
        lengths = np.bincount(numbers[(words >= 0).reshape(-1)], minlength=int(first.sum()))
        strata["tokens in the word"] = np.minimum(lengths, 12)
    rows, positions = np.nonzero(first)
    return Units(
        chosen=targets[first],
        strata=strata
        | {
            "token id": case.rows.input_ids[first],
            "position": positions,
            "row": rows,
            "chunk id modulo 64": case.rows.chunk_ids[rows] % 64,
        },
    )


def repeated(cases: list[Case], times: int) -> Iterator[Case]:
    """Yield the cases again and again, each time as other chunks."""
    for turn in range(times):
        for case in cases:
            ids = case.rows.chunk_ids + (turn << 40)
            yield replace(case, rows=replace(case.rows, chunk_ids=ids))


def surprising(count: Any, of: Any, probability: Any) -> Any:
    """Return the two-sided exact binomial p-value of each count, at most 1."""
    from scipy.stats import binom

    below, above = binom.cdf(count, of, probability), binom.sf(count - 1, of, probability)
    return np.minimum(1.0, 2 * np.minimum(below, above))


@CHECKS("MASK-006", unless=no_rate)
def check_rate(subject: Subject) -> None:
    """Over some million tokens the rate is what was asked for."""
    if subject.entry.rate == "share":
        _check_share(subject)
        return
    asked = [subject.probability or 0.0, 0.1537, 0.5]
    cases = list(large_cases(min(60, subject.large), subject.world))
    for probability in asked:
        one = subject.changed(mlm_probability=probability)
        chosen = of = 0
        for case in repeated(cases, max(1, subject.large // 12)):
            units = units_of(one, case).chosen
            chosen, of = chosen + int(units.sum()), of + len(units)
        if surprising(chosen, of, probability) < FALSE_ALARM / len(asked):
            what = f"{chosen:,} of {of:,} {subject.entry.rate}s are targets"
            raise Violation(what, asked=probability, got=chosen / of)


def _check_share(subject: Subject) -> None:
    """Bound the mean over rows, which are independent, by their own spread.

    Empirical Bernstein (Audibert, Munos and Szepesvari 2009, theorem 1) for what a row has more
    than its due, as a share of the row's positions: between -1 and 1, and 0 in the mean.
    """
    asked = [subject.probability or 0.0, 0.1537, 0.5]
    for probability in asked:
        one = subject.changed(mlm_probability=probability)
        excess: list[Any] = []
        for case in repeated(list(large_cases(10, one.world)), max(1, subject.large // 2)):
            ordinary = ~one.shown(case)[0].special
            due = probability * ordinary.sum(axis=1)
            got = one.see(case).targets.sum(axis=1)
            excess.append((got - due) / ordinary.shape[1])
        rows = np.concatenate(excess)
        tail = math.log(3 * len(asked) / FALSE_ALARM)
        bound = math.sqrt(2 * rows.var() * tail / len(rows)) + 6 * tail / len(rows)
        if abs(rows.mean()) > bound:
            what = f"over {len(rows):,} rows there are {rows.mean():+.4f} targets a token too many"
            raise Violation(what, asked=probability, bound=bound)


@CHECKS("MASK-006", unless=no_independence)
def check_rate_everywhere(subject: Subject) -> None:
    """Each token id, position, row, length of word and residue of chunk id has the same rate."""
    one = subject.changed(mlm_probability=0.5)
    for world_cases in _by_vocabulary(subject):
        units = [units_of(one, case) for case in world_cases]
        chosen = np.concatenate([unit.chosen for unit in units])
        for name in units[0].strata:
            where = np.concatenate([unit.strata[name] for unit in units])
            of = np.bincount(where)
            count = np.bincount(where[chosen], minlength=len(of))
            doubt = surprising(count, of, 0.5)
            worst = int(doubt.argmin())
            if doubt[worst] < FALSE_ALARM / (20 * len(of)):
                what = f"at {name} {worst} {count[worst]:,} of {of[worst]:,} are targets"
                raise Violation(what, asked=0.5)


def _by_vocabulary(subject: Subject) -> Iterator[list[Case]]:
    cases = list(large_cases(subject.large, subject.world))
    for size in sorted({case.vocabulary.size for case in cases}):
        yield [case for case in cases if case.vocabulary.size == size]


@CHECKS("MASK-006", unless=no_independence)
def check_units_are_independent(subject: Subject) -> None:
    """Neighbouring tokens or words, chunks, passes and seeds are chosen independently."""
    probability = 0.3
    one = subject.changed(mlm_probability=probability)
    base = next(iter(large_cases(1, subject.world)))
    width, height = 128, 400 if subject.large > 20 else 64
    text = np.resize(base.vocabulary.ordinary_ids, (1, width))

    def chosen(seed: int, pass_: int) -> Any:
        rows = make_rows(base.vocabulary, np.tile(text, (height, 1)))
        return one.see(replace(base, rows=rows, seed=seed, pass_=pass_)).targets

    first = chosen(42, 0)
    pairs = {
        "the next chunk": (first[::2], first[1::2]),
        "the next pass": (first, chosen(42, 1)),
        "the next seed": (first, chosen(43, 0)),
        "evaluation": (first, chosen(42, 2**32 - 1)),
    }
    for lag in (1, 2, 3, 4):
        left = np.arange(width - lag)[np.arange(width - lag) // lag % 2 == 0]
        pairs[f"the unit {lag} further on"] = (first[:, left], first[:, left + lag])
    for name, (here, there) in pairs.items():
        both = int((here & there).sum())
        if surprising(both, here.size, probability**2) < FALSE_ALARM / 20:
            what = f"a unit and {name} are both targets {both:,} of {here.size:,} times"
            raise Violation(what, expected=probability**2 * here.size)
    _check_spread(first.sum(axis=1), width, probability)


def _check_spread(counts: Any, of: int, probability: float) -> None:
    """Compare targets a row with the binomial distribution by chi-square."""
    from scipy.stats import binom, chisquare

    edges = np.unique(binom.ppf(np.linspace(0, 1, 9)[1:-1], of, probability))
    expected = np.diff(np.concatenate([[0.0], binom.cdf(edges, of, probability), [1.0]]))
    seen = np.bincount(np.searchsorted(edges, counts), minlength=len(expected))
    if chisquare(seen, expected * len(counts)).pvalue < FALSE_ALARM / 2:
        what = "the number of targets in a row does not vary as that of independent draws does"
        raise Violation(
            what, variance=float(counts.var()), expected=of * probability * (1 - probability)
        )


def _text_of_one_token(subject: Subject) -> tuple[Case, int]:
    """Return a case whose text is one ordinary token over and over, and the token."""
    case = next(iter(large_cases(1, subject.world)))
    token = int(subject.world.begins[0] if subject.world else case.vocabulary.ordinary_ids[0])
    rows = make_rows(case.vocabulary, np.full((64, 128), token))
    return replace(case, rows=rows), token


@CHECKS("MASK-007")
def check_random_tokens_are_ordinary_tokens_all_alike(subject: Subject) -> None:
    """Random tokens are never special, and each ordinary one turns up as often as any other.

    A strategy with replacements of its own may choose them by the token that they stand for; it
    is taken to draw at random when one token is replaced by most of the vocabulary.
    """
    from scipy.stats import chisquare

    one = subject
    if subject.probability is not None:
        one = one.changed(mlm_probability=0.5)
    if not is_collator(subject):
        one = replace(one, corruption=Corruption(mask=0.0, random=1.0, keep=0.0))
    case, token = _text_of_one_token(one)
    vocabulary = case.vocabulary
    seen = np.zeros(vocabulary.size, dtype=np.int64)
    most = 400 if subject.large > 20 else 60
    for again in repeated([case], most):
        look = one.see(again)
        read = np.asarray(look.input_ids)[look.targets]
        inside = read[(read >= 0) & (read < vocabulary.size)]
        seen += np.bincount(inside, minlength=vocabulary.size)
        if seen[vocabulary.ordinary_ids].sum() - seen[token] > 200 * vocabulary.size:
            break
    others = np.setdiff1d(vocabulary.special_ids, [vocabulary.mask_id])
    if seen[others].any():
        special = int(others[seen[others].argmax()])
        raise Violation(
            f"a target is replaced by the special token {special}", times=int(seen[special])
        )
    drawn = seen[np.setdiff1d(vocabulary.ordinary_ids, [token])]
    if np.count_nonzero(drawn) <= len(drawn) / 2:
        return
    if chisquare(drawn).pvalue < FALSE_ALARM:
        ordinary = np.setdiff1d(vocabulary.ordinary_ids, [token])
        least, most_ = int(drawn.argmin()), int(drawn.argmax())
        raise Violation(
            f"token {ordinary[least]} is drawn {drawn[least]:,} times and {ordinary[most_]} "
            f"{drawn[most_]:,} times",
            expected=float(drawn.mean()),
        )


def own_replacements(subject: Subject) -> str | None:
    """Tell why shares of corruption do not apply: the plan's replacements are exact."""
    if is_collator(subject) or no_replacements(subject):
        return None
    return "it brings its own replacements"


@CHECKS("MASK-008", unless=own_replacements)
def check_shares_of_corruption(subject: Subject) -> None:
    """Targets become the mask token, a random one or keep theirs in the shares asked for."""
    policy = subject.corruption
    asked = [policy]
    if not is_collator(subject):
        asked += [Corruption(), Corruption(mask=0.3, random=0.3, keep=0.4)]
    for corruption in asked:
        one = replace(subject, corruption=corruption)
        case, token = _text_of_one_token(one)
        masked = kept = of = 0
        for again in repeated([case], 100 if subject.large > 20 else 20):
            look = one.see(again)
            read = np.asarray(look.input_ids)[look.targets]
            of += len(read)
            masked += int((read == case.vocabulary.mask_id).sum())
            kept += int((read == token).sum())
        # A token drawn at random is now and then the one that stood there.
        back = corruption.random / len(case.vocabulary.ordinary_ids)
        shares = (("masked", masked, corruption.mask), ("kept", kept, corruption.keep + back))
        for name, count, share in shares:
            if surprising(count, of, share) < FALSE_ALARM / 10:
                raise Violation(f"{count:,} of {of:,} targets are {name}", asked=share)
