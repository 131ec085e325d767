"""Whole runs on two processes, started as a user starts them (spec/ranks.md)."""

import json

import pyarrow.parquet as pq
import pytest
from support.launch import accelerate_launch, launch, quick, torchrun
from support.runs import floats, save_corpus, save_model

from mlmref import run
from mlmref.settings.resolve import resolve

MLMREF = ["-m", "mlmref"]
CUTS = {
    "torchrun": (torchrun(2), "trainer", {"batch_size": 2, "accumulation": 2, "workers": 2}),
    "accelerate launch": (accelerate_launch(2), "accelerate", {"batch_size": 4}),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model and a corpus in it."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model")
    save_corpus(folder / "corpus.txt")
    return folder


@pytest.fixture(scope="module")
def alone(place):
    """Return the record of the run in one process, eight examples at a time."""
    sets = [flag.removeprefix("--set=") for flag in quick(place, batch_size=8)]
    return run(resolve(sets=[*sets, f"output.folder={place / 'alone'}"])).record


@pytest.fixture(scope="module", params=CUTS, ids=lambda name: name.replace(" ", "-"))
def launched(request, place, tmp_path_factory):
    """Run on two processes, with either launcher; returns where, and how it went."""
    launcher, backend, cut = CUTS[request.param]
    folder = tmp_path_factory.mktemp("here")
    typed = [*launcher, *MLMREF, "run", *quick(place, backend=backend, **cut), "--output", "out"]
    started = launch(typed, cwd=folder, log=place / request.param.split()[0])
    assert started.status == 0, started.err
    return folder, started


def record(launched):
    """Return the record of a launched run."""
    return json.loads((launched[0] / "out/record.json").read_text("utf-8"))


@pytest.mark.clause("RANK-001")
@pytest.mark.clause("RANK-002")
def test_losses_and_norms_are_those_of_one_process(launched, alone):
    """At each step to 1e-4, a step with a single example among them, in half as many cuts."""
    theirs, mine = record(launched)["loss"], alone["loss"]
    assert alone["corpus"]["chunks_train"] % 8 == 1
    assert [one["step"] for one in theirs] == [one["step"] for one in mine] == [*range(1, 47)]
    for key in ("loss", "grad_norm", "learning_rate"):
        expected = [one[key] for one in mine]
        found = floats(one[key] for one in theirs)
        assert found == pytest.approx(floats(expected), rel=1e-4, nan_ok=True)
    assert mine[-1]["loss"] < mine[0]["loss"] - 0.1


@pytest.mark.clause("EVAL-004")
@pytest.mark.clause("RANK-002")
def test_evaluations_are_those_of_one_process(launched, alone):
    """Before and after each epoch: the same targets, and the perplexity to 1e-6."""
    theirs, mine = record(launched)["perplexity"], alone["perplexity"]
    both = zip(
        [theirs["before"], *theirs["epochs"]], [mine["before"], *mine["epochs"]], strict=True
    )
    for here, there in both:
        assert here["targets"] == there["targets"] > 100
        assert here["value"] == pytest.approx(there["value"], rel=1e-6)


@pytest.mark.clause("REP-008")
def test_what_is_kept_for_the_report_is_that_of_one_process(launched, alone, place):
    """The same targets and answers before training, their losses but for rounding; and a page."""
    here, there = launched[0] / "out", place / "alone"
    mine, theirs = (pq.read_table(one / "held_out.parquet") for one in (there, here))
    known = ["chunk", "position", "token", "text", "word", "part", "count"]
    assert theirs.select(known).equals(mine.select(known))
    for when, within in (("before", 1e-5), ("after", 1e-2)):
        assert theirs[when].to_numpy() == pytest.approx(mine[when].to_numpy(), rel=within)
    kept = [json.loads((one / "report.json").read_text("utf-8")) for one in (there, here)]
    assert kept[0]["explorer"] == kept[1]["explorer"]
    assert kept[0]["answers"]["before"] == kept[1]["answers"]["before"]
    assert (here / "report.html").is_file()


@pytest.mark.clause("RANK-003")
def test_the_main_process_alone_writes(launched, alone, place):
    """Where it was started there is the run folder, with the files of one process's."""
    folder, _ = launched
    assert [file.name for file in folder.iterdir()] == ["out"]
    names = {file.name for file in (place / "alone").iterdir()}
    assert {file.name for file in (folder / "out").iterdir()} == names


@pytest.mark.clause("RANK-003")
def test_the_main_process_alone_speaks(launched):
    """Each line of progress comes once, and so does the table of results."""
    _, started = launched
    lines = [line for line in started.err.splitlines() if line.strip()]
    for begin, times in {
        "load": 1,
        "train: done": 1,
        "evaluate": 3,
        "write": 1,
        "before": 1,
    }.items():
        assert sum(line.startswith(begin) for line in lines) == times, started.err
    assert sum(line.startswith("run folder") for line in started.out.splitlines()) == 1
    assert started.out.count("masked accuracy") == 1
    assert "[rank" not in started.err
