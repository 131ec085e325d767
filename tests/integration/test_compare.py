"""``mlmref compare`` on a tiny model and corpus (spec/compare.md)."""

import csv
import io
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file
from support.runs import mlmref, save_corpus, save_model
from typer.testing import CliRunner

from mlmref import evaluate, run
from mlmref.base.errors import ConfigError, MlmrefError, OutputError
from mlmref.base.progress.reporter import SILENT, Quiet
from mlmref.cli import app
from mlmref.evaluation.intervals import Documents
from mlmref.settings.resolve import resolve
from mlmref.studies.comparison import compare as core
from mlmref.studies.comparison import measured
from mlmref.studies.comparison.compare import compare
from mlmref.studies.comparison.folder import Kept
from mlmref.studies.comparison.plan import read_plan
from mlmref.studies.comparison.statistics import randomized

BASE = """
[base]
model.name = "model"
corpus.name = "corpus.txt"
chunks.size = 16
split.test_size = 0.2
training.batch_size = 8
training.learning_rate = 1e-2
"""
TWO = """
[variants.token]
masking.strategy = "token"
[variants.whole-word]
masking.strategy = "whole-word"
"""
FILE = f"seeds = [0, 1]\n{BASE}{TWO}[evaluation]\nresamples = 200\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model and a corpus in it, and stay there."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model")
    save_corpus(folder / "corpus.txt")
    (folder / "mine.toml").write_text(FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def done(place):
    """Compare the two under two seeds."""
    return compare(read_plan(Path("mine.toml")), Path("done"))


@pytest.fixture
def copied(place, done, tmp_path):
    """Return a finished comparison folder of one's own."""
    shutil.copytree("done", tmp_path / "done")
    return tmp_path / "done"


def planned(text, **given):
    """Plan the comparison of a text."""
    Path("other.toml").write_text(text)
    return read_plan(Path("other.toml"), **given)


def invoke(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.fixture
def trained(monkeypatch):
    """Return the names of the runs that are trained, as it happens."""
    import mlmref.runner.run

    names, own = [], mlmref.runner.run.run

    def watched(config, **given):
        names.append(Path(config.output.folder).name)
        return own(config, **given)

    monkeypatch.setattr(mlmref.runner.run, "run", watched)
    return names


@pytest.fixture
def untrained(monkeypatch):
    """Fail where anything is trained."""
    import mlmref.runner.run

    monkeypatch.setattr(mlmref.runner.run, "run", lambda *_, **__: pytest.fail("it trains"))


@pytest.mark.clause("COMP-009")
@pytest.mark.clause("COMP-017")
def test_what_came_of_it(done):
    """Every run's figures, both kinds; means over seeds; pairs; and the files hold the same."""
    text = Path("done/comparison.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == json.loads(json.dumps(done))
    rows = {row["run"]: row for row in done["runs"]}
    assert list(rows) == ["token-seed-0", "whole-word-seed-0", "token-seed-1", "whole-word-seed-1"]
    for name, row in rows.items():
        record = json.loads(Path(f"done/runs/{name}/record.json").read_text())
        assert row["native_before"] == record["perplexity"]["before"]["value"]
        assert row["native_after"] == record["perplexity"]["after"]["value"]
        assert record["seed"] == 42
        assert record["config"]["training"]["seed"] == row["seed"]
    for one in done["variants"]:
        seeds = [row for row in rows.values() if row["variant"] == one["variant"]]
        assert one["common"]["nll"] == pytest.approx(np.mean([row["common_nll"] for row in seeds]))
        assert one["common"]["perplexity"] == pytest.approx(math.exp(one["common"]["nll"]))
        assert one["common"]["low"] < one["common"]["perplexity"] < one["common"]["high"]
        assert one["common"]["perplexity"] < one["common"]["before"]
        assert one["native"]["after"] < one["native"]["before"]
        assert one["common"]["of_before"]["ratio"] == pytest.approx(
            one["common"]["perplexity"] / one["common"]["before"]
        )
    (pair,) = done["pairs"]
    assert (pair["variant"], pair["against"]) == ("whole-word", "token")
    by_name = {one["variant"]: one["common"]["nll"] for one in done["variants"]}
    assert pair["nll"] == pytest.approx(by_name["whole-word"] - by_name["token"])
    assert np.mean(pair["by_seed"]) == pytest.approx(pair["nll"])
    assert pair["p"] == pair["p_corrected"]
    with Path("done/runs.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["run"] for row in written] == list(rows)
    assert [float(row["common"]) for row in written] == [row["common"] for row in rows.values()]
    with Path("done/pairs.csv").open() as file:
        (written,) = csv.DictReader(file)
    assert float(written["ratio_low"]) == pair["ratio_low"]


@pytest.mark.clause("COMP-005")
@pytest.mark.clause("COMP-009")
def test_one_task_for_all(done):
    """Native figures before training are every seed's; token's are the common ones."""
    for name in ("token", "whole-word"):
        rows = [row for row in done["runs"] if row["variant"] == name]
        assert len({row["native_before"] for row in rows}) == 1
        assert (
            len({row["common"] for row in rows}) == len({row["native_after"] for row in rows}) == 2
        )
        same = [row["native_after"] == row["common"] for row in rows]
        assert same == [name == "token"] * 2
    (before,) = {one["common"]["before"] for one in done["variants"]}
    (native,) = {row["native_before"] for row in done["runs"] if row["variant"] == "token"}
    assert before == native


@pytest.mark.clause("COMP-008")
def test_a_comparisons_run_is_a_run(done):
    """The settings in its folder give the same numbers and weights again."""
    folder = Path("done/runs/whole-word-seed-1")
    config = resolve(file=folder / "config.toml", sets=["output.folder=again"])
    assert config.training.seed == 1
    again = run(config)
    record = json.loads((folder / "record.json").read_text())
    assert again.record["perplexity"] == record["perplexity"]
    assert [one["loss"] for one in again.record["loss"]] == [one["loss"] for one in record["loss"]]
    mine, theirs = (load_file(one / "model.safetensors") for one in (again.folder, folder))
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.clause("COMP-007")
def test_typed_again_it_trains_nothing(done, untrained, monkeypatch):
    """Nor does it measure, and the answer is the same."""
    monkeypatch.setattr(core, "measure", lambda *_: pytest.fail("it measures"))
    assert compare(read_plan(Path("mine.toml")), Path("done")) == done


@pytest.mark.clause("COMP-007")
def test_what_is_not_finished_is_made_and_nothing_else(place, trained, monkeypatch):
    """Ended in its third run, it goes on with that one; a seed and a variant more are made too."""
    plan, ended = read_plan(Path("mine.toml")), []
    console = Console(file=io.StringIO())

    def ends(config, **given):
        if len(trained) == 2 and not ended:
            ended.append(config)
            raise KeyboardInterrupt
        return watched(config, **given)

    import mlmref.runner.run

    watched = mlmref.runner.run.run
    monkeypatch.setattr(mlmref.runner.run, "run", ends)
    with pytest.raises(KeyboardInterrupt) as caught:
        compare(plan, Path("cut"))
    assert "in token-seed-1, run 3 of 4" in caught.value.__notes__[-1]
    assert trained == ["token-seed-0", "whole-word-seed-0"]
    assert not Path("cut/comparison.json").exists()
    listed = invoke("mine.toml", "--output", "cut", "--dry-run", "--json")
    states = [one["state"] for one in json.loads(listed.stdout)]
    assert states == ["finished", "finished", "to do", "to do"]
    more = FILE.replace("[0, 1]", "[1, 0, 5]").replace(
        "[evaluation]", "[variants.long]\ntraining.epochs = 2\n[evaluation]"
    )
    trained.clear()
    answer = compare(planned(more), Path("cut"), reporter=Quiet(console))
    assert console.file.getvalue() == ""  # new runs say nothing that --quiet does not keep back
    assert trained == [
        *("token-seed-1", "whole-word-seed-1", "long-seed-1", "long-seed-0"),
        *("token-seed-5", "whole-word-seed-5", "long-seed-5"),
    ]
    assert len(answer["runs"]) == 9
    assert [pair["variant"] for pair in answer["pairs"]] == ["whole-word", "long"]
    assert all(one["p_corrected"] >= one["p"] for one in answer["pairs"])


@pytest.mark.clause("COMP-007")
@pytest.mark.parametrize(
    ("change", "part"),
    [
        (("training.batch_size = 8", "training.batch_size = 4"), "examples in a step was 8, is 4"),
        (("1e-2", "1e-3"), "training.learning_rate was 0.01, is 0.001"),
        (("test_size = 0.2", "test_size = 0.3"), "split.test_size was 0.2, is 0.3"),
        (
            ('"whole-word"\n', '"whole-word"\nmasking.options.mlm_probability = 0.3\n'),
            "masking.options.mlm_probability was 0.2, is 0.3",
        ),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_another_base_or_variant_is_refused(done, untrained, change, part, listed):
    """Before any training, also by --dry-run, with what it was and is."""
    before = sorted(Path("done").rglob("*"))
    plan = planned(FILE.replace(*change).replace("[0, 1]", "[7, 0, 1]"))
    with pytest.raises(ConfigError) as caught:
        (core.listed if listed else compare)(plan, Path("done"))
    assert part in str(caught.value)
    assert sorted(Path("done").rglob("*")) == before


@pytest.mark.clause("COMP-006")
def test_somebodys_folder_stays(place, tmp_path, untrained):
    """A folder with a file in it, a file, and a link to nothing are refused and left."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    for name in ("full", "file", "link"):
        with pytest.raises(OutputError, match="nothing was changed"):
            compare(read_plan(Path("mine.toml")), tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "full" / "thesis.txt").unlink()


@pytest.mark.clause("COMP-009")
def test_another_task_is_measured_without_training(done, untrained):
    """Under another strategy and more draws every figure is another, and native ones stay."""
    shutil.copytree("done", "other-task")
    plan = planned(FILE + "draws = 3", task={"strategy": "whole-word"})
    kept = sorted(Path("other-task/common").iterdir())
    answer = compare(plan, Path("other-task"))
    assert answer["task"]["strategy"] == "whole-word"
    assert answer["task"]["draws"] == 3
    assert len(sorted(Path("other-task/common").iterdir())) == len(kept) + 1
    for one, other in zip(answer["runs"], done["runs"], strict=True):
        assert one["native_after"] == other["native_after"]
        assert one["common"] != other["common"]
    assert answer["targets"] > done["targets"]


@pytest.mark.clause("COMP-009")
@pytest.mark.clause("EVAL-013")
def test_each_draw_has_masks_of_its_own(place):
    """What a second draw adds is what a run measures under its second one."""
    base = planned(FILE).base
    own = base.evaluation.model_copy(update={"draws": 2})
    alone = evaluate(base.model_copy(update={"evaluation": own}))["perplexity"]["draws"]["values"]
    one, two = (
        measured.measure(planned(f"{FILE}draws = {draws}"), base.model, "it", SILENT, None)
        for draws in (1, 2)
    )
    nll, targets = (np.array([sum(x[key]) for x in (one, two)]) for key in ("nll", "targets"))
    parts = [nll[0] / targets[0], (nll[1] - nll[0]) / (targets[1] - targets[0])]
    assert np.exp(parts) == pytest.approx(alone)
    assert parts[0] != pytest.approx(parts[1])


@pytest.mark.clause("COMP-013")
def test_a_test_swaps_all_seeds_of_a_document(done):
    """The probability is that of the differences summed over seeds."""
    (folder,) = Path("done/common").iterdir()
    nll = {
        row["run"]: np.array(
            json.loads((folder / f"{row['run']}.json").read_text())["entry"]["nll"]
        )
        for row in done["runs"]
    }
    summed = sum(nll[f"whole-word-seed-{seed}"] - nll[f"token-seed-{seed}"] for seed in (0, 1))
    (pair,) = done["pairs"]
    assert [pair["p"]] == randomized(summed[None], seed=42, resamples=200)


@pytest.mark.clause("COMP-010")
def test_other_tokens_are_refused_before_training(place, untrained):
    """A variant whose model has another tokenizer is told with both models."""
    save_model(place / "bytes", "byte-bpe")
    text = FILE.replace("[evaluation]", "[variants.bytes]\nmodel.name = 'bytes'\n[evaluation]")
    with pytest.raises(ConfigError, match="bytes .* has other tokens in the held-out text than"):
        compare(planned(text), Path("mixed"))


@pytest.mark.clause("COMP-010")
def test_a_run_of_another_model_is_refused(copied, done, untrained):
    """One whose record tells other weights before training than were measured."""
    file = copied / "runs/token-seed-1/record.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "model": {**record["model"], "hash": "0" * 64}}))
    with pytest.raises(
        ConfigError, match=r"token-seed-1: this run was trained from another model than"
    ):
        compare(read_plan(Path("mine.toml")), copied)


@pytest.mark.clause("COMP-009")
def test_what_was_measured_is_kept_while_it_is_whole(tmp_path):
    """By task, name and what it is of; a damaged file is as none."""
    kept = Kept(tmp_path, {"strategy": "token"})
    assert kept.get("one", "a") is None
    (tmp_path / "common").mkdir()
    kept.put("one", {"of": "a", "nll": [math.inf, 1.5]})
    assert kept.get("one", "a") == {"of": "a", "nll": [math.inf, 1.5]}
    assert kept.get("one", "b") is None
    assert Kept(tmp_path, {"strategy": "other"}).get("one", "a") is None
    (file,) = (tmp_path / "common").rglob("*.json")
    file.write_text(file.read_text().replace("1.5", "1.4"))
    assert kept.get("one", "a") is None


@pytest.mark.clause("COMP-009")
def test_draws_add_up():
    """Sums by document over draws that have targets in different ones."""

    def documents(numbers, nll, targets):
        return Documents(numbers=np.array(numbers), nll=np.array(nll), targets=np.array(targets))

    both = measured.added(
        [documents([2, 5], [1.0, 2.0], [1.0, 3.0]), documents([3, 5], [4.0, 8.0], [2.0, 1.0])]
    )
    assert both.numbers.tolist() == [2, 3, 5]
    assert both.nll.tolist() == [1.0, 4.0, 10.0]
    assert both.targets.tolist() == [1.0, 2.0, 4.0]


@pytest.mark.clause("COMP-015")
@pytest.mark.clause("COMP-018")
def test_one_seed_is_told(done, untrained):
    """Without a second seed there is no interval but over documents, and a line says why."""
    Path("single.toml").write_text(FILE.replace("[0, 1]", "[0]"))
    shown = invoke("single.toml", "--output", "done", "--quiet")
    assert shown.exit_code == 0, shown.stderr
    assert "no interval over seeds: one seed does not show" in shown.stdout
    assert "not settled" in shown.stdout
    (pair,) = json.loads(Path("done/comparison.json").read_text())["pairs"]
    assert pair["low"] is None is pair["over_seeds_low"]
    assert pair["over_documents_low"] < pair["nll"] < pair["over_documents_high"]
    compare(read_plan(Path("mine.toml")), Path("done"))


@pytest.mark.clause("COMP-018")
@pytest.mark.clause("COMP-021")
@pytest.mark.clause("REP-021")
@pytest.mark.clause("CLI-004")
def test_the_command(done, untrained):
    """The verdict on each pair, then the variants, best first, and the task; as JSON the answer."""
    shown = invoke("mine.toml", "--output", "done", "--quiet")
    assert (shown.exit_code, shown.stderr) == (0, "")
    for line, pair in zip(shown.stdout.splitlines(), done["pairs"], strict=False):
        assert re.match(
            rf"{pair['variant']} (is|does) .* {pair['against']}: {pair['ratio']:.3f} t", line
        )
    ranked = [one["variant"] for one in done["variants"]]
    assert [one["common"]["nll"] for one in done["variants"]] == sorted(
        one["common"]["nll"] for one in done["variants"]
    )
    best, last = (shown.stdout.index(f"\n {name} ") for name in ranked)
    assert best < last
    for one in done["variants"]:
        assert f"{one['common']['perplexity']:.2f}" in shown.stdout
    for text in ("common task: token (mlm_probability 0.15, 80/10/10)", "2 seeds (0, 1)", "done"):
        assert text in shown.stdout
    answer = invoke("mine.toml", "--output", "done", "--quiet", "--json")
    assert json.loads(answer.stdout) == json.loads(json.dumps(done))


@pytest.mark.clause("COMP-005")
@pytest.mark.clause("RANK-004")
@pytest.mark.parametrize("rank", [0, 1])
def test_several_processes_are_refused(place, monkeypatch, rank):
    """In a line of the main one alone, before anything is made, whatever else is wrong."""
    for name, value in (("RANK", rank), ("WORLD_SIZE", 2), ("LOCAL_RANK", rank)):
        monkeypatch.setenv(name, str(value))
    with pytest.raises(MlmrefError, match="a comparison runs in one process"):
        compare(read_plan(Path("mine.toml")), Path("many"))
    assert not Path("many").exists()
    ended = mlmref("compare", "none.toml")
    line = "mlmref: mlmref compare: a comparison runs in one process; start it without a launcher\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", "" if rank else line)
