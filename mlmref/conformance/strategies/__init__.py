"""The kit for masking strategies."""

from __future__ import annotations

from typing import Any

from mlmref.conformance.checks import Checks
from mlmref.conformance.kit import Kit
from mlmref.conformance.options import check_written_and_read
from mlmref.conformance.strategies import (
    expected,
    expected_rates,
    independence,
    keys,
    processes,
    rates,
    reads,
    shapes,
    speed,
)
from mlmref.conformance.strategies.subject import Subject, at_every_rate
from mlmref.plugin.contracts import Options, StrategyEntry

_OPTIONS: Checks[Subject] = Checks()


def no_options(subject: Subject) -> str | None:
    """Return why checks of options do not apply, or ``None`` if they do."""
    return None if subject.entry.options.model_fields else "it has no options"


@_OPTIONS(
    "MASK-031",
    fix="use option types that JSON and TOML can hold, and exclude no option",
    unless=no_options,
)
def check_options_survive_being_written(subject: Subject) -> None:
    """Options written as JSON or TOML and read again are the same options."""
    for one in at_every_rate(subject):
        check_written_and_read(one.options)


def _subject(entry: StrategyEntry, options: Options, **fields: Any) -> Subject:
    """Return a strategy under test, with its own corruption policy by default."""
    return Subject(entry=entry, options=options, **({"corruption": entry.corruption} | fields))


KIT: Kit[StrategyEntry, Subject] = Kit(
    Checks(
        shapes.CHECKS,
        keys.CHECKS,
        processes.CHECKS,
        rates.CHECKS,
        independence.CHECKS,
        expected.CHECKS,
        expected_rates.CHECKS,
        reads.CHECKS,
        _OPTIONS,
        speed.CHECKS,
    ),
    _subject,
)
