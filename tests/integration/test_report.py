"""The page of a run, what a run keeps for it, and ``mlmref report`` (spec/report.md)."""

import errno
import json
import math
import re
import shutil
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from support import processes
from support.reports import PROMPTS, report_run, report_settings, stopped
from support.runs import save_model
from transformers import AutoModelForMaskedLM
from typer.testing import CliRunner

from mlmref import run
from mlmref.base.disk import sha256
from mlmref.base.errors import OutputError
from mlmref.base.progress import Silent
from mlmref.base.terminal import plain
from mlmref.cli import app
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.results.report.page import page, write_again
from mlmref.results.report.read import read
from mlmref.results.result import Result
from mlmref.runner.context import RunContext
from mlmref.runner.log.about import about, counts
from mlmref.runner.prepare import load, prepare
from mlmref.settings.resolve import resolve


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder to run in."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def done(place):
    """Finish one run on foreign text."""
    return report_run(place)


@pytest.fixture(scope="module")
def ready(place):
    """Prepare what that run trained on."""
    context = RunContext.of(report_settings(place))
    return prepare(context, load(context))


def text_of(html):
    """Return the text on a page."""
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.S)).split())


def invoke(*arguments):
    """Run a command in this process."""
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.mark.clause("REP-001")
@pytest.mark.clause("PAGE-001")
def test_a_run_leaves_its_page(done):
    """With its figures, fills, words, masks, corpus, plugins, versions, times and command."""
    html = done.report().read_text("utf-8")
    text, record = text_of(html), done.record
    assert done.report() == done.folder / "report.html"
    assert len(html.encode()) < 2_000_000
    for when in ("before", "after"):
        measured = record["perplexity"][when]
        for key in ("value", "low", "high"):
            assert f"{measured[key]:,.2f}" in text
    gained = record["perplexity"]["difference"]
    assert f"{gained['ratio']:.1%}".replace("%", " %") in text
    assert f"{gained['ratio_low']:.1%}".replace("%", " %") in text
    for one in record["fill_mask"]["before"] + record["fill_mask"]["after"]:
        assert one["prompt"] in text
        assert " ".join(plain(one["token"]).split()) in text
    for title in ("Perplexity by epoch", "Training loss", "Learning rate", "Length of documents"):
        assert f"{title} as a table" in text
    assert html.count('<svg class="chart"') == 4
    assert "Words whose loss fell most" in text
    assert "By frequency of the token in the training text" in text
    assert "the first subword of a word" in text
    assert f"{record['corpus']['documents']:,}" in text
    assert f"{record['corpus']['tokens']:,}" in text
    assert "trainer (mlmref 0.1.0)" in text
    assert record["versions"]["torch"] in text
    assert f"{record['timings']['train']:,.1f} s" in text
    assert "training.learning_rate 0.01" in text
    assert "mlmref run --config" in text
    assert 'class="empty"' not in html


@pytest.mark.clause("REP-001")
def test_the_command_does_the_run_again(done):
    """As it stands on the page, it would use the same settings in another folder."""
    (line,) = re.findall(r"<pre><code>(mlmref run .*?)</code>", done.report().read_text("utf-8"))
    import shlex

    arguments = shlex.split(unescape(line))[1:]
    found = invoke(*arguments, "--print-config")
    assert found.exit_code == 0, found.stderr
    expected = (done.folder / "config.toml").read_text("utf-8")
    again = str(done.folder) + "-again"
    assert found.stdout == expected.replace(json.dumps(str(done.folder)), json.dumps(again))


def by_hand(model, ready, row):
    """Return the log-probabilities at a held-out chunk's targets, and their true tokens."""
    masked = ready.masker(ready.split.test.gather(np.array([row])), EVALUATION_PASS)
    with torch.no_grad():
        logits = model(
            input_ids=torch.from_numpy(masked.input_ids).long(),
            attention_mask=torch.from_numpy(masked.attention_mask).long(),
        ).logits[0]
    positions = np.flatnonzero(masked.labels[0] != IGNORE_INDEX)
    return logits[positions].log_softmax(1), masked.labels[0, positions]


