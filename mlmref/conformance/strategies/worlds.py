"""The vocabularies and rows that strategies are tested on.

Hypothesis draws small cases (:mod:`mlmref.conformance.strategies.drawn`). Large cases come from
NumPy with fixed seeds: hundreds of text-like rows, which show a bug that affects one token in
thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from mlmref.conformance.strategies.rows import cut_rows, make_rows, take_rows
from mlmref.plugin.arrays import Int32Array
from mlmref.plugin.batches import ChunkRows, Vocabulary
from mlmref.plugin.draws import EVALUATION_PASS

SHAPES = ((64, 128), (256, 32), (8, 512), (4, 4096), (64, 128), (65, 77), (128, 64))
"""Rows and positions of the large cases, in turn."""

HUGE = {7: (1, 70_001), 11: (70_001, 1)}
"""The numbers of the cases whose positions or rows do not fit in 16 bits, and their shapes."""

KEYS = ((42, 0), (42, 1), (42, EVALUATION_PASS), (0, 0), (2**63, 9), (1234567890123, 300))
"""Seeds and passes of the large cases, in turn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # arrays compare cell by cell
class World:
    """A vocabulary and the roles of its tokens.

    Attributes:
        vocabulary: the vocabulary.
        begins: the ids that can begin a word.
        continues: the ids that can continue a word. Both are all ordinary ids, unless a tokenizer
            says otherwise.
        cls_id: the token before a document.
        sep_id: the token after a document.
    """

    vocabulary: Vocabulary
    begins: Int32Array
    continues: Int32Array
    cls_id: int
    sep_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Rows to mask, and the key of their draws."""

    vocabulary: Vocabulary
    rows: ChunkRows
    seed: int = 42
    pass_: int = 0

    @property
    def example(self) -> dict[str, Any]:
        """The case as names and values; lengths only if a row is padded."""
        example = {
            "input_ids": self.rows.input_ids,
            "lengths": self.rows.lengths,
            "word_start": self.rows.word_start.astype(int),
            "chunk_ids": self.rows.chunk_ids,
            "special_ids": self.vocabulary.special_ids,
            "vocabulary_size": self.vocabulary.size,
            "seed": self.seed,
            "pass": self.pass_,
        }
        if (self.rows.lengths == self.rows.input_ids.shape[1]).all():
            del example["lengths"]
        return example


def make_vocabulary(size: int, special: Int32Array, mask_id: int, pad_id: int) -> Vocabulary:
    """Return a vocabulary in which all other ids are ordinary, with counts as of a text."""
    ids = np.arange(size, dtype=np.int32)
    continues = (ids % 3 == 0) & ~np.isin(ids, special)
    special = np.sort(special).astype(np.int32)
    return Vocabulary(
        size=size,
        mask_id=mask_id,
        pad_id=pad_id,
        special_ids=special,
        ordinary_ids=np.setdiff1d(ids, special),
        counts=10_000 // (1 + ids.astype(np.int64) * 7 % size),
        continues=continues,
        spelled=tuple(map(_spelled, ids.tolist(), continues.tolist())),
    )


def _spelled(number: int, continues: bool) -> str:
    """Return a token: a number for every seventh id, letters for the others."""
    letters = str(number).translate(_LETTERS) if number % 7 else str(number)
    return "##" * continues + letters


_LETTERS = str.maketrans("0123456789", "etaoinshrd")


@lru_cache(maxsize=1)
def worlds() -> tuple[World, ...]:
    """Return the vocabularies of the large cases: like BERT's, an unusual one, a large one."""
    usual = np.arange(5, dtype=np.int32)
    odd = np.array([3, 250, 251, 499, 611], dtype=np.int32)
    far = np.array([0, 1, 2, 3, 70_000], dtype=np.int32)
    return (
        _world(make_vocabulary(1_000, usual, mask_id=4, pad_id=0), cls_id=2, sep_id=3),
        # The mask token in the middle, the last id special, padding with an ordinary token.
        _world(make_vocabulary(612, odd, mask_id=250, pad_id=17), cls_id=3, sep_id=611),
        # Like XLM-R: ids do not fit in 16 bits, and the mask token is the last one.
        _world(make_vocabulary(70_001, far, mask_id=70_000, pad_id=1), cls_id=0, sep_id=2),
    )


def _world(vocabulary: Vocabulary, cls_id: int, sep_id: int) -> World:
    ordinary = vocabulary.ordinary_ids
    return World(
        vocabulary=vocabulary, begins=ordinary, continues=ordinary, cls_id=cls_id, sep_id=sep_id
    )


def large_cases(count: int, world: World | None = None) -> Iterator[Case]:
    """Yield large cases, always the same; by default of all :func:`worlds` in turn."""
    for number in range(count):
        chosen = world or worlds()[number % len(worlds())]
        # A subject with one world is a collator, which takes a second for a huge batch.
        rows = _text_like(world, number, SHAPES) if world else _large_rows(number)
        seed, pass_ = KEYS[number % len(KEYS)]
        yield Case(vocabulary=chosen.vocabulary, rows=rows, seed=seed, pass_=pass_)


