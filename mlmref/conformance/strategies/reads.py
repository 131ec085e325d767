"""Check replacements and the shares of corruption at the targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.checks import Checks
from mlmref.conformance.p_values import chi_square, surprising
from mlmref.conformance.strategies.rates import FALSE_ALARM, repeated
from mlmref.conformance.strategies.rows import make_rows
from mlmref.conformance.strategies.shapes import cells, is_collator, no_replacements
from mlmref.conformance.strategies.subject import Subject, at_one_half, everywhere
from mlmref.conformance.strategies.worlds import Case, worlds
from mlmref.conformance.violation import NotReached, Violation
from mlmref.plugin.contracts import Corruption

CHECKS: Checks[Subject] = Checks()

FEW_DRAWN = 400
"""Minimum number of random tokens for a comparison of their counts."""


def own_choice(subject: Subject) -> str | None:
    """Return why random tokens do not apply, or ``None`` if they do."""
    return "it chooses its own replacements" if subject.entry.replaces == "own" else None


def cores_choice(subject: Subject) -> str | None:
    """Return why the independence of random tokens does not apply, or ``None`` if it does."""
    return no_replacements(subject) or own_choice(subject)


def _texts_of_one_token(subject: Subject) -> Iterator[tuple[Case, int]]:
    """Yield for each vocabulary texts that repeat one token, with the token."""
    few = subject.large <= 20
    for world in [subject.world] if subject.world else worlds():
        for place, shape in ((0, (64, 128)), (-1, (16, 512)), (len(world.begins) // 2, (64, 128))):
            token = int(world.begins[place])
            rows = make_rows(world.vocabulary, np.full(shape, token))
            yield Case(vocabulary=world.vocabulary, rows=rows), token
            if few:
                break


def _at_random(subject: Subject) -> Subject:
    """Return the strategy with half of the tokens as targets, all replaced by random tokens."""
    one = at_one_half(subject)
    if not is_collator(subject):
        one = replace(one, corruption=Corruption(mask=0.0, random=1.0, keep=0.0))
    return one


@CHECKS(
    "MASK-007",
    fix="replace targets only by the mask token or by ids of vocabulary.ordinary_ids",
    unless=own_choice,
)
def check_no_special_token_is_read(subject: Subject) -> None:
    """The model reads an ordinary token or the mask token at each target."""

    def holds(subject: Subject, case: Case) -> None:
        seen, words = subject.see(case), case.vocabulary
        others = np.setdiff1d(words.special_ids, [words.mask_id])
        astray = seen.targets & np.isin(seen.input_ids, others)
        astray &= np.asarray(seen.input_ids) != case.rows.input_ids  # MASK-003 reports those
        if astray.any():
            row, position = np.argwhere(astray)[0]
            token = np.asarray(seen.input_ids)[row, position]
            raise Violation(f"a target is replaced by the special token {token}: {cells(astray)}")

    everywhere(_at_random(subject), holds)


@CHECKS(
    "MASK-007", fix="draw random tokens uniformly from vocabulary.ordinary_ids", unless=own_choice
)
def check_random_tokens_are_all_alike(subject: Subject) -> None:
    """Random tokens are uniform over the ordinary tokens, and never special.

    If hardly any target is replaced by another token, the check cannot be decided.
    """
    one, undecided = _at_random(subject), False
    for case, token in _texts_of_one_token(one):
        words = case.vocabulary
        drawn = np.zeros(words.size, dtype=np.int64)
        for again in repeated([case], 240 if subject.large > 20 else 60):
            look = one.see(again)
            read = np.asarray(look.input_ids)[look.targets]
            inside = read[(read >= 0) & (read < words.size)]
            drawn += np.bincount(inside, minlength=words.size)
        special = np.setdiff1d(words.special_ids, [words.mask_id])
        if drawn[special].any():
            found = int(special[drawn[special].argmax()])
            raise Violation(
                f"a target is replaced by the special token {found}", times=int(drawn[found])
            )
        others = np.setdiff1d(words.ordinary_ids, [token])  # the token itself may be kept
        _check_alike(drawn[others], others)
        undecided = undecided or int(drawn.sum()) < FEW_DRAWN
    if undecided:
        raise NotReached(f"fewer than {FEW_DRAWN} targets were replaced by another token")


def _check_alike(drawn: Any, ids: Any) -> None:
    """Compare counts with a uniform distribution, over ranges of ids if the counts are small."""
    if drawn.sum() < FEW_DRAWN:
        return
    # Each range expects at least 40, so that the chi-square approximation is good.
    ranges = np.array_split(np.arange(len(ids)), int(np.clip(drawn.sum() // 40, 1, len(ids))))
    counts = np.array([drawn[part].sum() for part in ranges])
    shares = np.array([len(part) for part in ranges]) / len(ids)
    expected = drawn.sum() * shares
    # Find small deviations in many ranges, and large ones in few.
    single = surprising(counts, drawn.sum(), shares).min() * len(counts)
    if min(chi_square(counts, expected), single) < FALSE_ALARM / 20:
        few, many = (counts / expected).argmin(), (counts / expected).argmax()
        ends = [(ids[ranges[n][0]], ids[ranges[n][-1]]) for n in (few, many)]
        told = zip((few, many), ends, strict=True)
        found = (f"{counts[n]:,} have ids {first} to {last}" for n, (first, last) in told)
        raise Violation(
            f"of the random tokens {' and '.join(found)}",
            expected=f"{expected[few]:.0f} and {expected[many]:.0f}",
        )


@CHECKS("MASK-007", fix="draw one random token for each position", unless=cores_choice)
def check_random_tokens_are_independent(subject: Subject) -> None:
    """Random tokens of neighbouring positions, chunks, passes and seeds are independent."""
    one = _at_random(subject)
    texts = [(case, [token]) for case, token in _texts_of_one_token(one)]
    case, (token,) = texts[0]
    other = int(case.vocabulary.ordinary_ids[7])
    rows = make_rows(case.vocabulary, np.resize([token, other], (64, 128)))
    texts.append((replace(case, rows=rows), [token, other]))  # and a text of two tokens in turn
    for case, tokens in texts:
        first = _random_numbers(one, case, tokens)
        pairs = {
            "the next token": (first[:, :-1], first[:, 1:]),
            "the next but one": (first[:, :-2], first[:, 2:]),
            "the next chunk": (first[:-1], first[1:]),
        }
        for name, again in (
            ("the next pass", replace(case, pass_=case.pass_ + 1)),
            ("the next seed", replace(case, seed=case.seed + 1)),
        ):
            pairs[name] = (first, _random_numbers(one, again, tokens))
        count = len(case.vocabulary.ordinary_ids)
        for name, (here, there) in pairs.items():
            both = (here >= 0) & (there >= 0)
            apart = (there[both] - here[both]) % count
            if not len(apart):
                continue
            counts = np.bincount(apart)
            most = int(counts.argmax())
            # The token itself is excluded, so a distance is slightly more likely than 1 / count.
            # Twice that probability is a safe bound.
            doubt = surprising(counts[most], len(apart), 2 / count) * count
            if counts[most] > 4 * len(apart) / count and doubt < FALSE_ALARM / 100:
                what = f"the random tokens of one and of {name} are {most} ids apart"
                raise Violation(f"{what} {counts[most]:,} of {len(apart):,} times")


def _random_numbers(one: Subject, case: Case, text: list[int]) -> Any:
    """Return the index of each random token among the ordinary ids, -1 elsewhere."""
    look, ordinary = one.see(case), case.vocabulary.ordinary_ids
    read = np.asarray(look.input_ids)
    drawn = look.targets & np.isin(read, np.setdiff1d(ordinary, text))
    return np.where(drawn, np.searchsorted(ordinary, read), -1).astype(np.int64)


def own_replacements(subject: Subject) -> str | None:
    """Return why the corruption policy does not apply, or ``None`` if it does."""
    if is_collator(subject) or not subject.entry.replaces:
        return None
    return "its plans have replacements"


@CHECKS(
    "MASK-008",
    fix="mask, replace and keep targets in the shares of the corruption policy",
    unless=own_replacements,
)
def check_shares_of_corruption(subject: Subject) -> None:
    """Targets are masked, replaced at random and kept in the shares of the corruption policy."""
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
    # A random token is sometimes the true one.
    back = corruption.random / len(case.vocabulary.ordinary_ids)
    shares = (("masked", masked, corruption.mask), ("kept", kept, corruption.keep + back))
    for name, count, share in shares:
        if surprising(count, of, share) < FALSE_ALARM / 20:
            raise Violation(f"{count:,} of {of:,} targets are {name}", asked=share)