@pytest.mark.clause("REP-007")
def test_what_is_kept_is_what_the_models_answer(done, place, ready):
    """Each loss, rank and answer, before and after, from all logits of one chunk at a time."""
    kept = json.loads((done.folder / "report.json").read_text("utf-8"))
    table = pq.read_table(done.folder / "held_out.parquet").to_pydict()
    assert kept["epoch"] == 2
    tokenizer = ready.loaded.tokenizer
    for when, folder in (("before", place / "model"), ("after", done.folder)):
        model = AutoModelForMaskedLM.from_pretrained(folder).eval()
        losses = []
        for row in range(len(ready.split.test)):
            log, true = by_hand(model, ready, row)
            losses += (-log[range(len(true)), true]).tolist()
            shown = [nth for nth, one in enumerate(kept["explorer"]) if one["row"] == row]
            for answer, scores, token in zip(
                kept["answers"][when][shown[0]] if shown else (), log, true, strict=False
            ):
                assert answer["nll"] == pytest.approx(-scores[token].item(), abs=1e-3)
                assert answer["rank"] == int((scores > scores[token]).sum())
                ordinary = [int(one) for one in scores.argsort(descending=True)]
                best = [one for one in ordinary if one not in tokenizer.all_special_ids][:5]
                assert [p for _, p in answer["best"]] == pytest.approx(
                    scores[best].exp().tolist(), abs=2e-5
                )
                assert answer["best"][0][0] == (tokenizer.decode([best[0]]).strip() or " ")[:32]
        assert table[when] == pytest.approx(losses, rel=1e-4, abs=1e-5)
        nll = done.record["perplexity"][when]["nll"]
        assert np.mean(table[when]) == pytest.approx(nll, rel=1e-5)
    assert len(table["before"]) == done.record["perplexity"]["before"]["targets"]
    assert {len(one) for one in kept["answers"]["after"]} != {0}


@pytest.mark.clause("REP-007")
def test_each_target_has_its_token_word_part_and_count(done, ready):
    """As the tokens stand in the corpus; a word's text is that of its pieces."""
    table = pq.read_table(done.folder / "held_out.parquet").to_pylist()
    counts, tokens = ready.split.train.counts(), ready.chunks.tokens
    seen, cut = set(), set()
    for one in table:
        (row,) = np.flatnonzero(ready.split.test.ids == one["chunk"])
        rows = ready.split.test.gather(np.array([row]))
        ids, starts = rows.input_ids[0], rows.word_start[0].copy()
        assert ids[one["position"]] == one["token"]
        assert one["count"] == counts[one["token"]]
        special = np.isin(ids, tokens.vocabulary.special_ids)
        starts[0] = True
        starts |= special | np.append(False, special[:-1])
        begin = max(at for at in range(one["position"] + 1) if starts[at])
        ends = [at for at in range(one["position"] + 1, len(ids)) if starts[at]]
        end = min(ends, default=len(ids))
        # A word that the edge cuts goes on in the corpus, and which piece is which with it.
        document = rows.documents[0, one["position"]]
        text, begins = tokens.take(np.arange(*tokens.offsets[document : document + 2]))
        begins |= np.isin(text, tokens.vocabulary.special_ids)
        begins[1:] |= np.isin(text[:-1], tokens.vocabulary.special_ids)
        begins = np.append(begins, True)
        stream = ready.split.test.starts[row] + one["position"]
        assert np.array_equal(ready.split.test.documents, np.arange(len(tokens.offsets) - 1))
        at = int(stream - tokens.offsets[document])
        part = "later" if at and not begins[at] else "whole" if begins[at + 1] else "first"
        assert one["part"] == part
        there = "whole" if end - begin == 1 else "first" if begin == one["position"] else "later"
        cut |= {(there, part)} - {(part, part)}
        word = ready.loaded.tokenizer.decode(ids[begin:end]).strip()
        if word and "\ufffd" not in word and len(word) <= 32:
            assert one["word"] == word
            seen.add(part)
    assert seen == {"whole", "first", "later"}
    assert cut == {("whole", "first"), ("whole", "later"), ("first", "later")}


