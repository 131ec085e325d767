"""A word segmenter under test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlmref.conformance.search import search, shrinks
from mlmref.conformance.segmenters.texts import Texts, large_batches, shrink, small_batches
from mlmref.conformance.violation import Violation
from mlmref.data.words.of_segmenter import read_answer
from mlmref.plugin.arrays import Int64Array
from mlmref.plugin.contracts import Options, SegmenterEntry, WordSegmenter

EXAMPLES = 60
"""Number of small batches that Hypothesis draws for one property."""

Answers = list[Int64Array]
"""The word starts of each text."""


@dataclass(frozen=True, kw_only=True)
class SegmenterSubject:
    """A word segmenter with its options.

    Attributes:
        entry: as registered.
        options: complete.
        large: number of large batches for a property; all of them if ``None``.
    """

    entry: SegmenterEntry
    options: Options
    large: int | None = None
    _kept: list[WordSegmenter] = field(default_factory=list)

    def make(self) -> WordSegmenter:
        """Return a new instance of the segmenter."""
        assert self.entry.build is not None  # noqa: S101 - no check applies without build
        return self.entry.build(self.options)

    def large_batches(self) -> tuple[Texts, ...]:
        """Return the large batches, of one to five thousand texts."""
        return large_batches()[: self.large]

    def segmenter(self) -> WordSegmenter:
        """Return one instance that is used for all calls, as in a run."""
        if not self._kept:
            self._kept.append(self.make())
        return self._kept[0]


def leaves_words(subject: SegmenterSubject) -> str | None:
    """Return why no check of answers applies, or ``None`` if they do."""
    return None if subject.entry.build else "the tokenizer defines the words"


def ask(segmenter: WordSegmenter, texts: Sequence[str]) -> Answers:
    """Return the answers of a segmenter, called and read as in a run.

    Raises:
        Violation: the answers break SEG-001.
    """
    given: Any = segmenter.segment(texts)
    if not isinstance(given, Iterable):
        raise Violation(f"it returned {type(given).__name__}, not an answer for each text")
    return read(list(given), texts)


def read(given: Sequence[Any], texts: Sequence[str]) -> Answers:
    """Return the answers of a segmenter as arrays; raises as :func:`ask`."""
    if len(given) != len(texts):
        raise Violation(f"it returned {len(given)} answers for {len(texts)} texts")
    answers = []
    for text, answer in zip(texts, given, strict=True):
        try:
            answers.append(read_answer(answer, len(text)))
        except ValueError as error:
            what = str(error).rstrip(",")
            raise Violation(f"it returned {what} for a text of {len(text)} characters") from None
    return answers


def same(first: Answers, second: Answers, what: str) -> None:
    """Raise Violation unless two answers to the same texts are equal."""
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        if not np.array_equal(one, other):
            raise Violation(f"{what}: text {number} has other words", first=one, second=other)


Property = Callable[[SegmenterSubject, Texts], None]
"""Returns, or raises :class:`Violation`."""


def everywhere(subject: SegmenterSubject, holds: Property) -> None:
    """Check a property on small batches that Hypothesis draws, then on large ones.

    Raises:
        Violation: with the smallest failing batch.
    """
    search(small_batches(), lambda texts: violation(subject, holds, texts), examples=EXAMPLES)
    held(subject, holds, subject.large_batches())


def held(subject: SegmenterSubject, holds: Property, batches: Iterable[Texts]) -> None:
    """Check a property on some batches; raises as :func:`everywhere`."""
    for texts in batches:
        found = violation(subject, holds, texts)
        if found and not shrinks():
            raise found
        if found:
            least = shrink(texts, lambda some: violation(subject, holds, some) is not None)
            raise violation(subject, holds, least) or found


def violation(subject: SegmenterSubject, holds: Property, texts: Texts) -> Violation | None:
    """Return the violation in a batch, or ``None``; any exception of the plugin is one."""
    try:
        holds(subject, texts)
    except Violation as found:
        return found.having(texts=list(texts))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        return Violation.of_exception(error).having(texts=list(texts))
    return None
