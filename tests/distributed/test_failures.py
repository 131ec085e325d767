"""What becomes of all ranks when one of them fails, is stopped or is lost (spec/ranks.md)."""

import json
import signal
import socket
from pathlib import Path

import pytest
from support import ranks_child
from support.launch import Launch, launch, quick, statuses, torchrun
from support.runs import floats, mlmref, save_corpus, save_model

from mlmref import __version__ as VERSION
from mlmref import run
from mlmref.cli.errors import one_line_errors
from mlmref.settings.resolve import resolve

EPOCHS = 4  # of 23 steps
ELSEWHERE = f"mlmref: rank 1 of 2, on {socket.gethostname()}: "
GO_ON = "resume with the same command and --resume out"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model and a corpus in it."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model")
    save_corpus(folder / "corpus.txt")
    return folder


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def faulty(fault, *options, ranks=2):
    """Return a quiet run with a fault, to be started in the present folder."""
    command = [*torchrun(ranks), ranks_child.__file__, fault, "run", "--quiet", *options]
    return {"command": command, "cwd": ".", "log": "../log"}


def left():
    """List what is in the present folder."""
    return sorted(file.name for file in Path().iterdir())


@pytest.mark.clause("RANK-004")
@pytest.mark.clause("RUN-002")
def test_a_rank_that_cannot_prepare_ends_all(place):
    """One line that names the rank and its host, status 2 on both, and nothing is left."""
    ended = launch(**faulty("prepare:1", *quick(place), "--output", "out"))
    assert ended.told == [f"{ELSEWHERE}there.txt: nothing in it; look elsewhere"]
    assert statuses(ended) == {0: 2, 1: 2}
    assert left() == []


@pytest.mark.clause("RANK-004")
@pytest.mark.parametrize(("number", "said"), [("0", True), ("1", False)])
def test_a_process_that_a_launcher_ends_before_it_met_the_others(number, said, monkeypatch, capfd):
    """Status 143; what ended it is told elsewhere, so only the main process says a line."""
    for name, value in {"RANK": number, "WORLD_SIZE": "2", "LOCAL_RANK": number}.items():
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, one_line_errors(debug=False):
        signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
    assert bool(capfd.readouterr().err) == said


@pytest.mark.clause("RANK-004")
@pytest.mark.clause("RANK-011")
def test_more_processes_than_gpus_are_refused_once(place):
    """One line from the main process with status 2, though they have not met yet."""
    ended = launch(**faulty("one GPU", *quick(place), "--output", "out"))
    assert ended.told == [
        "mlmref: the launcher: 2 processes on a host with 1 GPU; start 1 on it, or set "
        "ACCELERATE_USE_CPU=1 to run on its CPUs"
    ]
    assert statuses(ended)[0] == 2
    assert left() == []


@pytest.mark.clause("RANK-004")
@pytest.mark.clause("CKPT-010")
def test_a_rank_that_fails_in_training_ends_all(place):
    """Its fault is told by the main process, which has saved the last step; status 2 on both."""
    ended = launch(**faulty("step:1", *quick(place), "--output", "out"))
    assert ended.told == [
        f"{ELSEWHERE}'trainer' of plugin mlmref:builtin-backends {VERSION}: train raised "
        "ZeroDivisionError: by nothing; report it to the plugin's author",
        f"saved at step 2: {GO_ON}",
    ]
    assert statuses(ended) == {0: 2, 1: 2}
    assert left() == ["out.unfinished"]


@pytest.mark.clause("RANK-004")
def test_what_fails_on_all_ranks_is_told_once(place):
    """A missing corpus: the line of one process, status 2 on both, and nothing is left."""
    settings = [*quick(place), "--set=corpus.name=there.txt"]
    ended = launch(**faulty("none", *settings, "--output", "out"))
    alone = mlmref("run", "--quiet", *settings, "--output", "out")
    assert ended.told == alone.stderr.splitlines()
    assert len(ended.told) == 1
    assert statuses(ended) == {0: 2, 1: 2}
    assert left() == []