@pytest.mark.clause("REP-007")
def test_the_corpus_is_counted(done, ready):
    """Lengths of documents, and the share of unknown tokens in the training text."""
    corpus = json.loads((done.folder / "report.json").read_text("utf-8"))["corpus"]
    lengths = np.diff(ready.chunks.tokens.offsets)
    assert corpus["lengths"]["least"] == lengths.min()
    assert corpus["lengths"]["most"] == lengths.max()
    assert corpus["lengths"]["quartiles"][1] == np.median(lengths)
    for power, count in enumerate(corpus["lengths"]["histogram"]):
        assert count == ((lengths >= 2**power) & (lengths < 2 ** (power + 1))).sum()
    assert sum(corpus["lengths"]["histogram"]) == len(lengths)
    counts = ready.split.train.counts()
    assert corpus["counted"]["tokens"] == counts.sum()
    assert corpus["counted"]["unknown"] == counts[ready.loaded.tokenizer.unk_token_id]


@pytest.mark.clause("REP-007")
def test_unknown_tokens_are_counted(tmp_path):
    """As many as there are in the training text, where characters are in no vocabulary."""
    save_model(tmp_path / "model")
    (tmp_path / "odd.txt").write_text("a great film ☃\nthe ☂ ☃ story of the film\n" * 40, "utf-8")
    sets = [f"model.name={tmp_path / 'model'}", f"corpus.name={tmp_path / 'odd.txt'}"]
    context = RunContext.of(resolve(sets=[*sets, "chunks.size=16", "split.test_size=4"]))
    ready = prepare(context, load(context))
    counted = about(ready, counts(ready))["corpus"]["counted"]
    train = ready.split.train
    ids = [train.gather(np.array([row])).input_ids[0] for row in range(len(train))]
    unknown = sum(int((one == ready.loaded.tokenizer.unk_token_id).sum()) for one in ids)
    assert 50 < unknown == counted["unknown"] < counted["tokens"]


class Warned(Silent):
    """Keeps the warnings."""

    def __init__(self):
        self.warnings = []

    def warn(self, text):
        """Keep one."""
        self.warnings.append(text)


def broken(*_, **__):
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.clause("REP-002")
@pytest.mark.clause("REP-010")
def test_a_run_is_whole_without_its_report(place, done, monkeypatch):
    """With nothing kept and no page: warned of, and weights and figures are the same."""
    told = Warned()
    monkeypatch.setattr("mlmref.runner.log.kept_targets.replace", broken)
    monkeypatch.setattr("mlmref.results.report.page.page", broken)
    bare = run(report_settings(place, output="bare"), reporter=told)
    assert [text.split(" (")[0] for text in told.warnings] == [
        "the report will lack what the model learned",
        "report.html was not written",
    ]
    assert told.warnings[1].endswith(f"the run is complete; try: mlmref report {bare.folder}")
    names = {one.name for one in done.folder.iterdir()}
    assert names - {one.name for one in bare.folder.iterdir()} == {
        "report.html",
        "report.json",
        "held_out.parquet",
    }
    for name in ("model.safetensors", "metrics.jsonl"):
        assert sha256(bare.folder / name) == sha256(done.folder / name)
    monkeypatch.undo()
    assert "report.json is not in the folder" in text_of(
        write_again(bare.folder).read_text("utf-8")
    )


@pytest.mark.clause("REP-008")
def test_the_batch_size_of_evaluation_does_not_matter(place, done):
    """The same answers to the last bit, the same rows, and losses but for rounding."""
    other = report_run(place, "evaluation.batch_size=3", "training.max_steps=1", output="other")
    kept, expected = (
        json.loads((one / "report.json").read_text("utf-8")) for one in (other.folder, done.folder)
    )
    assert kept["explorer"] == expected["explorer"]
    assert kept["answers"]["before"] == expected["answers"]["before"]
    rows, theirs = (pq.read_table(one / "held_out.parquet") for one in (other.folder, done.folder))
    columns = ["chunk", "position", "token", "text", "word", "part", "count"]
    assert rows.select(columns).equals(theirs.select(columns))
    assert rows["before"].to_numpy() == pytest.approx(theirs["before"].to_numpy(), rel=1e-4)


STOPPED = {
    "before anything": (0, ["No perplexity yet", "the run has no prompts"]),
    "before the first step": (
        3,
        ["before the evaluation of its first epoch", "before its first step"],
    ),
    "in the first epoch": (6, ["The perplexity after training is missing", "No answers yet"]),
}


