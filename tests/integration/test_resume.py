"""Runs that are cut short and taken up again (spec/checkpoints.md, RES)."""

import errno
import json
import os
import re
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from support.bad_inputs import listing
from support.kills import Run, outcome, place_for_runs, settings, until_done
from support.processes import finish, start, wait_until
from support.runs import mlmref, save_corpus

from mlmref import run
from mlmref.base.errors import ConfigError, OutputError
from mlmref.plugin.registry import Source
from mlmref.runner.folder.checkpoint import Checkpoint
from mlmref.settings.resolve import resolve


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Compute as the runs in processes of their own do: more threads round otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model and a corpus in it."""
    return place_for_runs(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def events(place):
    """Run to the end; return what it came to, and all that happened."""
    log = place / "events"
    # The first run makes the cache, whose events no other has.
    assert Run(settings(place, place / "first")).status() == 0
    assert Run(settings(place, place / "whole"), log=log).status() == 0
    return outcome(place / "whole"), log.read_text("utf-8").splitlines()


def moment(events, name, nth=0):
    """Return the number of an event, by what its name begins with."""
    return [number for number, one in enumerate(events) if one.startswith(name)][nth]


def killed(place, events, output, name="before step", nth=7, **changes):
    """Kill a run at an event; return its settings."""
    sets = settings(place, output, **changes)
    assert Run(sets, at=moment(events[1], name, nth)).status() == -signal.SIGKILL
    return sets


TRIED = ("mid-accumulation", "a save, before the rename", "an evaluation", "the last rename")
"""The moments of the default run."""
MOMENTS = {
    "loading": ("before load", 0),
    "preparation": ("after prepare", 0),
    "the first evaluation": ("before evaluation", 0),
    "mid-accumulation": ("after micro-batch", 10),
    "the optimizer's step": ("after update", 4),
    "a save, the weights written": ("after save model", 1),
    "a save, before the rename": ("before rename .part", 1),
    "a save, after the rename": ("after rename .part", 1),
    "a save, the old one going": ("before rmtree .part", 0),
    "the last batch of an epoch": ("before evaluation", 1),
    "an evaluation": ("after evaluation", 1),
    "the export": ("before export", 0),
    "the report": ("before write record.json", 0),
    "the last rename": ("before rename whole.unfinished", 0),
    "done but for clearing up": ("after rename whole.unfinished", 0),
}


@pytest.mark.clause("RES-004")
@pytest.mark.clause("REP-008")
@pytest.mark.clause("CKPT-008")
@pytest.mark.parametrize(
    "when", [pytest.param(one, marks=[pytest.mark.full] * (one not in TRIED)) for one in MOMENTS]
)
def test_a_run_that_was_killed_ends_as_if_nothing_had_happened(place, events, tmp_path, when):
    """SIGKILL at each kind of moment: the same weights, record, metrics and files."""
    whole, _ = events
    sets = killed(place, events, tmp_path / "out", *MOMENTS[when])
    assert until_done(sets, tmp_path / "out") == whole
    assert [one.name for one in tmp_path.iterdir()] == ["out"], "not even a lock is left"


@pytest.mark.clause("RES-004")
def test_a_run_is_killed_twice_in_an_epoch(place, events, tmp_path):
    """On Accelerate, and without another save between: the same again."""
    changes = {"training.backend": "accelerate", "checkpoints.every": 2}
    assert Run(settings(place, tmp_path / "whole", **changes)).status() == 0
    sets = killed(place, events, tmp_path / "out", "before step", 4, **changes)
    assert Run(sets, resume="auto", at=25).status() == -signal.SIGKILL
    assert Run(sets, resume="auto", at=40).status() == -signal.SIGKILL
    assert until_done(sets, tmp_path / "out") == outcome(tmp_path / "whole")


@pytest.mark.clause("RUN-006")
def test_the_record_says_where_the_run_was_taken_up(place, events, tmp_path):
    """The steps, in order; and the seconds of all its parts."""
    sets = killed(place, events, tmp_path / "out", "before step", 4)
    first = timings(tmp_path / "out.unfinished")
    saved = moment(events[1], "before step", 6)  # of the whole run: later in one that goes on
    assert Run(sets, resume="auto", at=saved).status() < 0
    second = timings(tmp_path / "out.unfinished")
    until_done(sets, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "record.json").read_text("utf-8"))
    assert record["resumed"][0] == 3
    assert len(record["resumed"]) == 2
    for stage, seconds in first.items():
        assert seconds <= second[stage] <= record["timings"][stage], stage
    assert second["train"] < record["timings"]["train"]


def timings(folder):
    """Return the seconds by stage that the newest checkpoint of an unfinished run holds."""
    states = folder.glob("checkpoints/*/state.json")
    newest = max(states, key=lambda file: file.stat().st_mtime_ns)
    return Checkpoint(folder=newest.parent, step=0).load()["timings"]


@pytest.mark.clause("RUN-014")
@pytest.mark.clause("CKPT-010")
@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
@pytest.mark.parametrize(
    "name",
    [
        "after micro-batch",
        "before evaluation",
        pytest.param("after update", marks=pytest.mark.full),
    ],
)
def test_a_signal_ends_the_step_and_saves(place, events, tmp_path, number, status, word, name):
    """The step that was begun is in the checkpoint, the line says how to go on, and it does."""
    whole, all_ = events
    out = tmp_path / "out"
    at = moment(all_, name, 1 if "evaluation" in name else 8)
    step = sum(one.startswith("before step") for one in all_[:at])
    step += "evaluation" not in name
    sets = settings(place, out)
    assert Run(sets, at=at, signal_=number, errors=tmp_path / "err").status() == status
    *_, line = (tmp_path / "err").read_text("utf-8").splitlines()
    assert line == f"{word}: saved at step {step}: resume with mlmref run --resume {out}"
    assert until_done(sets, out, resume=str(out)) == whole


@pytest.mark.clause("RUN-014")
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.full)],
)
def test_a_signal_after_the_last_step_is_heard(place, events, tmp_path, number, status):
    """When nothing is left to train it ends the command all the same, and the run goes on."""
    sets = settings(place, tmp_path / "out")
    assert Run(sets, at=moment(events[1], "after step", -1), signal_=number).status() == status
    assert until_done(sets, tmp_path / "out") == events[0]


@pytest.mark.clause("RES-004")
def test_a_prompt_with_a_line_separator_is_taken_up(place, tmp_path):
    """U+2028 in a prompt, which some take for the end of a line of metrics.jsonl."""
    changes = {"fill.prompts": '["a\u2028{mask}"]'}
    assert Run(settings(place, tmp_path / "whole", **changes)).status() == 0
    sets = settings(place, tmp_path / "out", **changes)
    log = tmp_path / "log"
    assert Run(sets, at=300, log=log).status() == -signal.SIGKILL
    assert until_done(sets, tmp_path / "out") == outcome(tmp_path / "whole")


@pytest.mark.clause("RUN-014")
def test_a_second_signal_is_obeyed_at_once(place, tmp_path):
    """Both before a step of several seconds ends."""
    sets = settings(
        place,
        tmp_path / "out",
        **{
            "corpus.name": save_corpus(tmp_path / "long.txt", copies=300),
            "masking.options.mlm_probability": 0.9,
            "training.accumulation": 1_000_000,
            "training.batch_size": 1,
            "chunks.size": 2,
            "split.test_size": 2,
        },
    )
    started = Run(sets, errors=tmp_path / "err")
    wait_until(lambda: "before:" in (tmp_path / "err").read_text("utf-8"))
    time.sleep(0.5)
    started.kill(0, signal.SIGINT)
    started.kill(0.3, signal.SIGINT)
    assert started.status() == 130
    # A step that had been waited for, which takes half a minute, would have left a checkpoint.
    assert not (tmp_path / "out.unfinished").exists(), "there was nothing to keep"


@pytest.fixture(scope="module")
def killed_once(place, events, tmp_path_factory):
    """Kill a run after its checkpoints at steps 3 and 6; return its folder's place and settings."""
    home = tmp_path_factory.mktemp("killed")
    sets = killed(place, events, home / "here" / "out", "before step", 7)
    left = home / "here" / "out.unfinished"
    names = sorted(one.name for one in (left / "checkpoints").iterdir())
    assert names == ["run.json", "step-00000003", "step-00000006"]
    left.parent.rename(home / "kept")
    return home, sets


