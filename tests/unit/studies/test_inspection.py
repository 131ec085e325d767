"""Looking at a corpus (spec/inspect.md)."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from support.runs import mlmref, save_model
from support.tokenizers import TEXT, tokenizer
from typer.testing import CliRunner

from mlmref.base.errors import ConfigError, CorpusError, ModelError, PluginError
from mlmref.base.progress import SILENT
from mlmref.cli import app
from mlmref.model.load import load_tokenizer
from mlmref.model.max_length import NOT_STATED
from mlmref.runner.run import evaluate
from mlmref.settings.resolve import resolve
from mlmref.studies import inspection
from mlmref.studies.inspection import Finding, InspectionReport
from mlmref.studies.inspection import similar as alike
from mlmref.studies.inspection import tokens as tokens_of
from mlmref.studies.inspection.documents import outliers
from mlmref.studies.inspection.findings import graded
from mlmref.studies.inspection.inspect import prepare

KNOWN = ["watch", "it", "over", "and", "we", "was", "in", "a", "film", "to", "for", "the", "is"]
"""Words that are a token each."""


def sentences(number, least=15, most=30):
    """Return texts of known words, no two alike."""
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(KNOWN, rng.integers(least, most + 1))) for _ in range(number)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model without weights; its tokenizer knows no digits but 0, 1 and 9."""
    folder = tmp_path_factory.mktemp("place")
    (save_model(folder / "model") / "model.safetensors").unlink()
    return folder


def settings(place, texts, *sets, model="model"):
    """Return the settings of an inspection of these texts, in chunks of 16 tokens."""
    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (place / "texts.jsonl").write_text(rows, "utf-8")
    corpus = f"corpus.name={place / 'texts.jsonl'}"
    return resolve(sets=[f"model.name={place / model}", corpus, "chunks.size=16", *sets])


def look(place, texts, *sets, **options):
    """Inspect some texts; return the findings by section and key."""
    report = inspection.inspect(settings(place, texts, *sets, **options))
    found = {f"{one.section}.{one.key}": one for one in report.findings}
    assert len(found) == len(report.findings), "a key is of one finding"
    for one in report.findings:
        assert (one.hint is not None) == (one.mark in {"warning", "problem"}), one
    return found


def marks(found, *names):
    """Return the marks of some findings."""
    return [found[name].mark for name in names]


@pytest.mark.clause("INSP-001")
@pytest.mark.clause("INSP-002")
@pytest.mark.clause("INSP-022")
def test_of_a_sound_corpus_there_is_nothing_to_say(place):
    """All that is judged is good; without the model's weights, which are not there."""
    assert not (place / "model" / "model.safetensors").exists()
    found = look(place, sentences(200), "split.by=document")
    assert {one.mark for one in found.values()} == {"figure", "good"}
    assert {one.hint for one in found.values()} == {None}
    assert sum(one.mark == "good" for one in found.values()) == 19


@pytest.mark.clause("INSP-002")
def test_an_inspection_leaves_the_cache_alone_behind(place, tmp_path, monkeypatch):
    """Nothing is written where it is called, and the second one takes the tokens from the cache."""
    monkeypatch.chdir(tmp_path)
    before = {*place.iterdir(), place / "texts.jsonl"}  # of other tests, and the corpus
    look(place, sentences(20))
    look(place, sentences(20))
    assert [*tmp_path.iterdir()] == []
    assert {*place.iterdir()} == before


