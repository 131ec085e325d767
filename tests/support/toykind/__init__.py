"""A kind of plugin that mlmref does not have: token filters, declared here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import pluggy

from mlmref.conformance.checks import Checks
from mlmref.conformance.kit import Kit
from mlmref.conformance.violation import Violation
from mlmref.plugin.contracts import Options
from mlmref.plugin.kinds import KINDS, Kind


class TokenFilter(Protocol):
    """Decides which token ids to keep."""

    def keep(self, ids: list[int]) -> list[bool]:
        """Return for each id whether to keep it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterEntry:
    """A token filter as its plugin registers it."""

    name: str
    summary: str
    build: Callable[[Any], TokenFilter]
    options: type[Options] = Options
    most: int = 1

    def problem(self) -> str | None:
        """Return how the declarations contradict each other."""
        return None if self.most > 0 else "most is not positive"


@pluggy.HookspecMarker("mlmref")
def mlmref_token_filters() -> Iterable[FilterEntry]:
    """Return the token filters of this plugin."""
    raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A token filter under test."""

    entry: FilterEntry
    options: Options


CHECKS: Checks[Subject] = Checks()


@CHECKS("TOY-001", fix="return one answer for each id")
def check_each_id_has_an_answer(subject):
    """Each id has an answer."""
    answers = subject.entry.build(subject.options).keep([1, 2, 3])
    if len(answers) != 3:
        raise Violation(f"keep gave {len(answers)} answers for 3 ids")


KIT: Kit[FilterEntry, Subject] = Kit(CHECKS, Subject)

FILTER: Kind[FilterEntry] = Kind(
    name="token filter",
    plural="filters",
    entry_type="support.toykind:FilterEntry",
    hookspec="support.toykind:mlmref_token_filters",
    method="keep",
    setting="tokens.filter",
    flag="filter",
    record="tokens",
    kit="support.toykind:KIT",
    clause="TOY-001",
    template="support.toykind:filter.py.template",
)


def main() -> None:
    """Run mlmref with the kind declared."""
    KINDS.append(FILTER)
    from mlmref.cli import main

    main()
