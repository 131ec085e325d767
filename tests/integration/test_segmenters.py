"""Whole runs with a word segmenter (spec/segmenters.md)."""

import json
import re
import sys

import pytest
from support.runs import save_corpus, save_model
from support.tokenizers import tokenizer
from support.words import Plugin, Told, entry_of
from typer.testing import CliRunner

from mlmref import hookimpl, run
from mlmref.cli import app
from mlmref.plugin.batches import Plan
from mlmref.plugin.contracts import StrategyEntry
from mlmref.plugin.discovery import discover
from mlmref.settings.resolve import resolve

MODULE = """
import re
from mlmref import hookimpl
from mlmref.plugin.contracts import Options, SegmenterEntry


class LettersOptions(Options):
    digits: bool = True


class Letters:
    fingerprint = ""

    def __init__(self, options):
        self.pattern = re.compile("[a-z0-9]+|." if options.digits else "[a-z]+|.", re.I | re.S)

    def segment(self, texts):
        return [[match.start() for match in self.pattern.finditer(text)] for text in texts]


@hookimpl
def mlmref_word_segmenters():
    return [SegmenterEntry(name="letters", summary="runs of letters", build=Letters,
                           options=LettersOptions)]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with models, a corpus, and a distribution that brings a segmenter."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model")
    save_model(folder / "wordless", "wordless")
    save_corpus(folder / "corpus.txt")
    info = folder / "site" / "letters-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[mlmref]\nletters = letters_module\n")
    (folder / "site" / "letters_module.py").write_text(MODULE)
    return folder


@pytest.fixture
def command(place, monkeypatch):
    """Return the command line where that distribution is installed."""
    monkeypatch.syspath_prepend(place / "site")
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "200")
    yield lambda *arguments: CliRunner().invoke(app, arguments)
    sys.modules.pop("letters_module", None)


QUICK = ("--corpus", "corpus.txt", "--chunk-size", "16", "--batch-size", "8", "--max-steps", "2")


@pytest.mark.clause("TOK-017")
@pytest.mark.clause("RUN-006")
@pytest.mark.clause("RUN-012")
@pytest.mark.clause("CLI-002")
def test_whole_words_of_a_segmenter_on_a_tokenizer_that_tells_none(place, command):
    """--segmenter makes whole-word masking possible, is on record, and evaluate goes by it."""
    words = ("--masking", "whole-word", "--segmenter", "letters")
    done = command("run", "--model", "./wordless", *QUICK, *words, "--output", "out", "--quiet")
    assert done.exit_code == 0, done.stderr
    record = json.loads((place / "out" / "record.json").read_text("utf-8"))
    assert record["plugins"]["words"] == {
        "name": "letters",
        "distribution": "letters",
        "version": "1.2",
        "options": {"digits": True},
    }
    assert record["config"]["words"] == {"segmenter": "letters", "options": {"digits": True}}
    assert "| words | letters (letters 1.2), digits True |" in (place / "out/README.md").read_text()
    measured = command("evaluate", "out", "--json")
    assert measured.exit_code == 0, measured.stderr
    answer = json.loads(measured.stdout)
    assert answer["words"] == record["plugins"]["words"]
    assert answer["perplexity"]["targets"] == record["perplexity"]["after"]["targets"]
    assert answer["perplexity"]["value"] == pytest.approx(
        record["perplexity"]["after"]["value"], rel=1e-6
    )
    shown = command(
        "evaluate", "out", "--segmenter", "letters", "--set", "words.options.digits=false"
    )
    assert re.search(r"words +letters \{'digits': False\}", shown.stdout), shown.stderr


@pytest.mark.clause("RUN-013")
@pytest.mark.clause("SEG-009")
def test_the_tokenizers_own_words_are_refused_where_it_has_none(place, command):
    """The built-in entry is no segmenter, and the message offers one."""
    words = ("--masking", "whole-word", "--segmenter", "tokenizer")
    done = command("run", "--model", "./wordless", *QUICK, *words, "--output", "refused")
    assert done.exit_code == 2
    assert "finds no words, which 'whole-word' masking needs" in done.stderr
    assert "or a --segmenter that finds words" in done.stderr
    assert not (place / "refused").exists()


@pytest.mark.clause("SEG-010")
@pytest.mark.clause("RUN-001")
def test_a_faulty_segmenter_ends_a_run_in_one_line(place, command):
    """Exit status 2, the plugin's name, no traceback, no run folder."""
    module = place / "site" / "letters_module.py"
    module.write_text(MODULE.replace("match.start()", "match.end()"))
    try:
        words = ("--segmenter", "letters")
        done = command("run", "--model", "./model", *QUICK, *words, "--output", "f", "--quiet")
    finally:
        module.write_text(MODULE)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("mlmref: 'letters' of plugin letters:letters 1.2: segment gave offset")
    assert not (place / "f").exists()


class Looks:
    """A strategy that remembers whole words as it sees them."""

    def __init__(self):
        self.words = set()

    def propose(self, batch, draws):
        """Remember, and propose single tokens."""
        for ids, words in zip(batch.input_ids, batch.words, strict=True):
            for number in range(words.max() + 1):
                self.words.add(tuple(ids[words == number].tolist()))
        return Plan(targets=draws.bernoulli("any", 0.15) & ~batch.special)


@pytest.mark.clause("TOK-015")
def test_a_strategy_sees_the_segmenters_words(place):
    """电影 are two words of BERT's tokenizer, and one of a segmenter that says so."""
    backend = tokenizer("wordpiece")
    film = tuple(backend.convert_tokens_to_ids(["电", "影"]))

    class Strategies:
        @hookimpl
        def mlmref_masking_strategies(self):
            return [entry]

    def pairs(texts):
        return [[n for n in range(len(text)) if text[n - 1 : n + 1] != "电影"] for text in texts]

    for name in ("pairs", "tokenizer"):
        looks = Looks()
        entry = StrategyEntry(
            name="looks", summary="-", build=lambda _, one=looks: one, needs_words=True
        )
        plugin = Plugin(entry_of(Told(pairs), name="pairs"))
        settings = resolve(
            sets=[
                f"model.name={place / 'model'}",
                f"corpus.name={place / 'corpus.txt'}",
                f"output.folder={place / name}",
                "chunks.size=16",
                "training.max_steps=1",
                "training.batch_size=8",
                "masking.strategy=looks",
                f"words.segmenter={name}",
            ]
        )
        run(settings, registry=discover([Strategies(), plugin]))
        assert (film in looks.words) == (name == "pairs")