@pytest.mark.clause("INSP-004")
def test_documents_are_counted_and_measured(place):
    """Numbers as they are counted by hand; empty rows are told with those that are left out."""
    texts = ["", "film", "a film", " ", *["we watch a film " * 5 + "it " * n for n in range(8)]]
    found = look(place, texts)
    words = [1, 2, *range(20, 28)]
    characters = [len(text) for text in texts if text.strip()]
    assert found["documents.number"].values == {"documents": 10}
    assert found["documents.empty"].values == {"documents": 2, "share": 2 / 12}
    assert found["documents.empty"].figure == "2 of 12 (16.67 %)"
    assert found["documents.tokens"].values == {
        "min": 3,
        "median": 24.5,
        "mean": sum(words) / 10 + 2,
        "p95": pytest.approx(28.55),
        "max": 29,
    }
    assert found["documents.characters"].values["max"] == max(characters)
    assert found["documents.characters"].values["mean"] == sum(characters) / 10
    assert found["documents.one_word"].values == {"documents": 1, "share": 0.1}
    assert found["documents.longer_than_chunk"].values == {"documents": 8, "share": 0.8}
    assert marks(found, "documents.empty", "documents.one_word") == ["warning", "warning"]
    assert "--text-column" in found["documents.empty"].hint
    assert "--documents file" in found["documents.one_word"].hint


@pytest.mark.clause("INSP-023")
@pytest.mark.clause("CORP-031")
def test_signs_of_a_misread_file_are_findings(place):
    """Their number, the line of the first, and what to set; and copies by their lines."""
    rows = [f"{text},{n}" for n, text in enumerate(sentences(60))]
    rows[20] = f'"{rows[20]}'
    rows[23] = f'{rows[22].rpartition(",")[0]}",1'
    file = place / "odd.csv"
    file.write_text("\n".join(["text,label", "", *rows, rows[40], ""]))
    found = look(place, [], f"corpus.name={file}")
    odd = found["documents.misread"]
    assert odd.values == {"swallows": {"rows": 1, "first": f"{file}, line 23"}}
    assert odd.mark == "warning"
    assert "--set corpus.quotes=no" in odd.hint
    assert found["duplicates.exact"].figure.endswith(f"such as {file}, line 43 and line 63")


@pytest.mark.clause("INSP-024")
def test_a_broken_quote_is_a_length_outlier(place):
    """One of 14,000 characters among messages of 60, with its line; not the tail of many."""
    short = sentences(100, least=12, most=16)
    long = " ".join(sentences(170))
    found = look(place, [*short[:50], "", long, *short[50:]])["documents.length_outliers"]
    places = [f"{place / 'texts.jsonl'}, line 52"]
    assert found.values == {"documents": 1, "share": 1 / 101, "places": places}
    assert f"line 52, has {len(long):,} characters" in found.figure
    assert found.mark == "warning"
    rng = np.random.default_rng(0)
    assert not len(outliers(np.exp(rng.normal(5, 1, 20_000)).astype(int) + 1))
    assert outliers(np.array([180, *[9] * 7, 200, 179])).tolist() == [8, 0]


@pytest.mark.clause("INSP-006")
@pytest.mark.clause("INSP-007")
def test_copies_are_counted_with_examples(place):
    """Two of the same but for case and blanks, and a chain of three that are nearly the same."""
    some = sentences(40, least=60, most=60)
    nearly = [some[7] + " we watch", some[7] + " we watch it over and"]
    found = look(place, [*some, some[3].upper(), some[3].replace(" ", "\n"), *nearly])
    exact, near = found["duplicates.exact"], found["duplicates.near"]
    assert exact.values["documents"] == 2
    assert exact.values["share"] == 2 / 44
    file = place / "texts.jsonl"
    assert exact.figure == f"2 of 44 (4.55 %), such as {file}, line 4 and line 41"
    assert near.figure == f"2 of 44 (4.55 %), such as {file}, line 8 and line 43"
    lines = [[f"{file}, line {one}" for one in pair] for pair in ([4, 41], [4, 42])]
    assert [one["places"] for one in exact.values["examples"]] == lines
    assert exact.values["examples"][0]["begins"] == some[3].upper()[:60]
    assert near.values["documents"] == 2, "of a chain of three two are to go"
    assert near.values["pairs"] == 3
    best = near.values["examples"][0]
    assert best["places"] == [f"{file}, line 8", f"{file}, line 43"]
    assert best["similarity"] == 56 / 58
    assert [exact.mark, near.mark] == ["warning", "warning"]
    assert "keep one of each" in exact.hint


