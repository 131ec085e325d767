"""The specification and the tests agree (spec/README.md)."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADING = re.compile(r"^### ([A-Z]+-\d{3}) (.+)$", re.MULTILINE)


def clauses():
    """Return each clause's id, title and text."""
    for file in sorted((ROOT / "spec").glob("*.md")):
        text = file.read_text("utf-8")
        _, *parts = HEADING.split(text)
        for id_, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            yield id_, title, body.strip()


def proofs():
    """Return each test function's place, docstring and the clauses it cites."""
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                cited = [
                    mark.args[0].value
                    for mark in node.decorator_list
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.clause")
                ]
                yield f"{file.relative_to(ROOT)}:{node.name}", ast.get_docstring(node), cited


CLAUSES, TESTS = list(clauses()), list(proofs())


@pytest.mark.clause("SPEC-001")
def test_no_clause_id_repeats():
    """Every id stands for one clause."""
    repeated = [one for one, count in Counter(id_ for id_, _, _ in CLAUSES).items() if count > 1]
    assert not repeated
    assert len(CLAUSES) > 100


@pytest.mark.clause("SPEC-002")
def test_every_clause_is_one_sentence_with_must_should_or_may_and_a_reason():
    """The first paragraph has one sentence with its keyword, the next says why."""
    for id_, title, body in CLAUSES:
        sentence, *rest = body.split("\n\n")
        assert re.search(r"\b(MUST|SHOULD|MAY)\b", sentence), id_
        assert sentence.endswith("."), id_
        assert any(part.startswith("Why: ") for part in rest), id_
        assert not title.endswith("."), id_


@pytest.mark.clause("SPEC-003")
def test_every_clause_is_cited_by_a_test():
    """A promise without a test is none."""
    cited = {clause for _, _, marks in TESTS for clause in marks}
    assert not sorted({id_ for id_, _, _ in CLAUSES} - cited)


@pytest.mark.clause("SPEC-004")
def test_every_citation_is_of_a_clause_that_exists():
    """A marker of an unknown clause proves nothing."""
    known = {id_ for id_, _, _ in CLAUSES}
    unknown = {place: set(marks) - known for place, _, marks in TESTS if set(marks) - known}
    assert not unknown


@pytest.mark.clause("SPEC-004")
def test_every_clause_that_the_code_cites_exists():
    """A docstring or comment of the package sends its reader to a clause that is there."""
    known = {id_ for id_, _, _ in CLAUSES}
    kinds = "|".join(sorted({id_.split("-")[0] for id_ in known}))
    for file in sorted((ROOT / "mlmref").rglob("*.py")):
        cited = set(re.findall(rf"\b(?:{kinds})-\d{{3}}\b", file.read_text("utf-8")))
        assert cited <= known, f"{file.name}: {sorted(cited - known)}"


@pytest.mark.clause("SPEC-005")
def test_every_test_states_its_fact_and_its_clause():
    """A docstring and at least one clause on each test."""
    assert not [place for place, fact, _ in TESTS if not fact]
    assert not [place for place, _, marks in TESTS if not marks]