@pytest.fixture
def stopped(killed_once):
    """Return the killed run's place, and its settings, each time as the kill left it."""
    home, sets = killed_once
    shutil.rmtree(home / "here", ignore_errors=True)
    shutil.copytree(home / "kept", home / "here")
    return home / "here" / "out", sets


OTHER = {
    "training.epochs": ("training.epochs=3", "training.epochs was 2, is 3"),
    "seed": ("seed=7", "seed was 42, is 7"),
    "an option": (
        "masking.options.mlm_probability=0.3",
        "masking.options.mlm_probability was 0.15, is 0.3",
    ),
    "the strategy": ("masking.strategy=whole-word", "masking.strategy was token, is whole-word"),
    "the backend": (
        "training.backend=accelerate",
        "training.backend was trainer, is accelerate",
    ),
    "the examples in a step": ("training.batch_size=8", "examples in a step was 8, is 16"),
    "the split": ("split.seed=1", "split.seed was 42, is 1"),
    "a prompt": ('fill.prompts=["a {mask}"]', "fill.prompts was "),
}


@pytest.mark.clause("RES-002")
@pytest.mark.parametrize("what", OTHER)
def test_other_settings_are_refused_by_name(stopped, what):
    """With what they were and are, before anything is loaded, and nothing changes."""
    out, sets = stopped
    before = listing(out.parent)
    with pytest.raises(ConfigError) as caught:
        run(resolve(sets=[*sets, OTHER[what][0]]), resume="auto")
    assert OTHER[what][1] in str(caught.value)
    assert str(caught.value).startswith(
        f"{out}.unfinished: the run was started with other settings"
    )
    assert listing(out.parent) == before


