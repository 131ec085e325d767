"""The tutorial on the real DistilBERT and IMDb: T02, T13, T16, T18, T19."""

import os

import pytest
from huggingface_hub import constants

from mlmref import run
from mlmref.settings.resolve import resolve
from mlmref.studies.tutorial.ground import asked_once

pytestmark = [pytest.mark.gpu, pytest.mark.hub]


@pytest.fixture(scope="module", autouse=True)
def _hub():
    """Skip, saying why, where there is no hub."""
    if os.environ.get("HF_HUB_OFFLINE"):
        pytest.skip("HF_HUB_OFFLINE is set")
    with asked_once():
        if constants.HF_HUB_OFFLINE:
            pytest.skip("the hub cannot be reached")


@pytest.mark.clause("RUN-009")
@pytest.mark.parametrize("preset", ["tutorial-trainer", "tutorial-accelerate"])
def test_the_tutorials_perplexities(preset, tmp_path):
    """T16 and T18: within 10 % of 21.75 before, and clearly lower after; film words after (T19)."""
    config = resolve(preset=preset, sets=[f"output.folder={tmp_path / 'out'}", "corpus.name=imdb"])
    record = run(config).record
    before, after = (record["perplexity"][key] for key in ("before", "after"))
    assert before["value"] == pytest.approx(21.75, rel=0.10)
    assert after["high"] < before["low"]
    assert after["value"] < 14
    tokens = {
        when: [one["token"] for one in record["fill_mask"][when]] for when in ("before", "after")
    }
    assert set(tokens["before"]) == {"deal", "success", "adventure", "idea", "feat"}
    assert {"movie", "film"} <= set(tokens["after"])


@pytest.mark.clause("RUN-009")
def test_whole_word_masking_on_a_gpu(tmp_path):
    """T13: whole-word masking lowers the perplexity of its own task."""
    config = resolve(
        preset="tutorial-trainer",
        sets=[
            f"output.folder={tmp_path / 'out'}",
            "masking.strategy=whole-word",
            "training.epochs=1",
        ],
    )
    record = run(config).record["perplexity"]
    assert record["after"]["high"] < record["before"]["low"]
