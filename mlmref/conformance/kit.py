"""The kit of one kind of plugin: run its checks on an entry, or as the tests of a package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic

from mlmref.conformance.checks import Checks, Report, SubjectT, parametrize, run_checks
from mlmref.plugin.contracts import Options
from mlmref.plugin.kinds import EntryT

if TYPE_CHECKING:
    import pytest

GivenOptions = Options | Mapping[str, Any]
"""Options as their own type, or as a mapping that its type validates."""


class Kit(Generic[EntryT, SubjectT]):
    """The kit of one kind of plugin.

    Args:
        checks: all checks of the kind.
        subject: makes the subject of the checks from ``entry=`` and its complete ``options=``.
    """

    def __init__(self, checks: Checks[SubjectT], subject: Callable[..., SubjectT]) -> None:
        self.checks = checks
        self._subject = subject

    def subject(
        self, entry: EntryT, options: GivenOptions | None = None, **fields: Any
    ) -> SubjectT:
        """Return the subject that the checks test; ``fields`` are further fields of it."""
        if not isinstance(options, Options):
            options = entry.options(**(options or {}))
        return self._subject(entry=entry, options=options, **fields)

    def check(
        self,
        entry: EntryT,
        options: GivenOptions | None = None,
        *,
        expected_failures: Mapping[str, str] | None = None,
    ) -> Report:
        """Check an entry against every clause that applies to its kind.

        Args:
            entry: as its plugin registers it.
            options: as a run would use them; by default the entry's own defaults.
            expected_failures: the reason for each clause that the entry is known to break. A
                listed clause that holds is reported as wrong (KIT-003).

        Returns:
            The outcome of each check; ``report.ok`` is true if none is wrong.
        """
        return run_checks(self.checks, self.subject(entry, options), entry.name, expected_failures)

    def parametrize(
        self,
        entries: Iterable[EntryT | tuple[EntryT, GivenOptions]],
        *,
        expected_failures: Mapping[str, str] | None = None,
    ) -> pytest.MarkDecorator:
        """Return a pytest decorator that runs ``check`` once for each entry and clause.

        Example::

            @parametrize_strategy_checks([entry], expected_failures={"MASK-035": "holds a lambda"})
            def test_it_conforms(check):
                check()

        Args:
            entries: entries as registered, each alone or with its options.
            expected_failures: as of :meth:`check`, for all entries.
        """
        subjects = []
        for one in entries:
            entry, options = one if isinstance(one, tuple) else (one, None)
            subjects.append((entry.name, self.subject(entry, options)))
        return parametrize(self.checks, subjects, expected_failures)
