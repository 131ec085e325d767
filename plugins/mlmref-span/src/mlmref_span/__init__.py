"""Span masking for mlmref: runs of whole words, as SpanBERT masks them.

Joshi, Chen, Liu, Weld, Zettlemoyer and Levy, "SpanBERT: Improving Pre-training by Representing
and Predicting Spans", TACL 8 (2020), section 3.1. What differs from the paper's code, and why,
is in the README.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mlmref.plugin import (
    Batch,
    BoolArray,
    Corruption,
    Draws,
    FloatArray,
    Int32Array,
    Int64Array,
    Options,
    Plan,
    Probability,
    StrategyEntry,
    hookimpl,
)


class SpanOptions(Options):
    """Options of ``span``.

    Attributes:
        mlm_probability: the share of the tokens that are targets, on average over rows.
        length_p: the parameter of the geometric distribution of a span's words; 0 makes all
            lengths alike.
        max_length: the most words in a span; the distribution is cut off there and scaled up,
            which with 0.2 and 10 gives 3.8 words on average.
        shares: how often a span is masked, randomised or kept, all of its tokens together.
    """

    mlm_probability: Probability = 0.15
    length_p: Probability = 0.2
    max_length: Annotated[int, Field(ge=1, le=512)] = 10
    shares: Corruption = Corruption()


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans that tile the words of a batch, in the order of the text.

    Attributes:
        tokens: int64 ``[N]``, the flat positions of all tokens in words, ascending.
        rows: int64 ``[S]``, the row of each span.
        positions: int64 ``[S]``, where in its row it begins.
        sizes: int64 ``[S]``, its tokens; they add up to ``N``.
    """

    tokens: Int64Array
    rows: Int64Array
    positions: Int64Array
    sizes: Int64Array


def length_cdf(length_p: float, max_length: int) -> FloatArray:
    """Return the distribution of a span's words.

    Returns:
        float64 ``[max_length]``: at ``i`` the probability of ``i + 1`` words or fewer.
    """
    weights = (1.0 - length_p) ** np.arange(max_length)
    cdf: FloatArray = np.cumsum(weights) / weights.sum()
    return cdf


def tile(words: Int32Array, cdf: FloatArray, bits: NDArray[np.uint32]) -> Spans:
    """Cut the words of each row into spans, from the first word on and anew after each gap.

    Args:
        words: ``[B, T]``, the word's number within its row, -1 outside words.
        cdf: of :func:`length_cdf`.
        bits: ``[B, T]``, random; the k-th word of a row reads the row's position k.
    """
    width = words.shape[1]
    inside = words >= 0
    begins_word = inside.copy()
    begins_word[:, 1:] &= words[:, 1:] != words[:, :-1]
    after_gap = begins_word.copy()
    after_gap[:, 1:] &= ~inside[:, :-1]
    heads = np.flatnonzero(begins_word)
    parted = after_gap.reshape(-1)[heads]
    firsts = np.flatnonzero(parted)  # the words that begin a segment: a row, or a document in it
    segment = np.cumsum(parted) - 1

    cells = heads // width * width + words.reshape(-1)[heads]
    # The sum may end below 1 by a rounding, so the last length is what the others leave.
    chance = bits.reshape(-1)[cells] * np.float64(2.0**-32)
    lengths = 1 + np.searchsorted(cdf[:-1], chance, side="right")
    # Where the spans before it end, as if each word of a segment brought one: a sum for each
    # word, no walk from span to span. Those that begin past the segment's end are none.
    reached = np.cumsum(lengths) - lengths
    begins = firsts[segment] + reached - reached[firsts][segment]
    ends = np.append(firsts[1:], len(heads))[segment]
    at = heads[begins[begins < ends]]
    before = np.cumsum(inside.reshape(-1))[at] - 1
    rows = at // width
    return Spans(
        tokens=np.flatnonzero(inside),
        rows=rows,
        positions=at - rows * width,
        sizes=np.diff(before, append=np.count_nonzero(inside)),
    )


