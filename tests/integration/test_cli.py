"""The command line as a user meets it (spec/run.md, CLI)."""

import json
import os
import re
import signal
import sys
import tomllib

import pytest
from support import warm
from support.processes import finish, run, start, wait_until
from support.runs import mlmref, save_corpus, save_model
from typer.testing import CliRunner

from mlmref.cli import app
from mlmref.runner.folder.checkpoint import last_step
from mlmref.settings.config import Config
from mlmref.settings.resolve import resolve
from mlmref.settings.setting import flags_of

FLAGS = flags_of(Config, list(Config.model_fields))

IMPORTED = """
import runpy, sys
sys.argv = ["mlmref", *sys.argv[1:]]
try:
    runpy.run_module("mlmref", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print("IMPORTED", *sorted({"torch", "transformers", "datasets"} & sys.modules.keys()))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model and a corpus in it."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model")
    save_corpus(folder / "corpus.txt")
    return folder


RUN = (
    "run",
    "--model",
    "./model",
    "--corpus",
    "corpus.txt",
    "--chunk-size",
    "16",
    "--batch-size",
    "8",
)


@pytest.mark.clause("CLI-001")
@pytest.mark.clause("PLUG-011")
@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "run --help",
        "preview --help",
        "plugins",
        "plugins --json",
        "run --print-config",
        "fill --help",
        "inspect --help",
        "compare --help",
        "compare whole-word-or-token --dry-run",
    ],
)
def test_light_commands_import_no_heavy_library(arguments):
    """Help, the list of plugins and the settings come without torch, transformers, datasets."""
    done = run([sys.executable, "-c", IMPORTED, *arguments.split()])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "IMPORTED"


def a_value(key):
    """Return a value of a setting that is not its default, as text and as it is read."""
    values = {
        "model.name": "m",
        "model.revision": "r",
        "model.dropout": 0.25,
        "model.tokenizer": "file",
        "corpus.name": "imdb",
        "corpus.text_column": "t",
        "corpus.label_column": "l",
        "corpus.documents": "file",
        "corpus.split": "s",
        "corpus.limit": 3,
        "words.segmenter": "tokenizer",
        "chunks.size": 17,
        "chunks.scope": "tutorial",
        "chunks.remainder": "pad",
        "split.by": "document",
        "split.train_size": 0.5,
        "split.test_size": 7,
        "masking.strategy": "whole-word",
        "masking.options.mlm_probability": 0.3,
        "masking.corruption": "70/20/10",
        "training.backend": "accelerate",
        "training.epochs": 4,
        "training.max_steps": 5,
        "training.batch_size": 6,
        "training.accumulation": 2,
        "training.learning_rate": 0.125,
        "training.schedule": "cosine",
        "training.warmup_steps": 9,
        "training.weight_decay": 0.5,
        "tracking.to": "tensorboard",
        "training.precision": "bf16",
        "training.workers": 2,
        "checkpoints.every": 7,
        "seed": 11,
        "fill.prompts": "a {mask}",
        "fill.top_k": 3,
        "output.folder": "o",
        "output.push": "me/mine",
    }
    return values[key]


@pytest.mark.clause("CLI-002")
@pytest.mark.parametrize("flag", FLAGS, ids=[flag.name for flag in FLAGS])
def test_each_flag_sets_its_setting_and_no_other(flag):
    """What --print-config prints differs from the defaults in that one setting."""
    key, switch = flag.key, flag.kind is bool
    arguments = [flag.name] if switch else [flag.name, str(a_value(key))]
    got = CliRunner().invoke(app, ["run", *arguments, "--print-config"])
    assert got.exit_code == 0, got.stderr
    value = True if switch else a_value(key)
    wanted = [value] if key == "fill.prompts" else value
    sets = [f"{key}={json.dumps(wanted)}"]
    expected = CliRunner().invoke(app, ["run", "--print-config", "--set", sets[0]])
    assert tomllib.loads(got.stdout) == tomllib.loads(expected.stdout)
    if flag.name not in {"--corpus", "--segmenter"}:  # the only value here is the default
        plain = CliRunner().invoke(app, ["run", "--print-config"])
        assert tomllib.loads(got.stdout) != tomllib.loads(plain.stdout)


@pytest.mark.clause("CLI-002")
def test_without_flags_the_default_preset_is_used():
    """No flag has a default of its own."""
    got = CliRunner().invoke(app, ["run", "--print-config"])
    printed = Config.model_validate(tomllib.loads(got.stdout))
    default = resolve()
    assert printed.masking.options == {"mlm_probability": 0.15}
    assert printed.model_copy(update={"masking": default.masking}) == default


@pytest.mark.clause("CONF-005")
@pytest.mark.parametrize("preset", ["tutorial-trainer", "tutorial-accelerate"])
def test_a_preset_can_be_printed(preset):
    """--preset --print-config prints the tutorial's settings."""
    got = CliRunner().invoke(app, ["run", "--preset", preset, "--print-config"])
    assert tomllib.loads(got.stdout)["model"]["name"] == "distilbert-base-uncased"