@pytest.mark.clause("REP-003")
@pytest.mark.clause("REP-014")
@pytest.mark.parametrize("when", STOPPED)
def test_a_stopped_run_has_a_report(done, tmp_path, when):
    """Whatever had happened; what had not is said, part by part, and a cut line is passed over."""
    events, expected = STOPPED[when]
    stopped(done.folder, tmp_path / "it", events, kept=events > 0)
    found = invoke("report", tmp_path / "it")
    assert found.exit_code == 0, found.stderr
    file = tmp_path / "it.unfinished" / "report.html"
    assert found.stdout == f"{file}\n"
    text = text_of(file.read_text("utf-8"))
    for words in ("A run of mlmref that is not finished", "mlmref run --resume", *expected):
        assert words in text
    assert "Unknown until the run is finished" in text
    assert ("report.json is not in the folder" in text) == (events == 0)


@pytest.mark.clause("REP-014")
@pytest.mark.clause("EVAL-012")
def test_a_run_that_was_stopped_late_has_its_figures(done, tmp_path):
    """The ratio and its interval are those that a record would have had."""
    lines = (done.folder / "metrics.jsonl").read_text("utf-8").split("\n")
    run_ = read(stopped(done.folder, tmp_path / "it", len(lines)))
    gained = done.record["perplexity"]["difference"]
    assert run_.ratio == pytest.approx([gained["ratio"], gained["ratio_low"], gained["ratio_high"]])
    assert run_.after.value == done.record["perplexity"]["after"]["value"]
    assert [one.loss for one in run_.steps] == [one["loss"] for one in done.record["loss"]]
    assert run_.fills[-1][0]["token"] == done.record["fill_mask"]["after"][0]["token"]


@pytest.mark.clause("REP-014")
@pytest.mark.clause("REP-003")
def test_a_run_of_an_older_mlmref_has_a_report(done, tmp_path):
    """Without what was kept since, and with less in its record: the parts that lack it say so."""
    shutil.copytree(done.folder, tmp_path / "old")
    for name in ("report.html", "report.json", "held_out.parquet"):
        (tmp_path / "old" / name).unlink()
    record = json.loads((tmp_path / "old" / "record.json").read_text("utf-8"))
    del record["perplexity"]["difference"], record["resumed"]
    (tmp_path / "old" / "record.json").write_text(json.dumps(record), "utf-8")
    text = text_of(write_again(tmp_path / "old").read_text("utf-8"))
    assert f"{record['perplexity']['after']['value']:,.2f}" in text
    assert text.count("report.json is not in the folder") >= 4


@pytest.mark.clause("REP-014")
def test_a_report_needs_no_torch(done, tmp_path):
    """Not even where torch, transformers and datasets cannot be imported."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'transformers', 'datasets')));"
        "from mlmref.cli import main; main()"
    )
    arguments = ["report", str(done.folder), "--html", str(tmp_path / "page.html")]
    told = processes.run([sys.executable, "-c", code, *arguments])
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "page.html").read_text("utf-8") == done.report().read_text("utf-8")


@pytest.mark.clause("REP-014")
@pytest.mark.clause("REP-016")
def test_where_nothing_can_be_written_a_line_says_so(done, tmp_path, monkeypatch):
    """A read-only folder keeps its page, and --html writes it elsewhere."""

    def read_only(path, _):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    before = done.report().read_bytes()
    monkeypatch.setattr("mlmref.base.disk.replace", read_only)
    found = invoke("report", done.folder)
    assert found.exit_code == 2
    assert found.stderr == (
        f"mlmref: {done.report()}: it cannot be written (Read-only file system); "
        "give another file with --html\n"
    )
    assert done.report().read_bytes() == before
    assert invoke("report", done.folder, "--html", tmp_path / "page.html").exit_code == 0
    assert (tmp_path / "page.html").read_bytes() == before


@pytest.mark.clause("REP-016")
def test_only_mlmrefs_own_page_is_written_over(done, tmp_path):
    """Its own is made again; somebody's file, and a link, stay; and so does what --html names."""
    shutil.copytree(done.folder, tmp_path / "run")
    file = tmp_path / "run" / "report.html"
    file.write_bytes(file.read_bytes() + b"<!-- old -->")
    assert invoke("report", tmp_path / "run").exit_code == 0
    assert b"<!-- old -->" not in file.read_bytes()
    file.write_text("<p>mine</p>")
    refused = invoke("report", tmp_path / "run")
    assert (refused.exit_code, file.read_text()) == (2, "<p>mine</p>")
    assert "not a page of mlmref; nothing was changed; give another file" in refused.stderr
    file.unlink()
    file.symlink_to(done.report())
    assert invoke("report", tmp_path / "run").exit_code == 2
    (tmp_path / "mine.html").write_text("mine")
    taken = invoke("report", done.folder, "--html", tmp_path / "mine.html")
    assert taken.exit_code == 2
    assert (tmp_path / "mine.html").read_text() == "mine"


