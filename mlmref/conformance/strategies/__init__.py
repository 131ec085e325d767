"""The kit for masking strategies: its checks, and the functions that run them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlmref.conformance.checks import Checks, Report, parametrize, run_checks
from mlmref.conformance.options import check_written_and_read
from mlmref.conformance.strategies import independence, keys, processes, rates, reads, shapes, speed
from mlmref.conformance.strategies.subject import Subject, at_every_rate
from mlmref.plugin.contracts import Options, StrategyEntry

if TYPE_CHECKING:
    import pytest

_OPTIONS: Checks[Subject] = Checks()


def no_options(subject: Subject) -> str | None:
    """Tell why options do not apply."""
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


CHECKS: Checks[Subject] = Checks(
    shapes.CHECKS,
    keys.CHECKS,
    processes.CHECKS,
    rates.CHECKS,
    independence.CHECKS,
    reads.CHECKS,
    _OPTIONS,
    speed.CHECKS,
)

Entries = Iterable[StrategyEntry | tuple[StrategyEntry, Options | Mapping[str, Any]]]


def subject_of(
    entry: StrategyEntry, options: Options | Mapping[str, Any] | None = None, **fields: Any
) -> Subject:
    """Return an entry on the bench; ``fields`` as of :class:`Subject`."""
    if not isinstance(options, Options):
        options = entry.options(**(options or {}))
    return Subject(entry=entry, options=options, **({"corruption": entry.corruption} | fields))


def check_strategy(
    entry: StrategyEntry,
    options: Options | Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Report:
    """Hold a masking strategy against every clause of spec/masking.md that is a strategy's.

    Args:
        entry: as its plugin registers it.
        options: as a run would be given; the defaults by default.
        expected_failures: clauses that are known not to hold, each with the reason; strict.

    Returns:
        What came of each check; ``report.ok`` tells whether all is well.
    """
    return run_checks(CHECKS, subject_of(entry, options), entry.name, expected_failures)


def parametrize_strategy_checks(
    entries: Entries, *, expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Make a pytest decorator that runs ``check`` once for each entry and clause.

    Example::

        @parametrize_strategy_checks([entry], expected_failures={"MASK-035": "holds a lambda"})
        def test_it_conforms(check):
            check()

    Args:
        entries: strategies as registered, each alone or with its options.
        expected_failures: as of :func:`check_strategy`, for all of them.
    """
    pairs: Sequence[Any] = [one if isinstance(one, tuple) else (one, None) for one in entries]
    subjects = [(entry.name, subject_of(entry, options)) for entry, options in pairs]
    return parametrize(CHECKS, subjects, expected_failures)
