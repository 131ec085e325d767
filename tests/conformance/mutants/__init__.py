"""Faulty plugins: what the conformance kit has to reject (spec/conformance.md, KIT-002)."""

from dataclasses import dataclass
from typing import Any

from mlmref.conformance.checks import run_check
from mlmref.conformance.search import as_found


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A plugin with a fault.

    Attributes:
        name: what it is called.
        fault: what is wrong with it, in a line.
        subject: the plugin on the bench, as the kit's checks take it.
        rejected_by: the check that is the first to reject it, in the kit's order.
    """

    name: str
    fault: str
    subject: Any
    rejected_by: str


def first_of_each(mutants):
    """Return for each check the first mutant that it rejects."""
    return {mutant.rejected_by: mutant for mutant in reversed(mutants)}


def check_rejects(checks, mutant, subject):
    """Hold the check that a mutant names to rejecting it, and to saying what is wrong."""
    (check,) = [one for one in checks if one.name == mutant.rejected_by]
    with as_found():
        outcome = run_check(check, subject)
    assert outcome.status == "fail", mutant.fault
    assert outcome.detail
    assert outcome.fix == check.fix


def none_rejects_before(checks, mutant, subject):
    """Hold all checks before the one that a mutant names to letting it pass."""
    for check in checks:
        if check.name == mutant.rejected_by:
            break
        with as_found():
            outcome = run_check(check, subject)
        assert outcome.status != "fail", f"{check.name}: {outcome.detail}"
