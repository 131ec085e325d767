"""What the mutation run says of mutants, and the decorators that it moves."""

import json
from types import SimpleNamespace

import pytest
from mutation.quickest import pytest_collection_modifyitems
from mutation.report import Mutant, changes, judge, lines
from mutation.undecorated import undecorated

ENTRY = {"module": "m", "function": "f", "was": "a < b", "becomes": "a <= b", "why": "never equal"}


def mutants(killed, *survivors, module="m"):
    """Return so many mutants that were killed, and survivors by what they put for ``a < b``."""
    found = [
        Mutant(module=module, function="f", was="", becomes="", status=("killed", "timeout")[i % 2])
        for i in range(killed)
    ]
    return found + [
        Mutant(module=module, function="f", was="a < b", becomes=becomes, status="survived")
        for becomes in survivors
    ]


@pytest.mark.clause("SPEC-012")
@pytest.mark.parametrize(("killed", "passed"), [(8, False), (9, True), (90, True)])
def test_nine_of_ten_have_to_be_killed(killed, passed):
    """Equivalent mutants count as not killed; with one of them, nine others are enough."""
    verdict = judge(mutants(killed, "a <= b"), [ENTRY])
    assert verdict.share == killed / (killed + 1)
    assert verdict.passed is passed
    assert [*lines(verdict)][-1].endswith("passed" if passed else "FAILED")


@pytest.mark.clause("SPEC-012")
@pytest.mark.parametrize(
    "status", ["survived", "no tests", "segfault", "suspicious", "not checked"]
)
def test_a_survivor_without_a_reason_is_named(status):
    """Whatever else than killed came of it, it is shown with its change, and the run fails."""
    other = Mutant(module="m", function="C.g", was="x", becomes="y", status=status)
    verdict = judge([*mutants(99), other], [])
    assert not verdict.passed
    text = [*lines(verdict)]
    assert text[:3] == [f"UNEXPLAINED: m C.g ({status})", "  - x", "  + y"]


@pytest.mark.clause("SPEC-012")
def test_a_survivor_with_a_reason_is_shown_with_it():
    """The reason stands below the change."""
    text = [*lines(judge(mutants(99, "a <= b"), [ENTRY]))]
    assert text[:4] == [
        "equivalent: m f (survived)",
        "  - a < b",
        "  + a <= b",
        "  never equal",
    ]


@pytest.mark.clause("SPEC-013")
def test_an_entry_that_is_found_out_is_named():
    """A reason for a mutant that did not survive fails the run, unless only some were tried."""
    verdict = judge(mutants(99), [ENTRY])
    assert not verdict.passed
    assert [*lines(verdict)][:3] == ["STALE in equivalent.toml: m f", "  - a < b", "  + a <= b"]
    assert judge(mutants(99), [ENTRY], whole=False).passed


@pytest.mark.clause("SPEC-012")
def test_each_module_has_its_share():
    """The report has a line a module, and one for all."""
    found = mutants(1, "a <= b") + mutants(8, module="mlmref.n")
    text = [" ".join(line.split()) for line in lines(judge(found, [ENTRY]))]
    assert text[-4:-1] == [
        "m 1 of 2 killed, 50.0%",
        "mlmref.n 8 of 8 killed, 100.0%",
        "all 9 of 10 killed, 90.0%",
    ]


@pytest.mark.clause("SPEC-012")
def test_nothing_is_no_pass():
    """No mutants at all, or a reason that says nothing, are errors."""
    with pytest.raises(ValueError, match="no mutants"):
        judge([], [])
    with pytest.raises(ValueError, match="no reason"):
        judge(mutants(1), [ENTRY | {"why": " "}])


@pytest.mark.clause("SPEC-013")
def test_a_mutant_is_known_by_the_lines_that_it_changes():
    """Of a diff, the changed lines count, and neither where they are nor what is around them."""
    diff = "--- a.py\n+++ a.py\n@@ -1,3 +1,3 @@\n def f():\n-    a = (\n-      1)\n+    --a\n"
    assert changes(diff) == ("a = ( 1)", "--a")


@pytest.mark.clause("SPEC-012")
def test_decorators_are_applied_after_their_functions():
    """The code does the same, in functions without a decorator; all else is as it was."""
    source = '''
import functools


def twice(f):
    return functools.wraps(f)(lambda *a: 2 * f(*a))


# A comment stays.
@functools.cache
@twice
def g(x):
    return x + 1


class C:
    @property
    def one(self):
        """One."""
        return 1

    @staticmethod
    def two():
        return 2
'''
    after = undecorated(source)
    assert "@functools" not in after
    assert "@property" not in after
    assert "@staticmethod" in after
    assert (
        "# A comment stays.\ndef g(x):\n    return x + 1\ng = twice(g)\ng = functools.cache(g)"
        in after
    )
    names = {}
    exec(after, names)  # noqa: S102 - the text above
    assert names["g"](1) == 4
    assert names["g"].cache_info().currsize == 1
    assert names["C"]().one == 1
    assert names["C"].one.__doc__ == "One."
    assert undecorated(after) == after


@pytest.mark.clause("SPEC-012")
def test_the_quickest_tests_come_first(tmp_path, monkeypatch):
    """Tests are sorted by what they took, new ones first; without figures they stay as they are."""
    items = [SimpleNamespace(nodeid=name) for name in ("slow", "quick", "new")]
    monkeypatch.chdir(tmp_path)
    pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == ["slow", "quick", "new"]
    seconds = {"duration_by_test": {"slow": 2.0, "quick": 0.1}}
    (tmp_path / "mutmut-stats.json").write_text(json.dumps(seconds), "utf-8")
    pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == ["new", "quick", "slow"]
