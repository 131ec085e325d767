"""The kit for masking strategies accepts what is right and rejects what is not (KIT)."""

from dataclasses import dataclass, replace
from typing import Annotated

import pytest
from conformance.mutants import check_rejects, first_of_each, none_rejects_before
from conformance.mutants.strategies import (
    MUTANTS,
    Expecting,
    by_words,
    drawn,
    falling,
    sparing,
    whole,
)
from pydantic import Field

from mlmref.conformance import check_strategy, parametrize_strategy_checks
from mlmref.conformance.checks import run_check
from mlmref.conformance.strategies import KIT
from mlmref.conformance.strategies.subject import Subject
from mlmref.masking.builtin import mlmref_masking_strategies
from mlmref.plugin.arrays import Probability
from mlmref.plugin.contracts import Options, StrategyEntry

BY_NAME = {check.name: check for check in KIT.checks}
ENTRIES = {entry.name: entry for entry in mlmref_masking_strategies()}


@parametrize_strategy_checks([ENTRIES["whole-word"]])
def test_the_built_in_strategies_conform(check):
    """Each clause holds for ``whole-word``, and for ``token`` as the report below says."""
    check()


@parametrize_strategy_checks(
    [
        (ENTRIES["token"], {"mlm_probability": 0.0}),
        (ENTRIES["whole-word"], {"mlm_probability": 1.0}),
    ]
)
@pytest.mark.full
def test_they_conform_with_other_options(check):
    """At probability 0 and 1 as well."""
    check()


@pytest.mark.clause("KIT-002")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_faulty_strategy_is_rejected(mutant):
    """The check that the mutant names rejects it, and says what is wrong."""
    check_rejects(KIT.checks, mutant, fresh(mutant))


FIRST = first_of_each(MUTANTS)


@pytest.mark.clause("KIT-002")
@pytest.mark.parametrize("name", BY_NAME)
def test_each_check_is_the_first_to_reject_a_mutant(name):
    """No check before it in the kit's order rejects the mutant, so without it one would pass.

    On a tenth of the cases: what is shown here is that the check is needed.
    """
    subject = replace(fresh(FIRST[name]), large=12, small=4)
    none_rejects_before(KIT.checks, FIRST[name], subject)


@pytest.mark.full
@pytest.mark.clause("KIT-002")
@pytest.mark.parametrize("name", BY_NAME)
def test_it_is_the_first_on_all_cases(name):
    """The same on all cases."""
    none_rejects_before(KIT.checks, FIRST[name], fresh(FIRST[name]))


@pytest.mark.full
@parametrize_strategy_checks([ENTRIES["token"]])
def test_the_other_built_in_strategy_conforms(check):
    """Each clause holds for ``token`` with its defaults too."""
    check()


def fresh(mutant):
    """Return a mutant on the bench that no check has asked before."""
    subject: Subject = mutant.subject
    return subject.anew()


@pytest.mark.clause("KIT-006")
@pytest.mark.parametrize(
    ("name", "tokens"),
    [("special-once-in-ten-thousand", 8), ("half-a-word", 2), ("by-the-row", 8)],
)
def test_the_example_of_a_failure_is_small(name, tokens):
    """One row (two for what rows do to each other) of a few tokens shows what is wrong."""
    (mutant,) = [one for one in MUTANTS if one.name == name]
    outcome = run_check(BY_NAME[mutant.rejected_by], fresh(mutant))
    rows = eval(outcome.example["input_ids"])  # noqa: S307 - of numbers, which the kit wrote
    assert len(rows) <= 2
    assert len(rows[0]) <= tokens


@pytest.mark.clause("KIT-006")
def test_the_example_can_be_pasted_back():
    """A failing case made again from what the report says fails again."""
    import numpy as np
    from conformance.mutants.strategies import half_a_word

    from mlmref.conformance.strategies.rows import make_rows
    from mlmref.conformance.strategies.worlds import make_vocabulary
    from mlmref.masking.masker import Masker

    (mutant,) = [one for one in MUTANTS if one.name == half_a_word.__name__.replace("_", "-")]
    outcome = run_check(BY_NAME[mutant.rejected_by], fresh(mutant))
    said = {key: eval(value) for key, value in outcome.example.items()}  # noqa: S307 - as above
    special = np.array(said["special_ids"], dtype=np.int32)
    words = make_vocabulary(said["vocabulary_size"], special, special[0], special[0])
    rows = make_rows(words, said["input_ids"], said["word_start"], chunk_ids=said["chunk_ids"])
    subject = mutant.subject.changed(**said["options"])
    masker = Masker(
        entry=subject.entry,
        strategy=subject.make(),
        corruption=subject.corruption,
        vocabulary=words,
        seed=said["seed"],
        owner="test",
    )
    labels = masker(rows, said["pass"]).labels
    assert 0 < np.count_nonzero(labels >= 0) < labels.size


