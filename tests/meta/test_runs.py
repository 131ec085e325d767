"""Default and full run, time limits, and what a run with failures ends with (spec/README.md)."""

import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from support import limits, warm
from support.processes import finish, run, start, wait_until

TESTS = Path(__file__).parents[1]
PROJECT = """
import subprocess, sys, time
import pytest
from hypothesis import given, strategies as st

def test_a_fact(): pass

@pytest.mark.full
def test_more_of_it(): pass

@given(st.booleans())
def test_a_property(one): pass
"""


@pytest.fixture
def project(pytester):
    """Return a function that writes tests and runs them with the plugins of this suite."""
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\nmarkers =\n    full\n")
    pytester.makeconftest(
        'pytest_plugins = ["support.full", "support.limits"]\n'
        "from hypothesis import settings\nsettings.register_profile('full', max_examples=3)\n"
    )

    def make(tests, *options):
        pytester.makepyfile(test_one=tests)
        before, full = settings.get_current_profile_name(), settings.get_profile("full")
        try:
            return pytester.runpytest_inprocess(*options)
        finally:
            settings.register_profile("full", full)
            settings.load_profile(before)

    return make


@pytest.mark.clause("SPEC-014")
@pytest.mark.parametrize(
    ("options", "names"),
    [((), ["a_fact", "a_property"]), (("--full",), ["more_of_it", "a_property"])],
)
def test_each_test_is_in_one_run_and_properties_in_both(project, options, names):
    """By the mark alone; omitted tests count as deselected."""
    result = project(PROJECT, "-v", *options)
    assert re.findall(r"::test_(\w+) PASSED", result.stdout.str()) == names
    result.assert_outcomes(passed=2, deselected=1)


@pytest.mark.clause("SPEC-014")
def test_the_full_run_draws_more_examples():
    """A thousand of each property, and the default run in CI fifty."""
    examples = {name: settings.get_profile(name).max_examples for name in ("ci", "full")}
    assert examples == {"ci": 50, "full": 1_000}


@pytest.mark.clause("SPEC-016")
def test_a_test_that_hangs_fails_and_its_processes_end(project, monkeypatch):
    """With the line where it was, and a line for each process."""
    monkeypatch.setattr(limits, "LIMIT", 2)
    result = project(
        "import subprocess, sys, time\n"
        "def test_hangs():\n"
        "    started = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])\n"
        "    time.sleep(99)  # here\n"
    )
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "time.sleep(99)  # here" in text
    assert re.search(r"test_hangs took more than 2 s, with processes\n.*import time", text)
    assert run([warm.python(), "-c", "print('here')"]).stdout == "here\n", "the server is spared"


@pytest.mark.clause("SPEC-016")
@pytest.mark.parametrize("python", [sys.executable, warm.python], ids=["cold", "warm"])
def test_a_process_that_hangs_is_ended_and_says_where_it_was(tmp_path, python):
    """With what it printed and its stack; the process that it started ends too."""
    code = (
        "import multiprocessing, pathlib, sys, time\n"
        "def hang(name):\n"
        "    pathlib.Path(sys.argv[1], name).touch()\n"
        "    time.sleep(99)\n"
        "print('begun', flush=True)\n"
        "multiprocessing.get_context('fork').Process(target=hang, args=('child',)).start()\n"
        "hang('parent')\n"
    )
    process = start([python() if callable(python) else python, "-c", code, tmp_path])
    wait_until(lambda: len([*tmp_path.iterdir()]) == 2)
    with pytest.raises(AssertionError, match=r"took more than 0\.1 s\nbegun\n") as caught:
        finish(process, timeout=0.1)
    assert 'File "<string>", line 4 in hang' in str(caught.value)
    assert process.returncode


@pytest.mark.clause("SPEC-016")
def test_tests_start_processes_with_a_limit():
    """All but the suite's own machinery, and scripts that are not tests, use support.processes."""
    own = {"support/launch.py", "support/processes.py", "support/warm.py", "meta/test_runs.py"}
    # A copy, which needs no Python; and timed kills, with a patience of their own.
    own |= {"unit/data/test_cache.py", "soak/test_kills.py"}
    found = {
        file.relative_to(TESTS).as_posix()
        for file in (*TESTS.rglob("test_*.py"), *TESTS.glob("support/*.py"))
        if re.search(r"subprocess\.(run|Popen|check_|call)", file.read_text("utf-8"))
    }
    assert found == own


@pytest.mark.clause("SPEC-017")
def test_failures_are_listed_as_commands(project):
    """Quoted for a shell, once each, with --full where they need it; a green run lists nothing."""
    tests = (
        "import pytest\n"
        "@pytest.mark.parametrize('x', [\"a b\"])\n"
        "def test_fails(x): assert 0\n"
        "@pytest.mark.full\n"
        "def test_more(): assert 0\n"
    )
    for options, command in (
        ((), "pytest 'test_one.py::test_fails[a b]'"),
        (("--full",), "pytest --full test_one.py::test_more"),
    ):
        *_, last = project(tests, "--no-summary", "-q", *options).stdout.str().split("alone ===")
        assert command in last.splitlines()
    assert "to run these alone" not in project("def test(): pass").stdout.str()


@pytest.mark.clause("SPEC-016")
def test_a_warm_process_is_one_of_its_own():
    """It has the folder, arguments, environment and status asked for, and torch is there."""
    shown = "os.getcwd(), sys.argv[1:], os.environ['A'], 'torch' in sys.modules"
    code = f"import os, sys; print({shown}); sys.exit(3)"
    done = run([warm.python(), "-c", code, "x y"], cwd="/", env=os.environ | {"A": "b"})
    assert (done.returncode, done.stdout) == (3, "/ ['x y'] b True\n")
