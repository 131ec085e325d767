"""A pytest plugin: a run of the whole suite proves the specification (spec/README.md, SPEC).

``--prove-spec`` notes what came of the tests of each clause while they run, and fails the run for
a clause that no passing test cites; ``--write-spec`` writes the table of spec/README.md first.
"""

from collections import defaultdict

import pytest
from support import specification
from support.specification import AWAY

PROPERTY = "clauses"
"""The name that a report has a test's clauses under."""


def pytest_addoption(parser):
    """Add the two options."""
    group = parser.getgroup("specification")
    group.addoption("--prove-spec", action="store_true", help="fail for each clause not proved")
    group.addoption("--write-spec", action="store_true", help="write spec/README.md's table")


def pytest_configure(config):
    """Watch the run if asked to; under pytest-xdist, the run of all workers."""
    if config.option.prove_spec and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Proof(config), "mlmref-proof")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Write the clauses that a test cites, and what it needs, on its reports, which travel."""
    report = yield
    cited = sorted({id_ for mark in item.iter_markers("clause") for id_ in mark.args})
    away = any(item.get_closest_marker(name) for name in AWAY)
    report.user_properties.append((PROPERTY, [cited, away]))
    return report


def pytest_sessionstart(session):
    """Write the table, unless an identifier would be forgotten by that."""
    if session.config.option.write_spec and not hasattr(session.config, "workerinput"):
        root = session.config.rootpath
        file, clauses = root / "spec" / "README.md", specification.read_clauses(root)
        kits, readme = specification.load_kit(), file.read_text("utf-8")
        wrong = [*specification.disagreements(clauses, readme, kits)]
        if wrong:
            raise pytest.UsageError("; ".join(wrong))
        table = specification.table(clauses, specification.read_citations(root), kits)
        file.write_text(specification.with_table(readme, table), "utf-8")


class Proof:
    """What came of the tests of each clause."""

    def __init__(self, config):
        self.config = config
        self.marks = {}  # of each test: the clauses that it cites, and whether it is run elsewhere
        self.phases = defaultdict(list)  # what came of its set-up, call and tear-down
        self.wrong = None
        self.away = []

    def pytest_runtest_logreport(self, report):
        """Note the marks of a test and what came of one of its phases."""
        # A test in which its process died comes without any, and is told by pytest-xdist.
        cited, away = dict(report.user_properties).get(PROPERTY, ((), False))
        self.marks[report.nodeid] = set(cited), away
        # What was expected to fail proves nothing, whether it failed or not.
        outcome = "expected" if hasattr(report, "wasxfail") else report.outcome
        self.phases[report.nodeid].append((report.when, outcome))

    def outcome(self, test):
        """Tell whether a test passed, failed or did neither."""
        phases = self.phases[test]
        if any(outcome == "failed" for _, outcome in phases):
            return "failed"
        return "passed" if ("call", "passed") in phases else "neither"

    def judge(self):
        """Tell all that keeps the specification from being proved by this run."""
        root = self.config.rootpath
        clauses = specification.read_clauses(root)
        readme = (root / "spec" / "README.md").read_text("utf-8")
        yield from specification.disagreements(clauses, readme, specification.load_kit())
        citing = defaultdict(list)
        for test, (cited, away) in self.marks.items():
            for id_ in cited:
                citing[id_].append((test, self.outcome(test), away))
        for id_ in sorted(citing.keys() - {one.id for one in clauses}):
            yield f"{id_} is cited by {citing[id_][0][0]} and is no clause"
        for id_ in sorted({one.id for one in clauses}):
            outcomes = {outcome for _, outcome, _ in citing[id_]}
            failed = [test for test, outcome, _ in citing[id_] if outcome == "failed"]
            if not citing[id_]:
                yield f"{id_} is cited by no test that was run"
            elif failed:
                yield f"{id_} is cited by a test that failed: {failed[0]}"
            elif "passed" not in outcomes and all(away for *_, away in citing[id_]):
                self.away.append(id_)
            elif "passed" not in outcomes:
                yield f"{id_} is cited by no test that passed: skipped or expected to fail"

    def pytest_sessionfinish(self, session, exitstatus):
        """Fail the run if the specification is not proved; one that was cut short says nothing."""
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            self.wrong = [*self.judge()]
            if self.wrong:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        """Say what is not proved."""
        terminalreporter.section("specification")
        if self.wrong is None:
            terminalreporter.line("not proved: the run did not come to its end")
            return
        for line in self.wrong:
            terminalreporter.line(line, red=True)
        if self.away:
            terminalreporter.line(f"not proved here (gpu, hub or browser): {', '.join(self.away)}")
        if not self.wrong:
            terminalreporter.line("all other clauses are proved", green=True)