@pytest.mark.clause("INSP-007")
def test_a_chain_is_a_group_though_its_ends_are_unlike(place):
    """Of A, B, C, where only A and B, and B and C are alike, two nearly repeat an earlier one."""
    long = sentences(1, least=100, most=100)[0].split()
    chain = [" ".join(long[first : first + 80]) for first in (0, 8, 16)]
    found = look(place, [*sentences(20), *chain])
    assert found["duplicates.near"].values["pairs"] == 2
    assert found["duplicates.near"].values["documents"] == 2


@pytest.mark.clause("INSP-011")
@pytest.mark.parametrize(("change", "kind"), [("", "exact"), (" we watch", "near")])
def test_copies_across_the_split_are_a_problem_when_they_are_many(place, change, kind):
    """All documents twice, kept apart by document: most held-out chunks are of copies."""
    texts = sentences(60, least=40, most=60)
    found = look(place, texts + [text + change for text in texts], "split.by=document")
    across, other = (
        found[f"duplicates.{one}_across"] for one in (kind, {"exact": "near"}.get(kind, "exact"))
    )
    assert found["split.shared_document"].values["chunks"] == 0
    assert across.mark == "problem"
    assert across.values["share"] > 0.5
    assert "--split document does not detect copies" in across.hint
    assert (other.mark, other.values["chunks"]) == ("good", 0)


@pytest.mark.clause("INSP-012")
def test_unknown_tokens_are_told_with_what_they_are_of(place):
    """Their share, and the texts that they stand for, the most frequent first."""
    texts = sentences(100)
    texts[5] += " ☃ snow☃man ☃"
    texts[9] += " ☃ 7"
    found = look(place, texts)["tokens.unknown"]
    assert (found.values["tokens"], found.values["documents"]) == (5, 2)
    assert found.values["documents_read"] == 2
    assert found.values["most_frequent"] == [
        {"text": "☃", "times": 4 - 1},
        {"text": "7", "times": 1},
        {"text": "snow☃man", "times": 1},
    ]
    assert found.mark == "warning"
    assert "'☃' (3)" in found.figure
    many = look(place, ["☃ film " * 20, *sentences(4)])["tokens.unknown"]
    assert many.mark == "problem"
    assert "--model" in many.hint


@pytest.mark.clause("INSP-012")
@pytest.mark.clause("TOK-025")
def test_unknown_tokens_of_skipped_documents_are_told(place):
    """A document of unknown text alone is skipped, and its unknown tokens count all the same."""
    found = look(place, [*sentences(40), "☃ ☃", "\u200b\u200b", "☃ snow☃man"])
    assert found["documents.without_tokens"].values == {"documents": 3, "share": 3 / 43}
    assert found["documents.without_tokens"].mark == "warning"
    unknown = found["tokens.unknown"].values
    assert (unknown["tokens"], unknown["documents"]) == (4, 2)
    assert unknown["most_frequent"] == [
        {"text": "☃", "times": 3}, {"text": "snow☃man", "times": 1},
    ]  # fmt: skip
    assert found["tokens.special"].values == {"tokens": 0, "each": {}}


@pytest.mark.clause("TOK-026")
def test_lost_characters_are_told_with_what_they_are(place):
    """Accents that BERT's normalizer removes: their share, and which, the most frequent first."""
    texts = sentences(40)
    total = sum(len("".join(text.split())) for text in texts)
    texts[3] += " cafe\u0301\u0301"
    texts[7] += " naive\u0308"
    found = look(place, texts)["tokens.lost"]
    total += len("cafe\u0301\u0301naive\u0308")
    assert found.values == {
        "characters": 3, "share": 3 / total, "documents": 2, "documents_read": 2,
        "most_frequent": [{"text": "\u0301", "times": 2}, {"text": "\u0308", "times": 1}],
    }  # fmt: skip
    assert found.mark == ("warning" if 3 / total > 0.001 else "good")
    many = look(place, ["e" + "\u0301" * 9] * 300)["tokens.lost"]
    assert (many.mark, many.values["share"]) == ("problem", 0.9)


