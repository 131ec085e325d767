"""A run that makes the model worse says so, and a kept checkpoint is a model."""

import json

import pytest
from support.runs import save_corpus, save_model
from typer.testing import CliRunner

from mlmref.cli import app


def invoke(*arguments):
    """Run a command; return its output."""
    got = CliRunner().invoke(app, list(map(str, arguments)))
    assert got.exit_code == 0, got.output
    return got


@pytest.fixture(scope="module")
def worse(tmp_path_factory):
    """Finish a run at a rate that makes a model worse epoch by epoch, and keep its checkpoints."""
    folder = tmp_path_factory.mktemp("worse")
    save_model(folder / "model")
    corpus = save_corpus(folder / "corpus.txt", copies=4)
    place = folder / "run"
    settings = [
        *("--model", folder / "model", "--corpus", corpus, "--chunk-size", 16, "--epochs", 3),
        *("--learning-rate", 0.3, "--schedule", "constant", "--batch-size", 4, "--test-size", 0.4),
        *("--set", "checkpoints.keep=true", "--set", "checkpoints.last=9", "--output", place),
    ]
    got = invoke("run", *settings)
    return place, got, json.loads((place / "record.json").read_text("utf-8"))


@pytest.mark.clause("RUN-016")
@pytest.mark.clause("REP-019")
def test_the_terminal_the_record_the_page_and_the_card_say_so(worse):
    """The verdict first, and which model was better."""
    place, got, record = worse
    figures = record["perplexity"]
    best = min((figures["before"], *figures["epochs"]), key=lambda one: one["nll"])
    assert figures["better"]["epoch"] == best["epoch"] < 3
    assert figures["better"]["value"] == best["value"]
    assert figures["better"]["difference"]["low"] > 0
    ratio = figures["after"]["value"] / best["value"]
    assert figures["better"]["difference"]["ratio"] == pytest.approx(ratio)
    assert "\nPerplexity rose by " in f"\n{got.stdout}"
    said = "was better than the final one"
    assert said in got.stderr
    assert said in (place / "README.md").read_text("utf-8")
    page = (place / "report.html").read_text("utf-8")
    assert page.index("Perplexity rose by ") < page.index("<main>")
    assert said in page


@pytest.mark.clause("CKPT-011")
def test_a_kept_checkpoint_is_evaluated_to_what_the_run_recorded(worse):
    """After each epoch, under the run's own settings; fill takes it too."""
    place, _, record = worse
    saved = sorted((place / "checkpoints").glob("step-*"))
    assert len(saved) == 3
    for folder, epoch in zip(saved, record["perplexity"]["epochs"], strict=True):
        got = json.loads(invoke("evaluate", folder, "-q", "--json").stdout)
        assert got["perplexity"]["value"] == epoch["value"]
        assert got["model"].startswith(f"{folder} (sha256 ")
    whole, last = (
        invoke("fill", one, "the {mask} film", "--json").stdout for one in (place, saved[-1])
    )
    assert json.loads(whole)["answers"] == json.loads(last)["answers"]


@pytest.mark.clause("CKPT-011")
def test_a_checkpoint_of_an_unfinished_run_has_the_settings_it_began_with(worse, tmp_path):
    """Configuration and tokenizer come from the model that the run began with."""
    import shutil

    place, _, record = worse
    building = tmp_path / "run.unfinished"
    shutil.copytree(place / "checkpoints", building / "checkpoints")
    shutil.copy(place / "config.toml", building)
    (folder, *_) = sorted((building / "checkpoints").glob("step-*"))
    got = json.loads(invoke("evaluate", folder, "-q", "--json").stdout)
    assert got["perplexity"]["value"] == record["perplexity"]["epochs"][0]["value"]


@pytest.mark.clause("CKPT-011")
def test_a_damaged_checkpoint_is_refused(worse, tmp_path):
    """One line with what is wrong, and exit status 2."""
    import shutil

    place, _, _ = worse
    copy = tmp_path / "run"
    shutil.copytree(place, copy)
    (folder, *_) = sorted((copy / "checkpoints").glob("step-*"))
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    got = CliRunner().invoke(app, ["evaluate", str(folder), "-q"])
    assert got.exit_code == 2
    assert f"{folder}: its model.safetensors is cut short" in got.stderr