@pytest.mark.clause("KIT-003")
def test_check_strategy_answers_with_a_report():
    """Without pytest: every clause with its status, and whether all is well."""
    report = check_strategy(ENTRIES["token"], {"mlm_probability": 0.3})
    assert report.ok
    assert report.subject == "token"
    assert {outcome.check for outcome in report.outcomes} == set(BY_NAME)
    assert {outcome.status for outcome in report.outcomes} == {"pass", "not applicable"}


def by_rate(rates):
    """Return what chooses each token on its own with its expected rate."""
    return lambda self, batch, draws: draws.uniform("mine") < rates(self, batch)


def word_by_word(self, batch, draws):
    """Choose the tokens of a word together, with the rate of each."""
    return whole(self, batch, draws, draws.uniform("mine")) < by_words(self, batch)


WORDS = {"needs_words": True, "whole_words": True}


@pytest.mark.clause("MASK-037")
@pytest.mark.clause("KIT-013")
@pytest.mark.parametrize(
    ("choice", "rates", "fields"),
    [
        (drawn, falling, {}),
        (by_rate(sparing), sparing, {}),
        (by_rate(by_words), by_words, {"needs_words": True}),
        (word_by_word, by_words, WORDS),
    ],
    ids=["falling", "sparing", "by-words", "whole-words"],
)
def test_a_strategy_whose_rate_is_as_expected_conforms(choice, rates, fields):
    """The rate may differ by position, token and word, and a word's tokens may share a draw."""
    entry = StrategyEntry(
        name="right",
        summary="-",
        build=lambda options: Expecting(choice, options, rates),
        options=Rate,
        expected=True,
        **fields,
    )
    subject = replace(KIT.subject(entry), large=24, small=8)
    checks = [check for check in KIT.checks if check.clause in ("MASK-037", "MASK-011")]
    outcomes = {check.name: run_check(check, subject) for check in checks}
    assert not {one.detail for one in outcomes.values() if one.status == "fail"}
    assert sum(one.status == "pass" for one in outcomes.values()) == 5 + ("whole_words" in fields)


class Rate(Options):
    """The probability of a target."""

    mlm_probability: Probability = 0.15


@dataclass
class Raises:
    """A strategy that raises the same exception for each batch."""

    options: Options

    def propose(self, batch, draws):
        """Raise it."""
        raise KeyError("a bug")


@pytest.mark.clause("KIT-010")
def test_an_exception_is_one_failure():
    """Only the first check that it ends fails; no other clause can be decided."""
    entry = StrategyEntry(name="raises", summary="-", build=Raises, options=Rate, rate="token")
    report = check_strategy(entry)
    (fail,) = report.failures
    assert (fail.clause, fail.detail) == ("MASK-016", "it raised KeyError: 'a bug'")
    others = {one.detail for one in report.outcomes if one.status == "not reached"}
    assert others == {"after MASK-016: it raised KeyError: 'a bug'"}
    assert {one.clause for one in report.outcomes if one.status == "pass"} == {"MASK-031"}


class Narrow(Options):
    """A probability that is neither 0 nor 1."""

    mlm_probability: Annotated[float, Field(gt=0.1, lt=0.2)] = 0.15


@pytest.mark.clause("KIT-010")
def test_a_rate_that_the_options_refuse_is_not_reached():
    """No probability of 0 or 1 can be tried, so that neither passes."""
    entry = replace(ENTRIES["token"], options=Narrow)
    outcome = run_check(BY_NAME["check_never_and_always"], KIT.subject(entry))
    assert outcome.status == "not reached"
    assert outcome.detail == "its options refuse an mlm_probability of 0 and 1"


@pytest.mark.clause("KIT-010")
def test_an_entry_that_contradicts_itself_is_not_checked():
    """Its declarations decide which checks apply."""
    entry = StrategyEntry(name="bare", summary="-", build=Raises, rate="token")
    with pytest.raises(ValueError, match="bare: rate is declared without the option"):
        check_strategy(entry)