@lru_cache(maxsize=256)
def _large_rows(number: int) -> ChunkRows:
    shapes = [HUGE[number]] if number in HUGE else SHAPES
    return _text_like(worlds()[number % len(worlds())], number, shapes)


def _text_like(world: World, number: int, shapes: Sequence[tuple[int, int]]) -> ChunkRows:
    """Return rows of mostly short documents; some rows are short or have very long words."""
    rng = np.random.default_rng(number)
    shape = height, width = shapes[number % len(shapes)]
    # Word lengths are geometric; the first token of a row may be in the middle of a word.
    often = rng.choice(
        [0.6, 0.6, 0.6, 0.95, 0.1, 0.0], (height, 1), p=[0.3, 0.3, 0.3, 0.05, 0.04, 0.01]
    )
    if height == 1:
        often = np.array([[0.0003]])  # words of thousands of tokens
    word_start = rng.random(shape) < often
    # A document ends with a separator, and the next begins with its own token.
    ends = rng.random(shape) < rng.choice([1 / 25, 1 / 25, 1 / 400], (height, 1))
    begins = np.zeros(shape, dtype=np.bool_)
    begins[:, 1:] = ends[:, :-1]
    ends &= ~begins
    input_ids = np.where(
        word_start, _sweep(world.begins, shape, rng), _sweep(world.continues, shape, rng)
    )
    input_ids[begins], input_ids[ends] = world.cls_id, world.sep_id
    # Special tokens within the text, as in a text about tokenizers.
    stray = rng.random(shape) < 1 / 400
    input_ids[stray] = rng.choice(world.vocabulary.special_ids, int(stray.sum()))
    lengths = np.where(rng.random(height) < 0.9, width, rng.integers(0, width + 1, height))
    # Most chunk ids are small, as in a small corpus; some need all 64 bits.
    chunk_ids = rng.permutation(4 * height)[:height] + number * 300_000
    if number % 4 == 3:
        chunk_ids += rng.integers(-(2**62), 2**62)
    return make_rows(world.vocabulary, input_ids, word_start, lengths, chunk_ids)


def _sweep(pool: Int32Array, shape: tuple[int, int], rng: np.random.Generator) -> Int32Array:
    """Return an array in which each id of a pool occurs about equally often."""
    size = shape[0] * shape[1]
    order: Int32Array = np.resize(rng.permutation(pool), size).astype(np.int32)
    return rng.permutation(order).reshape(shape)


def short_rows(case: Case) -> Iterator[Case]:
    """Yield cases with the same text and seed in rows of eight tokens, with other chunk ids."""
    ids = case.rows.input_ids
    count = ids.size // 8
    for turn in range(100 if count else 0):
        rows = make_rows(
            case.vocabulary,
            ids.reshape(-1)[: 8 * count].reshape(count, 8),
            case.rows.word_start.reshape(-1)[: 8 * count].reshape(count, 8),
            chunk_ids=np.arange(turn * count, (turn + 1) * count),
        )
        yield replace(case, rows=rows)


def sweeps(world: World, times: int) -> Iterator[Case]:
    """Yield cases with one-token words in which each id occurs ``times`` times, anywhere."""
    for number in range(-(-times * len(world.begins) // 8_192)):
        rng = np.random.default_rng(number)
        ids = np.resize(world.begins, (number + 1) * 8_192)[-8_192:]
        chunk_ids = np.arange(64) + (1 << 50) + 64 * number
        rows = make_rows(
            world.vocabulary, rng.permutation(ids).reshape(64, 128), None, None, chunk_ids
        )
        yield Case(vocabulary=world.vocabulary, rows=rows)


def shrink(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Return a smaller failing case: with fewer rows, then with fewer positions."""

    def halved(case: Case, parts: Callable[[ChunkRows, int], list[ChunkRows]], size: int) -> Case:
        step = size // 2
        while step:
            smaller = [replace(case, rows=rows) for rows in parts(case.rows, step)]
            found = next((one for one in smaller if fails(one)), None)
            case, step = (case, step // 2) if found is None else (found, step)
        return case

    def fewer_rows(rows: ChunkRows, step: int) -> list[ChunkRows]:
        every = np.arange(len(rows.lengths))
        return [take_rows(rows, part) for part in (every[:-step], every[step:]) if len(part)]

    def fewer_positions(rows: ChunkRows, step: int) -> list[ChunkRows]:
        width = rows.input_ids.shape[1]
        return [
            cut_rows(rows, first, end)
            for first, end in ((0, width - step), (step, width))
            if first < end
        ]

    case = halved(case, fewer_rows, 2 * len(case.rows.lengths))
    return halved(case, fewer_positions, 2 * case.rows.input_ids.shape[1])
