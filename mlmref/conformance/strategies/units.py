"""The units of a rate: ordinary tokens or words, sorted into strata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlmref.conformance.strategies.subject import Subject
from mlmref.conformance.strategies.worlds import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Units of a mask in order: ordinary tokens, or words.

    Attributes:
        chosen: for each rate bool ``[n]``, whether the unit is a target.
        strata: for each property of units its value, int ``[n]``.
    """

    chosen: list[Any]
    strata: dict[str, Any]


def firsts(subject: Subject, case: Case) -> Any:
    """Return bool ``[B, T]``, true at the first token of each unit."""
    batch, _ = subject.shown(case)
    if subject.entry.rate != "word":
        return ~batch.special
    begins = batch.words >= 0
    begins[:, 1:] &= batch.words[:, 1:] != batch.words[:, :-1]
    return begins


def units_of(subjects: list[Subject], case: Case, frequent: Any) -> Units:
    """Return the units of a case, as masked by the same strategy at several rates.

    Args:
        subjects: the strategy at each rate.
        case: the rows to mask.
        frequent: bool ``[size]``, whether an id is more frequent than the median.
    """
    first = firsts(subjects[0], case)
    return Units(
        chosen=[one.targets(case)[first] for one in subjects],
        strata=words_of(subjects[0], case, first) | strata_of(subjects[0], case, first, frequent),
    )


def words_of(subject: Subject, case: Case, first: Any) -> dict[str, Any]:
    """Return the strata of units that are words; empty for tokens."""
    if subject.entry.rate != "word":
        return {}
    words = subject.shown(case)[0].words
    numbers = np.cumsum(first.reshape(-1)) - 1
    lengths = np.bincount(numbers[(words >= 0).reshape(-1)], minlength=int(first.sum()))
    return {
        "tokens in the word": np.minimum(lengths, 40),
        "tokens in the word, to the next power of two, 2 to the": powers(lengths),
        "word": words[first],
        "word, modulo 2": words[first] % 2,
    }


def strata_of(subject: Subject, case: Case, first: Any, frequent: Any) -> dict[str, Any]:
    """Return for each property of the positions ``first`` its value, int ``[n]``."""
    batch, _ = subject.shown(case)
    rows, positions = np.nonzero(first)
    ids, length = case.rows.input_ids, case.rows.lengths[rows]
    left, right = np.maximum(positions - 1, 0), np.minimum(positions + 1, first.shape[1] - 1)
    return {
        "token id": ids[first],
        "token id modulo 2": ids[first] % 2,
        "token id, to the next power of two, 2 to the": powers(ids[first] + 1),
        "token more frequent than most (0 or 1)": frequent[ids[first]],
        "the token after id": ids[rows, left],
        "the token after an id modulo 2": ids[rows, left] % 2,
        "the token before id": ids[rows, right],
        "special tokens before and after": batch.special[rows, left]
        + 2 * batch.special[rows, right],
        "position": positions,
        "position modulo 4": positions % 4,
        "position, to the next power of two, 2 to the": powers(positions + 1),
        "position from the end of the row": length - 1 - positions,
        "a row that is padded (0 or 1)": length < first.shape[1],
        "row": rows,
        "row modulo 2": rows % 2,
        "chunk id modulo 64": case.rows.chunk_ids[rows] % 64,
        "chunk id modulo 2": case.rows.chunk_ids[rows] % 2,
        "a negative chunk id (0 or 1)": case.rows.chunk_ids[rows] < 0,
    }


def powers(values: Any) -> Any:
    """Return for each positive number the exponent of the next power of two."""
    return np.ceil(np.log2(values)).astype(np.int64)