@pytest.mark.clause("REP-016")
@pytest.mark.clause("RANK-003")
@pytest.mark.parametrize("rank", [0, 1])
def test_the_main_process_alone_writes_the_page(done, tmp_path, monkeypatch, rank):
    """Under a launcher one process makes the page and says where, and the others end well."""
    for name, value in (("RANK", rank), ("WORLD_SIZE", 2), ("LOCAL_RANK", rank)):
        monkeypatch.setenv(name, str(value))
    ended = invoke("report", done.folder, "--html", tmp_path / "page.html")
    assert (ended.exit_code, (tmp_path / "page.html").exists()) == (0, not rank)
    assert bool(ended.stdout) == (not rank)


@pytest.mark.clause("REP-015")
def test_runs_stand_side_by_side(done, place, tmp_path):
    """Perplexities, curves in common charts, fills, and the setting that differs alone."""
    other = report_run(place, "training.max_steps=3", output="short & other")
    found = invoke("report", done.folder, other.folder, "--html", tmp_path / "both.html")
    assert (found.exit_code, found.stdout) == (0, f"{tmp_path / 'both.html'}\n"), found.stderr
    html = (tmp_path / "both.html").read_text("utf-8")
    text = text_of(html)
    for result in (done, other):
        assert result.folder.name in text
        assert f"{result.record['perplexity']['after']['value']:,.2f}" in text
        assert result.record["fill_mask"]["after"][0]["token"] in text
    table = html[html.index('id="differing"') : html.index('id="curves"')]
    assert re.findall(r'<th scope="row">(.*?)</th>', table) == ["training.max_steps"]
    for nth, svg in enumerate(re.findall(r"<svg.*?</svg>", html, re.S)):
        # Perplexity first: the other run has two, which are dots.
        assert len(re.findall("<polyline", svg)) == 1 + (nth > 0)
        assert "stroke-dasharray" in svg


