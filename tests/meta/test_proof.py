"""A run of the tests proves the specification, or says what it does not prove (spec/README.md)."""

import pytest
from support import specification
from support.specification import Kit, disagreements, read_clauses

NO_KIT = {"strategies": Kit(checks={}, rejected_by=())}
TABLE = "<!-- proof: written by tox -e spec -->\n{}<!-- end of proof -->\n"
CLAUSE = "### {} A title\n\nA thing MUST be so.\n\nWhy: it is.\n\n"
PROVED = """
import pytest

@pytest.mark.clause("AAA-001")
def test_one():
    pass
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """Return a function that makes a project of clauses and tests, and runs its tests."""
    monkeypatch.setattr(specification, "load_kit", lambda: NO_KIT)
    pytester.makeini(
        "[pytest]\ntestpaths = tests\naddopts = --import-mode=importlib -p no:cacheprovider\n"
        "markers =\n    clause(id)\n    gpu\n    hub\n"
    )
    (pytester.mkdir("tests") / "conftest.py").write_text('pytest_plugins = ["support.proof"]\n')
    pytester.mkdir("spec")

    def make(*ids, tests=PROVED, readme="", table="", options=("--prove-spec",)):
        clauses = "".join(map(CLAUSE.format, ids or ["AAA-001"]))
        (pytester.path / "spec" / "README.md").write_text(readme + TABLE.format(table))
        (pytester.path / "spec" / "aaa.md").write_text(clauses)
        (pytester.path / "tests" / "test_a.py").write_text(tests)
        return pytester.runpytest_inprocess(*options)

    return make


def said(result):
    """Return the lines of the section about the specification."""
    section = result.stdout.str().partition(" specification ")[2].partition("\n=")[0]
    return section.splitlines()[1:]


@pytest.mark.clause("SPEC-007")
def test_a_passing_test_proves_its_clause(project):
    """With one clause and a test of it that passes, the run passes and says so."""
    result = project()
    assert result.ret == 0
    assert said(result) == ["all other clauses are proved"]


@pytest.mark.clause("SPEC-007")
def test_without_the_option_nothing_is_said(project):
    """An ordinary run passes whatever is not proved."""
    result = project("AAA-001", "AAA-002", options=())
    assert result.ret == 0
    assert said(result) == []


@pytest.mark.clause("SPEC-007")
@pytest.mark.parametrize(
    ("tests", "line"),
    [
        ("", "AAA-002 is cited by no test that was run"),
        ("@pytest.mark.skip\n", "AAA-002 is cited by no test that passed: skipped or expected"),
        ("@pytest.mark.xfail\n", "AAA-002 is cited by no test that passed: skipped or expected"),
        ("BROKEN @pytest.mark.xfail\n", "AAA-002 is cited by no test that passed: skipped or"),
        ("BROKEN", "AAA-002 is cited by a test that failed: tests/test_a.py::test_two"),
        ("FIXTURE", "AAA-002 is cited by a test that failed: tests/test_a.py::test_two"),
    ],
    ids=["no test", "skipped", "passes against expectation", "fails as expected", "fails", "error"],
)
def test_what_no_passing_test_cites_is_not_proved(project, tests, line):
    """No test, only skipped ones, only expected failures, or a failing one fail the run."""
    body = "assert 0" if "BROKEN" in tests else "pass"
    argument = "no_such_fixture" if tests == "FIXTURE" else ""
    mark = tests.removeprefix("BROKEN").removeprefix("FIXTURE").strip()
    two = f'@pytest.mark.clause("AAA-002")\n{mark}\ndef test_two({argument}):\n    {body}\n'
    result = project("AAA-001", "AAA-002", tests=PROVED + (two if tests else ""))
    assert result.ret == 1
    assert len(said(result)) == 1
    assert said(result)[0].startswith(line)


CASES = """
@pytest.mark.clause("AAA-002")
@pytest.mark.parametrize("case", [1, 2])
def test_two(case):
    if case == 2:
        {}