@pytest.mark.clause("INSP-012")
def test_a_tokenizer_that_spells_everything_has_no_unknown_tokens(place):
    """Byte-level BPE: 0 unknown ones of any text."""
    shutil.rmtree(place / "bytes", ignore_errors=True)
    (save_model(place / "bytes", "byte-bpe") / "model.safetensors").unlink()
    found = look(place, ["☃ 7 snow☃man " * 9] * 3, model="bytes")["tokens.unknown"]
    assert (found.values["tokens"], found.values["most_frequent"], found.mark) == (0, [], "good")


@pytest.mark.clause("INSP-013")
def test_special_tokens_of_the_text_are_told_by_name(place):
    """Those put round each document are not; the unknown token is another finding's."""
    texts = sentences(50)
    texts[3] = "[SEP] a film [MASK] we watch [SEP] [UNK] " + texts[3]
    found = look(place, texts)
    assert found["tokens.special"].values == {"tokens": 3, "each": {"[SEP]": 2, "[MASK]": 1}}
    assert found["tokens.special"].mark == "warning"
    assert found["tokens.unknown"].values["tokens"] == 1


@pytest.mark.clause("INSP-014")
def test_tokens_a_word_are_those_of_the_text(place):
    """Unwatchable is two tokens and film one, whatever is round them."""
    found = look(place, ["unwatchable film " * 10, "film film film film"], "split.test_size=1")
    assert found["tokens.number"].values == {"tokens": 38}
    assert found["tokens.per_word"].values == {"words": 24, "tokens_a_word": 34 / 24}
    assert found["tokens.going_on"].values == {"tokens": 10, "share": 10 / 34}
    assert found["tokens.vocabulary"].values["tokens"] == 3
    ordinary = len(tokenizer("wordpiece")) - 5
    assert found["tokens.vocabulary"].figure == f"3 of {ordinary} ({3 / ordinary:.2%})".replace(
        "%", " %"
    )
    assert found["tokens.per_word"].mark == "good"
    split_up = look(place, ["programmes unforgettable " * 10])["tokens.per_word"]
    assert (split_up.mark, "--model" in split_up.hint) == ("warning", True)


@pytest.mark.clause("INSP-014")
@pytest.mark.clause("INSP-016")
def test_a_tokenizer_without_words_is_told(place):
    """No tokens a word and no words cut, and a segmenter as the way out."""
    shutil.rmtree(place / "wordless", ignore_errors=True)
    save_model(place / "wordless", "wordless")
    found = look(place, TEXT * 3, model="wordless")
    assert found["tokens.per_word"].mark == "warning"
    assert "--segmenter" in found["tokens.per_word"].hint
    assert "chunks.cut_words" not in found


@pytest.mark.clause("INSP-015")
@pytest.mark.clause("INSP-016")
def test_the_remainder_and_words_cut_in_two_are_counted(place):
    """Three chunks of 8 of 27 tokens; the first and the last end within a word."""
    texts = [
        "film film film film film film unwatchable",
        "we watch a film and unwatchable the film",
        "he unwatchable",
    ]
    # [CLS] film film film film film film un|##watchable [SEP] [CLS] we watch a film and|un
    # ##watchable the film [SEP] [CLS] he un|##watchable [SEP]
    found = look(place, texts, "chunks.size=8", "split.test_size=1")
    assert found["chunks.number"].values == {"chunks": 3, "size": 8}
    assert found["chunks.remainder"].values == {"tokens": 2, "share": 2 / 26}
    assert found["chunks.remainder"].mark == "warning"
    assert "--remainder pad" in found["chunks.remainder"].hint
    cut = found["chunks.cut_words"]
    assert cut.values == {"words": 2, "ends": 3, "share_of_ends": 2 / 3, "share_of_words": 2 / 17}
    assert (cut.mark, "--chunk-size" in cut.hint) == ("warning", True)
    assert found["chunks.several_documents"].values == {"chunks": 2, "share": 2 / 3}
    padded = look(place, texts, "chunks.size=8", "split.test_size=1", "chunks.remainder=pad")
    assert padded["chunks.remainder"].values["tokens"] == 0
    assert padded["chunks.cut_words"].values["words"] == 2


