"""The kit of one kind of plugin: run its checks on an entry, or as the tests of a package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic

from mlmref.conformance.checks import (
    Check,
    Checks,
    Outcome,
    Report,
    SubjectT,
    check_expected,
    run_check,
    run_checks,
    told,
)
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
        """Return the subject that the checks test; ``fields`` are further fields of it.

        Raises:
            ValueError: the entry's declarations contradict each other.
        """
        if problem := entry.problem() if hasattr(entry, "problem") else None:
            raise ValueError(f"{entry.name}: {problem}")
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


def parametrize(
    checks: Checks[SubjectT],
    subjects: Sequence[tuple[str, SubjectT]],
    expected_failures: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """Return a ``pytest.mark.parametrize`` of ``check``: a test for each subject and clause."""
    import pytest

    expected = dict(expected_failures or {})
    check_expected(checks, expected)
    clauses = list(dict.fromkeys(check.clause for check in checks))
    cases = []
    for name, subject in subjects:
        for clause in clauses:
            marks = [pytest.mark.clause(clause)]
            if clause in expected:
                reason = expected[clause]
                marks.append(pytest.mark.xfail(strict=True, reason=reason, raises=AssertionError))
            of_clause = [check for check in checks if check.clause == clause]
            case = _Case(of_clause, subject)
            cases.append(pytest.param(case, marks=marks, id=f"{name}-{clause}"))
    return pytest.mark.parametrize("check", cases)


class _Case:
    """The checks of one clause on one subject; a call passes, skips or fails the test."""

    def __init__(self, checks: Sequence[Check[SubjectT]], subject: SubjectT) -> None:
        self._run: Callable[[], list[Outcome]] = lambda: [run_check(one, subject) for one in checks]

    def __call__(self) -> None:
        import pytest

        __tracebackhide__ = True  # pytest then shows the violation and not the kit's code
        outcomes = self._run()
        failed = [outcome for outcome in outcomes if outcome.status == "fail"]
        if failed:
            raise AssertionError("\n".join(line for one in failed for line in told(one)))
        hidden = [outcome for outcome in outcomes if outcome.status == "not reached"]
        if hidden:
            pytest.skip(f"not reached ({hidden[0].detail})")
        if all(outcome.status == "not applicable" for outcome in outcomes):
            pytest.skip(outcomes[0].detail)
