"""What a check, an outcome and a report are, whatever the plugin (spec/conformance.md, KIT)."""

import sys

import pytest
from support.processes import run
from support.specification import KINDS, load_kit, read_clauses

from mlmref.conformance.checks import Checks, run_checks, told
from mlmref.conformance.kit import parametrize
from mlmref.conformance.violation import NotReached, Violation

CHECKS = Checks()


@CHECKS("AAA-001", fix="add one")
def check_it_is_even(subject):
    """The number is even."""
    if subject % 2:
        raise Violation("it is odd", number=subject)


@CHECKS("AAA-001", fix="take 14")
def check_it_is_not_thirteen(subject):
    """The number is not 13."""
    if subject == 13:
        raise ZeroDivisionError("unlucky")


@CHECKS(
    "AAA-002",
    fix="subtract",
    unless=lambda subject: "it is negative" if subject < 0 else None,
)
def check_it_has_a_digit(subject):
    """The number has one digit."""
    if subject > 9:
        raise Violation("it has more")


def statuses(subject, **expected):
    """Return what came of each check."""
    named = {key.replace("_", "-"): reason for key, reason in expected.items()}
    return [one.status for one in run_checks(CHECKS, subject, "n", named).outcomes]


@pytest.mark.clause("KIT-001")
def test_every_check_of_the_kit_is_of_a_clause_and_states_its_fact():
    """Each cites a clause that there is, has a docstring, and its name tells it from all others."""
    known = {clause.id for clause in read_clauses()}
    kits = load_kit()
    assert set(kits) == set(KINDS)
    for kind in KINDS:
        checks = list(sys.modules[f"mlmref.conformance.{kind}"].KIT.checks)
        assert len({check.name for check in checks}) == len(checks) > 5
        for check in checks:
            assert check.clause in known
            assert check.fact.endswith("."), check.name
            assert 10 < len(check.fix) < 100, check.name
            assert not check.fix.endswith("."), check.name


@pytest.mark.clause("KIT-002")
def test_every_check_of_the_kit_rejects_a_mutant():
    """No check is without a faulty plugin that names it as the first to reject it."""
    for kind, kit in load_kit().items():
        assert set(kit.checks) == set(kit.rejected_by), kind


@pytest.mark.clause("KIT-006")
def test_a_violation_is_told_with_its_example():
    """The outcome has what happened and the case, as text that can be pasted back."""
    outcome = run_checks(CHECKS, 7, "seven").outcomes[0]
    assert (outcome.status, outcome.detail, outcome.example) == (
        "fail",
        "it is odd",
        {"number": "7"},
    )
    assert outcome.fact == "The number is even."


@pytest.mark.clause("KIT-006")
def test_whatever_a_plugin_raises_is_a_failure():
    """An error that is no violation fails the check and is named."""
    report = run_checks(CHECKS, 13, "thirteen")
    assert [one.status for one in report.outcomes] == ["fail", "fail", "fail"]
    assert report.outcomes[1].detail == "it raised ZeroDivisionError: unlucky"
    assert not report.ok
    assert report.summary == "3 fail"


UNDECIDED = Checks()


@UNDECIDED("AAA-001", fix="add one")
def check_nothing_hides_it(subject):
    """The number can be looked at."""
    raise NotReached("after AAA-009")


@pytest.mark.clause("KIT-010")
def test_a_check_that_is_not_decided_does_not_pass():
    """It is not reached, says why, and is neither a failure nor an expected one."""
    report = run_checks(UNDECIDED, 7, "seven", {"AAA-001": "odd"})
    (outcome,) = report.outcomes
    assert (outcome.status, outcome.detail, outcome.fix) == ("not reached", "after AAA-009", "")
    assert report.summary == "1 not reached"


@pytest.mark.clause("KIT-010")
def test_under_pytest_a_check_that_is_not_decided_is_skipped():
    """The reason of the skip is what hides it."""
    (case,) = parametrize(UNDECIDED, [("seven", 7)]).args[1]
    with pytest.raises(pytest.skip.Exception, match=r"not reached \(after AAA-009\)"):
        case.values[0]()


