"""Check that a segmenter's answer depends only on the text."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from mlmref.conformance.checks import Checks
from mlmref.conformance.children import cannot_fork, in_a_fork, in_another_interpreter
from mlmref.conformance.clocks import another_day
from mlmref.conformance.generators import as_they_were, generators, states
from mlmref.conformance.segmenters.subject import (
    Answers,
    SegmenterSubject,
    ask,
    everywhere,
    leaves_words,
    read,
    same,
)
from mlmref.conformance.segmenters.texts import SENTENCES, Texts, prose
from mlmref.conformance.violation import Violation
from mlmref.plugin.contracts import Options

CHECKS: Checks[SegmenterSubject] = Checks()


@CHECKS("SEG-004", fix="derive answers and fingerprint from the options only", unless=leaves_words)
def check_two_of_a_kind_agree(subject: SegmenterSubject) -> None:
    """Two segmenters with the same options have equal fingerprints and answers."""
    kind, written = type(subject.options), subject.options.model_dump_json()
    again = SegmenterSubject(
        entry=subject.entry, options=kind.model_validate_json(written, strict=True)
    )
    one, other = subject.make(), again.make()
    if one.fingerprint != other.fingerprint:
        raise Violation("the fingerprints differ", first=one.fingerprint, second=other.fingerprint)

    def holds(_: SegmenterSubject, texts: Texts) -> None:
        same(ask(one, texts), ask(other, texts), "in two instances")

    everywhere(subject, holds)


@CHECKS("SEG-003", fix="answer each text from that text only", unless=leaves_words)
def check_company_does_not_matter(subject: SegmenterSubject) -> None:
    """The answer to a text does not depend on the other texts, their order or number."""

    def holds(subject: SegmenterSubject, texts: Texts) -> None:
        segmenter = subject.segmenter()
        whole = ask(segmenter, texts)
        same(whole, ask(segmenter, texts[::-1])[::-1], "in another order")
        same(whole, [ask(segmenter, (text,))[0] for text in texts], "alone")
        half = len(texts) // 2
        same(whole[half:], ask(segmenter, texts[half:]), "with fewer texts")
        for text, answer in list(zip(texts, whole, strict=True))[:2]:
            same([answer] * 3, ask(segmenter, (text,) * 3), "three times in a batch")

    everywhere(subject, holds)


_ROUND = count(1)


def _alike() -> list[str]:
    """Return texts of which many agree in length, beginning, end or case.

    Each call returns other texts, which no segmenter can have cached.
    """
    number = next(_ROUND)
    texts = []
    for first, second in zip(SENTENCES, SENTENCES[1:] + SENTENCES[:1], strict=True):
        head = f"{number}. {first} "
        texts += [head + second, head + "的" * len(second), head + second[::-1], f"{head}{second} "]
        texts += [second + head, "a" * len(second) + head, (head + second).upper()]
        size = len(head) + len(second)
        texts += [f"{number} {'电影' * size}"[:size], f"{number} {'a b' * size}"[:size]]
    return [*texts, *(f"{number} {text}" for text in prose(1_000, number))]


@CHECKS(
    "SEG-003",
    fix="keep nothing from one call to the next, except a cache of the same answers",
    unless=leaves_words,
)
def check_nothing_is_kept(subject: SegmenterSubject) -> None:
    """Answers do not depend on earlier calls or their number."""
    texts = _alike()
    forth, back = subject.make(), subject.make()
    first = [ask(forth, (text,))[0] for text in texts]
    second = [ask(back, (text,))[0] for text in reversed(texts)][::-1]
    _one_by_one(texts, first, second, "in the opposite order")
    _one_by_one(texts, first, [ask(forth, (text,))[0] for text in texts], "in a second call")
    given: Any = list(forth.segment(tuple(texts[:50])))
    ask(forth, tuple(texts[50:]))
    _one_by_one(texts[:50], first[:50], read(given, texts[:50]), "after other texts")
    few = tuple(texts[:3])
    for turn in range(4_000):
        _one_by_one(texts[:3], first[:3], ask(forth, few), f"in call {turn + 1}")


def _one_by_one(texts: list[str], first: Answers, second: Answers, what: str) -> None:
    """Raise Violation, with the first text whose answers differ, unless all are equal."""
    for text, one, other in zip(texts, first, second, strict=True):
        try:
            same([one], [other], what)
        except Violation as found:
            raise Violation(f"{what}, it has other words", text=text, **found.shown) from None


@CHECKS(
    "SEG-003",
    fix="keep no state in the class, the module or the library",
    unless=lambda subject: leaves_words(subject) or cannot_fork(subject),
)
def check_nothing_is_kept_for_all(subject: SegmenterSubject) -> None:
    """Answers do not depend on earlier calls to other segmenters of the process."""
    texts = _alike()

    def reverse() -> Answers:
        segmenter = subject.make()
        return [ask(segmenter, (text,))[0] for text in reversed(texts)][::-1]

    second = in_a_fork(reverse)
    segmenter = subject.make()
    first = [ask(segmenter, (text,))[0] for text in texts]
    _one_by_one(texts, first, second, "in another process and the opposite order")


@CHECKS("SEG-004", fix="do not use hash() or the order of a set", unless=leaves_words)
def check_the_hash_of_a_text_does_not_matter(subject: SegmenterSubject) -> None:
    """Answers and fingerprint do not depend on Python's hash seed."""
    texts = [*SENTENCES, *prose(300, seed=1)]
    build: Any = subject.entry.build
    arguments = build, subject.options, texts
    told = in_another_interpreter(ask_anew, *arguments)
    fingerprint, answers = ask_anew(*arguments)
    if told[0] != fingerprint:
        what = "in another interpreter, the fingerprint differs"
        raise Violation(what, first=fingerprint, second=told[0])
    _one_by_one(texts, answers, told[1], "in another interpreter")