def choose(
    spans: Spans, probability: float, priority: NDArray[np.uint32], first: FloatArray
) -> BoolArray:
    """Take spans of each row in random order until its budget of tokens is spent.

    The spans of a row lie on a circle of as many places as they have tokens, in the order of
    their priorities; taken are those that begin on an arc of ``probability`` times the circle.
    As the arc begins anywhere alike, every span is taken with just this probability, and what is
    taken misses the budget by less than a span (systematic sampling, Madow 1949).

    Args:
        spans: the spans of all rows.
        probability: the share of a row's tokens to take.
        priority: uint32 ``[S]``, random.
        first: float64 ``[B]`` in [0, 1), where each row's arc begins; multiples of 2**-32, so
            that what follows is free of rounding.

    Returns:
        bool ``[S]``.
    """
    order = np.argsort((spans.rows << 32) + priority, kind="stable")
    rows, sizes = spans.rows[order], spans.sizes[order]
    total = np.bincount(spans.rows, weights=spans.sizes, minlength=len(first))
    along = np.cumsum(sizes) - sizes - (np.cumsum(total) - total)[rows]
    along -= (first * total)[rows]
    along += np.where(along < 0, total[rows], 0)
    chosen = np.empty(len(order), dtype=np.bool_)
    chosen[order] = along < (probability * total)[rows]
    return chosen


class SpanMasking:
    """Chooses spans of whole words, and decides what becomes of each as a whole."""

    def __init__(self, options: SpanOptions) -> None:
        self._probability = options.mlm_probability
        self._cdf = length_cdf(options.length_p, options.max_length)
        self._shares = options.shares

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Tile the words with spans, take some and say what the model reads there."""
        shape = batch.words.shape
        targets = np.zeros(batch.words.size, dtype=np.bool_)
        read = batch.input_ids.reshape(-1).copy()
        spans = tile(batch.words, self._cdf, draws.bits("span.length"))
        if len(spans.rows):
            # One number a span or a row, where that span or row begins.
            priority = draws.bits("span.order")[spans.rows, spans.positions]
            every = np.arange(shape[0])
            first = draws.uniform("span.first", at=(every, np.zeros_like(every)))
            chosen = choose(spans, self._probability, priority, first)
            taken = spans.tokens[np.repeat(chosen, spans.sizes)]
            targets[taken] = True
            fate = draws.uniform("span.fate", at=(spans.rows[chosen], spans.positions[chosen]))
            self._replace(read, taken, np.repeat(fate, spans.sizes[chosen]), batch, draws)
        return Plan(targets=targets.reshape(shape), replacements=read.reshape(shape))

    def _replace(
        self, read: Int32Array, taken: Int64Array, fate: FloatArray, batch: Batch, draws: Draws
    ) -> None:
        """Write the mask token or random ordinary tokens where the fate of the span says so.

        Args:
            read: flat ``[B * T]``, the true tokens; written to.
            taken: ``[n]``, the flat positions of the targets.
            fate: ``[n]`` in [0, 1), the same for all tokens of a span.
            batch: for its vocabulary and width.
            draws: the random tokens are drawn for each position.
        """
        shares, ordinary = self._shares, batch.vocabulary.ordinary_ids
        whole = shares.mask + shares.random + shares.keep  # 1, but for a rounding
        masked = fate < shares.mask / whole
        swapped = taken[~masked & (fate < (shares.mask + shares.random) / whole)]
        read[taken[masked]] = batch.vocabulary.mask_id
        cells = np.divmod(swapped, batch.words.shape[1])
        read[swapped] = ordinary[draws.integers("span.replacement", len(ordinary), at=cells)]


@hookimpl
def mlmref_masking_strategies() -> list[StrategyEntry]:
    """Return ``span``."""
    return [
        StrategyEntry(
            name="span",
            summary="runs of whole words, 3.8 on average, with 15 % of the tokens (SpanBERT)",
            build=SpanMasking,
            options=SpanOptions,
            needs_words=True,
            whole_words=True,
            rate="share",
            replaces="random",
        )
    ]
