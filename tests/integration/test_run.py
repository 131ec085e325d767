"""Whole runs on a tiny model and corpus (spec/run.md)."""

import json
import random
import re
import signal
import tomllib

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from support.runs import mlmref, save_corpus, save_model
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline

from mlmref import Config, hookimpl, run
from mlmref.base.errors import ModelError
from mlmref.base.ranks.consensus import LostError
from mlmref.conformance.backends.toy_job import PlainLoop
from mlmref.plugin.batches import Plan
from mlmref.plugin.contracts import Options, StrategyEntry
from mlmref.plugin.discovery import discover
from mlmref.plugin.training import BackendEntry
from mlmref.results.record import dumps
from mlmref.settings.resolve import resolve
from mlmref.training import process

KEYS = {
    "perplexity",
    "fill_mask",
    "corpus",
    "loss",
    "timings",
    "peak_memory_mb",
    "versions",
    "plugins",
    "config",
    "model",
    "seed",
    "resumed",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model and a corpus in it."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model")
    save_corpus(folder / "corpus.txt")
    return folder


def settings(place, *sets, output="out"):
    """Return the settings of a quick run."""
    return resolve(
        sets=[
            f"model.name={place / 'model'}",
            f"corpus.name={place / 'corpus.txt'}",
            f"output.folder={place / output}",
            "chunks.size=16",
            "split.test_size=0.2",
            "training.batch_size=8",
            "training.learning_rate=1e-2",
            "training.epochs=2",
            *sets,
        ]
    )


@pytest.fixture(scope="module")
def done(place):
    """Finish one run."""
    return run(settings(place))


@pytest.mark.clause("RUN-009")
@pytest.mark.parametrize("backend", ["trainer", "accelerate"])
@pytest.mark.parametrize("strategy", ["token", "whole-word"])
def test_a_run_lowers_perplexity(place, backend, strategy):
    """With either backend and strategy the held-out perplexity falls, and its interval with it."""
    result = run(
        settings(
            place,
            f"training.backend={backend}",
            f"masking.strategy={strategy}",
            output=f"{backend}-{strategy}",
        )
    )
    before, after = (result.record["perplexity"][key] for key in ("before", "after"))
    assert after["value"] < before["value"]
    assert after["high"] < before["low"]
    assert after["targets"] == before["targets"]


@pytest.mark.clause("RUN-005")
def test_the_folder_is_enough_for_transformers(done):
    """Model, tokenizer and pipeline load from the folder, and everything else is there."""
    names = {file.name for file in done.folder.iterdir()}
    assert {
        "record.json",
        "metrics.jsonl",
        "config.toml",
        "README.md",
        "model.safetensors",
    } <= names
    AutoModelForMaskedLM.from_pretrained(done.folder)
    AutoTokenizer.from_pretrained(done.folder)
    fill = pipeline("fill-mask", model=str(done.folder), top_k=5)
    theirs = [answer["token"] for answer in fill("This is a great [MASK].")]
    assert len(theirs) == 5


@pytest.mark.clause("PUB-015")
@pytest.mark.clause("PUB-014")
def test_the_example_of_a_runs_card_runs(done, capsys):
    """The example fills a mask with the adapted model, and the hub's library reads the card."""
    card = ModelCard.load(done.folder / "README.md")
    assert card.data.pipeline_tag == "fill-mask"
    [after] = [one for one in card.data.eval_results if "after" in one.metric_name]
    assert after.metric_value == done.record["perplexity"]["after"]["value"]
    (example,) = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    assert "path/to/this/folder" in example
    exec(example.replace("path/to/this/folder", str(done.folder)), {})  # noqa: S102 - our own
    assert "'token_str'" in capsys.readouterr().out


@pytest.mark.clause("RUN-006")
def test_the_record_is_complete_and_strict(done):
    """All keys are there, the file is what was returned, and no value is outside JSON."""
    text = (done.folder / "record.json").read_text("utf-8")
    record = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert record.keys() == KEYS
    assert record == json.loads(dumps(done.record))
    measured = {"value", "low", "high", "nll", "targets", "accuracy", "tutorial_estimate"}
    assert measured <= record["perplexity"]["before"].keys()
    assert [one["epoch"] for one in record["perplexity"]["epochs"]] == [1, 2]
    assert record["perplexity"]["after"] == record["perplexity"]["epochs"][-1]
    assert {"token", "score"} <= record["fill_mask"]["after"][0].keys()
    assert len(record["fill_mask"]["before"]) == 5
    assert {one["prompt"] for one in record["fill_mask"]["after"]} == {"This is a great [MASK]."}
    assert {"documents", "tokens", "chunks_train", "chunks_test"} <= record["corpus"].keys()
    assert record["corpus"]["documents"] == 96
    assert record["corpus"]["chunks"] == record["corpus"]["tokens"] // 16
    steps = record["loss"]
    assert [one["step"] for one in steps] == list(range(1, len(steps) + 1))
    assert {"loss", "learning_rate"} <= steps[0].keys()
    assert record["timings"]["total_s"] >= sum(record["timings"].values()) / 2 - 0.1
    assert record["peak_memory_mb"] > 50
    assert record["versions"].keys() >= {"mlmref", "python", "torch", "transformers"}
    assert record["plugins"]["masking"]["distribution"] == "mlmref"


