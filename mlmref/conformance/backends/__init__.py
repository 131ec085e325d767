"""The kit for training backends: its checks, and the functions that run them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlmref.conformance.backends import around, resume, steps
from mlmref.conformance.backends.subject import BackendSubject
from mlmref.conformance.checks import Checks, Report, parametrize, run_checks
from mlmref.plugin.contracts import BackendEntry, Options

if TYPE_CHECKING:
    import pytest

CHECKS: Checks[BackendSubject] = Checks(steps.CHECKS, around.CHECKS, resume.CHECKS)

Entries = Iterable[BackendEntry | tuple[BackendEntry, Options | Mapping[str, Any]]]


def backend_subject(
    entry: BackendEntry, options: Options | Mapping[str, Any] | None = None
) -> BackendSubject:
    """Return an entry on the bench."""
    if not isinstance(options, Options):
        options = entry.options(**(options or {}))
    return BackendSubject(entry=entry, options=options)


def check_backend(
    entry: BackendEntry,
    options: Options | Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Report:
    """Hold a training backend against every clause of spec/backends.md that is a backend's.

    Args:
        entry: as its plugin registers it.
        options: as a run would be given; the defaults by default.
        expected_failures: clauses that are known not to hold, each with the reason; strict.

    Returns:
        What came of each check; ``report.ok`` tells whether all is well.
    """
    return run_checks(CHECKS, backend_subject(entry, options), entry.name, expected_failures)


def parametrize_backend_checks(
    entries: Entries, *, expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Make a pytest decorator that runs ``check`` once for each entry and clause.

    Example::

        @parametrize_backend_checks([entry], expected_failures={"BACK-025": "writes a log"})
        def test_it_conforms(check):
            check()

    Args:
        entries: backends as registered, each alone or with its options.
        expected_failures: as of :func:`check_backend`, for all of them.
    """
    pairs: Sequence[Any] = [one if isinstance(one, tuple) else (one, None) for one in entries]
    subjects = [(entry.name, backend_subject(entry, options)) for entry, options in pairs]
    return parametrize(CHECKS, subjects, expected_failures)