@pytest.mark.clause("KIT-011")
def test_a_failure_says_first_what_to_change():
    """Before what happened; a check that passes, or fails as expected, has nothing to change."""
    outcomes = run_checks(CHECKS, 7, "seven").outcomes
    assert [one.fix for one in outcomes] == ["add one", "", ""]
    assert told(outcomes[0]) == [
        "AAA-001 check_it_is_even: add one",
        "  it is odd",
        "  number = 7",
    ]
    assert run_checks(CHECKS, 7, "seven", {"AAA-001": "odd"}).outcomes[0].fix == ""


@pytest.mark.clause("KIT-003")
def test_expected_failures_are_strict():
    """A clause that fails as expected is well, one that holds after all is not."""
    assert statuses(7, AAA_001="odd") == ["expected failure", "pass", "pass"]
    assert statuses(8, AAA_001="odd") == ["unexpected pass", "unexpected pass", "pass"]
    assert run_checks(CHECKS, 7, "n", {"AAA-001": "odd"}).ok
    assert not run_checks(CHECKS, 8, "n", {"AAA-001": "odd"}).ok


@pytest.mark.clause("KIT-003")
@pytest.mark.parametrize(
    ("expected", "said"),
    [({"AAA-009": "x"}, "no check of 'AAA-009'"), ({"AAA-001": " "}, "needs a reason")],
)
def test_an_expected_failure_needs_a_clause_and_a_reason(expected, said):
    """An unknown clause or an empty reason is refused."""
    with pytest.raises(ValueError, match=said):
        run_checks(CHECKS, 7, "n", expected)


@pytest.mark.clause("KIT-004")
def test_what_does_not_apply_says_why():
    """A check that does not apply is not run, and is no failure."""
    report = run_checks(CHECKS, -20, "n")
    assert report.outcomes[2].status == "not applicable"
    assert report.outcomes[2].detail == "it is negative"
    assert report.ok


@pytest.mark.clause("KIT-003")
@pytest.mark.clause("KIT-004")
def test_the_decorator_makes_a_test_of_each_clause(pytester):
    """Under pytest a clause passes, fails with its example, is skipped or fails as expected."""
    pytester.makeconftest(
        "def pytest_configure(config):\n    config.addinivalue_line('markers', 'clause(id)')\n"
    )
    pytester.makepyfile(
        """
        import pytest
        from mlmref.conformance.checks import Checks
        from mlmref.conformance.violation import Violation
        from mlmref.conformance.kit import parametrize
        CHECKS = Checks()

        @CHECKS("AAA-001", fix="add one")
        def check_even(n):
            "Even."
            if n % 2:
                raise Violation("odd", n=n)

        @CHECKS("AAA-002", fix="-", unless=lambda n: "small" if n < 5 else None)
        def check_any(n):
            "Any."

        @parametrize(CHECKS, [("two", 2), ("seven", 7)])
        def test_plain(check):
            check()

        @parametrize(CHECKS, [("two", 2), ("seven", 7)], {"AAA-001": "odd ones"})
        def test_expected(check):
            check()
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rsx")
    result.assert_outcomes(passed=3, failed=2, skipped=2, xfailed=1)
    out = result.stdout.str()
    assert "AAA-001 check_even: add one" in out
    assert "  odd" in out
    assert "n = 7" in out
    assert "small" in out
    assert "XPASS(strict)" in out


@pytest.mark.clause("KIT-003")
def test_the_decorator_refuses_what_run_checks_refuses():
    """An expected failure of an unknown clause is an error when tests are collected."""
    with pytest.raises(ValueError, match="AAA-009"):
        parametrize(CHECKS, [("two", 2)], {"AAA-009": "x"})


@pytest.mark.clause("KIT-005")
def test_the_core_does_without_pytest_and_hypothesis():
    """Everything of the package but the kit's drawn cases is imported without either."""
    program = """
import sys
sys.modules["pytest"] = sys.modules["hypothesis"] = None  # importing them is an error
import mlmref, mlmref.cli, mlmref.runner.run, mlmref.training.job
import mlmref.evaluation.perplexity, mlmref.conformance.by_name
import mlmref.training.backends.trainer, mlmref.training.backends.accelerate, mlmref.conformance
from mlmref.plugin.discovery import discover
assert not discover().broken
"""
    done = run([sys.executable, "-c", program])
    assert done.returncode == 0, done.stderr