@pytest.mark.clause("CLI-004")
@pytest.mark.clause("PLUG-011")
def test_plugins_lists_everything_there_is(monkeypatch):
    """Name, plugin, version, summary, options; as a table and as JSON."""
    told = json.loads(CliRunner().invoke(app, ["plugins", "--json"]).stdout)
    token = next(one for one in told["strategies"] if one["name"] == "token")
    assert (token["distribution"], token["entry"]) == ("mlmref", "builtin-masking")
    assert token["version"]
    assert token["summary"]
    assert token["options"]["mlm_probability"]["default"] == 0.15
    monkeypatch.setattr("mlmref.cli.out.width", 200)
    shown = CliRunner().invoke(app, ["plugins"]).stdout
    for word in ("token", "whole-word", "trainer", "accelerate", "mlm_probability = 0.15"):
        assert word in shown
    assert re.search(r"tokenizer +mlmref:builtin-words .*the words that the tokenizer tells", shown)
    assert "tokenizer" in {one["name"] for one in told["segmenters"]}


@pytest.mark.clause("PLUG-002")
@pytest.mark.clause("PLUG-011")
def test_a_broken_plugin_of_another_distribution_is_listed_and_harms_nobody(tmp_path):
    """An installed distribution whose module cannot be imported is shown with its reason."""
    info = tmp_path / "unlucky-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unlucky\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[mlmref]\nspan = unlucky_module\n")
    env = os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
    listed = mlmref("plugins", env=env)
    assert listed.returncode == 0
    assert re.search(r"unlucky:span 1\.2.*No module named 'unlucky_module'", listed.stdout)
    asked = mlmref("run", "--masking", "span", "--print-config", env=env)
    assert asked.returncode == 2
    assert "unlucky:span 1.2 is broken" in asked.stderr


@pytest.mark.clause("CLI-004")
def test_fill_prints_one_json_value(place):
    """Standard output is the answer alone, with the model that gave it."""
    told = mlmref("fill", "./model", "a [MASK] film", "--json", "--top-k", "2", cwd=place)
    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout)
    assert re.search(r"\./model \(sha256 [0-9a-f]{12}\)", answer["model"])
    assert len(answer["answers"][0]["answers"]) == 2


@pytest.mark.clause("CLI-005")
def test_a_log_gets_plain_lines(place, tmp_path):
    """Not on a terminal: a line a stage, no control characters, the result at the end."""
    told = mlmref(
        *RUN,
        "--max-steps",
        "1",
        "--output",
        "logged",
        cwd=place,
        env=os.environ | {"MLMREF_CACHE": str(tmp_path)},
    )
    assert told.returncode == 0, told.stderr
    assert not set(told.stdout + told.stderr) & {"\r", "\x1b"}
    for stage in ("load", "read", "tokenize", "evaluate", "train"):
        assert re.search(rf"^{stage}: done in", told.stderr, re.MULTILINE), told.stderr
    assert re.search(r"^\./model \(sha256 \w+\): [\d,]+ parameters$", told.stderr, re.MULTILINE)
    assert re.search(r"96 documents, [\d,]+ tokens, [\d,]+ chunks: .* held out", told.stderr)
    assert "perplexity" in told.stdout
    assert "run folder: logged" in told.stdout


@pytest.mark.clause("CLI-005")
def test_a_terminal_gets_bars(place, tmp_path):
    """On a terminal each stage has a bar with its share and the time left."""
    import pty

    main, side = pty.openpty()
    process = start(
        [warm.python(), "-m", "mlmref", *RUN, "--max-steps", "2", "--output", "shown"],
        cwd=place,
        stderr=side,
        env=os.environ | {"TERM": "xterm", "MLMREF_CACHE": str(tmp_path)},
    )
    os.close(side)
    seen = b""
    while True:
        try:
            block = os.read(main, 65536)
        except OSError:  # how a closed terminal ends on Linux
            break
        if not block:
            break
        seen += block
    assert finish(process).returncode == 0
    text = seen.decode()
    assert "━" in text
    assert "100%" in text
    for stage in ("tokenize", "evaluate", "train"):
        assert stage in text


@pytest.mark.clause("RUN-004")
def test_runs_without_an_output_get_numbered_folders(place):
    """Each run makes a new folder under runs/ and touches no other."""
    for number in (1, 2):
        told = mlmref(*RUN, "--max-steps", "1", "--quiet", cwd=place)
        assert told.stdout.strip() == f"runs/00{number}-token-trainer", told.stderr
    assert sorted(one.name for one in (place / "runs").iterdir()) == [
        "001-token-trainer",
        "002-token-trainer",
    ]


@pytest.mark.clause("RUN-002")
@pytest.mark.clause("RUN-011")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_saves_and_says_how_to_go_on(place, number, status):
    """A signal in the middle of training ends the run with its usual status and a checkpoint."""
    output = place / f"stopped-{status}"
    process = start(
        [warm.python(), "-m", "mlmref", *RUN, "--epochs", "1000000", "--output", output.name],
        cwd=place,
    )
    metrics = place / f"{output.name}.unfinished" / "metrics.jsonl"
    wait_until(lambda: metrics.read_text().count('"step"') > 3)
    process.send_signal(number)
    done = finish(process)
    text = done.stderr
    assert done.returncode == status, text
    assert not output.exists()
    assert not [*place.glob(f".{output.name}*")]
    step = last_step(place / f"{output.name}.unfinished" / "checkpoints")
    *_, line = text.splitlines()
    ended = "interrupted" if number == signal.SIGINT else "terminated"
    assert line == f"{ended}: saved at step {step:,}: resume with mlmref run --resume {output.name}"