@pytest.mark.clause("RES-002")
@pytest.mark.parametrize("what", ["corpus", "model", "mlmref", "plugin", "precision", "settings"])
def test_other_ingredients_are_refused_by_name(stopped, place, what, monkeypatch, tmp_path):
    """One document, the weights, mlmref or a plugin is not what it was; nothing changes."""
    out, sets = stopped
    files = {"corpus": "corpus.txt", "model": "model/model.safetensors"}
    file = place / (files | {"settings": "model/config.json"}).get(what, "events")
    content = bytearray(file.read_bytes())
    if what == "mlmref":
        monkeypatch.setattr("mlmref.base.version.__version__", "9.9")
    elif what == "settings":
        own = json.loads(content) | {"hidden_dropout_prob": 0.4}
        file.write_text(json.dumps(own), "utf-8")
    elif what == "precision":  # as on a machine where auto finds another device
        monkeypatch.setattr("mlmref.training.optimizer.choose_precision", lambda *_: "bf16")
    elif what == "plugin":
        monkeypatch.setattr(Source, "__str__", lambda _: "'token' of another 2.0")
    else:
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    before = listing(out.parent)
    try:
        with pytest.raises(
            ConfigError, match=rf"started with other settings: .*{what}.* was .*, is"
        ):
            run(resolve(sets=sets), resume="auto")
    finally:
        file.write_bytes(content)
    assert listing(out.parent) == before


