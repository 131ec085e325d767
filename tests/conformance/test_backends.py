"""The kit for backends: right ones pass, and each faulty one is rejected by the check named."""

from dataclasses import replace

import pytest
from conformance.mutants.backends import MUTANTS, Counts

from mlmref.conformance import check_backend, parametrize_backend_checks
from mlmref.conformance.backends import CHECKS
from mlmref.conformance.backends.toy_job import PlainLoop
from mlmref.conformance.core import run_check
from mlmref.conformance.search import as_found
from mlmref.contracts import BackendEntry
from mlmref.plugins import discover

RIGHT = [
    discover().backend("trainer").entry,
    discover().backend("accelerate").entry,
    BackendEntry(name="plain", summary="the loop that they are held to", build=PlainLoop),
    BackendEntry(name="counts", summary="the loop, with state that it hands in", build=Counts),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Let what a faulty backend writes where it was started fall into a folder of its own."""
    monkeypatch.chdir(tmp_path)


@parametrize_backend_checks(RIGHT)
def test_right_backends_pass(check):
    """The built-in backends, and the plain loop itself, keep each clause."""
    check()


@pytest.mark.clause("KIT-002")
@pytest.mark.clause("KIT-006")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_faulty_backend_is_rejected(mutant):
    """The check named is the first to reject it, and says what happened."""
    subject = replace(mutant.subject, _runs={}, _found={})  # 93 mutants' traces are gigabytes
    for check in CHECKS:
        with as_found():
            outcome = run_check(check, subject)
        if outcome.status == "fail":
            break
    assert (outcome.check, outcome.status) == (mutant.rejected_by, "fail"), outcome
    assert outcome.detail


@pytest.mark.clause("KIT-002")
def test_each_check_rejects_a_mutant():
    """No check is without a mutant that it is the first to reject."""
    assert {check.name for check in CHECKS} == {mutant.rejected_by for mutant in MUTANTS}


@pytest.mark.clause("KIT-006")
def test_a_failure_comes_with_the_smallest_job():
    """A fault of long jobs is explained by the fewest steps and rows that show it."""
    (mutant,) = (one for one in MUTANTS if one.name == "DividesByMany")
    report = check_backend(mutant.subject.entry)
    found = {outcome.check: outcome for outcome in report.failures}
    assert found["check_cuts_do_not_matter"].clause == "BACK-003"
    example = found["check_gradients_are_added_up_and_cleared"].example
    assert example == {"steps": "(((1,), (1,), (1,), (1,)),)"}
