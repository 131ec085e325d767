"""Held-out chunks with the model's answer at each masked position (REP-012)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlmref.results.report.saved_run import SavedRun

_AT_ONCE = 3  # chunks that are open at first


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The model's answer at a target.

    Attributes:
        chance: the probability of the true token.
        right: whether the true token was the first choice.
        best: the best answers: text, probability, and whether it is the true token's text.
    """

    chance: float
    right: bool
    best: list[tuple[str, float, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One or more tokens of a chunk, shown together.

    Attributes:
        text: their text.
        joined: whether they continue the word before.
        kind: their kind, one of :data:`mlmref.masking.rates.NAMES` or ``boundary``.
        row: the id of a target; empty if they are no target.
        read: the token that the model read at a target.
        before, after: the model's answers at a target.
    """

    text: str
    joined: bool
    kind: str
    row: str = ""
    read: str = ""
    before: Answer | None = None
    after: Answer | None = None

    @property
    def state(self) -> str:
        """How training changed the answer at a target: a key of :data:`SIGNS`."""
        if self.after is None:
            return "unknown"
        was = self.before is not None and self.before.right
        now = self.after.right
        return ("right" if was else "gained") if now else ("lost" if was else "wrong")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A held-out chunk as text.

    Attributes:
        where: the places of its documents in the user's files, or its number from 1 if an older
            mlmref wrote the run.
        tokens, shown: the number of tokens, and of those that are shown.
        units: its content.
        folded: whether it is closed at first.
    """

    where: str
    tokens: int
    shown: int
    units: list[Unit]
    folded: bool

    @property
    def targets(self) -> list[Unit]:
        """The masked positions."""
        return [one for one in self.units if one.row]


SIGNS = {
    "right": ("✓", "right before and after"),
    "gained": ("+", "right only after"),
    "lost": ("−", "right only before"),
    "wrong": ("", "not the first choice"),
    "unknown": ("", "not known"),
}
"""The sign of each state, which supplements the color, and its meaning."""


def explorer(run: SavedRun) -> list[Chunk]:
    """Return the chunks that the run kept, with the model's answers."""
    answers = run.kept.get("answers", {})
    found = []
    for nth, chunk in enumerate(run.kept.get("explorer", [])):
        sides = [[*answers[when][nth]] if answers.get(when) else [] for when in ("before", "after")]
        units, asked = [], 0
        for text, joined, kind, *target in chunk["units"]:
            unit = Unit(text=str(text), joined=bool(joined), kind=str(kind))
            if target:
                read, own = map(str, target)
                before, after = (
                    _answer(side[asked], own) if asked < len(side) else None for side in sides
                )
                unit = Unit(
                    text=unit.text,
                    joined=unit.joined,
                    kind=unit.kind,
                    row=f"at-{nth}-{asked}",
                    read=read,
                    before=before,
                    after=after,
                )
                asked += 1
            units.append(unit)
        found.append(
            Chunk(
                where=_where(chunk),
                tokens=int(chunk["tokens"]),
                shown=int(chunk["shown"]),
                units=units,
                folded=nth >= _AT_ONCE,
            )
        )
    return found


def _where(chunk: Mapping[str, Any]) -> str:
    places = dict.fromkeys(map(str, chunk.get("places", ())))
    return f"Chunk of {' to '.join(places)}" if places else f"Chunk {int(chunk['chunk']) + 1:,}"


def _answer(one: Mapping[str, Any], own: str) -> Answer:
    return Answer(
        chance=math.exp(-float(one["nll"])),
        right=int(one["rank"]) == 0,
        best=[(str(text), float(p), str(text) == own) for text, p in one["best"]],
    )