@pytest.mark.clause("RES-002")
def test_what_changes_no_figure_may_change(stopped, events):
    """Workers, the evaluation's batch size, how a step is cut and how often to save."""
    _, sets = stopped
    free = [
        "training.workers=1",
        "evaluation.batch_size=3",
        "checkpoints.every=2",
        "checkpoints.last=1",
        "output.private=true",
    ]
    result = run(resolve(sets=[*sets, *free]), resume="auto")
    assert result.record["loss"] == events[0]["record"]["loss"]
    after = events[0]["record"]["perplexity"]["after"]["value"]
    assert result.record["perplexity"]["after"]["value"] == pytest.approx(after, rel=1e-6)


@pytest.mark.clause("RES-002")
def test_a_step_may_be_cut_otherwise(stopped, events):
    """8 times 1 in place of 4 times 2; with dropout another dropout, so the losses are near."""
    _, sets = stopped
    cut = ["training.batch_size=8", "training.accumulation=1"]
    result = run(resolve(sets=[*sets, *cut]), resume="auto")
    losses = [
        [one["loss"] for one in record["loss"]] for record in (result.record, events[0]["record"])
    ]
    assert losses[0][:5] == losses[1][:5]
    assert losses[0] == pytest.approx(losses[1], rel=0.2)


@pytest.mark.clause("CKPT-004")
def test_a_run_passes_over_what_is_damaged(stopped, events):
    """The newest is bit-flipped: it is named, the one before is taken, and the end is the same."""
    out, sets = stopped
    file = (
        out.with_name("out.unfinished") / "checkpoints" / "step-00000006" / "training.safetensors"
    )
    content = bytearray(file.read_bytes())
    content[-5] ^= 4
    file.write_bytes(content)
    assert Run(sets, resume="auto", errors=out.with_name("err")).status() == 0
    told = out.with_name("err").read_text("utf-8")
    assert f"{file.parent}: skipped, its training.safetensors is damaged" in told
    assert "resumes after step 3" in told
    got = outcome(out)
    damaged = [name for name in got["files"] if "step-00000006-damaged-1" in name]
    assert damaged, "it is nobody's but the user's to remove"
    assert {**got, "files": events[0]["files"]} == events[0]


@pytest.mark.clause("CKPT-004")
@pytest.mark.clause("RES-003")
def test_a_run_without_a_whole_checkpoint_begins_over_and_says_so(stopped, events):
    """Both are damaged: both are named, and it is said that the run begins from its first step."""
    out, sets = stopped
    for file in out.with_name("out.unfinished").rglob("state.json"):
        file.write_text("{}")
    assert Run(sets, resume="auto", errors=out.with_name("err")).status() == 0
    told = out.with_name("err").read_text("utf-8")
    assert told.count("skipped, its state.json is cut short") == 2
    assert "no complete checkpoint: the run starts at its first step" in told
    assert outcome(out)["weights"] == events[0]["weights"]


@pytest.mark.clause("RES-001")
def test_the_folder_alone_is_enough(stopped, events, monkeypatch, tmp_path):
    """With mlmref run --resume, and the place or the unfinished folder, from another folder."""
    out, _ = stopped
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = mlmref("run", "--resume", f"{out}.unfinished", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out)
    assert {**outcome(out), "files": events[0]["files"]} == events[0]
    assert not [*Path.cwd().iterdir()]


@pytest.mark.clause("RES-001")
def test_auto_without_a_folder_finds_the_run_with_the_same_settings(
    place, events, tmp_path, monkeypatch
):
    """Of two unfinished runs under runs/ the one that is alike; none of them for a third."""
    monkeypatch.chdir(tmp_path)

    def sets(seed):
        chosen = settings(place, tmp_path, seed=seed)
        return [one for one in chosen if not one.startswith("output.folder")]

    for seed in (1, 2):
        assert Run(sets(seed), at=moment(events[1], "before step", 4)).status() < 0
    folders = [f"00{number}-token-trainer.unfinished" for number in (1, 2)]
    assert sorted(one.name for one in Path("runs").glob("0*")) == folders
    assert Run(sets(1), resume="auto", errors=tmp_path / "err").status() == 0
    assert (tmp_path / "runs" / "001-token-trainer" / "record.json").exists()
    assert Run(sets(3), resume="auto", errors=tmp_path / "third").status() == 0
    assert "no unfinished run to resume in runs: starting a new" in (tmp_path / "third").read_text()
    assert json.loads(Path("runs/003-token-trainer/record.json").read_text())["seed"] == 3
    assert Path("runs", folders[1]).exists()


