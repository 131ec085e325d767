"""What the model reads at the targets: checks of replacements and of shares of corruption."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.core import Checks, Violation
from mlmref.conformance.rates import FALSE_ALARM, repeated, surprising
from mlmref.conformance.shapes import cells, is_collator, no_replacements
from mlmref.conformance.subject import Subject, everywhere
from mlmref.conformance.worlds import Case, make_rows, worlds
from mlmref.contracts import Corruption

CHECKS: Checks[Subject] = Checks()


def _texts_of_one_token(subject: Subject) -> Iterator[tuple[Case, int]]:
    """Yield for each vocabulary a text that is one ordinary token over and over, and the token."""
    for world in [subject.world] if subject.world else worlds():
        token = int(world.begins[0])
        rows = make_rows(world.vocabulary, np.full((64, 128), token))
        yield Case(vocabulary=world.vocabulary, rows=rows), token


def _at_random(subject: Subject) -> Subject:
    """Return the strategy with half of the tokens as targets, each of them a random token."""
    one = subject
    if subject.probability is not None:
        one = one.changed(mlm_probability=0.5)
    if not is_collator(subject):
        one = replace(one, corruption=Corruption(mask=0.0, random=1.0, keep=0.0))
    return one


@CHECKS("MASK-007")
def check_no_special_token_is_read(subject: Subject) -> None:
    """What the model reads at a target is an ordinary token or the mask token."""

    def holds(subject: Subject, case: Case) -> None:
        seen, words = subject.see(case), case.vocabulary
        others = np.setdiff1d(words.special_ids, [words.mask_id])
        astray = seen.targets & np.isin(seen.input_ids, others)
        astray &= np.asarray(seen.input_ids) != case.rows.input_ids  # MASK-003 tells of those
        if astray.any():
            row, position = np.argwhere(astray)[0]
            token = np.asarray(seen.input_ids)[row, position]
            raise Violation(f"a target is replaced by the special token {token}: {cells(astray)}")

    everywhere(_at_random(subject), holds)


SIMILAR = 20
"""Tokens that may stand for one token without being taken for drawn at random (MASK-007)."""


@CHECKS("MASK-007")
def check_random_tokens_are_all_alike(subject: Subject) -> None:
    """Each ordinary token turns up as a random one as often as any other.

    A strategy with replacements of its own may choose them by the token that they stand for; it
    is taken to draw at random when one token is replaced by more than a score of others.
    """
    one = _at_random(subject)
    for case, token in _texts_of_one_token(one):
        vocabulary = case.vocabulary
        drawn = np.zeros(vocabulary.size, dtype=np.int64)
        for again in repeated([case], 400 if subject.large > 20 else 60):
            look = one.see(again)
            read = np.asarray(look.input_ids)[look.targets]
            inside = read[(read >= 0) & (read < vocabulary.size)]
            drawn += np.bincount(inside, minlength=vocabulary.size)
            if drawn[vocabulary.ordinary_ids].sum() - drawn[token] > 400_000:
                break
        others = np.setdiff1d(vocabulary.ordinary_ids, [token])  # the token itself may be kept
        _check_alike(drawn[others], others)


def _check_alike(drawn: Any, ids: Any) -> None:
    """Compare counts with a uniform distribution by chi-square, over ranges of ids if few."""
    from scipy.stats import chisquare

    if np.count_nonzero(drawn) <= SIMILAR:
        return
    # At least 40 expected in each range, for which chi-square's approximation is good.
    ranges = np.array_split(np.arange(len(ids)), int(np.clip(drawn.sum() // 40, 1, len(ids))))
    counts = np.array([drawn[part].sum() for part in ranges])
    expected = drawn.sum() * np.array([len(part) for part in ranges]) / len(ids)
    if chisquare(counts, expected).pvalue < FALSE_ALARM / 3:
        few, many = (counts / expected).argmin(), (counts / expected).argmax()
        ends = [(ids[ranges[n][0]], ids[ranges[n][-1]]) for n in (few, many)]
        found = (
            f"{counts[n]:,} have ids {a} to {b}"
            for n, (a, b) in zip((few, many), ends, strict=True)
        )
        raise Violation(
            f"of the random tokens {' and '.join(found)}",
            expected=f"{expected[few]:.0f} and {expected[many]:.0f}",
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
        for case, token in _texts_of_one_token(one):
            _check_shares(one, case, token)


def _check_shares(one: Subject, case: Case, token: int) -> None:
    corruption = one.corruption
    masked = kept = of = 0
    for again in repeated([case], 100 if one.large > 20 else 20):
        look = one.see(again)
        read = np.asarray(look.input_ids)[look.targets]
        of += len(read)
        masked += int((read == case.vocabulary.mask_id).sum())
        kept += int((read == token).sum())
    # A token drawn at random is now and then the one that stood there.
    back = corruption.random / len(case.vocabulary.ordinary_ids)
    shares = (("masked", masked, corruption.mask), ("kept", kept, corruption.keep + back))
    for name, count, share in shares:
        if surprising(count, of, share) < FALSE_ALARM / 20:
            raise Violation(f"{count:,} of {of:,} targets are {name}", asked=share)
