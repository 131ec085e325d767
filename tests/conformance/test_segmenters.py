"""The kit for word segmenters: the right ones pass, and each faulty one is rejected (KIT)."""

from dataclasses import replace

import pytest
from conformance.mutants import check_rejects, first_of_each, none_rejects_before
from conformance.mutants.segmenters import MUTANTS
from conformance.right_segmenters import RIGHT, entry_of, from_a_list

from mlmref.conformance import check_segmenter, parametrize_segmenter_checks
from mlmref.conformance.checks import run_check
from mlmref.conformance.segmenters import KIT
from mlmref.conformance.segmenters.texts import large_batches
from mlmref.plugin.contracts import SegmenterEntry

CHECKED = {check.name: check for check in KIT.checks}


@parametrize_segmenter_checks([entry_of(from_a_list)])
def test_a_right_segmenter_passes(check):
    """One that looks up words in a list and keeps what it found."""
    check()


@pytest.mark.clause("SEG-001")
@pytest.mark.parametrize("function", [one for one in RIGHT if one is not from_a_list])
def test_each_form_of_answers_is_accepted(function):
    """Words, characters and nothing; as lists, arrays, ranges and generators."""
    subject = KIT.subject(entry_of(function))
    assert run_check(CHECKED["check_answers_are_offsets"], subject).status == "pass"


@pytest.mark.full
@parametrize_segmenter_checks([entry_of(one) for one in RIGHT if one is not from_a_list])
def test_other_right_segmenters_pass(check):
    """Each check accepts each form of answers."""
    check()


@pytest.mark.clause("KIT-004")
def test_an_entry_that_leaves_words_to_the_tokenizer_has_nothing_to_check():
    """Each check says why it does not apply."""
    none = SegmenterEntry(name="none", summary="-", build=None)
    report = check_segmenter(none)
    assert report.ok
    assert {one.status for one in report.outcomes} == {"not applicable"}
    assert {one.detail for one in report.outcomes} == {
        "the tokenizer defines the words",
        "it has no options",
    }


def raises(*_):
    """Raise the same exception for each text."""
    raise KeyError("a bug")


@pytest.mark.clause("KIT-010")
def test_an_exception_is_one_failure():
    """Only the first check that it ends fails, in this process and in others."""
    report = check_segmenter(entry_of(raises))
    (fail,) = report.failures
    assert (fail.clause, fail.detail) == ("SEG-001", "it raised KeyError: 'a bug'")
    assert {one.status for one in report.outcomes[1:]} == {"not reached", "pass"}
    assert [one.clause for one in report.outcomes if one.status == "pass"] == ["SEG-008"]


@pytest.mark.clause("KIT-002")
@pytest.mark.clause("KIT-006")
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_faulty_segmenter_is_rejected(mutant):
    """The check named rejects it, and says what is wrong."""
    check_rejects(KIT.checks, mutant, mutant.subject)


FIRST = first_of_each(MUTANTS)


@pytest.mark.clause("KIT-002")
@pytest.mark.parametrize("name", CHECKED)
def test_each_check_is_the_first_to_reject_a_mutant(name):
    """No check before it in the kit's order rejects the mutant, so without it one would pass.

    On few large batches: the test shows that the check is needed.
    """
    none_rejects_before(KIT.checks, FIRST[name], replace(FIRST[name].subject, large=12))


@pytest.mark.full
@pytest.mark.clause("KIT-002")
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_check_named_is_the_first(mutant):
    """For each of the other mutants too."""
    none_rejects_before(KIT.checks, mutant, mutant.subject)


@pytest.mark.clause("KIT-006")
@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("lower-case-is-counted", "['İ']"),
        ("stumbles-over-a-nul", "['\\x00']"),
        ("twice-the-same", "['ϡ']"),
        ("the-first-begins-at-nought", "['']"),
        ("one-answer-for-the-same-text", "['0']"),
    ],
)
def test_the_smallest_text_is_shown(name, texts):
    """Of thousands of texts the one character that matters is left."""
    mutant = next(one for one in MUTANTS if one.name == name)
    outcome = run_check(CHECKED[mutant.rejected_by], mutant.subject)
    assert outcome.example["texts"] == texts


@pytest.mark.clause("KIT-002")
def test_there_are_thousands_of_texts_with_every_character():
    """One text in thousands is among them, and each character that has a name."""
    texts = {text for batch in large_batches() for text in batch}
    assert len(texts) > 13_000
    assert set("aİßϡ电影😀𠮷\0\ufeff\u200d\u0301\U000e0001") <= set("".join(texts))
    assert max(map(len, texts)) == 70_000
    assert max(map(len, large_batches())) == 5_000