@pytest.fixture
def bad(done, tmp_path):
    """Make folders in which no run is, or a damaged one."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").write_text("")
    damage = {
        "record.json": '{"perplexity": 3}',
        "metrics.jsonl": '{"event": "evaluation", "epoch": "x"}\n',
        "not json": "\x00",
    }
    for name, content in damage.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / ("metrics.jsonl" if name == "metrics.jsonl" else "record.json")).write_text(
            content
        )
    shutil.copytree(done.folder, tmp_path / "kept")
    kept = json.loads((tmp_path / "kept" / "report.json").read_text("utf-8"))
    kept["corpus"]["lengths"] = {"least": "<script>"}
    (tmp_path / "kept" / "report.json").write_text(json.dumps(kept))
    (tmp_path / "kept" / "report.html").unlink()
    return tmp_path


BAD = {
    "nowhere": "no such folder; give a run folder",
    "a file": "no such folder; give a run folder",
    "empty": "no run in this folder: neither record.json nor metrics.jsonl; give a run folder, .*",
    "record.json": "it is damaged .*",
    "metrics.jsonl": "it is damaged .*",
    "not json": "it is damaged .*",
    "kept": "it is damaged .*",
}


@pytest.mark.clause("REP-017")
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_run_is_refused_in_a_line(bad, name):
    """Status 2, one line, and no page."""
    found = invoke("report", bad / name)
    assert (found.exit_code, found.stdout) == (2, "")
    assert re.fullmatch(rf"mlmref: \S*{re.escape(name)}[^:]*: {BAD[name]}\n", found.stderr)
    assert not [*bad.glob("*/report.html")]


@pytest.mark.clause("REP-017")
@pytest.mark.parametrize(
    ("name", "file"), [("settings", "config.toml"), ("kept", "report.json"), ("not json", "record")]
)
def test_the_damaged_file_is_the_one_that_is_named(bad, name, file):
    """And not another one of the folder that is read with it."""
    (bad / "settings").mkdir()
    (bad / "settings" / "config.toml").write_text("[")
    (bad / "settings" / "metrics.jsonl").write_text("")
    assert f"{name}/{file}" in invoke("report", bad / name).stderr


@pytest.mark.clause("REP-017")
def test_several_runs_want_a_file(done):
    """And say so; nothing is written in either folder."""
    found = invoke("report", done.folder, done.folder)
    assert found.exit_code == 2
    assert "a page of several runs needs a file of its own; give a new file with --html" in (
        found.stderr
    )


@pytest.mark.clause("REP-014")
@pytest.mark.clause("REP-003")
@pytest.mark.parametrize("name", ["report.json", "held_out.parquet"])
def test_what_was_kept_may_be_damaged(done, tmp_path, name):
    """Cut short, or of another format: the page is there, and says what it lacks."""
    shutil.copytree(done.folder, tmp_path / "run")
    file = tmp_path / "run" / name
    file.write_bytes(file.read_bytes()[:100])
    text = text_of(write_again(tmp_path / "run").read_text("utf-8"))
    assert f"{name} in the folder is damaged" in text
    assert f"{done.record['perplexity']['after']['value']:,.2f}" in text
    if name == "report.json":
        file.write_text('{"format": 2}')
        text = text_of(write_again(tmp_path / "run").read_text("utf-8"))
        assert "another version of mlmref wrote it in another format" in text


@pytest.mark.clause("REP-018")
def test_a_result_gives_its_page(done, tmp_path):
    """The one in its folder, made again where there is none, or a copy in a new file."""
    copy = done.report(tmp_path / "copy.html")
    assert copy.read_bytes() == done.report().read_bytes()
    with pytest.raises(OutputError, match="already exists"):
        done.report(copy)
    shutil.copytree(done.folder, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    again = Result(folder=tmp_path / "run", record=done.record).report()
    assert again == tmp_path / "run" / "report.html"
    assert again.is_file()


@pytest.mark.clause("REP-018")
def test_a_result_shows_its_curves(done, tmp_path):
    """As an SVG of its own, with colours for light and dark, saved to a new file only."""
    from xml.etree import ElementTree as ET

    plot = done.plot()
    svg = plot._repr_svg_()
    assert svg == done.plot()._repr_svg_()
    root = ET.fromstring(svg)  # noqa: S314 - our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in svg
    titles = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["Perplexity by epoch", "Training loss"]
    assert plot.save(tmp_path / "plot.svg").read_text("utf-8") == svg
    with pytest.raises(OutputError, match="already exists"):
        plot.save(tmp_path / "plot.svg")
    with pytest.raises(OutputError, match="no such folder"):
        plot.save(tmp_path / "nowhere" / "plot.svg")


@pytest.mark.clause("REP-018")
@pytest.mark.clause("PAGE-001")
def test_a_result_shows_what_it_gained(done):
    """A table in the notebook's own colours; prompts and names in it are text."""
    html = done._repr_html_()
    text = text_of(html)
    for when in ("before", "after"):
        assert f"{done.record['perplexity'][when]['value']:,.2f}" in text
    assert PROMPTS[0].replace("{mask}", "[MASK]") in text
    assert done.folder.name in text
    assert not re.search(r"<(?!/?(?:div|table|caption|thead|tbody|tr|td|th|strong|bdi|br)\b)", html)
    assert "color" not in html


@pytest.mark.clause("REP-003")
def test_one_document_has_no_interval_on_the_page(place, tmp_path):
    """The run ends as any other, and its page says why there is none."""
    (place / "one.txt").write_text("This is a great film, and the story was told well. " * 60)
    result = report_run(
        place, f"corpus.name={place / 'one.txt'}", "training.max_steps=2", output="one"
    )
    assert math.isnan(result.record["perplexity"]["before"]["low"])
    assert "no interval: fewer than two documents" in text_of(result.report().read_text("utf-8"))
    assert page([read(result.folder)]) == result.report().read_text("utf-8")
    assert Path(result.folder, "report.html").is_file()