@pytest.mark.clause("MODEL-007")
def test_a_limit_that_nothing_states_is_not_invented(place, monkeypatch):
    """Funnel with a tokenizer that states 1e30: no limit, and none in a hint."""
    words, _ = load_tokenizer(settings(place, sentences(50)).model)
    monkeypatch.setattr("mlmref.model.load.load_tokenizer", lambda _: (words, NOT_STATED))
    found = look(place, ["the film unwatchable"] * 40, "chunks.size=8")
    assert found["chunks.model_length"].figure == "8, no maximum is stated"
    assert found["chunks.model_length"].mark == "good"
    assert found["chunks.cut_words"].hint == "use a larger --chunk-size"


@pytest.mark.clause("INSP-003")
def test_chunks_that_are_too_long_are_a_problem_and_the_rest_is_told(place):
    """The run's refusal names both numbers; split and words are looked at all the same."""
    sets = ("chunks.size=33", "split.by=document")
    found = look(place, sentences(200), *sets)
    assert found["chunks.model_length"].values == {"size": 33, "max_length": 32}
    assert found["chunks.model_length"].mark == "problem"
    assert "--chunk-size 32" in found["chunks.model_length"].hint
    assert found["split.sizes"].mark == "good"
    save_model(place / "whole")
    with pytest.raises(ConfigError, match="33 tokens .* takes 32"):
        evaluate(settings(place, sentences(200), *sets, model="whole"))


@pytest.mark.clause("INSP-003")
def test_a_corpus_of_less_than_a_chunk_is_a_problem(place):
    """With the tokens there are, and the way out; there is no split to be told of."""
    found = look(place, ["a film", "we watch"])
    assert found["chunks.number"].mark == "problem"
    assert found["chunks.number"].figure == "8 tokens do not fill one chunk of 16"
    assert "--remainder pad" in found["chunks.number"].hint
    assert not [name for name in found if name.startswith("split.") or name.endswith("_across")]


@pytest.mark.clause("INSP-003")
def test_a_split_that_cannot_be_made_is_a_problem(place):
    """With the numbers asked for and the number there is."""
    found = look(place, sentences(20), "split.train_size=10000", "split.test_size=1000")
    number = found["chunks.number"].values["chunks"]
    assert found["split.sizes"].mark == "problem"
    assert f"more than the {number} chunks there are" in found["split.sizes"].figure
    assert "--test-size" in found["split.sizes"].hint
    assert {name for name in found if name.startswith("split.")} == {"split.sizes"}


@pytest.mark.clause("INSP-017")
@pytest.mark.clause("INSP-018")
def test_both_sides_are_told(place):
    """Sizes, documents held out, and chunks that share one; by document none does."""
    texts = sentences(60, least=40, most=60)
    found = look(place, texts, "split.test_size=20")
    assert found["split.sizes"].values["test"] == 20
    assert found["split.shared_document"].mark == "warning"
    assert found["split.shared_document"].values["chunks"] > 15
    assert "--split document" in found["split.shared_document"].hint
    assert found["split.held_out_documents"].mark == "good"
    apart = look(place, texts, "split.test_size=20", "split.by=document")
    assert apart["split.shared_document"].values == {"chunks": 0, "share": 0.0}
    one = look(place, texts, "split.test_size=1", "split.by=document")["split.held_out_documents"]
    assert (one.values, one.mark) == ({"documents": 1}, "warning")
    assert "--test-size" in one.hint