"""


@pytest.mark.clause("SPEC-007")
@pytest.mark.parametrize(
    ("second", "status"), [("pytest.skip('not today')", 0), ("raise ValueError", 1)]
)
def test_of_several_cases_one_has_to_pass_and_none_may_fail(project, second, status):
    """A clause is proved by the case that ran, and not where another one failed."""
    result = project("AAA-001", "AAA-002", tests=PROVED + CASES.format(second))
    assert result.ret == status


@pytest.mark.clause("SPEC-007")
def test_a_case_may_cite_a_clause_of_its_own(project):
    """A mark of one case counts for that case, as the kit's tests have them."""
    cases = ", ".join(f'pytest.param({n}, marks=pytest.mark.clause("AAA-00{n}"))' for n in (1, 2))
    tests = f"import pytest\n@pytest.mark.parametrize('n', [{cases}])\ndef test_n(n): assert n == "
    assert project("AAA-001", "AAA-002", tests=f"{tests}n\n").ret == 0
    result = project("AAA-001", "AAA-002", tests=f"{tests}1\n")
    assert said(result) == ["AAA-002 is cited by a test that failed: tests/test_a.py::test_n[2]"]


@pytest.mark.clause("SPEC-007")
def test_a_run_that_was_cut_short_proves_nothing(project):
    """A module that cannot be imported ends the run, and nothing is called proved."""
    result = project(tests="import no_such_module")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert said(result)[0] == "not proved: the run did not come to its end"


@pytest.mark.clause("SPEC-008")
@pytest.mark.parametrize("mark", ["gpu", "hub"])
def test_what_only_a_gpu_or_the_hub_can_prove_is_listed(project, mark):
    """Skipped tests with the mark fail nothing, as long as no test of the clause is without it."""
    skipped = '\n@pytest.mark.clause("AAA-002")\ndef test_{}():\n    pytest.skip("none here")\n'
    away = f"@pytest.mark.{mark}{skipped.format('two')}"
    result = project("AAA-001", "AAA-002", tests=PROVED + away)
    assert result.ret == 0
    assert said(result)[0] == "not proved here (gpu, hub or browser): AAA-002"
    result = project("AAA-001", "AAA-002", tests=PROVED + away + skipped.format("three"))
    assert result.ret == 1


@pytest.mark.clause("SPEC-004")
def test_a_marker_of_an_unknown_clause_fails_the_run(project):
    """The test and what it cites are named."""
    result = project(tests=PROVED + PROVED.replace("001", "002").replace("one", "two"))
    assert result.ret == 1
    assert said(result) == ["AAA-002 is cited by tests/test_a.py::test_two and is no clause"]


@pytest.mark.clause("SPEC-001")
def test_a_repeated_id_fails_the_run(project):
    """Two clauses of one id are told with their number."""
    result = project("AAA-001", "AAA-001")
    assert result.ret == 1
    assert said(result) == ["AAA-001 stands for 2 clauses"]


@pytest.mark.clause("SPEC-006")
def test_a_retired_id_may_not_come_back(project):
    """A clause under an id that is listed as retired fails the run."""
    result = project(readme="- AAA-001: nobody kept it\n")
    assert result.ret == 1
    assert said(result) == ["AAA-001 is retired and may not come back"]


