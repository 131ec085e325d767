"""Checks, how they run, and their outcomes; the same for every kind of plugin.

A check is a function of a subject, such as a strategy with its options. It returns, or raises
:class:`Violation` or :class:`NotReached`. This module needs neither pytest nor Hypothesis; the
checks do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from mlmref.conformance.violation import NotReached, Violation

SubjectT = TypeVar("SubjectT")
Function = Callable[[SubjectT], None]
Reason = Callable[[SubjectT], str | None]
Status = Literal[
    "pass", "fail", "not applicable", "not reached", "expected failure", "unexpected pass"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Generic[SubjectT]):
    """One check of one clause.

    Attributes:
        clause: the clause of spec/ that it checks.
        name: the function's name.
        fact: the first line of its docstring.
        fix: an instruction for the plugin's author if the check fails.
        function: the check; raises :class:`Violation` or :class:`NotReached`.
        unless: returns why the check does not apply to a subject, or ``None`` if it applies.
    """

    clause: str
    name: str
    fact: str
    fix: str
    function: Function[SubjectT]
    unless: Reason[SubjectT]


class Checks(Generic[SubjectT]):
    """The checks of one kind of plugin, in the order in which they run.

    Used as a decorator: ``@checks("MASK-003", fix="never choose a position that batch.special
    marks")``. Add ``unless=no_words`` if the check does not apply to every plugin.
    """

    def __init__(self, *parts: Checks[SubjectT]) -> None:
        self._checks: list[Check[SubjectT]] = [check for part in parts for check in part]

    def __iter__(self) -> Iterator[Check[SubjectT]]:
        return iter(self._checks)

    def __call__(
        self, clause: str, *, fix: str, unless: Reason[SubjectT] = lambda _: None
    ) -> Callable[[Function[SubjectT]], Function[SubjectT]]:
        """Register a check of a clause; the first line of its docstring is the fact."""

        def register(function: Function[SubjectT]) -> Function[SubjectT]:
            name = getattr(function, "__name__", "")
            fact = (function.__doc__ or "").strip().partition("\n")[0]
            self._checks.append(
                Check(
                    clause=clause, name=name, fact=fact, fix=fix, function=function, unless=unless
                )
            )
            return function

        return register


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one check.

    Attributes:
        clause: the clause.
        check: the name of the check.
        fact: the fact that it checks, in one line.
        status: ``fail`` and ``unexpected pass`` are failures.
        fix: an instruction for the author if it failed; otherwise empty.
        detail: the violation, or why the check does not apply, was not reached, or is expected to
            fail.
        example: the smallest failing example; empty if none was found.
        raised: type and text of the exception if the plugin raised one; otherwise empty.
    """

    clause: str
    check: str
    fact: str
    status: Status
    fix: str = ""
    detail: str = ""
    example: Mapping[str, str]
    raised: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcomes of all checks of one subject."""

    subject: str
    outcomes: tuple[Outcome, ...]

    @property
    def ok(self) -> bool:
        """Whether each check passed, does not apply, was not reached, or failed as expected."""
        return not self.failures

    @property
    def summary(self) -> str:
        """The number of checks with each status, in one line."""
        counts = Counter(outcome.status for outcome in self.outcomes)
        return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The outcomes that are failures."""
        bad = ("fail", "unexpected pass")
        return tuple(outcome for outcome in self.outcomes if outcome.status in bad)


def run_check(check: Check[SubjectT], subject: SubjectT) -> Outcome:
    """Run one check and return its outcome; any exception of the plugin is a failure."""

    def outcome(status: Status, detail: str = "", found: Violation | None = None) -> Outcome:
        return Outcome(
            clause=check.clause,
            check=check.name,
            fact=check.fact,
            status=status,
            fix=check.fix if status == "fail" else "",
            detail=detail,
            example=found.example if found else {},
            raised=found.raised if found else "",
        )

    try:
        reason = check.unless(subject)
        if reason:
            return outcome("not applicable", reason)
        check.function(subject)
    except Violation as violation:
        return outcome("fail", violation.what, violation)
    except NotReached as undecided:
        return outcome("not reached", str(undecided))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        found = Violation.of_exception(error)
        return outcome("fail", found.what, found)
    return outcome("pass")


def run_checks(
    checks: Iterable[Check[SubjectT]],
    subject: SubjectT,
    name: str,
    expected_failures: Mapping[str, str] | None = None,
) -> Report:
    """Run checks on a subject and return the report.

    Args:
        checks: the checks.
        subject: the subject.
        name: the subject's name in the report.
        expected_failures: the reason for each clause that the subject is known to break. A listed
            clause that holds is a failure too, so that the list stays correct (KIT-003).

    Raises:
        ValueError: an expected failure names no clause of these checks, or gives no reason.
    """
    expected = dict(expected_failures or {})
    every = list(checks)
    check_expected(every, expected)
    outcomes = _one_failure_per_exception(run_check(check, subject) for check in every)
    failed = {outcome.clause for outcome in outcomes if outcome.status == "fail"}
    return Report(
        subject=name,
        outcomes=tuple(_as_expected(outcome, expected, failed) for outcome in outcomes),
    )


def _one_failure_per_exception(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes; a check that the exception of an earlier one ended is not reached."""
    cause: dict[str, str] = {}
    kept = []
    for outcome in outcomes:
        same = next((text for text in cause if text in outcome.detail), None)
        if outcome.status == "fail" and same:
            why = f"after {cause[same]}: {outcome.detail}"
            outcome = replace(outcome, status="not reached", fix="", detail=why, example={})
        elif outcome.raised:
            cause[outcome.raised] = outcome.clause
        kept.append(outcome)
    return kept


def _as_expected(outcome: Outcome, expected: Mapping[str, str], failed: set[str]) -> Outcome:
    reason = expected.get(outcome.clause)
    if reason is None or outcome.status in ("not applicable", "not reached"):
        return outcome
    if outcome.status == "fail":
        detail = f"{reason} ({outcome.detail})"
        return replace(outcome, status="expected failure", fix="", detail=detail)
    if outcome.clause in failed:  # another check of the same clause fails, as expected
        return outcome
    return replace(outcome, status="unexpected pass", detail=f"expected to fail: {reason}")


def check_expected(checks: Iterable[Check[Any]], expected: Mapping[str, str]) -> None:
    """Raise ValueError if an expected failure names no clause of the checks or has no reason."""
    clauses = {check.clause for check in checks}
    for clause, reason in expected.items():
        if clause not in clauses:
            known = ", ".join(sorted(clauses))
            raise ValueError(f"no check of {clause!r}; there are checks of {known}")
        if not reason.strip():
            raise ValueError(f"the expected failure of {clause} needs a reason")


def told(outcome: Outcome) -> list[str]:
    """Return the lines about a failure: what to change, what happened, and an example."""
    head = f"{outcome.clause} {outcome.check}: "
    lines = [head + outcome.fix, f"  {outcome.detail}"] if outcome.fix else [head + outcome.detail]
    return [*lines, *(f"  {name} = {value}" for name, value in outcome.example.items())]