@pytest.mark.clause("INSP-022")
def test_marks_change_above_their_bounds():
    """At a bound as below it, and above it the next."""
    bounds = {"warning": 0.01, "problem": 0.1, "hint": "mend it"}
    for amount, mark in ((0, "good"), (0.01, "good"), (0.011, "warning"), (0.1, "warning")):
        assert graded(amount, **bounds)["mark"] == mark
    assert graded(0.11, **bounds) == {"mark": "problem", "hint": "mend it"}
    assert graded(9, warning=0, hint="mend it") == {"mark": "warning", "hint": "mend it"}


@pytest.mark.clause("INSP-005")
def test_a_reports_mark_is_its_worst():
    """From figures alone to a problem, in any order."""
    made = {mark: Finding(section="s", key=mark, what="", figure="", mark=mark) for mark in MARKED}
    for number in range(1, 5):
        some = [made[mark] for mark in MARKED[:number]]
        assert InspectionReport.of("m", "c", some).mark == MARKED[number - 1]
        assert InspectionReport.of("m", "c", some[::-1]).mark == MARKED[number - 1]
    assert InspectionReport.of("m", "c", []).mark == "figure"


MARKED = ["figure", "good", "warning", "problem"]


@pytest.mark.parametrize(
    ("sets", "error"),
    [
        (("corpus.name=nowhere.txt",), CorpusError),
        (("model.name=./nowhere",), ModelError),
        (("words.segmenter=nobody",), PluginError),
    ],
)
@pytest.mark.clause("INSP-005")
def test_what_cannot_be_looked_at_is_an_error(place, sets, error):
    """No corpus, no model, no segmenter: each is one line with status 2."""
    with pytest.raises(error) as raised:
        look(place, sentences(3), *sets)
    assert raised.value.status == 2


def command(place, texts, *arguments):
    """Call the command on some texts, in chunks of 16 tokens."""
    settings(place, texts)
    return CliRunner().invoke(
        app,
        ["inspect", "--model", str(place / "model"), "--corpus", str(place / "texts.jsonl"),
         "--chunk-size", "16", "--quiet", *arguments],
    )  # fmt: skip


@pytest.mark.clause("INSP-005")
@pytest.mark.clause("CLI-003")
def test_the_status_tells_of_problems(place):
    """0 for a sound corpus and for warnings, 1 for a problem, 2 for an error, in one line."""
    assert command(place, sentences(100), "--split", "document").exit_code == 0
    warned = command(place, sentences(100))
    assert (warned.exit_code, "  !  " in warned.stdout) == (0, True)
    assert command(place, sentences(100), "--chunk-size", "33").exit_code == 1
    failed = command(place, sentences(100), "--corpus", "nowhere.txt")
    assert (failed.exit_code, failed.stdout) == (2, "")
    assert failed.stderr.count("\n") == 1


@pytest.mark.clause("INSP-019")
@pytest.mark.clause("CLI-004")
def test_json_is_one_strict_value(place):
    """The keys that a program reads; what the report says, and nothing beside it."""
    got = command(place, sentences(100), "--json")
    told = json.loads(got.stdout, parse_constant=pytest.fail)
    assert [*told] == ["model", "corpus", "mark", "findings"]
    keys = ["section", "key", "what", "figure", "values", "mark", "hint"]
    assert all([*one] == keys for one in told["findings"])
    found = look(place, sentences(100))
    assert told["mark"] == "warning"
    for one in told["findings"]:
        same = found[f"{one['section']}.{one['key']}"]
        assert one == {key: getattr(same, key) for key in keys}
    sections = list(dict.fromkeys(one["section"] for one in told["findings"]))
    assert sections == ["documents", "duplicates", "tokens", "chunks", "split"]


@pytest.mark.clause("INSP-020")
@pytest.mark.clause("SEC-009")
def test_marks_are_letters_and_text_moves_no_cursor(place):
    """A line a finding, beginning with its mark, hints beneath; control characters spelled out."""
    texts = [*sentences(50), "\x1b[2J\x07☃ \x9b", "film"]
    shown = command(place, texts).stdout
    found = look(place, texts)
    for one in found.values():
        sign = {"figure": " ", "good": "ok", "warning": "!", "problem": "x"}[one.mark]
        line = rf"^  {re.escape(sign)} +{re.escape(one.what)} +{re.escape(one.figure[:9])}"
        assert re.search(line, shown, re.MULTILINE), one
        assert not one.hint or f"     {one.hint}\n" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in command(place, [*texts, texts[-2]], "--json").stdout
    counts = [sum(one.mark == mark for one in found.values()) for mark in MARKED[1:]]
    assert "{2} x, {1} !, {0} ok.".format(*counts) in shown.splitlines()[0]


