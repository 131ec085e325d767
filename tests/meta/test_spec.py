"""The specification and the tests agree (spec/README.md); what a run proves is in test_proof."""

import re

import pytest
from support import specification
from support.specification import (
    KINDS,
    ROOT,
    disagreements,
    load_kit,
    read_citations,
    read_clauses,
    table,
    with_table,
)

CLAUSES, TESTS = read_clauses(), read_citations()
README = (ROOT / "spec" / "README.md").read_text("utf-8")


@pytest.mark.clause("SPEC-001")
@pytest.mark.clause("SPEC-006")
@pytest.mark.clause("SPEC-010")
def test_the_specification_agrees_with_itself_and_with_the_kit():
    """No id is repeated or forgotten, and each clause about plugins has a check and a mutant."""
    assert not [*disagreements(CLAUSES, README, load_kit())]
    assert len(CLAUSES) > 200


@pytest.mark.clause("SPEC-002")
def test_every_clause_is_one_sentence_with_must_should_or_may_and_a_reason():
    """The first paragraph has one sentence with its keyword, the next says why."""
    for clause in CLAUSES:
        sentence, *rest = clause.body.split("\n\n")
        assert re.search(r"\b(MUST|SHOULD|MAY)\b", sentence), clause.id
        assert sentence.endswith("."), clause.id
        assert any(part.startswith("Why: ") for part in rest), clause.id
        assert not clause.title.endswith("."), clause.id
        assert set(clause.kinds) <= set(KINDS), clause.id


@pytest.mark.clause("SPEC-003")
def test_every_clause_is_cited_by_a_test():
    """A promise without a test is none; the kit's tests cite the clauses of its checks."""
    cited = {id_ for test in TESTS for id_ in test.clauses}
    checked = {id_ for kit in load_kit().values() for id_ in kit.checks.values()}
    assert not sorted({clause.id for clause in CLAUSES} - cited - checked)


@pytest.mark.clause("SPEC-004")
def test_every_citation_is_of_a_clause_that_exists():
    """A marker of an unknown clause proves nothing."""
    known = {clause.id for clause in CLAUSES}
    unknown = {test.name: set(test.clauses) - known for test in TESTS}
    assert not {name: ids for name, ids in unknown.items() if ids}


@pytest.mark.clause("SPEC-004")
def test_every_clause_that_the_code_cites_exists():
    """A docstring or comment of the package sends its reader to a clause that is there."""
    known = {clause.id for clause in CLAUSES}
    kinds = "|".join(sorted({id_.split("-")[0] for id_ in known}))
    for file in sorted((ROOT / "mlmref").rglob("*.py")):
        cited = set(re.findall(rf"\b(?:{kinds})-\d{{3}}\b", file.read_text("utf-8")))
        assert cited <= known, f"{file.name}: {sorted(cited - known)}"


@pytest.mark.clause("SPEC-005")
def test_every_test_states_its_fact_and_its_clause():
    """A docstring and at least one clause on each test; the kit's cases cite their checks'."""
    assert not [f"{test.file}: {test.name}" for test in TESTS if not test.fact]
    assert not [f"{test.file}: {test.name}" for test in TESTS if not (test.clauses or test.by_kit)]


@pytest.mark.clause("SPEC-009")
def test_the_table_is_up_to_date():
    """spec/README.md shows the table that the specification and the tests as they are give."""
    current = with_table(README, table(CLAUSES, TESTS, load_kit()))
    if current != README:
        pytest.fail("out of date: run pytest --write-spec tests/meta, or tox -e spec")
    assert specification.with_table(README, "") != README