@pytest.mark.clause("SPEC-006")
def test_an_id_may_not_be_forgotten(project):
    """One that the table still has is a clause or retired, and the table is kept until it is."""
    row = "| [AAA-009](aaa.md) | A title | test_a 1 |\n"
    result = project(table=row)
    assert result.ret == 1
    assert said(result) == ["AAA-009 is gone from spec/ and not among the retired identifiers"]
    result = project(table=row, options=["--write-spec"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert project(table=row, readme="- AAA-009: nobody kept it\n").ret == 0


@pytest.mark.clause("SPEC-009")
def test_the_table_is_written(project, pytester):
    """A row a clause, with its file, title and the files that cite it; a second time the same."""
    two = '@pytest.mark.hub\n@pytest.mark.clause("AAA-002")\ndef test_two(): pass\n'
    tests = PROVED + PROVED.replace("one", "three") + two
    project("AAA-001", "AAA-002", tests=tests, options=["--write-spec"])
    written = (pytester.path / "spec" / "README.md").read_text()
    assert "| [AAA-001](aaa.md) | A title | a 2 |\n" in written
    assert "| [AAA-002](aaa.md) | A title | not proved here (hub) |\n" in written
    pytester.runpytest_inprocess("--write-spec")
    assert (pytester.path / "spec" / "README.md").read_text() == written


KIT_LINE = "'Kit: strategies'"
KIT = {
    "strategies": Kit(checks={"check_a": "AAA-001"}, rejected_by=("check_a",)),
    "backends": Kit(checks={}, rejected_by=()),
}


def agreement(body, kits, tmp_path):
    """Return what is wrong with a clause of this body and these kits."""
    (tmp_path / "spec").mkdir()
    (tmp_path / "spec" / "aaa.md").write_text(CLAUSE.format("AAA-001") + body)
    return [*disagreements(read_clauses(tmp_path), TABLE.format(""), kits)]


@pytest.mark.clause("SPEC-010")
@pytest.mark.clause("KIT-002")
@pytest.mark.parametrize(
    ("body", "changes", "expected"),
    [
        ("Kit: strategies\n", {}, []),
        (
            "Kit: strategies\n",
            {"checks": {}, "rejected_by": ()},
            ["AAA-001 is a clause about strategies that no check of the kit is of"],
        ),
        (
            "Kit: strategies\n",
            {"rejected_by": ()},
            ["AAA-001 is a clause about strategies whose checks reject no mutant"],
        ),
        (
            "",
            {},
            ["check_a of the kit for strategies is of AAA-001, which has no line " + KIT_LINE],
        ),
        (
            "Kit: strategies\n",
            {"rejected_by": ("check_a", "check_b")},
            ["a mutant among strategies names a check check_b that there is not"],
        ),
        (
            "Kit: strategies\n\nKit: backends\n",
            {},
            ["AAA-001 is a clause about backends that no check of the kit is of"],
        ),
        (
            "Kit: strategies\n\nKit: models\n",
            {},
            ["AAA-001 has a line 'Kit: models', and there is no such kit"],
        ),
    ],
    ids=["right", "no check", "no mutant", "no line", "no such check", "two kinds", "no such kit"],
)
def test_a_clause_about_plugins_has_a_check_and_a_mutant(tmp_path, body, changes, expected):
    """Without a check, a mutant or the line in the clause, the two disagree."""
    strategies = {"checks": {"check_a": "AAA-001"}, "rejected_by": ("check_a",)} | changes
    kits = KIT | {"strategies": Kit(**strategies)}
    assert agreement(body, kits, tmp_path) == expected


@pytest.mark.clause("SPEC-010")
def test_the_kit_is_asked_in_a_run_too(project, monkeypatch):
    """A check of the kit that is of no clause with its line fails a run."""
    monkeypatch.setattr(specification, "load_kit", lambda: KIT)
    result = project()
    assert result.ret == 1
    assert said(result)[0].startswith("check_a of the kit for strategies is of AAA-001")


@pytest.mark.clause("SPEC-007")
def test_workers_prove_together(project):
    """What tests prove that run in other processes counts, and what they fail fails the run."""
    tests = PROVED + PROVED.replace("001", "002").replace("one", "two")
    options = ("--prove-spec", "-p", "xdist", "-n", "2")
    result = project("AAA-001", "AAA-002", tests=tests, options=options)
    assert result.ret == 0
    assert said(result) == ["all other clauses are proved"]
    result = project(
        "AAA-001",
        "AAA-002",
        tests=tests.replace("two():\n    pass", "two():\n    1/0"),
        options=options,
    )
    assert result.ret == 1
    assert said(result) == ["AAA-002 is cited by a test that failed: tests/test_a.py::test_two"]
