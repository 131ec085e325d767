"""The masking strategy ``span`` for mlmref: spans of whole words, as in SpanBERT.

Joshi, Chen, Liu, Weld, Zettlemoyer and Levy, "SpanBERT: Improving Pre-training by Representing
and Predicting Spans", TACL 8 (2020), section 3.1. The README lists the differences from the
paper's code.
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
        length_p: the parameter of the geometric distribution of the number of words in a span; 0
            makes all lengths equally likely.
        max_length: the maximum number of words in a span. The distribution is truncated there and
            renormalized; 0.2 and 10 give 3.8 words on average.
        shares: the shares of spans that are masked, replaced by random tokens or kept.
    """

    mlm_probability: Probability = 0.15
    length_p: Probability = 0.2
    max_length: Annotated[int, Field(ge=1, le=512)] = 10
    shares: Corruption = Corruption()


@dataclass(frozen=True, slots=True)
class Spans:
    """Consecutive spans that cover the words of a batch.

    Attributes:
        tokens: int64 ``[N]``, the flat positions of all tokens in words, ascending.
        rows: int64 ``[S]``, the row of each span.
        positions: int64 ``[S]``, the position in the row at which each span begins.
        sizes: int64 ``[S]``, the number of tokens of each span; the sum is ``N``.
    """

    tokens: Int64Array
    rows: Int64Array
    positions: Int64Array
    sizes: Int64Array


def length_cdf(length_p: float, max_length: int) -> FloatArray:
    """Return the cumulative distribution of the number of words in a span.

    Returns:
        float64 ``[max_length]``: at ``i`` the probability of ``i + 1`` words or fewer.
    """
    weights = (1.0 - length_p) ** np.arange(max_length)
    cdf: FloatArray = np.cumsum(weights) / weights.sum()
    return cdf


def tile(words: Int32Array, cdf: FloatArray, bits: NDArray[np.uint32]) -> Spans:
    """Cut the words of each row into consecutive spans; no span crosses a gap between words.

    Args:
        words: ``[B, T]``, the number of the word within its row, -1 outside words.
        cdf: of :func:`length_cdf`.
        bits: ``[B, T]``, random; the k-th word of a row uses position k.
    """
    width = words.shape[1]
    inside = words >= 0
    begins_word = inside.copy()
    begins_word[:, 1:] &= words[:, 1:] != words[:, :-1]
    after_gap = begins_word.copy()
    after_gap[:, 1:] &= ~inside[:, :-1]
    heads = np.flatnonzero(begins_word)
    parted = after_gap.reshape(-1)[heads]
    firsts = np.flatnonzero(parted)  # the first word of each segment: a row, or a document in it
    segment = np.cumsum(parted) - 1

    cells = heads // width * width + words.reshape(-1)[heads]
    # Rounding may leave the sum below 1, so the last length gets the rest.
    chance = bits.reshape(-1)[cells] * np.float64(2.0**-32)
    lengths = 1 + np.searchsorted(cdf[:-1], chance, side="right")
    # As if each word of a segment were a span: a span begins where the ones before it end, as a
    # cumulative sum without a loop. Spans that begin after the end of the segment are dropped.
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
    """Select spans of each row, so that their share of the row's tokens is about ``probability``.

    The spans of a row lie on a circle, in the order of their priorities. The circle has one place
    per token. The spans that begin on an arc of ``probability`` times the circle are selected. The
    arc begins anywhere with equal probability, so each span is selected with exactly this
    probability, and the number of tokens is off by less than one span (systematic sampling, Madow
    1949).

    Args:
        spans: the spans of all rows.
        probability: the share of a row's tokens to select.
        priority: uint32 ``[S]``, random.
        first: float64 ``[B]`` in [0, 1), the begin of each row's arc; multiples of 2**-32, so that
            nothing is rounded.

    Returns:
        bool ``[S]``, true for the selected spans.
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
    """Selects spans of whole words; all tokens of a span get the same treatment."""

    def __init__(self, options: SpanOptions) -> None:
        self._probability = options.mlm_probability
        self._cdf = length_cdf(options.length_p, options.max_length)
        self._shares = options.shares

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Return the tokens of the selected spans as targets, with their replacements."""
        shape = batch.words.shape
        targets = np.zeros(batch.words.size, dtype=np.bool_)
        read = batch.input_ids.reshape(-1).copy()
        spans = tile(batch.words, self._cdf, draws.bits("span.length"))
        if len(spans.rows):
            # One number per span or row, drawn at its first position.
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
        """Write the mask token or random ordinary tokens to ``read``, by the fate of each span.

        Args:
            read: flat ``[B * T]``, the true tokens; changed in place.
            taken: ``[n]``, the flat positions of the targets.
            fate: ``[n]`` in [0, 1), the same for all tokens of a span.
            batch: the batch, for its vocabulary and width.
            draws: the random numbers; each position has its own random token.
        """
        shares, ordinary = self._shares, batch.vocabulary.ordinary_ids
        whole = shares.mask + shares.random + shares.keep  # 1, except for rounding
        masked = fate < shares.mask / whole
        swapped = taken[~masked & (fate < (shares.mask + shares.random) / whole)]
        read[taken[masked]] = batch.vocabulary.mask_id
        cells = np.divmod(swapped, batch.words.shape[1])
        read[swapped] = ordinary[draws.integers("span.replacement", len(ordinary), at=cells)]


@hookimpl
def mlmref_masking_strategies() -> list[StrategyEntry]:
    """Return the entry of ``span``."""
    return [
        StrategyEntry(
            name="span",
            summary="spans of whole words, 3.8 on average, with 15 % of the tokens (SpanBERT)",
            build=SpanMasking,
            options=SpanOptions,
            needs_words=True,
            whole_words=True,
            rate="share",
            replaces="random",
        )
    ]
