"""The kit for masking strategies: its checks, and the functions that run them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.conformance.checks import Checks, Report, Violation, parametrize, run_checks
from mlmref.conformance.options import check_written_and_read
from mlmref.conformance.strategies import independence, keys, processes, rates, reads, shapes
from mlmref.conformance.strategies.subject import Subject, at_every_rate
from mlmref.conformance.strategies.worlds import Case, large_cases, make_rows
from mlmref.plugin.contracts import Corruption, Options, StrategyEntry

if TYPE_CHECKING:
    import pytest

CHECKS: Checks[Subject] = Checks(
    shapes.CHECKS,
    keys.CHECKS,
    processes.CHECKS,
    rates.CHECKS,
    independence.CHECKS,
    reads.CHECKS,
)

SLOWEST = 20.0
"""Times that a strategy may take of what ``token`` takes for a batch (MASK-032)."""


def no_options(subject: Subject) -> str | None:
    """Tell why options do not apply."""
    return None if subject.entry.options.model_fields else "it has no options"


@CHECKS("MASK-031", unless=no_options)
def check_options_survive_being_written(subject: Subject) -> None:
    """Options written as JSON or TOML and read again are the same options."""
    for one in at_every_rate(subject):
        check_written_and_read(one.options)


@CHECKS("MASK-032")
def check_it_is_not_slow(subject: Subject) -> None:
    """A batch of 64 rows of 128, or 8 of 1,024, takes at most twenty times what ``token`` takes."""
    every = list(large_cases(3, subject.world))
    for case in (every[0], every[2]):  # a usual vocabulary, and a large one
        rows = case.rows
        ids, starts = (one.reshape(-1)[:8_192] for one in (rows.input_ids, rows.word_start))
        for shape in ((64, 128), (8, 1_024)):
            # The same tokens in rows of another length.
            again = make_rows(case.vocabulary, np.resize(ids, shape), np.resize(starts, shape))
            ratio = _slowness(subject, replace(case, rows=again))
            if ratio > SLOWEST:
                what = f"it takes {ratio:.0f} times as long as token masking"
                raise Violation(what, shape=shape, vocabulary_size=case.vocabulary.size)


def _slowness(subject: Subject, case: Case) -> float:
    """Return the median ratio of the times that the strategy and ``token`` take, by turns."""
    plain, ratios = builtin_token(), []
    for _ in range(15):
        times = []
        for one in (subject, plain):
            batch, draws = one.shown(case)
            strategy: Any = one.strategy()
            ask = one.ask(strategy)
            begin = process_time()  # other processes of the machine do not count
            ask(batch, draws)
            times.append(process_time() - begin)
        ratios.append(times[0] / times[1])
    return statistics.median(ratios)


def builtin_token() -> Subject:
    """Return the yardstick of speed."""
    from mlmref.masking.builtin import TokenMasking, TokenOptions

    entry = StrategyEntry(name="token", summary="-", build=TokenMasking, options=TokenOptions)
    return Subject(entry=entry, options=TokenOptions(), corruption=Corruption())


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