@pytest.mark.clause("RES-001")
def test_auto_takes_the_run_that_saved_last(place, events, tmp_path, monkeypatch):
    """Of two alike the one that was begun first, if it has saved since."""
    monkeypatch.chdir(tmp_path)
    sets = [one for one in settings(place, tmp_path) if not one.startswith("output.folder")]
    for at in (4, 4):
        assert Run(sets, at=moment(events[1], "before step", at)).status() < 0
    first, second = sorted(Path("runs").glob("*.unfinished"))
    assert run(resolve(sets=sets), resume=str(first)).folder == Path("runs/001-token-trainer")
    assert Run(sets, at=moment(events[1], "before step", 4)).status() < 0
    third = Path("runs/003-token-trainer.unfinished")
    save = sorted((second / "checkpoints").glob("step-*"))[-1]
    save.rename(save.with_name("step-00000099"))  # as a save does, it changes the folder
    save.with_name("step-00000099").rename(save)
    assert third.exists()
    assert run(resolve(sets=sets), resume="auto").folder == Path("runs/002-token-trainer")


@pytest.mark.clause("RES-003")
@pytest.mark.clause("CKPT-004")
def test_quiet_does_not_keep_back_that_a_run_begins_over(stopped, place, tmp_path):
    """--quiet still prints that no run can be resumed, and which checkpoints were skipped."""
    out, sets = stopped
    for file in out.with_name("out.unfinished").rglob("state.json"):
        file.write_text("{}")
    flags = [part for one in sets for part in ("--set", one)]
    again = mlmref("run", "--quiet", *flags, "--resume", "auto")
    assert again.returncode == 0, again.stderr
    lines = again.stderr.splitlines()
    assert ["skipped" in line for line in lines] == [True, True, False]
    assert lines[-1] == "no complete checkpoint: the run starts at its first step"
    other = [*flags, "--output", tmp_path / "other", "--resume", "auto"]
    begun = mlmref("run", "--quiet", *other, "--max-steps", "1")
    assert begun.returncode == 0
    assert begun.stderr.startswith(f"no unfinished run to resume in {tmp_path / 'other'}: ")


@pytest.mark.clause("RES-003")
def test_a_folder_that_is_named_must_be_there(place, tmp_path):
    """--resume DIR with no run there is refused; nothing is made."""
    told = mlmref("run", "--resume", "nowhere", cwd=tmp_path)
    assert told.returncode == 2
    assert told.stderr.splitlines()[-1] == (
        "mlmref: --resume nowhere: no such run; name a run folder, or omit --resume"
    )
    assert not [*tmp_path.iterdir()]


@pytest.mark.clause("RES-001")
def test_a_run_goes_on_where_it_is(stopped, tmp_path):
    """Another --output beside --resume is refused."""
    out, sets = stopped
    with pytest.raises(ConfigError, match=r"--output: the run resumes in its own folder"):
        run(resolve(sets=[*sets, f"output.folder={tmp_path / 'new'}"]), resume=str(out))


@pytest.mark.clause("RES-005")
def test_a_finished_run_stays_finished(place, tmp_path):
    """The same again does nothing, other settings are refused, and without --resume all are."""
    out = tmp_path / "out"
    sets = settings(place, out, **{"training.max_steps": 1})
    first = run(resolve(sets=sets), resume="auto")
    before = listing(out)
    for resume in ("auto", str(out)):
        assert run(resolve(sets=sets), resume=resume).record == first.record
    with pytest.raises(ConfigError, match="training.max_steps was 1, is 2"):
        run(resolve(sets=[*sets, "training.max_steps=2"]), resume="auto")
    with pytest.raises(OutputError, match="already exists"):
        run(resolve(sets=sets))
    assert listing(out) == before


