"""Checks, how they run, and their outcomes; the same for every kind of plugin.

A check is a plain function of a subject (a strategy or a backend with its options) that returns,
or raises :class:`Violation`. Nothing here or in the modules that it imports needs pytest or
Hypothesis; the checks do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

READABLE = 500
"""Values of an array that an example shows."""

SubjectT = TypeVar("SubjectT")
Function = Callable[[SubjectT], None]
Reason = Callable[[SubjectT], str | None]
Status = Literal[
    "pass", "fail", "not applicable", "not reached", "expected failure", "unexpected pass"
]


class Violation(Exception):  # noqa: N818 - it is what a check finds, not an error of the kit
    """A clause does not hold.

    Args:
        what: what happened, without a full stop.
        example: the smallest case found, as names and printable values.
    """

    def __init__(self, what: str, **example: Any) -> None:
        super().__init__(what)
        self.what = what
        self.shown = example
        self.example = {name: _printable(value) for name, value in example.items()}

    def __str__(self) -> str:
        lines = [self.what, *(f"  {name} = {value}" for name, value in self.example.items())]
        return "\n".join(lines)


class NotReached(Exception):  # noqa: N818 - it is the state of a check, not an error of the kit
    """A check could not be decided, so that it neither passes nor fails (KIT-010).

    Args:
        why: ``after BACK-012`` if a failure of that clause hides the answer, or another reason.
    """


def _printable(value: Any) -> str:
    """Write arrays as lists, which can be pasted back; those that nobody would read, as shapes.

    What fails by chance cannot be made small: the same rows may pass when asked again.
    """
    if getattr(value, "size", 0) > READABLE:
        return f"<{' x '.join(map(str, value.shape))} values>"
    return repr(value.tolist() if hasattr(value, "tolist") else value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Generic[SubjectT]):
    """One check of one clause.

    Attributes:
        clause: the clause of spec/ that it checks.
        name: the function's name.
        fact: the first line of its docstring.
        fix: what the author of a plugin changes if the check fails, as an instruction.
        function: the check itself; raises :class:`Violation` or :class:`NotReached`.
        unless: tells why it does not apply to a subject, or ``None`` if it does.
    """

    clause: str
    name: str
    fact: str
    fix: str
    function: Function[SubjectT]
    unless: Reason[SubjectT]


class Checks(Generic[SubjectT]):
    """The checks of one kind of plugin, in the order in which they run.

    A decorator: ``@checks("MASK-003", fix="never choose a position that batch.special marks")``,
    with ``unless=promises_no_words`` if it does not apply to every plugin.
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
    """What came of one check.

    Attributes:
        clause: the clause checked.
        check: the check's name.
        fact: what it checks, in a line.
        status: ``fail`` and ``unexpected pass`` are the bad ones.
        fix: what to change if it failed; otherwise empty.
        detail: the violation, or why the check does not apply, was not reached, or is expected to
            fail.
        example: the smallest failing example that was found; empty unless there is one.
    """

    clause: str
    check: str
    fact: str
    status: Status
    fix: str = ""
    detail: str = ""
    example: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of all checks of one subject."""

    subject: str
    outcomes: tuple[Outcome, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed that was to pass, nor passed that was to fail."""
        return not self.failures

    @property
    def summary(self) -> str:
        """How many checks came to what, in a line."""
        counts = Counter(outcome.status for outcome in self.outcomes)
        return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """What is wrong."""
        bad = ("fail", "unexpected pass")
        return tuple(outcome for outcome in self.outcomes if outcome.status in bad)


def run_check(check: Check[SubjectT], subject: SubjectT) -> Outcome:
    """Run one check; whatever the plugin raises is a failure of the check."""

    def outcome(status: Status, detail: str = "", example: Mapping[str, str] = {}) -> Outcome:
        return Outcome(
            clause=check.clause,
            check=check.name,
            fact=check.fact,
            status=status,
            fix=check.fix if status == "fail" else "",
            detail=detail,
            example=example,
        )

    try:
        reason = check.unless(subject)
        if reason:
            return outcome("not applicable", reason)
        check.function(subject)
    except Violation as violation:
        return outcome("fail", violation.what, violation.example)
    except NotReached as undecided:
        return outcome("not reached", str(undecided))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        return outcome("fail", " ".join(f"{type(error).__name__}: {error}".split()))
    return outcome("pass")


def run_checks(
    checks: Iterable[Check[SubjectT]],
    subject: SubjectT,
    name: str,
    expected_failures: Mapping[str, str] | None = None,
) -> Report:
    """Run checks against a subject.

    Args:
        checks: which.
        subject: what they are run against.
        name: what the report calls it.
        expected_failures: clauses that are known not to hold, each with the reason; one that
            holds after all is wrong as well, so that the list cannot go stale (KIT-003).

    Raises:
        ValueError: an expected failure names no clause of these checks, or gives no reason.
    """
    expected = dict(expected_failures or {})
    every = list(checks)
    check_expected(every, expected)
    outcomes = [run_check(check, subject) for check in every]
    failed = {outcome.clause for outcome in outcomes if outcome.status == "fail"}
    return Report(
        subject=name,
        outcomes=tuple(_as_expected(outcome, expected, failed) for outcome in outcomes),
    )


def _as_expected(outcome: Outcome, expected: Mapping[str, str], failed: set[str]) -> Outcome:
    reason = expected.get(outcome.clause)
    if reason is None or outcome.status in ("not applicable", "not reached"):
        return outcome
    if outcome.status == "fail":
        detail = f"{reason} ({outcome.detail})"
        return replace(outcome, status="expected failure", fix="", detail=detail)
    if outcome.clause in failed:  # another check of the same clause fails, as it should
        return outcome
    return replace(outcome, status="unexpected pass", detail=f"expected to fail: {reason}")


def check_expected(checks: Iterable[Check[Any]], expected: Mapping[str, str]) -> None:
    """Refuse expected failures that name no clause or give no reason."""
    clauses = {check.clause for check in checks}
    for clause, reason in expected.items():
        if clause not in clauses:
            raise ValueError(f"no check is of {clause!r}; there are {', '.join(sorted(clauses))}")
        if not reason.strip():
            raise ValueError(f"the expected failure of {clause} needs a reason")


def told(outcome: Outcome) -> list[str]:
    """Return the lines about a failure: what to change first, what happened, and an example."""
    head = f"{outcome.clause} {outcome.check}: "
    lines = [head + outcome.fix, f"  {outcome.detail}"] if outcome.fix else [head + outcome.detail]
    return [*lines, *(f"  {name} = {value}" for name, value in outcome.example.items())]
