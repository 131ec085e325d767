"""What trackers are told of a run (spec/tracking.md)."""

import json
import sys
from contextlib import contextmanager
from itertools import count

import pytest
import yaml
from support import processes
from support.runs import save_corpus, save_model
from support.trackers import NAMES, scalars, stand_in, told

from mlmref import run
from mlmref.base.disk import sha256
from mlmref.base.errors import ConfigError, OutputError
from mlmref.base.progress import Silent
from mlmref.runner.identity import what_matters
from mlmref.runner.log.trackers import Trackers
from mlmref.settings.config import Config, TrackingConfig
from mlmref.settings.resolve import resolve

BACKENDS = ("trainer", "accelerate")
STEPS = 8


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model and a corpus in it."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model")
    save_corpus(folder / "corpus.txt", copies=6)
    return folder


def settings(place, output, *sets):
    """Return the settings of a run of two epochs of four steps, saved every third step."""
    return resolve(
        sets=[
            f"model.name={place / 'model'}",
            f"corpus.name={place / 'corpus.txt'}",
            f"output.folder={output}",
            "chunks.size=16",
            "split.train_size=32",
            "split.test_size=8",
            "training.batch_size=8",
            "training.learning_rate=1e-2",
            "training.epochs=2",
            "checkpoints.every=3",
            *sets,
        ]
    )


@pytest.fixture(scope="module")
def runs(place):
    """Finish a run on each backend that reports to TensorBoard, and one that reports to nobody."""
    board = "tracking.to=tensorboard"
    finished = {
        name: run(settings(place, place / name, board, f"training.backend={name}"))
        for name in BACKENDS
    }
    return finished | {"untold": run(settings(place, place / "untold"))}


def events(folder, kind):
    """Return the events of a kind in ``metrics.jsonl``."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text("utf-8").splitlines())
    return [one for one in lines if one["event"] == kind]


@pytest.mark.clause("TRACK-001")
def test_both_backends_report_the_same(runs):
    """The same tags with the same values at the same steps, but for how long it took."""
    one, other = (scalars(runs[name].folder / "logs") for name in BACKENDS)
    assert one.keys() == other.keys()
    for tag in ("train/tokens_per_second", "final/seconds", "final/peak_memory_mb"):
        assert [step for step, _ in one.pop(tag)] == [step for step, _ in other.pop(tag)]
    for tag, values in one.items():
        assert values == [(step, pytest.approx(value, rel=1e-6)) for step, value in other[tag]]


@pytest.mark.clause("TRACK-002")
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_reported_is_what_is_written(runs, backend):
    """Each step of metrics.jsonl, evaluations at their epochs' last steps, the record's figures."""
    folder, record = runs[backend].folder, runs[backend].record
    found, steps = scalars(folder / "logs"), events(folder, "step")
    for name in ("loss", "learning_rate", "grad_norm", "epoch"):
        expected = [(one["step"], pytest.approx(one[name], rel=1e-6)) for one in steps]
        assert found[f"train/{name}"] == expected
    assert [step for step, _ in found["train/tokens_per_second"]] == list(range(1, STEPS + 1))
    assert all(value > 0 for _, value in found["train/tokens_per_second"])
    for bound, tag in (("value", ""), ("low", "_low"), ("high", "_high")):
        values = [one[bound] for one in events(folder, "evaluation")]
        expected = list(zip((0, 4, STEPS), map(pytest.approx, values), strict=True))
        assert found[f"evaluation/perplexity{tag}"] == expected
    after = record["perplexity"]["after"]["value"]
    assert found["final/perplexity_after"] == [(STEPS, pytest.approx(after))]
    ratio = record["perplexity"]["difference"]["ratio"]
    assert found["final/ratio"] == [(STEPS, pytest.approx(ratio))]


@pytest.mark.clause("TRACK-002")
def test_the_settings_are_hyperparameters(runs):
    """By dotted key, each setting of the run."""
    (file,) = (runs["trainer"].folder / "logs").rglob("hparams.yml")
    values = yaml.safe_load(file.read_text())
    assert values["training.batch_size"] == 8
    assert values["masking.strategy"] == "token"
    assert values["tracking.to"] == '["tensorboard"]'


@pytest.mark.clause("TRACK-007")
def test_reporting_changes_nothing(runs):
    """The weights and the metrics of a run that reports are those of one that does not."""
    told_, untold = runs["trainer"].folder, runs["untold"].folder
    for name in ("model.safetensors", "metrics.jsonl"):
        assert sha256(told_ / name) == sha256(untold / name)
    assert not (untold / "logs").exists()


@pytest.mark.clause("TRACK-007")
def test_tracking_is_no_part_of_what_run_it_is():
    """Every setting of the section may change when a run is taken up again."""
    other = Config(tracking=TrackingConfig(to=("wandb",), project="p", name="n"))
    assert {getattr(other.tracking, key) for key in TrackingConfig.model_fields} == {
        ("wandb",),
        "p",
        "n",
    }
    assert what_matters(other) == what_matters(Config())


NOT_INSTALLED = """
import sys
from mlmref.cli import main
sys.argv = ["mlmref", "run", "--report-to", "tensorboard,wandb"]
try:
    main()
except SystemExit as end:
    print(end.code, "torch" in sys.modules)
