"""The parts of a preview (spec/preview.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlmref.masking.rates import Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is shown as one: a token, or the tokens of a word that came out alike.

    Attributes:
        kind: ``plain``, ``masked``, ``replaced``, ``kept`` or ``special``; or ``boundary``,
            where the next document begins.
        true: the text as it is; empty at a boundary.
        read: what the model reads there.
        tokens: how many tokens it is.
        joined: whether it goes on with the word of the unit before it.
    """

    kind: str
    true: str
    read: str
    tokens: int
    joined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """A chunk under one strategy.

    Attributes:
        strategy: its name.
        rates: what came out in this chunk.
        units: the chunk from its start to its end, without padding.
        input_ids: what the model reads, as in training.
        labels: what it is to predict, ``IGNORE_INDEX`` elsewhere.
    """

    strategy: str
    rates: Rates
    units: list[Unit]
    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChunk:
    """A training chunk.

    Attributes:
        number: its place among the training chunks, from 1.
        chunk: its number in the whole corpus, the key of its masks, from 0.
        documents: how many documents it holds parts of.
        places: where the first and the last of them are in the user's files.
        tokens: its tokens, without padding.
        padding: positions that are padding.
        maskings: it under each of the strategies.
    """

    number: int
    chunk: int
    documents: int
    places: tuple[str, str]
    tokens: int
    padding: int
    maskings: list[Masking]


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A strategy with the rates that came out.

    Attributes:
        masking: the strategy, its distribution, version and options.
        corruption: shares of mask, random and kept targets; ``None`` for a strategy that says
            itself what the model reads.
        shown: rates in the chunks that are shown.
        sample: rates in the first 1,000 training chunks, which are in a random order.
    """

    masking: dict[str, Any]
    corruption: dict[str, float] | None
    shown: Rates
    sample: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Chunks of a corpus under one or several strategies.

    Attributes:
        model: whose tokenizer it is.
        corpus: where the text was found, in words.
        training_chunks: how many chunks a run would train on.
        seed: the seed of the masks.
        epoch: the epoch whose masks they are, from 1.
        unit: what the text is shown as, ``words`` or ``tokens``.
        mask_token: how the vocabulary spells the mask token.
        strategies: each strategy with its rates.
        chunks: the chunks.
    """

    model: str
    corpus: str
    training_chunks: int
    seed: int
    epoch: int
    unit: str
    mask_token: str
    strategies: list[Used]
    chunks: list[ShownChunk]