@pytest.mark.clause("RES-005")
def test_kept_checkpoints_stay_whatever_is_typed_again(place, tmp_path):
    """The finished run was to keep them, so the same command without that keeps them too."""
    out = tmp_path / "out"
    sets = settings(place, out)
    run(resolve(sets=[*sets, "checkpoints.keep=true"]))
    before = listing(out)
    run(resolve(sets=sets), resume="auto")
    assert listing(out) == before


@pytest.mark.clause("RES-001")
def test_what_is_printed_goes_on_after_a_kill_while_loading(place, events, tmp_path):
    """The folder alone is enough before the first checkpoint too."""
    killed(place, events, tmp_path / "out", "before load", 0)
    done = mlmref("run", "--resume", tmp_path / "out", "--quiet")
    assert done.returncode == 0, done.stderr
    assert outcome(tmp_path / "out")["weights"] == events[0]["weights"]


@pytest.mark.clause("RES-006")
@pytest.mark.parametrize("resume", ["auto", "out"])
def test_a_folder_that_only_has_the_name_stays(place, tmp_path, monkeypatch, resume):
    """Somebody's own out.unfinished, without the marker, is neither gone on with nor removed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out.unfinished").mkdir()
    (tmp_path / "out.unfinished" / "theirs").write_text("theirs")
    before = listing(tmp_path)
    with pytest.raises(OutputError, match=r"out\.unfinished: not an unfinished run of mlmref"):
        run(resolve(sets=settings(place, "out")), resume=resume)
    with pytest.raises(OutputError, match="an unfinished run exists there"):
        run(resolve(sets=settings(place, "out")))
    assert listing(tmp_path) == before


@pytest.mark.clause("RUN-014")
def test_the_printed_command_goes_on_whatever_the_name(place, events, tmp_path, monkeypatch):
    """A run named auto, and one with a blank and a quote in its name."""
    monkeypatch.chdir(tmp_path)
    for name in ("auto", "it's mine"):
        sets = settings(place, name)
        at = moment(events[1], "before step", 7)
        assert Run(sets, at=at, signal_=signal.SIGTERM, errors="err").status() == 143
        line = Path("err").read_text("utf-8").splitlines()[-1]
        done = mlmref(*shlex.split(line.split("resume with mlmref ")[1]), "--quiet")
        assert done.returncode == 0, (line, done.stderr)
        assert outcome(Path(name))["weights"] == events[0]["weights"]


@pytest.mark.clause("RES-001")
def test_no_run_is_named_as_an_unfinished_one(place, tmp_path):
    """--output x.unfinished is refused, since --resume would look for x."""
    with pytest.raises(
        ConfigError, match=r"--output: .*x\.unfinished is the name of an unfinished"
    ):
        run(resolve(sets=settings(place, tmp_path / "x.unfinished")))
    assert not [*tmp_path.iterdir()]


@pytest.mark.clause("RUN-011")
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.full)],
)
def test_a_signal_after_the_last_rename_says_that_the_run_is_whole(
    place, events, tmp_path, number, status
):
    """Not that nothing was kept; and going on with it clears up."""
    out, at = tmp_path / "out", moment(events[1], "after rename whole.unfinished")
    sets = settings(place, out)
    assert Run(sets, at=at, signal_=number, errors=tmp_path / "err").status() == status
    assert (
        (tmp_path / "err")
        .read_text()
        .splitlines()[-1]
        .endswith(f"ed: the run is complete, in {out}")
    )
    assert until_done(sets, out) == events[0]


@pytest.mark.clause("RUN-014")
@pytest.mark.clause("CLI-003")
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.full)],
)
def test_a_signal_to_the_whole_group_leaves_workers_to_the_run(place, tmp_path, number, status):
    """As Ctrl-C, timeout and queues send it: one line, the usual status, and no worker is left."""
    flags = settings(place, tmp_path / "out", **{"training.epochs": 400, "training.workers": 2})
    # Not warm: all are to be in one process group.
    command = [sys.executable, "-m", "mlmref", "run", "--quiet"]
    metrics = tmp_path / "out.unfinished" / "metrics.jsonl"
    sets = (part for one in flags for part in ("--set", one))
    process = start([*command, *sets], start_new_session=True)
    wait_until(lambda: metrics.read_text().count('"event": "step"') > 15)
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    os.killpg(process.pid, number)
    done = finish(process)
    assert done.returncode == status, done.stderr
    [line] = done.stderr.splitlines()
    assert "saved at step" in line
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


@pytest.mark.clause("RUN-004")
def test_a_run_at_work_is_not_taken_up(place, tmp_path):
    """Going on with a run that another process is at is refused, and that one ends well."""
    sets = settings(place, tmp_path / "out", **{"training.epochs": 400})
    first = Run(sets, errors=tmp_path / "err")
    wait_until(lambda: [*tmp_path.glob("out.unfinished/checkpoints/step-*")])
    with pytest.raises(OutputError, match="another run is writing to it"):
        run(resolve(sets=sets), resume="auto")
    first.kill(0, signal.SIGTERM)
    assert first.status() == 143, (tmp_path / "err").read_text()


@pytest.mark.clause("CKPT-008")
@pytest.mark.parametrize("keep", [True, False])
def test_checkpoints_are_kept_where_asked_for(place, tmp_path, keep):
    """The last of them, loadable; else none."""
    out = tmp_path / "out"
    run(resolve(sets=settings(place, out, **{"checkpoints.keep": str(keep).lower()})))
    names = sorted(one.name for one in (out / "checkpoints").glob("step-*"))
    assert bool(names) == keep
    assert len(names) in {0, 2}


@pytest.mark.clause("RUN-002")
@pytest.mark.clause("CKPT-006")
@pytest.mark.parametrize("call", ["fsync", "weights", "tokenizer"])
def test_a_full_disk_is_told_and_destroys_nothing(place, tmp_path, call, monkeypatch):
    """ENOSPC at the second save, or at the end: one line, and the checkpoints that were there."""
    from safetensors import SafetensorError

    out, left = tmp_path / "out", [9]
    real = os.fsync

    def full(*arguments, **_):
        if call == "weights":
            raise SafetensorError("Error while serializing: I/O error: No space left on device")
        if call == "tokenizer":
            raise Exception("No space left on device (os error 28)")  # as tokenizers does
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(*arguments)

    target = {
        "fsync": "os.fsync",
        "weights": "transformers.PreTrainedModel.save_pretrained",
        "tokenizer": "transformers.PreTrainedTokenizerFast.save_pretrained",
    }[call]
    sets = settings(place, out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, full)
        with pytest.raises(OutputError) as caught:
            run(resolve(sets=sets))
    if call == "fsync" and not (tmp_path / "out.unfinished").exists():
        assert str(caught.value).endswith(
            "so nothing was saved; free space, or choose another disk with --output"
        )
        return
    assert re.fullmatch(rf"{out}: writing to the disk failed \(.*\); free space", str(caught.value))
    [note] = caught.value.__notes__
    assert re.fullmatch(rf"saved at step \d+: resume with mlmref run --resume {out}", note)
    assert run(resolve(sets=sets), resume="auto").folder == out


@pytest.mark.clause("CKPT-006")
def test_a_run_folder_that_vanishes_is_told(place, tmp_path, monkeypatch):
    """Somebody removes the unfinished folder: one line with its name, and no traceback."""
    from mlmref.training.job import Job

    real, out = Job.after_step, tmp_path / "out"

    def vanishing(self, grad_norm):
        shutil.rmtree(tmp_path / "out.unfinished", ignore_errors=True)
        real(self, grad_norm)

    monkeypatch.setattr(Job, "after_step", vanishing)
    with pytest.raises(OSError, match="out.unfinished"):
        run(resolve(sets=settings(place, out)))
    assert not [*tmp_path.iterdir()]