@pytest.mark.clause("RANK-004")
@pytest.mark.clause("RUN-004")
def test_what_fails_on_the_main_process_alone_ends_all(place, tmp_path):
    """A run folder that holds something: one line, status 2 on both, and it stays."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/file").write_text("somebody's")
    ended = launch(**faulty("none", *quick(place), "--output", "out"))
    [line] = ended.told
    assert line.startswith("mlmref: out: already exists; nothing was changed; ")
    assert statuses(ended) == {0: 2, 1: 2}
    assert left() == ["out"]
    assert (tmp_path / "out/file").read_text() == "somebody's"


def steps_in(folder):
    """Return the losses by step of the lines in a ``metrics.jsonl``, the last perhaps cut."""
    file = folder / "metrics.jsonl"
    lines = file.read_text("utf-8").splitlines(keepends=True) if file.is_file() else []
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return {one["step"]: one["loss"] for one in events if one["event"] == "step"}


def saved_in(folder):
    """Return the step of the newest checkpoint."""
    return max(
        int(one.name.removeprefix("step-")) for one in (folder / "checkpoints").glob("step-*")
    )


@pytest.mark.clause("RANK-006")
@pytest.mark.clause("RANK-007")
@pytest.mark.clause("RANK-010")
def test_whatever_ends_a_run_it_goes_on_as_if_nothing_had_happened(place, tmp_path):
    """Rank 1 killed, rank 1 stopped, rank 0 killed, then one process.

    The run goes on with two ranks, twice, and then with one; losses and evaluations are those of
    one process that nothing happened to.
    """
    two = [*quick(place, epochs=EPOCHS, batch_size=4), "--save-every=4", "--output=out"]
    one = [*quick(place, epochs=EPOCHS, batch_size=8), "--save-every=4", "--output=out"]
    building = tmp_path / "out.unfinished"

    def at(step, rank, number, *resume):
        """Send a rank a signal after a step; return what was told, and the statuses."""
        with Launch(**faulty("slow", *two, *resume)) as started:
            started.until(lambda: max(steps_in(building), default=0) >= step)
            started.rank(rank).send_signal(number)
            ended = started.wait(60)
        return ended.told, statuses(ended)

    told, ended = at(9, 1, signal.SIGKILL)
    first = saved_in(building)
    assert first >= 5
    assert told[-1].endswith(f"saved at step {first}: {GO_ON}")
    assert ended[1] == -signal.SIGKILL

    told, ended = at(31, 1, signal.SIGTERM, "--resume=out")
    second = saved_in(building)
    assert second >= 25
    assert told == [f"terminated: saved at step {second}: {GO_ON}"]
    assert max(steps_in(building)) == second

    told, ended = at(58, 0, signal.SIGKILL, "--resume=out")
    third = saved_in(building)
    assert third > second
    [line] = told
    assert line.startswith(f"{ELSEWHERE}another process of the run was killed or lost; ")
    assert ended[0] == -signal.SIGKILL

    went_on = mlmref("run", *one, "--resume=out")
    assert went_on.returncode == 0, went_on.stderr
    assert f"resumes after step {third}" in went_on.stderr
    record = json.loads((tmp_path / "out/record.json").read_text("utf-8"))
    assert record["resumed"] == [first, second, third]

    sets = [flag.removeprefix("--set=") for flag in one if flag.startswith("--set=")]
    expected = run(resolve(sets=[*sets, f"output.folder={tmp_path / 'alone'}"])).record
    for key in ("step", "loss", "grad_norm", "learning_rate"):
        values = [step[key] for step in expected["loss"]]
        found = floats(step[key] for step in record["loss"])
        assert found == pytest.approx(floats(values), rel=1e-4, nan_ok=True)
    for mine, theirs in zip(
        record["perplexity"]["epochs"], expected["perplexity"]["epochs"], strict=True
    ):
        assert mine["targets"] == theirs["targets"]
        assert mine["value"] == pytest.approx(theirs["value"], rel=1e-4)
