"""What the benchmarks say of their figures, and that the docs show what was measured."""

import json

import pytest
from benchmarks import bench, report, run


@pytest.fixture
def kept_apart(tmp_path, monkeypatch):
    """Let results and pages be written to a folder of the test's."""
    (tmp_path / "spec").mkdir()
    for page in report.PAGES:
        (tmp_path / page).write_text("# A\n<!-- bench: table -->\nold\n<!-- /bench -->\nrest\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(report, "HISTORY", tmp_path / "history.jsonl")
    monkeypatch.setattr(run.machine, "described", lambda: {"processor": "a test's", "cores": 2})
    monkeypatch.setattr(report, "told", lambda kept: "")
    return tmp_path


def measuring(monkeypatch, ours, theirs):
    """Let every benchmark find the same."""
    found = {"ours": ours, "theirs": theirs, "facts": {}}
    monkeypatch.setattr(run, "measure", lambda name, pairs, folder: found)


@pytest.mark.clause("SPEED-001")
@pytest.mark.parametrize(
    ("name", "ours", "theirs", "status"),
    [
        ("step", [1.0, 1.1, 5.0], [5.6, 5.5, 5.7], 0),
        ("step", [1.0, 1.1, 5.0], [5.3, 5.4, 5.5], 1),
        ("help", [0.1, 0.29, 9.0], [], 0),
        ("help", [0.1, 0.31, 0.32], [], 1),
    ],
)
def test_a_bound_that_is_missed_fails_the_check(
    kept_apart, monkeypatch, capsys, name, ours, theirs, status
):
    """By the ratio of the medians, or the median itself; nothing is written."""
    measuring(monkeypatch, ours, theirs)
    before = sorted(kept_apart.rglob("*"))
    assert run.main([name, "--check"]) == status
    assert ("bound missed" in capsys.readouterr().out) is bool(status)
    assert sorted(kept_apart.rglob("*")) == before


@pytest.mark.clause("SPEED-002")
def test_figures_are_kept_with_their_history(kept_apart, monkeypatch, capsys):
    """A run writes JSON, a line of history and the pages; of one row it leaves the others."""
    measuring(monkeypatch, [2.0], [20.0])
    assert run.main(["step"]) == 0
    measuring(monkeypatch, [0.2], [])
    assert run.main(["help"]) == 0
    rows = json.loads((kept_apart / "results.json").read_text())["results"]
    assert (rows["step"]["ratio"], rows["help"]["ours"]) == (10.0, 0.2)
    lines = (kept_apart / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["figures"] for line in lines] == [{"step": 10.0}, {"help": 0.2}]
    for page in report.PAGES:
        text = (kept_apart / page).read_text()
        assert "**10**" in text
        assert "200 ms" in text
        assert text.startswith("# A\n")
        assert text.endswith("rest\n")


@pytest.mark.clause("SPEED-002")
def test_the_docs_show_what_was_measured_last():
    """spec/speed.md has the tables that results.json gives, of each benchmark."""
    kept = report.load()
    assert list(kept["results"]) == list(bench.all_benchmarks())
    for page in report.PAGES:
        text = (run.ROOT / page).read_text("utf-8")
        assert report.MARKS.search(text)
        assert report.shown(text, kept) == text, page


@pytest.mark.clause("SPEED-001")
def test_the_docs_tell_which_bounds_are_missed():
    """The bounds are those that the benchmarks have now, and a figure that misses one is marked."""
    known = bench.all_benchmarks()
    shown = report.table(report.load()["results"]).splitlines()
    for name, one in report.load()["results"].items():
        assert (one["floor"], one["ceiling"]) == (known[name].floor, known[name].ceiling), name
        row = next(line for line in shown if line.startswith(f"| `{name}` |"))
        floor, ceiling = one["floor"] or 0.0, one["ceiling"] or float("inf")
        kept = one.get("ratio", floor) >= floor and one["ours"] <= ceiling
        assert ("missed" in row) is not kept, name


@pytest.mark.clause("SPEED-002")
def test_a_benchmark_that_fails_takes_no_other_with_it(monkeypatch, tmp_path, capsys):
    """What was measured before and after it is written, it is told, and the status is 1."""
    written = {}

    def measure(name, pairs, folder):
        if name == "step":
            raise RuntimeError("no compiler\nor no memory")
        return {"ours": [1.0], "theirs": [], "facts": {}}

    monkeypatch.setattr(run, "measure", measure)
    monkeypatch.setattr(run.machine, "described", dict)
    monkeypatch.setattr(
        run.report, "write", lambda root, machine, results, *, whole: written.update(results)
    )
    assert run.main(["help", "step", "plugins"]) == 1
    assert [*written] == ["help", "plugins"]
    assert "step: could not be measured: or no memory" in capsys.readouterr().out
