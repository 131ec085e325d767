"""The kit for word segmenters."""

from __future__ import annotations

import numpy as np

from mlmref.conformance.checks import Checks
from mlmref.conformance.kit import Kit
from mlmref.conformance.options import check_written_and_read
from mlmref.conformance.search import search
from mlmref.conformance.segmenters import company
from mlmref.conformance.segmenters.subject import (
    EXAMPLES,
    SegmenterSubject,
    ask,
    everywhere,
    held,
    leaves_words,
    violation,
)
from mlmref.conformance.segmenters.texts import (
    BLANKS,
    SENTENCES,
    SHIFTS,
    Texts,
    small_batches,
)
from mlmref.conformance.violation import Violation
from mlmref.plugin.arrays import Int64Array
from mlmref.plugin.contracts import SegmenterEntry

_SHAPES: Checks[SegmenterSubject] = Checks()
_LATER: Checks[SegmenterSubject] = Checks()

AGREE = 0.9
"""Minimum share of the words of a sentence that are also found in a longer text (SEG-011)."""


@_SHAPES(
    "SEG-001",
    fix="return for each text the ascending offsets, in characters, at which words begin",
    unless=leaves_words,
)
def check_answers_are_offsets(subject: SegmenterSubject) -> None:
    """Each text has an answer: ascending offsets of characters of the text."""

    def holds(subject: SegmenterSubject, texts: Texts) -> None:
        ask(subject.segmenter(), texts)

    cases = small_batches(blanks=False)  # another check tests texts without words
    search(cases, lambda texts: violation(subject, holds, texts), examples=3 * EXAMPLES)
    held(subject, holds, subject.large_batches())


@_SHAPES("SEG-002", fix="return an empty answer for an empty or blank text", unless=leaves_words)
def check_text_without_words_is_fine(subject: SegmenterSubject) -> None:
    """Empty and blank texts, alone or among others, and an empty list have answers."""

    def holds(subject: SegmenterSubject, texts: Texts) -> None:
        ask(subject.segmenter(), texts)

    held(subject, holds, [(), *((blank,) for blank in BLANKS), BLANKS, ("",) * 1_000])
    among = tuple(text for pair in zip(BLANKS, SENTENCES, strict=False) for text in pair)
    held(subject, holds, [among, among[::-1]])


@_LATER("SEG-006", fix="do not change the list of texts", unless=leaves_words)
def check_what_is_given_is_left_alone(subject: SegmenterSubject) -> None:
    """A segmenter does not change the list of texts, not even in the next call."""
    segmenter = subject.segmenter()
    earlier: list[tuple[list[str], Texts]] = []

    def holds(_: SegmenterSubject, texts: Texts) -> None:
        given = list(texts)
        earlier[:] = [*earlier[-1:], (given, texts)]
        ask(segmenter, given)
        for now, before in earlier:
            if now != list(before):
                raise Violation("it changed the list of texts", now=now)

    everywhere(subject, holds)


def no_options(subject: SegmenterSubject) -> str | None:
    """Return why checks of options do not apply, or ``None`` if they do."""
    return None if subject.entry.options.model_fields else "it has no options"


@_LATER(
    "SEG-008",
    fix="use option types that JSON and TOML can hold, and exclude no option",
    unless=no_options,
)
def check_options_survive_being_written(subject: SegmenterSubject) -> None:
    """Options written as JSON or TOML and read again are the same options."""
    check_written_and_read(subject.options)


@_LATER(
    "SEG-011",
    fix="find words from the text near them, not from the whole text",
    unless=leaves_words,
)
def check_a_sentence_has_its_words_anywhere(subject: SegmenterSubject) -> None:
    """Nine in ten words of a sentence are also found when it is part of a longer text."""
    segmenter = subject.segmenter()
    alone = [_inner(found) for found in ask(segmenter, SENTENCES)]
    for filler in ("", *SHIFTS, "long"):
        block = "a film. " * 9_000 if filler == "long" else filler * 40
        text, places = "", []
        for number, sentence in enumerate(SENTENCES):
            text += f"{block if number == 0 or filler != 'long' else ''}\n\n"
            places.append(len(text))
            text += sentence
        (begins,) = ask(segmenter, (text,))
        for first in range(0, len(SENTENCES), 5):
            _agree(begins, alone, places, range(first, first + 5), filler)


def _inner(begins: Int64Array) -> Int64Array:
    """Return the word starts without the first character, which always begins a word."""
    return begins[begins > 0]


def _agree(
    begins: Int64Array, alone: list[Int64Array], places: list[int], which: range, filler: str
) -> None:
    hits = asked = 0
    worst: tuple[float, int, Int64Array] = (2.0, 0, begins)
    for number in which:
        place, size = places[number], len(SENTENCES[number])
        here = _inner(begins[(begins >= place) & (begins < place + size)] - place)
        common = len(np.intersect1d(here, alone[number]))
        most = max(len(here), len(alone[number]))
        hits, asked = hits + common, asked + most
        worst = min(worst, (common / max(most, 1), number, here), key=lambda one: one[:2])
    if hits < AGREE * asked:
        _, number, here = worst
        raise Violation(
            f"in a longer text, {hits} of {asked} words are found again",
            sentence=SENTENCES[number],
            before_it=f"{places[number]} characters, many of them {filler!r}",
            alone=alone[number],
            in_the_text=here,
        )


KIT: Kit[SegmenterEntry, SegmenterSubject] = Kit(
    Checks(_SHAPES, company.CHECKS, _LATER), SegmenterSubject
)