@pytest.mark.clause("RUN-006")
def test_numbers_outside_json_are_written_so_that_json_can_hold_them():
    """Infinity as a string, no number as null, however deep."""
    assert json.loads(dumps({"a": [float("inf"), (float("-inf"), float("nan"))]})) == {
        "a": ["Infinity", ["-Infinity", None]]
    }


@pytest.mark.clause("RUN-007")
def test_metrics_hold_every_event_in_order(done):
    """Answers, evaluation, steps with an evaluation an epoch, answers; sums behind evaluations."""
    lines = (done.folder / "metrics.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line)["event"] for line in lines]
    half = len(done.record["loss"]) // 2
    epoch = ["step"] * half + ["evaluation", "held_out"]
    assert events == ["fill_mask", "evaluation", "held_out", *epoch, *epoch, "fill_mask"]


@pytest.mark.clause("RUN-007")
@pytest.mark.clause("EVAL-012")
def test_the_gain_is_that_of_the_sums_by_document(done):
    """Before and after have the same documents and targets; the record tells their difference."""
    lines = map(json.loads, (done.folder / "metrics.jsonl").read_text("utf-8").splitlines())
    before, _, after = (one for one in lines if one["event"] == "held_out")
    assert (before["epoch"], after["epoch"]) == (0, 2)
    assert before["documents"] == after["documents"]
    assert before["targets"] == after["targets"]
    perplexity = done.record["perplexity"]
    nll = (sum(after["nll"]) - sum(before["nll"])) / sum(after["targets"])
    gained = perplexity["difference"]
    assert gained["nll"] == pytest.approx(nll)
    assert gained["nll"] == pytest.approx(perplexity["after"]["nll"] - perplexity["before"]["nll"])
    assert gained["low"] <= gained["nll"] <= gained["high"] < 0
    assert gained["ratio"] == pytest.approx(
        perplexity["after"]["value"] / perplexity["before"]["value"]
    )


@pytest.mark.clause("EVAL-013")
def test_a_run_is_measured_under_several_draws(place):
    """With evaluation.draws each evaluation has so many perplexities, and is the same otherwise."""
    few = ("training.max_steps=2", "evaluation.draws=3")
    record = run(settings(place, *few, output="draws")).record
    plain = run(settings(place, few[0], output="no draws")).record
    for when in ("before", "after"):
        drawn = record["perplexity"][when]
        draws = drawn.pop("draws")
        assert drawn == plain["perplexity"][when]
        assert draws["values"][0] == drawn["value"]
        assert len({*draws["values"]}) == 3
        assert draws["standard_deviation"] > 0


@pytest.mark.clause("RUN-008")
def test_a_library_run_prints_nothing(place, capfd):
    """Neither standard output nor standard error hears of it."""
    run(settings(place, "training.max_steps=1", output="silent"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.clause("RUN-010")
@pytest.mark.parametrize("backend", ["trainer", "accelerate"])
def test_the_same_run_twice_gives_the_same_numbers_and_weights(place, done, backend):
    """Record, metrics and weights are equal to the last bit, on the other backend too."""
    again = run(settings(place, f"training.backend={backend}", output=f"again-{backend}"))
    for key in ("perplexity", "fill_mask", "corpus", "loss"):
        assert again.record[key] == done.record[key]
    for name in ("model.safetensors", "metrics.jsonl", "tokenizer.json"):
        assert (again.folder / name).read_bytes() == (done.folder / name).read_bytes()
    other = run(settings(place, "seed=7", output=f"other-{backend}"))
    assert other.record["loss"] != done.record["loss"]


@pytest.mark.clause("RUN-015")
@pytest.mark.parametrize("backend", ["trainer", "accelerate"])
def test_a_run_trains_with_deterministic_algorithms(place, done, backend, monkeypatch):
    """Every step, where the device is no CPU, and with the same figures; no longer after it."""
    seen = []

    class Watcher:
        """Notes at each step what is set."""

        @hookimpl
        def mlmref_training_backends(self):
            """Return a bare loop on the job that tells."""
            return [BackendEntry(name="watched", summary="a bare loop that tells", build=Watched)]

    class Watched(PlainLoop):
        """A bare loop that notes what is set at its end."""

        def train(self, job):
            """Train, and note."""
            super().train(job)
            seen.append(torch.are_deterministic_algorithms_enabled())

    monkeypatch.setattr(process, "repeatable", lambda _, trial, note: process.strict(trial, note))
    again = run(settings(place, f"training.backend={backend}", output=f"strict-{backend}"))
    assert again.record["perplexity"] == done.record["perplexity"]
    watched = settings(place, "training.backend=watched", output=f"watched-{backend}")
    run(watched, registry=discover([Watcher()]))
    assert seen == [True]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.clause("RUN-008")
def test_a_run_leaves_the_generators_to_their_owner(place):
    """Whatever seeds Python's, NumPy's and torch's in training, a program's draws go on."""

    class Plain:
        def train(self, job):
            PlainLoop(Options()).train(job)

    class Plugin:
        @hookimpl
        def mlmref_training_backends(self):
            return [BackendEntry(name="bare", summary="a", build=lambda _: Plain())]

    def drawn():
        return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002, S311

    chosen = settings(place, "training.backend=bare", "training.max_steps=1", output="drawn")
    draws = []
    for work in (lambda: None, lambda: run(chosen, registry=discover([Plugin()]))):
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002 - the global generator is meant
        torch.manual_seed(5)
        work()
        draws.append(drawn())
    assert draws[0] == draws[1]


@pytest.mark.clause("RANK-006")
def test_a_lost_rank_is_the_news_and_not_the_signal_that_follows(place):
    """A launcher sends SIGTERM when a process is gone; why it is sent is what has to be said."""

    class Lost:
        def train(self, job):
            signal.raise_signal(signal.SIGTERM)
            raise LostError

    class Plugin:
        @hookimpl
        def mlmref_training_backends(self):
            return [BackendEntry(name="lost", summary="a", build=lambda _: Lost())]

    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("the signal was obeyed"))
    try:
        with pytest.raises(LostError, match="another process of the run was killed or lost"):
            run(
                settings(place, "training.backend=lost", output="lost"),
                registry=discover([Plugin()]),
            )
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.clause("RUN-012")
def test_evaluate_repeats_the_runs_figure(done):
    """The run folder brings its settings; a batch size of one changes nothing."""
    told = mlmref("evaluate", done.folder, "--json", "--set", "evaluation.batch_size=1")
    assert told.returncode == 0, told.stderr
    figures = json.loads(told.stdout)["perplexity"]
    after = done.record["perplexity"]["after"]
    assert figures["value"] == pytest.approx(after["value"], rel=1e-6)
    assert figures["targets"] == after["targets"]


@pytest.mark.clause("CONF-007")
def test_the_folders_configuration_gives_the_run_again(place, done):
    """config.toml resolves to the settings of the run, options and corruption included."""
    text = (done.folder / "config.toml").read_text("utf-8")
    assert (
        Config.model_validate(tomllib.loads(text)).model_dump(mode="json") == done.record["config"]
    )
    assert tomllib.loads(text)["masking"]["options"] == {"mlm_probability": 0.15}
    assert tomllib.loads(text)["masking"]["corruption"] == {"mask": 0.8, "random": 0.1, "keep": 0.1}


@pytest.mark.clause("RUN-013")
def test_a_strategy_that_needs_words_refuses_a_tokenizer_without(place):
    """Both are named, and token masking is offered and works."""
    save_model(place / "wordless", "wordless")
    wordless = (f"model.name={place / 'wordless'}", "training.max_steps=1")
    with pytest.raises(ModelError, match="finds no words, which 'whole-word' masking needs"):
        run(settings(place, *wordless, "masking.strategy=whole-word", output="refused"))
    assert not (place / "refused").exists()
    run(settings(place, *wordless, output="allowed"))


@pytest.mark.clause("RUN-009")
@pytest.mark.parametrize("family", ["byte-bpe", "unigram"])
def test_every_tokenizer_family_runs_with_whole_words(place, family):
    """Byte-level BPE and Unigram as well as WordPiece, padded remainder and split by document."""
    save_model(place / family, family)
    result = run(
        settings(
            place,
            f"model.name={place / family}",
            "masking.strategy=whole-word",
            "split.by=document",
            "chunks.remainder=pad",
            "masking.corruption=80/10/10",
            output=f"{family}-out",
        )
    )
    perplexity = result.record["perplexity"]
    assert perplexity["after"]["value"] < perplexity["before"]["value"]


@pytest.mark.clause("MASK-033")
@pytest.mark.parametrize("needs", [True, False])
def test_counts_are_of_the_training_chunks_and_for_those_who_ask(place, needs):
    """The same counts in training and evaluation, and none for a strategy that needs none."""
    seen = []

    class Looks:
        def propose(self, batch, draws):
            seen.append(batch.vocabulary.counts)
            return Plan(targets=draws.bernoulli("any", 0.5) & ~batch.special)

    class Plugin:
        @hookimpl
        def mlmref_masking_strategies(self):
            return [
                StrategyEntry(
                    name="looks", summary="a", build=lambda _: Looks(), needs_counts=needs
                )
            ]

    registry = discover([Plugin()])
    chosen = settings(place, "masking.strategy=looks", "training.max_steps=1", output=f"c{needs}")
    result = run(chosen, registry=registry)
    expected = 16 * result.record["corpus"]["chunks_train"] if needs else 0
    assert {int(counts.sum()) for counts in seen} == {expected}
    assert len(seen) > 2
    assert not any(counts.flags.writeable for counts in seen)
