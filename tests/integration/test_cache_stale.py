"""Through whole evaluations and runs: the cache is never stale, and no damage to it is (CACHE)."""

import json
import os
import shutil
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import torch
from support import warm
from support.processes import finish, start
from support.runs import save_corpus, save_model
from support.unprivileged import open_folder, unprivileged
from support.words import Plugin, Told, entry_of

import mlmref
from mlmref.base.errors import OutputError
from mlmref.base.progress import Silent
from mlmref.data.corpus import digests
from mlmref.plugin.discovery import discover
from mlmref.runner.run import evaluate
from mlmref.settings.resolve import resolve

READ, TOKENIZED = "read", "tokenize"


class Recorder(Silent):
    """Remembers which stages there were, and does something when one begins for the first time."""

    def __init__(self, **actions):
        self.stages = []
        self._actions = actions

    @contextmanager
    def stage(self, name, total=None, unit="", done=0):
        """Open a stage."""
        self.stages.append(name)
        self._actions.pop(name, lambda: None)()
        yield self

    @property
    def made(self):
        """Which of the two stations with a cache made something anew."""
        return {READ, TOKENIZED} & {*self.stages}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with a model, a corpus and a cache of its own, and go there."""
    save_model(tmp_path / "model")
    save_corpus(tmp_path / "corpus.txt")
    lines = (tmp_path / "corpus.txt").read_text().splitlines()
    rows = [f'{{"text": {json.dumps(line)}, "other": {json.dumps(line[::-1])}}}' for line in lines]
    (tmp_path / "corpus.jsonl").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLMREF_CACHE", str(tmp_path / "cache"))
    # Large files that have settled are remembered: let these be such.
    monkeypatch.setattr(digests, "_SMALL", 0)
    monkeypatch.setattr(digests.time, "time_ns", lambda: int((time.time() + 3_600) * 1e9))
    return tmp_path


def measured(*sets, registry=None, **actions):
    """Measure the model; returns the perplexity with all that belongs to it, and what was made."""
    settings = ["model.name=./model", "corpus.name=corpus.jsonl", "chunks.size=16", *sets]
    recorder = Recorder(**actions)
    answer = evaluate(resolve(sets=settings), reporter=recorder, registry=registry)
    return answer["perplexity"], recorder.made


def measured_cold(monkeypatch, *sets, **options):
    """Measure with a cache that has nothing in it: what is right."""
    with monkeypatch.context() as patch:
        patch.setenv("MLMREF_CACHE", "cold-cache")
        shutil.rmtree("cold-cache", ignore_errors=True)
        return measured(*sets, **options)[0]


def rewrite(path, change):
    """Change a file's content, with its size and time as they were where that is possible."""
    path = Path(path)
    before = path.stat()
    path.write_text(change(path.read_text()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def first_letter(text):
    """Exchange one letter of one document, which leaves the file's size."""
    at = text.index('"text": "') + len('"text": "')
    return text[:at] + ("z" if text[at] != "z" else "y") + text[at + 1 :]


def first_two_swapped(text):
    """Exchange the first line and one that differs from it."""
    lines = text.splitlines(keepends=True)
    other = next(number for number, line in enumerate(lines) if line != lines[0])
    lines[0], lines[other] = lines[other], lines[0]
    return "".join(lines)


def in_json(change):
    """Return a change of a file of JSON."""

    def changed(text):
        value = json.loads(text)
        change(value)
        return json.dumps(value)

    return changed


def without_lower_case(tokenizer):
    """Keep capitals, which are the unknown token then."""
    tokenizer["normalizer"] = None


def two_words_swapped(tokenizer):
    """Exchange the numbers of two words, which leaves the file's size."""
    words = tokenizer["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]


CHANGES = {
    "one letter of one document": ("corpus.jsonl", first_letter, {READ, TOKENIZED}),
    "the order of two documents": ("corpus.jsonl", first_two_swapped, {READ, TOKENIZED}),
    "a document more": (
        "corpus.jsonl",
        lambda text: 10 * '{"text": "film"}\n' + text,
        {READ, TOKENIZED},
    ),
    "the tokenizer's normalisation": (
        "model/tokenizer.json",
        in_json(without_lower_case),
        {TOKENIZED},
    ),
    "a word of the vocabulary": ("model/tokenizer.json", in_json(two_words_swapped), {TOKENIZED}),
}


@pytest.mark.clause("CACHE-002")
@pytest.mark.clause("CACHE-013")
@pytest.mark.clause("CORP-017")
@pytest.mark.clause("TOK-011")
@pytest.mark.parametrize(("file", "change", "made"), CHANGES.values(), ids=CHANGES.keys())
def test_what_changes_is_made_again(place, monkeypatch, file, change, made):
    """Even with the file's time set back; the figures are those that an empty cache gives."""
    before, first = measured()
    assert first == {READ, TOKENIZED}
    assert measured() == (before, set())
    assert [*Path("cache", "files").iterdir()], "the corpus is remembered"
    rewrite(file, change)
    after, again = measured()
    assert again == made
    assert after == measured_cold(monkeypatch)
    assert after != before
    assert measured() == (after, set())


OPTIONS = {
    "the column": ("corpus.text_column=other", {READ, TOKENIZED}),
    "the limit": ("corpus.limit=20", {READ, TOKENIZED}),
    "one document a file": ("corpus.documents=file", {READ, TOKENIZED}),
    "size of the chunks": ("chunks.size=12", set()),
    "what is held out": ("split.by=document", set()),
    "the seed": ("seed=7", set()),
    "the rate of masking": ("masking.options.mlm_probability=0.3", set()),
    "the batches": ("evaluation.batch_size=3", set()),
}


@pytest.mark.clause("CACHE-002")
@pytest.mark.parametrize(("option", "made"), OPTIONS.values(), ids=OPTIONS.keys())
def test_an_option_makes_again_what_it_shapes(place, monkeypatch, option, made):
    """What shapes the text makes both again, what comes after it nothing."""
    name = "corpus.name=corpus.txt" if "documents" in option else "corpus.name=corpus.jsonl"
    size = [] if "chunks.size" in option else ["chunks.size=16"]
    before, _ = measured(name, *size)
    after, again = measured(name, *size, option)
    assert again == made
    assert after == measured_cold(monkeypatch, name, *size, option)
    # Unlike each other's, so that a stale one would have been noticed.
    assert (abs(after["value"] - before["value"]) > 1e-3) is ("batch_size" not in option)
    assert measured(name, *size) == (before, set())


@pytest.mark.clause("CACHE-002")
@pytest.mark.clause("TOK-011")
def test_a_segmenters_fingerprint_makes_the_tokens_again(place, monkeypatch):
    """Other words under another fingerprint are seen; under the same one they would not be."""
    sets = ["words.segmenter=told", "masking.strategy=whole-word"]

    def told(width, fingerprint):
        words = Told(lambda texts: [range(0, len(text), width) for text in texts], fingerprint)
        return {"registry": discover([Plugin(entry_of(words))])}

    before, _ = measured(*sets, **told(3, "a"))
    assert measured(*sets, **told(3, "a")) == (before, set())
    after, again = measured(*sets, **told(7, "b"))
    assert again == {TOKENIZED}
    assert after == measured_cold(monkeypatch, *sets, **told(7, "b")) != before
    # The oracle: a segmenter that lies about its fingerprint is served what it said before.
    assert measured(*sets, **told(7, "a")) == (before, set())
    without, again = measured("masking.strategy=whole-word")
    assert again == {TOKENIZED}
    assert without == measured_cold(monkeypatch, "masking.strategy=whole-word")


# --- damage --------------------------------------------------------------------------------------


def flip(path):
    """Flip a bit in the middle, with the file's time set back."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


DAMAGES = {
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "a bit flipped": flip,
    "removed": Path.unlink,
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("gone")),
}


@pytest.mark.clause("CACHE-004")
@pytest.mark.clause("CACHE-005")
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("kind", ["arrow", "json"])
@pytest.mark.parametrize("station", ["corpus", "tokens"])
def test_a_damaged_entry_is_made_again(place, station, kind, damage):
    """Data or sidecar, of the text or of the tokens; the figures stay, and it is whole again."""
    before, _ = measured()
    [path] = (place / "cache" / station).glob(f"*.{kind}")
    damage(path)
    after, made = measured()
    assert made == ({READ} if station == "corpus" else {TOKENIZED})
    assert after == before
    assert measured() == (before, set())


# --- several at once -----------------------------------------------------------------------------


@pytest.mark.clause("CACHE-006")
def test_two_processes_at_once_both_end_right(place, monkeypatch):
    """Two that begin with an empty cache say the same, and each entry is there once."""
    command = [
        *(warm.python(), "-m", "mlmref", "evaluate", "./model", "--json", "--quiet"),
        *("--corpus", "corpus.jsonl", "--chunk-size", "16"),
    ]
    done = [finish(process) for process in [start(command) for _ in range(2)]]
    assert [one.returncode for one in done] == [0, 0]
    answers = [json.loads(one.stdout) for one in done]
    expected = measured_cold(monkeypatch)
    assert [answer["perplexity"] for answer in answers] == [json.loads(json.dumps(expected))] * 2
    for station in ("corpus", "tokens"):
        names = sorted(path.suffix for path in (place / "cache" / station).iterdir())
        assert [name for name in names if name != ".lock"] == [".arrow", ".json"]
    assert measured() == (expected, set())


# --- a cache that vanishes, or cannot be written -------------------------------------------------


def vanish():
    """Remove the cache, as somebody who makes room does."""
    shutil.rmtree("cache", ignore_errors=True)


def losses(workers=0, **actions):
    """Run; returns the loss of each step and the perplexity afterwards."""
    shutil.rmtree("out", ignore_errors=True)
    settings = ["model.name=./model", "corpus.name=corpus.jsonl", "chunks.size=16"]
    settings += ["training.batch_size=16", "output.folder=out", f"training.workers={workers}"]
    record = mlmref.run(resolve(sets=settings), reporter=Recorder(**actions)).record
    return record["loss"], record["perplexity"]["after"]


@cache
def undisturbed():
    """Return the figures of a run whose cache stays; ``place`` has the same files for each test."""
    return losses()


# Each moment once; pytest --full tries each with and without workers.
TRIED = {("check", 2), ("read", 0), ("tokenize", 2), ("evaluate", 0), ("train", 2), ("write", 0)}


@pytest.mark.clause("CACHE-012")
@pytest.mark.parametrize(
    ("when", "workers"),
    [
        pytest.param(when, workers, marks=[] if (when, workers) in TRIED else pytest.mark.full)
        for when in ("check", "read", "tokenize", "evaluate", "train", "write")
        for workers in (0, 2)
    ],
)
def test_a_cache_that_vanishes_does_not_matter(place, when, workers):
    """At the beginning of each stage, in one process and with workers: the same run."""
    expected = undisturbed()
    if when in {"check", "read", "tokenize"}:
        vanish()
    assert losses(workers, **{when: vanish}) == expected


@pytest.mark.clause("TOK-014")
@pytest.mark.parametrize("method", ["spawn", pytest.param("forkserver", marks=pytest.mark.full)])
def test_workers_that_are_not_forked_open_the_cache_themselves(place, monkeypatch, method):
    """They get the tokens by the file's name, as they do where forking is not the custom."""
    expected = undisturbed()
    real = torch.utils.data.DataLoader.__init__

    def init(self, *some, **more):
        if more.get("num_workers"):
            more["multiprocessing_context"] = method
        real(self, *some, **more)

    monkeypatch.setattr(torch.utils.data.DataLoader, "__init__", init)
    assert losses(2) == expected


@pytest.mark.clause("CACHE-008")
@pytest.mark.clause("CACHE-012")
@pytest.mark.parametrize("when", ["check", "read", "tokenize"])
def test_a_cache_that_cannot_come_back_is_one_line(place, when):
    """The folder goes while an entry is made, and a file comes in its place."""

    def replaced():
        vanish()
        Path("cache").touch()

    measured()
    vanish()
    with pytest.raises(OutputError) as caught:
        measured(**{when: replaced})
    station = "tokens" if when == "tokenize" else "corpus"
    assert str(caught.value) == (
        f"{place}/cache/{station}: cannot write the cache (Not a directory); "
        "set MLMREF_CACHE to a folder that has room and can be written to"
    )


@pytest.mark.clause("CACHE-008")
@pytest.mark.clause("CACHE-010")
def test_a_cache_without_permission(place, monkeypatch):
    """What is in it is served; what is not cannot be kept, and that is one line."""
    with open_folder() as here:
        for name in ("model", "corpus.jsonl"):
            path = place / name
            (shutil.copytree if path.is_dir() else shutil.copy)(path, here / name)
        (here / "model" / "model.safetensors").chmod(0o644)
        monkeypatch.chdir(here)
        monkeypatch.setenv("MLMREF_CACHE", str(here / "cache"))
        expected, _ = measured()
        for path in (here / "cache", *(here / "cache").rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        with unprivileged():
            assert measured() == (expected, set())
            with pytest.raises(OutputError) as caught:
                measured("corpus.limit=20")
    assert str(caught.value) == (
        f"{here}/cache/corpus: cannot write the cache (Permission denied); "
        "set MLMREF_CACHE to a folder that has room and can be written to"
    )