"""


@pytest.mark.clause("TRACK-003")
def test_what_is_not_installed_is_refused_before_anything_is_loaded(tmp_path):
    """One line with the package, status 2, no torch; a folder of that name is no package."""
    (tmp_path / "wandb").mkdir()
    done = processes.run([sys.executable, "-c", NOT_INSTALLED], cwd=tmp_path)
    assert done.stdout == "2 False\n"
    assert done.stderr == (
        "mlmref: tracking.to: wandb is not installed; pip install wandb, or omit it from "
        "--report-to\n"
    )
    assert [one.name for one in tmp_path.iterdir()] == ["wandb"]


class Ended(Silent):
    """Ends training at a step, as a kill between two checkpoints would."""

    def __init__(self, at):
        self._at = at
        self.warnings = []

    @contextmanager
    def stage(self, name, total=None, unit="", done=0):
        """Open a stage."""
        stage = Silent()
        if name == "train":
            steps = count(done + 1)
            stage.advance = lambda *_, **facts: self._step(next(steps))
        yield stage

    def _step(self, number):
        if number == self._at:
            raise KeyboardInterrupt

    def warn(self, text):
        """Remember a warning."""
        self.warnings.append(text)


@pytest.fixture(scope="module")
def resumed(place):
    """Cut a run that reports everywhere short twice, and finish it; return it and what was told."""
    with pytest.MonkeyPatch.context() as patch:
        file = stand_in(place / "stand-ins", patch)
        everywhere = f"tracking.to=tensorboard,{','.join(NAMES)}"
        config = settings(place, place / "resumed", everywhere, "tracking.project=books")
        for at in (6, 5):
            with pytest.raises(KeyboardInterrupt):
                run(config, resume="auto", reporter=Ended(at))
        yield run(config, resume="auto"), file


@pytest.mark.clause("TRACK-005")
def test_tensorboard_shows_each_step_once(resumed, runs):
    """Cut short at step 6 and at 5, with a checkpoint of 4: eight steps, three evaluations."""
    found = scalars(resumed[0].folder / "logs")
    assert [step for step, _ in found["train/tokens_per_second"]] == list(range(1, STEPS + 1))
    whole = scalars(runs["trainer"].folder / "logs")
    for tag in ("train/loss", "evaluation/perplexity", "evaluation/epoch", "final/ratio"):
        assert found[tag] == whole[tag]


@pytest.mark.clause("TRACK-005")
@pytest.mark.parametrize("name", NAMES)
def test_the_others_go_on_in_their_run(resumed, name):
    """One run of theirs, its settings told once, and each step and evaluation once."""
    _, file = resumed
    first, *later = told(file, name, "init")
    assert len(later) == 2
    if name == "mlflow":
        assert [one["id"] for one in (first, *later)] == [None, *["given-by-mlflow"] * 2]
        assert {one["name"] for one in told(file, name, "experiment")} == {"books"}
    else:
        key = "id" if name == "wandb" else "name"
        assert {one[key] for one in later} == {first[key]}
        assert {one["project"] for one in (first, *later)} == {"books"}
        assert {one["resume"] for one in later} == {"allow"}
    assert first["name"] == "resumed"
    assert len(told(file, name, "config")) == 1
    assert len(told(file, name, "finish")) == 3
    logs = told(file, name, "log")
    steps = [one["step"] for one in logs if "train/loss" in one["values"]]
    assert steps == list(range(1, STEPS + 1))
    epochs = [one["values"] for one in logs if "evaluation/epoch" in one["values"]]
    assert [one["evaluation/epoch"] for one in epochs] == [0, 1, 2]


@pytest.mark.clause("TRACK-004")
def test_a_tracker_that_fails_is_left_alone(place, runs, tmp_path, monkeypatch):
    """One warning, the other tracker told everything, and the run's weights as ever."""
    file = stand_in(tmp_path / "stand-ins", monkeypatch)
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setenv("FAILS_AT", "2")
    heard = Ended(-1)
    config = settings(place, tmp_path / "out", "tracking.to=wandb,mlflow")
    result = run(config, reporter=heard)
    assert heard.warnings == [
        "wandb: ConnectionError: the network is down; the run continues without this tracker"
    ]
    assert [one["step"] for one in told(file, "wandb", "log")] == [0, 1]
    assert told(file, "mlflow", "log")[-1]["step"] == STEPS
    weights = "model.safetensors"
    assert sha256(result.folder / weights) == sha256(runs["untold"].folder / weights)


@pytest.mark.clause("TRACK-004")
def test_a_tracker_that_cannot_begin_is_refused(place, tmp_path, monkeypatch):
    """Before training, in one line, and nothing is left; one that was opened is ended."""
    file = stand_in(tmp_path / "stand-ins", monkeypatch)
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setenv("BEGINS_NOT", "1")
    with pytest.raises(OutputError, match="^wandb: the tracker cannot start .PermissionError: no"):
        run(settings(place, tmp_path / "out", "tracking.to=mlflow,wandb"))
    assert len(told(file, "mlflow", "finish")) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["stand-ins"]


@pytest.mark.clause("TRACK-006")
def test_other_ranks_report_nothing(tmp_path, monkeypatch):
    """They ask for no package, and open nothing."""
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    config = Config(tracking=TrackingConfig(to=("tensorboard",)))
    with Trackers(config, tmp_path, tmp_path, None, pytest.fail) as trackers:
        trackers.measured(0, 0, {"value": 1.0, "low": 1.0, "high": 1.0, "accuracy": 0.5})
    assert not [*tmp_path.iterdir()]


@pytest.mark.clause("CONF-001")
@pytest.mark.parametrize("given", ["tensorboard,wandb,tensorboard", ["tensorboard", "wandb"]])
def test_trackers_are_a_list_or_a_text(given):
    """With commas in one text, as on the command line, or as a list, as in a file."""
    config = resolve(sets=[f"tracking.to={json.dumps(given)}"])
    assert config.tracking.to == ("tensorboard", "wandb")
    with pytest.raises(ConfigError, match="tracking.to = \"tensorbored\": .*'wandb' or 'mlflow'"):
        resolve(sets=["tracking.to=tensorbored"])
