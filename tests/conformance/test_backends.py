"""The kit for backends: right ones pass, and each faulty one is rejected by the check named."""

from dataclasses import replace

import pytest
from conformance.mutants import check_rejects, first_of_each, none_rejects_before
from conformance.mutants.backends import MUTANTS, Counts

from mlmref.conformance import check_backend, parametrize_backend_checks
from mlmref.conformance.backends import KIT
from mlmref.conformance.backends.toy_job import PlainLoop
from mlmref.conformance.checks import run_check, run_checks
from mlmref.conformance.search import as_found
from mlmref.plugin.discovery import discover
from mlmref.plugin.training import BackendEntry

RIGHT = [discover().backend(name).entry for name in ("trainer", "accelerate")]
COUNTS = BackendEntry(name="counts", summary="the loop, with state that it keeps", build=Counts)
PLAIN = BackendEntry(name="plain", summary="the loop that they are held to", build=PlainLoop)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Let what a faulty backend writes where it was started fall into a folder of its own."""
    monkeypatch.chdir(tmp_path)


@parametrize_backend_checks(RIGHT)
def test_right_backends_pass(check):
    """The built-in backends keep each clause."""
    check()


@pytest.mark.clause("BACK-027")
@pytest.mark.clause("BACK-030")
@pytest.mark.parametrize(
    "name", ["check_cuts_do_not_matter", "check_state_is_handed_in", "check_stop_and_resume"]
)
def test_a_backend_with_state_of_its_own_passes(name):
    """The checks of resumption accept state that the backend saves and loads itself."""
    (check,) = (one for one in KIT.checks if one.name == name)
    assert run_check(check, KIT.subject(COUNTS)).status == "pass"


@pytest.mark.full
@parametrize_backend_checks([PLAIN, COUNTS])
def test_other_right_backends_pass(check):
    """The loop that backends are checked against, and one with state, keep each clause."""
    check()


@pytest.mark.clause("KIT-002")
@pytest.mark.clause("KIT-006")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_faulty_backend_is_rejected(mutant):
    """The check named rejects it, and says what happened."""
    check_rejects(KIT.checks, mutant, fresh(mutant))


def fresh(mutant):
    """Return a mutant's subject with traces of its own: those of all mutants are gigabytes."""
    return replace(mutant.subject, _runs={}, _found={})


FIRST = first_of_each(MUTANTS)


@pytest.mark.clause("KIT-002")
@pytest.mark.parametrize("name", [check.name for check in KIT.checks])
def test_each_check_is_the_first_to_reject_a_mutant(name):
    """No check before it in the kit's order rejects the mutant, so without it one would pass."""
    none_rejects_before(KIT.checks, FIRST[name], fresh(FIRST[name]))


@pytest.mark.full
@pytest.mark.clause("KIT-002")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_the_check_named_is_the_first(mutant):
    """For each of the other mutants too."""
    none_rejects_before(KIT.checks, mutant, fresh(mutant))


def statuses(name):
    """Return what came of each clause for a faulty backend."""
    (mutant,) = (one for one in MUTANTS if one.name == name)
    with as_found():
        report = run_checks(KIT.checks, fresh(mutant), name)
    assert not report.ok
    return {one.clause: f"{one.status} {one.detail}".partition(":")[0] for one in report.outcomes}


NUMBERS = ("BACK-014", "BACK-015", "BACK-019", "BACK-020", "BACK-021", "BACK-026", "BACK-027")


@pytest.mark.clause("KIT-010")
def test_what_evaluation_mode_hides_is_not_reached():
    """Without job.model.train() dropout, losses and gradients differ for that reason alone."""
    got = statuses("NeverTrains")
    assert got.pop("BACK-012").startswith("fail training has False instead of True")
    hidden = {clause for clause, status in got.items() if status == "not reached after BACK-012"}
    assert hidden == {*NUMBERS, "BACK-017", "BACK-029", "BACK-033"}
    assert {status for clause, status in got.items() if clause not in hidden} == {"pass "}


@pytest.mark.clause("KIT-010")
def test_what_a_wrong_gradient_hides_is_not_reached_but_clipping_is():
    """Three times the gradient makes other weights; that it is never clipped can still be seen."""
    got = statuses("TriplesTheLoss")
    assert got.pop("BACK-015").startswith("fail gradients of")
    assert got.pop("BACK-017").startswith("fail step 1 uses a gradient of norm")
    hidden = {clause for clause, status in got.items() if status == "not reached after BACK-015"}
    assert hidden == {*NUMBERS, "BACK-029"} - {"BACK-015"}
    assert {status for clause, status in got.items() if clause not in hidden} == {"pass "}


@pytest.mark.clause("KIT-010")
def test_a_backend_that_raises_passes_nothing():
    """It calls no model, so that no other clause can be decided."""
    entry = BackendEntry(name="raises", summary="raises", build=lambda options: None)
    report = check_backend(entry)
    (fail, *others) = report.outcomes
    assert (fail.clause, fail.status) == ("BACK-010", "fail")
    assert "it raised AttributeError" in fail.detail
    assert {f"{one.status} {one.detail}" for one in others} == {"not reached after BACK-010"}


@pytest.mark.clause("KIT-006")
def test_a_failure_comes_with_the_smallest_job():
    """A fault of long jobs is explained by the fewest steps and rows that show it."""
    (mutant,) = (one for one in MUTANTS if one.name == "DividesByMany")
    report = check_backend(mutant.subject.entry)
    found = {outcome.check: outcome for outcome in report.failures}
    assert found["check_cuts_do_not_matter"].clause == "BACK-003"
    example = found["check_gradients_are_added_up_and_cleared"].example
    assert example == {"steps": "(((1,), (1,), (1,), (1,)),)"}