def ask_anew(
    build: Callable[[Any], Any], options: Options, texts: list[str]
) -> tuple[Any, Answers]:
    """Return the fingerprint and the answers of a new segmenter."""
    segmenter = build(options)
    return segmenter.fingerprint, ask(segmenter, tuple(texts))


@CHECKS(
    "SEG-005", fix="compute the fingerprint once, from options and versions", unless=leaves_words
)
def check_the_fingerprint_stays(subject: SegmenterSubject) -> None:
    """The fingerprint is a string that use does not change."""
    segmenter = subject.make()
    first = segmenter.fingerprint
    if type(first) is not str:
        raise Violation(f"the fingerprint is {type(first).__name__}, not str")
    for texts in subject.large_batches():
        ask(segmenter, texts)
        if segmenter.fingerprint != first:
            what = f"after {len(texts)} more texts, the fingerprint differs"
            raise Violation(what, first=first, second=segmenter.fingerprint)


@CHECKS("SEG-005", fix="do not use the clock", unless=leaves_words)
def check_the_day_does_not_matter(subject: SegmenterSubject) -> None:
    """Answers and fingerprint do not depend on the date and time."""
    texts = (*SENTENCES, *prose(300, seed=2))
    segmenter = subject.make()
    first, answers = segmenter.fingerprint, ask(segmenter, texts)
    with another_day(type(segmenter).__module__.partition(".")[0]):
        later = subject.make()
        second, others = later.fingerprint, ask(later, texts)
    if first != second:
        raise Violation("on another day, the fingerprint differs", first=first, second=second)
    _one_by_one(list(texts), answers, others, "on another day, with the same fingerprint")


@CHECKS("SEG-007", fix="use no random numbers from random, NumPy or torch", unless=leaves_words)
def check_no_other_generator_is_used(subject: SegmenterSubject) -> None:
    """A segmenter neither uses nor changes the process's shared random generators."""
    with as_they_were():
        answers = []
        for value in (1, 2):
            for _, seed in generators():
                seed(value)
            before = states()
            segmenter = subject.make()
            answers.append([ask(segmenter, texts) for texts in subject.large_batches()])
            for name, state in states().items():
                if state != before[name]:
                    raise Violation(f"it changed the state of {name}")
        for texts, one, other in zip(subject.large_batches(), *answers, strict=True):
            _one_by_one(list(texts), one, other, "with other seeds of the shared generators")