@pytest.mark.clause("INSP-027")
@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        (["--split", "document"], "The corpus is ready for training: 0 x, 0 !, 19 ok."),
        ([], "You can train; read the warnings (!) first: 0 x, 1 !, 18 ok."),
        (
            ["--chunk-size", "33", "--split", "document"],
            "Solve the problems (x) before you train: ",
        ),
    ],
)
def test_an_inspection_begins_with_its_verdict(place, arguments, verdict):
    """The first line says whether the corpus is ready, by the worst mark, and counts the marks."""
    assert command(place, sentences(200), *arguments).stdout.startswith(verdict)


@pytest.mark.clause("INSP-009")
def test_the_findings_are_the_same_again_in_another_process(place, tmp_path):
    """Byte by byte, from a cache of its own, whatever the hashes of strings there."""
    texts = [*sentences(30), sentences(1)[0].upper(), "☃ film", sentences(2)[1] + " we"]
    settings(place, texts)
    told = []
    # The second has the hashes of the tests' own processes.
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    for number, hashes in enumerate([{"PYTHONHASHSEED": other}, {}]):
        env = os.environ | {"MLMREF_CACHE": str(tmp_path / f"{number}")} | hashes
        done = mlmref(
            "inspect", "--model", place / "model", "--corpus", place / "texts.jsonl",
            "--chunk-size", 16, "--json", env=env,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        told.append(done.stdout)
    assert told[0] == told[1]


@pytest.mark.clause("INSP-008")
@pytest.mark.clause("INSP-010")
def test_texts_of_one_form_are_found_without_comparing_all(place, monkeypatch):
    """Of 300 texts made from a form 299 nearly repeat another, by a few comparisons each."""
    form = sentences(1, least=120, most=120)[0]
    texts = [f"{form} {'we ' * (number % 7)}number {number}" for number in range(300)]
    compared = []
    similarities = alike.similarities

    def counted(texts, pairs):
        compared.append(len(pairs))
        return similarities(texts, pairs)

    monkeypatch.setattr(alike, "similarities", counted)
    found = look(place, texts)["duplicates.near"]
    assert found.values["documents"] == 299
    assert found.values["pairs"] <= sum(compared) <= 300 * 16 * 3 < 300 * 299 / 2


@pytest.mark.clause("INSP-025")
@pytest.mark.parametrize(
    ("text", "unspaced"),
    [
        ("\u8fd9\u90e8\u7535\u5f71\u975e\u5e38\u597d\u770b", True),
        ("ACGT" * 9, True),
        ("programmes unforgettable", False),
        ("die Donaudampfschifffahrt ist toll", False),
    ],
)
def test_text_without_blanks_is_told_from_a_language_of_long_words(place, text, unspaced):
    """Chinese in short lines and DNA have none; other text has, whatever its tokens."""
    it = prepare(settings(place, [text] * 20), SILENT, None)
    assert tokens_of.unspaced(it) == unspaced
    found = look(place, ["unforgettable" * 6] * 9)["tokens.per_word"]
    assert found.mark == "warning"
    assert "--segmenter" in found.hint
    assert "--model" not in found.hint


@pytest.mark.clause("INSP-026")
def test_an_unknown_word_is_cut(place):
    """A sequence that is one word is its beginning, in the figure and in the values."""
    found = look(place, ["we " * 20 + "\u2603" * 5_000] * 3)["tokens.unknown"]
    assert found.values["most_frequent"] == [{"text": "\u2603" * 40 + "...", "times": 3}]
    assert len(found.figure) < 200
