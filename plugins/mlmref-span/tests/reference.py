"""Span masking as one would write it by hand: slow, one row and one span at a time."""

from fractions import Fraction
from itertools import pairwise

import numpy as np


def segments(words):
    """Split a row into segments between gaps: of each the words, as lists of positions."""
    found = []
    for position, word in enumerate(words):
        if word < 0:
            continue
        after_gap = position == 0 or words[position - 1] < 0
        if after_gap:
            found.append([])
        if after_gap or words[position - 1] != word:
            found[-1].append([])
        found[-1][-1].append(position)
    return found


def lengths(options):
    """Return the probability of a span of at most so many words, for 1 to ``max_length``."""
    weights = [(1 - options.length_p) ** (words - 1) for words in range(1, options.max_length + 1)]
    return np.cumsum(weights) / np.sum(weights)


def spans_of(row, batch, draws, options):
    """Cut a row into spans, as lists of positions."""
    words, cdf = batch.words[row].tolist(), lengths(options)
    chance = draws.uniform("span.length")[row]
    spans = []
    for segment in segments(words):
        begin = number = 0
        while begin < len(segment):
            drawn = chance[words[segment[number][0]]]
            length = 1
            while length < options.max_length and drawn >= cdf[length - 1]:
                length += 1
            spans.append([place for word in segment[begin : begin + length] for place in word])
            begin, number = begin + length, number + 1
    return spans


def chosen_spans(row, batch, draws, options):
    """Take spans of a row in random order, from a random place on a circle on."""
    spans = spans_of(row, batch, draws, options)
    priority = draws.bits("span.order")[row]
    total = sum(len(span) for span in spans)
    first = Fraction(float(draws.uniform("span.first")[row, 0])) * total if spans else 0
    budget = Fraction(options.mlm_probability * total)
    taken, place = [], 0
    for span in sorted(spans, key=lambda span: (int(priority[span[0]]), span[0])):
        if (place - first) % total < budget:
            taken.append(span)
        place += len(span)
    return taken


def propose(batch, draws, options):
    """Return targets bool ``[B, T]`` and what the model reads, integer ``[B, T]``."""
    targets = np.zeros(batch.words.shape, dtype=bool)
    read = batch.input_ids.copy()
    ordinary, shares = batch.vocabulary.ordinary_ids, options.shares
    total = shares.mask + shares.random + shares.keep
    for row in range(len(targets)):
        for span in chosen_spans(row, batch, draws, options):
            fate = draws.uniform("span.fate")[row, span[0]]
            for position in span:
                targets[row, position] = True
                if fate < shares.mask / total:
                    read[row, position] = batch.vocabulary.mask_id
                elif fate < (shares.mask + shares.random) / total:
                    number = draws.integers("span.replacement", len(ordinary))[row, position]
                    read[row, position] = ordinary[number]
    return targets, read


def neighbours(words):
    """Return the pairs of neighbouring positions that are in one word."""
    return [(a, b) for a, b in pairwise(range(len(words))) if words[a] == words[b] >= 0]
