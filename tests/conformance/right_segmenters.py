"""Correct word segmenters, in a module that another interpreter can import (KIT)."""

import re
from functools import partial

import numpy as np
from conformance.mutants.segmenters import Faulty, words

from mlmref.plugin.contracts import Options, SegmenterEntry


class Style(Options):
    """Options of every kind that JSON and TOML have."""

    lower: bool = False
    limit: int | None = None
    names: tuple[str, ...] = ("电影", "New York")


def as_lists(_, texts):
    """Tell lists of numbers."""
    return [words(text) for text in texts]


def as_they_come(_, texts):
    """Tell arrays of unsigned bytes or more, one after the other."""
    for text in texts:
        yield np.array(words(text), dtype=np.uint32 if len(text) > 255 else np.uint8)


def characters(_, texts):
    """Take each character for a word."""
    return (range(len(text)) for text in texts)


def nothing(_, texts):
    """Tell of no word."""
    return tuple(() for _ in texts)


_LONGEST = re.compile("电影院?|演员|南京|长江|大桥|生物|化学|[a-zA-Z]+|.", re.DOTALL)


def from_a_list(self, texts):
    """Take the longest word of a list, keep what was found, and draw from a generator alone."""
    np.random.default_rng(1).random()
    for text in texts:
        if text not in self.kept:
            self.kept[text] = [match.start() for match in _LONGEST.finditer(text)]
    return [self.kept[text] for text in texts]


def entry_of(function):
    """Return an entry of a segmenter that does what a function says."""
    build = partial(Faulty, function, fingerprint="list 2024-01-01")
    return SegmenterEntry(name=function.__name__, summary="right", build=build, options=Style)


RIGHT = [as_lists, as_they_come, characters, nothing, from_a_list]
