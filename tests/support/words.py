"""Word segmenters for tests, and what tokens make of their words, token by token."""

from bisect import bisect_left, bisect_right

import numpy as np

from mlmref import hookimpl
from mlmref.plugin.contracts import SegmenterEntry
from mlmref.plugin.registry import Registered, Source, choose


class Told:
    """A segmenter that answers as it was told.

    Args:
        answers: where words begin, text by text; or a function of the texts.
        fingerprint: as of any segmenter.
    """

    def __init__(self, answers, fingerprint=""):
        self._answers = answers
        self.fingerprint = fingerprint
        self.asked = []

    def segment(self, texts):
        """Answer, and remember what was asked."""
        self.asked.append(texts)
        if callable(self._answers):
            return self._answers(texts)
        return [np.array(self._answers[text], dtype=np.int64) for text in texts]


def entry_of(segmenter, name="told", **fields):
    """Return an entry that always makes this segmenter."""
    return SegmenterEntry(name=name, summary="as told", build=lambda _: segmenter, **fields)


def chosen(segmenter, given=(), *, distribution="me", version="1.0", **fields):
    """Return a segmenter as a run uses it; ``given`` are its options."""
    registered = Registered(entry_of(segmenter, **fields), Source(distribution, "it", version))
    return choose(registered, dict(given), "words.options")


class Plugin:
    """A plugin that brings some segmenters."""

    def __init__(self, *entries):
        self._entries = entries

    @hookimpl
    def mlmref_word_segmenters(self):
        """Return them."""
        return self._entries


def plain_segmented_starts(text, ids, offsets, begins, special_ids):
    """Tell word starts token by token, as TOK-015 and TOK-016 say and in no other way."""
    word_of = [bisect_right(begins, number) for number in range(len(text))]
    solid = [number for number, character in enumerate(text) if not character.isspace()]

    def words(first, end):
        here = slice(bisect_left(solid, first), bisect_left(solid, end))
        mine = {word_of[number] for number in solid[here]}
        before = [word_of[number] for number in solid[: here.start][-1:]]
        after = [word_of[number] for number in solid[here.stop :][:1]]
        return mine or (set(before) & set(after))

    own = [words(*offset) for offset in offsets]
    starts = []
    for position, token in enumerate(ids):
        starts.append(
            token in special_ids
            or position == 0
            or ids[position - 1] in special_ids
            or not own[position] & own[position - 1]
        )
    return starts
