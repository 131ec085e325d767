"""Classifiers from a model before and after adaptation (spec/downstream.md)."""

import json
import shutil

import numpy as np
import pytest
import torch
from support.runs import mlmref, save_model
from transformers import AutoModelForMaskedLM

from mlmref.base.errors import ConfigError, CorpusError
from mlmref.settings.config import CorpusConfig, ModelConfig
from mlmref.studies.downstream import downstream as station
from mlmref.studies.downstream.classifier import load_classifier
from mlmref.studies.downstream.config import DownstreamConfig
from mlmref.studies.downstream.downstream import configured, downstream
from mlmref.training import process

GOOD, BAD = "the film is great and good", "the story is not a great one"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a model, another of other weights, and labelled texts that are easy to tell apart."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "base")
    model = AutoModelForMaskedLM.from_pretrained(folder / "base")
    torch.manual_seed(1)
    with torch.no_grad():
        for one in model.parameters():
            one.add_(0.3 * torch.randn_like(one))
    shutil.copytree(folder / "base", folder / "adapted")
    model.save_pretrained(folder / "adapted")
    rows = [{"text": f"{(BAD, GOOD)[n % 2]} {n}", "label": n % 2} for n in range(120)]
    write(folder / "texts.jsonl", rows)
    return folder


def write(file, rows):
    """Write rows as JSON lines."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def settings(place, **changes):
    """Return the settings of a quick comparison."""
    corpus = changes.pop("corpus", place / "texts.jsonl")
    given = {
        "adapted": str(place / "adapted"),
        "base": str(place / "base"),
        "corpus": CorpusConfig(name=str(corpus)),
        "seeds": 3,
        "train_size": 60,
        "test_size": 40,
        "epochs": 3,
        "batch_size": 8,
        "learning_rate": 5e-3,
        **changes,
    }
    return DownstreamConfig(**given)


@pytest.fixture(scope="module")
def compared(place):
    """Compare the two."""
    return downstream(settings(place))


@pytest.mark.clause("DOWN-002")
def test_every_value_is_told(compared):
    """Three accuracies a side, their paired differences, the mean and both intervals."""
    sides = [compared[name]["accuracies"] for name in ("base", "adapted")]
    assert [len(one) for one in sides] == [3, 3]
    assert max(max(one) for one in sides) > 0.8, "the texts can be told apart"
    gained = compared["difference"]
    assert gained["values"] == pytest.approx(np.subtract(*sides[::-1]))
    assert gained["mean"] == pytest.approx(np.mean(gained["values"]))
    for name in ("over_seeds", "over_documents"):
        low, high = gained[name]
        assert low <= gained["mean"] <= high
    assert not [key for key in json.dumps(compared).split('"') if "p_value" in key]


@pytest.mark.clause("DOWN-002")
def test_the_interval_over_seeds_is_students():
    """Of three gains, by the table: mean +- 4.303 standard errors."""
    correct = np.zeros((3, 2, 10), dtype=bool)
    for seed, right in enumerate((3, 5, 4)):
        correct[seed, 1, :right] = True
    config = DownstreamConfig(adapted="x")
    corpus = type("Corpus", (), {"source": "made up"})()
    gained = station._summary(config, {"base": "a", "adapted": "b"}, corpus, [0, 1], correct)
    gained = gained["difference"]
    error = 0.1 / np.sqrt(3)
    assert gained["mean"] == pytest.approx(0.4)
    assert gained["over_seeds"] == pytest.approx(
        [0.4 - 4.303 * error, 0.4 + 4.303 * error], abs=1e-4
    )


@pytest.mark.clause("DOWN-002")
def test_one_seed_has_no_interval_over_seeds(place):
    """The value is told, and nothing of how much another seed would change."""
    gained = downstream(settings(place, seeds=1))["difference"]
    assert len(gained["values"]) == 1
    assert np.isnan(gained["over_seeds"]).all()
    assert not np.isnan(gained["over_documents"]).any()


@pytest.mark.clause("DOWN-001")
def test_a_model_gains_nothing_on_itself(place):
    """Both sides the same checkpoint: every pair is equal to the last document."""
    gained = downstream(settings(place, adapted=str(place / "base")))["difference"]
    assert gained["values"] == [0.0, 0.0, 0.0]
    assert gained["over_documents"] == [0.0, 0.0]


@pytest.mark.clause("DOWN-001")
def test_heads_are_the_same_and_seeds_differ(place):
    """The new weights are equal for both checkpoints, and other ones under another seed."""
    heads = [
        load_classifier(ModelConfig(name=str(place / name)), 2, seed).classifier.weight
        for name, seed in (("base", 1), ("adapted", 1), ("base", 2))
    ]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


@pytest.mark.clause("DOWN-003")
def test_the_same_again(place, compared):
    """Whatever was drawn before, the same accuracies; and the generators are left alone."""
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    assert downstream(settings(place)) == compared
    assert torch.equal(torch.rand(3), expected)
    assert downstream(settings(place, seed=5)) != compared


@pytest.mark.clause("DOWN-003")
@pytest.mark.clause("RUN-015")
def test_classifiers_train_with_deterministic_algorithms(place, compared, monkeypatch):
    """Every step, where the device is no CPU; the trial before it changes no accuracy."""
    seen = []
    train = station.train_classifier

    def watched(*arguments):
        for step in train(*arguments):
            seen.append(torch.are_deterministic_algorithms_enabled())
            yield step

    monkeypatch.setattr(station, "train_classifier", watched)
    monkeypatch.setattr(process, "repeatable", lambda _, trial, note: process.strict(trial, note))
    assert downstream(settings(place)) == compared
    assert seen
    assert all(seen)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.clause("DOWN-004")
@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([{"text": GOOD}] * 5, {}, "no labels in column 'label'; see --label-column"),
        (
            [{"text": GOOD, "label": 1}, {"text": BAD, "label": 0}] * 30,
            {},
            "60 documents with labels are fewer than 60 to train on and 40 to measure on; "
            "lower --train-size or --test-size",
        ),
        (
            [{"text": GOOD, "label": 1}] * 100 + [{"text": BAD, "label": -1}] * 100,
            {},
            "the training documents have only the labels 1; choose another corpus, or raise "
            "--train-size",
        ),
    ],
    ids=["no labels", "too few", "one class"],
)
def test_what_cannot_be_compared_is_refused(place, tmp_path, monkeypatch, rows, changes, message):
    """No labels, too few documents, labels of one class: before any model is loaded."""
    monkeypatch.setattr(station, "load_classifier", lambda *_: pytest.fail("a model was loaded"))
    write(tmp_path / "texts.jsonl", rows)
    with pytest.raises(CorpusError) as caught:
        downstream(settings(place, corpus=tmp_path / "texts.jsonl", **changes))
    assert str(caught.value).endswith(message)


@pytest.mark.clause("DOWN-004")
def test_what_it_was_adapted_from_is_in_the_run_folder(place, tmp_path):
    """The record's model is the base; without a record it is to be named."""
    with pytest.raises(ConfigError, match="name the base model with --base"):
        downstream(settings(place, base=None))
    (tmp_path / "record.json").write_text('{"model": {"name": "embedded"}}')
    assert station._base_of(str(tmp_path)) == "embedded"


@pytest.mark.clause("RUN-001")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seeds": 0}, "seeds = 0: input should be greater than or equal to 1"),
        ({"learning_rate": -1.0}, "learning_rate = -1.0: input should be greater than 0"),
    ],
)
def test_settings_that_are_wrong_are_one_line(given, message):
    """A value that cannot be is told with its name."""
    with pytest.raises(ConfigError) as caught:
        configured({"adapted": "x", **given})
    assert message in str(caught.value)


@pytest.mark.clause("DOWN-002")
@pytest.mark.clause("REP-021")
def test_the_command(place):
    """The verdict, then seeds, means and intervals for people, and the same as JSON."""
    arguments = [place / "adapted", "--base", place / "base", "--corpus", place / "texts.jsonl"]
    sizes = ["--seeds=2", "--train-size=60", "--test-size=40", "--epochs=1", "--quiet"]
    done = mlmref("downstream", *arguments, *sizes)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Accuracy ")
    for text in ("seed 42", "seed 43", "mean", "over seeds", "over documents", "60 documents"):
        assert text in done.stdout
    answer = json.loads(mlmref("downstream", *arguments, *sizes, "--json").stdout)
    assert len(answer["difference"]["values"]) == 2
