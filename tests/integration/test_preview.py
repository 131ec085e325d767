"""``mlmref preview`` as a user meets it, and its page (spec/preview.md)."""

import io
import json
import os
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console
from support import warm
from support.processes import run
from support.runs import mlmref, save_corpus, save_model
from typer.testing import CliRunner

from mlmref.base.terminal import Terminal
from mlmref.cli import app
from mlmref.settings.resolve import resolve
from mlmref.studies.preview.page import code, page, told
from mlmref.studies.preview.page import written as shown
from mlmref.studies.preview.parts import Preview
from mlmref.studies.preview.preview import preview
from mlmref.studies.preview.terminal import STYLES, legend_of, marked, show_preview

FOREIGN = '<script src="https://example.org/x.js">alert(1)</script> &amp; "great" film\x1b[31m'
SMALL = ("preview", "--model", "./model", "--corpus", "corpus.txt", "--chunk-size", "16")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with models without weights, and corpora, one of them foreign."""
    folder = tmp_path_factory.mktemp("place")
    for name, family in (("model", "wordpiece"), ("bytes", "byte-bpe"), ("wordless", "wordless")):
        (save_model(folder / name, family) / "model.safetensors").unlink()
    save_corpus(folder / "corpus.txt")
    (folder / "foreign.txt").write_text(f"{FOREIGN}\n" * 40, "utf-8")
    return folder


@pytest.fixture
def invoke(place, monkeypatch):
    """Return what runs a command in this process."""
    monkeypatch.chdir(place)
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def foreign(place) -> Preview:
    """Preview the foreign text under both strategies, every category in it."""
    base = [f"model.name={place / 'bytes'}", f"corpus.name={place / 'foreign.txt'}"]
    base += ["chunks.size=32", "masking.corruption=40/30/30", "masking.options.mlm_probability=0.4"]
    names = ("token", "whole-word")
    return preview([resolve(sets=[*base, f"masking.strategy={name}"]) for name in names], chunks=6)


@pytest.mark.clause("PREV-002")
def test_it_needs_no_weights_and_writes_nothing(place, tmp_path):
    """In a folder without weights, and with torch kept from running any module of a model."""
    before = sorted(place.rglob("*"))
    code = """
import sys
from torch import nn
from mlmref.cli import app
nn.Module.__call__ = None
try:
    app(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print("DONE")
"""
    cache = tmp_path / "cache"
    env = os.environ | {"MLMREF_CACHE": str(cache)}
    done = run([warm.python(), "-c", code, *SMALL], cwd=place, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "DONE"
    assert sorted(place.rglob("*")) == before
    assert [one.name for one in tmp_path.iterdir()] == ["cache"]


@pytest.mark.clause("PREV-012")
@pytest.mark.clause("PREV-007")
def test_each_chunk_stands_under_each_strategy(invoke):
    """Three chunks by default, strategy by strategy, then a legend and a table of rates."""
    done = invoke(*SMALL, "--masking", "token", "--masking", "whole-word", "--quiet")
    assert done.exit_code == 0, done.stderr
    heads = re.findall(r"^training chunk (\d) of (\d+): 16 tokens, of .*line \d", done.stdout, re.M)
    assert [number for number, _ in heads] == ["1", "2", "3"]
    under = re.findall(r"^(token|whole-word): \d+ targets in \d+ ordinary", done.stdout, re.M)
    assert under == ["token", "whole-word"] * 3
    assert re.search(r"mlm_probability 0.15,\s+mlm_probability 0.2,", done.stdout)
    assert re.search(r"corruption 80/10/10\s+corruption 100/0/0", done.stdout)
    assert re.search(r"targets, of tokens +\d+\.\d% \(\d+ of \d+\)", done.stdout)
    assert f"in the first {heads[0][1]} training chunks" in " ".join(done.stdout.split())
    assert "as training uses them" in done.stdout


@pytest.mark.clause("PREV-012")
@pytest.mark.clause("PREV-001")
def test_the_flags_say_what_is_shown(invoke):
    """Each of the flags does what it says, in JSON as in words; a strategy twice is one."""

    def told_by(*flags):
        done = invoke(*SMALL, *flags, "--json", "--quiet")
        assert (done.exit_code, done.stderr) == (0, "")
        return json.loads(done.stdout)

    plain = told_by()
    assert [len(plain["chunks"]), plain["epoch"], plain["unit"]] == [3, 1, "words"]
    assert [one["masking"]["name"] for one in plain["strategies"]] == ["token"]
    assert plain["strategies"][0]["corruption"] == {"mask": 0.8, "random": 0.1, "keep": 0.1}
    moved = told_by("--first", 2, "--chunks", 4)
    assert [one["number"] for one in moved["chunks"]] == [2, 3, 4, 5]
    assert moved["chunks"][:2] == plain["chunks"][1:]
    later = told_by("--pass", 2)
    labels = [one["chunks"][0]["maskings"][0]["labels"] for one in (plain, later)]
    assert labels[0] != labels[1]
    assert told_by("--seed", 7)["chunks"] != plain["chunks"]
    tokens = told_by("--as", "tokens")
    assert {unit["tokens"] for unit in tokens["chunks"][0]["maskings"][0]["units"]} <= {0, 1}
    rate = told_by("--mlm-probability", 1.0, "--corruption", "0/0/100")
    shares = rate["strategies"][0]["sample"]["shares"]
    assert [shares[one] for one in ("targets", "kept")] == [1.0, 1.0]
    none = told_by("--mlm-probability", 0.0)["strategies"][0]["sample"]["shares"]
    assert none["masked"] is None
    twice = told_by("--masking", "whole-word", "--masking", "whole-word")
    assert [one["masking"]["name"] for one in twice["strategies"]] == ["whole-word"]


WRONG = {
    "--first 10000": r"--first: there is no training chunk 10,000, only \d+; begin with 1 to \d+",
    "--as letters": r"--as: no unit 'letters'; there are words, tokens",
    "--masking tokne": r"no masking strategy 'tokne'; did you mean token\?",
    "--masking token --masking tokne": r"no masking strategy 'tokne'; did you mean token\?",
    "--model ./wordless --as words": r"\./wordless: its tokenizer finds no words; use --as .*",
    "--model ./wordless --masking whole-word": r"\./wordless: its tokenizer finds no words.*",
    "--chunks 0": r"invalid value for '--chunks'.*",
    "--pass 0": r"invalid value for '--pass'.*",
    "--pass 4294967296": r"invalid value for '--pass'.*",
    "--first 0": r"invalid value for '--first'.*",
    "--html corpus.txt": r"corpus\.txt: already exists; nothing was changed; give .*",
    "--html .": r"\.: already exists; nothing was changed; give --html another name",
    "--html nowhere/page.html": r"nowhere: no such folder; check --html",
    "--chunk-size 64": r"chunks\.size: chunks of 64 .* too long for a model that takes 32; .*",
}


@pytest.mark.clause("PREV-011")
@pytest.mark.clause("PREV-009")
@pytest.mark.clause("PREV-003")
@pytest.mark.parametrize(("flags", "line"), WRONG.items())
def test_what_cannot_be_shown_is_refused_in_a_line(invoke, place, flags, line):
    """Status 2, one line, nothing printed, and no file is touched."""
    before = {one: one.stat().st_mtime_ns for one in place.rglob("*")}
    done = invoke(*SMALL, *flags.split(), "--quiet")
    assert (done.exit_code, done.stdout) == (2, "")
    assert re.fullmatch(rf"mlmref: {line}\n", done.stderr), done.stderr
    assert {one: one.stat().st_mtime_ns for one in place.rglob("*")} == before


@pytest.mark.clause("PREV-009")
def test_a_page_is_refused_before_any_work(invoke, place, monkeypatch):
    """A link that leads nowhere is something too; neither model nor corpus is looked at."""
    (place / "dangling.html").symlink_to(place / "gone")

    def never(*_, **__):
        raise AssertionError("the work was begun")

    monkeypatch.setattr("mlmref.studies.preview.preview.preview", never)
    done = invoke(*SMALL, "--html", "dangling.html", "--quiet")
    assert done.exit_code == 2
    assert "already exists" in done.stderr
    assert not (place / "gone").exists()
    (place / "dangling.html").unlink()


@pytest.mark.clause("PREV-009")
def test_the_page_is_written_instead_of_printing(invoke, place, tmp_path):
    """Whole, as the only new file; with --json the answer is printed too; not a second time."""
    new = tmp_path / "new"
    new.mkdir()
    done = invoke(*SMALL, "--html", new / "page.html", "--quiet")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"page: {new / 'page.html'}\n"
    written = (new / "page.html").read_text("utf-8")
    assert written.startswith("<!DOCTYPE html>")
    assert written.endswith("</html>\n")
    again = invoke(*SMALL, "--html", new / "page.html", "--quiet")
    assert again.exit_code == 2
    both = invoke(*SMALL, "--html", new / "other.html", "--json", "--quiet")
    assert json.loads(both.stdout)["chunks"]
    assert (new / "other.html").read_text("utf-8") == written
    assert sorted(one.name for one in new.iterdir()) == ["other.html", "page.html"]


def printed(shown, **console):
    """Return what is printed on a terminal of this kind."""
    file = io.StringIO()
    show_preview(shown, Terminal(file=file, **console))
    return file.getvalue()


@pytest.mark.clause("PREV-014")
def test_a_preview_begins_with_its_verdict(foreign):
    """One sentence per strategy with its measured rates, before the chunks, also on the page."""
    for used, line in zip(foreign.strategies, printed(foreign).splitlines(), strict=False):
        rates = used.sample
        share = f"{rates.targets / rates.tokens:.1%}"
        start = f"{used.masking['name']}: {share} of the ordinary tokens are targets"
        assert line.startswith(start)
        html = page(foreign)
        assert html.index('class="verdict"') < html.index(f"{share} of the") < html.index("<main>")


ESCAPE = re.compile(r"\x1b\[[\d;]*m")


@pytest.mark.clause("PREV-006")
def test_marks_tell_what_colours_do(foreign, monkeypatch):
    """A terminal with colours, one without and a file have the same text, marks and all."""
    wide = {"width": 10_000}
    file = printed(foreign, **wide)
    assert "\x1b" not in file
    coloured = printed(foreign, force_terminal=True, color_system="standard", **wide)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = printed(foreign, force_terminal=True, color_system="standard", **wide)
    assert ESCAPE.sub("", coloured) == ESCAPE.sub("", plain) == file
    assert not re.search(r"\x1b\[[\d;]*\b(3|4)[0-7]m", plain)
    units = [unit for chunk in foreign.chunks for one in chunk.maskings for unit in one.units]
    assert {unit.kind for unit in units} == set(STYLES)
    for unit in units:
        assert marked(unit) in file
        if unit.kind in {"masked", "replaced", "kept"}:
            style = Console(color_system="standard").get_style(STYLES[unit.kind])
            assert style.render(marked(unit), color_system=None) == marked(unit)
            codes = {"masked": "30;43", "replaced": "30;45", "kept": "30;46"}[unit.kind]
            assert f"\x1b[{codes}m{marked(unit)}\x1b[0m" in coloured
    for kind, example, meaning in legend_of(foreign):
        assert f"{example} {meaning}" in file
        assert kind in STYLES


@pytest.mark.clause("PREV-006")
@pytest.mark.clause("CLI-005")
def test_a_pipe_gets_a_chunk_in_a_line_and_a_terminal_lines_of_its_width(foreign):
    """No line of text is broken in a file; on a terminal none is longer than that is wide."""
    count = sum(len(chunk.maskings) for chunk in foreign.chunks)
    lines = [line for line in printed(foreign, width=60).splitlines() if "⟦" in line]
    assert len(lines) == count + 1  # the legend
    narrow = printed(foreign, width=60, force_terminal=True, color_system=None)
    assert max(map(len, narrow.splitlines())) <= 60


class Page(HTMLParser):
    """What is on a page: elements with their attributes, and text by element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text, self.units = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Keep an element; those that have no end are not left open."""
        self.elements.append((tag, dict(attributes)))
        if tag not in {"meta", "link", "img", "br"}:
            self.open.append(tag)
        if "unit" in (dict(attributes).get("class") or ""):
            self.units.append([dict(attributes), ""])

    def handle_endtag(self, tag):
        """Close what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep text, and whose it is."""
        self.text.append((self.open[-1] if self.open else "", data))
        if self.open and self.open[-1] == "span":
            self.units[-1][1] += data

    def of(self, tag):
        """Return the attributes of all elements of a name."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.clause("PREV-008")
@pytest.mark.clause("SEC-008")
def test_the_corpus_is_text_on_the_page(foreign):
    """No element comes from the corpus, every unit of it is there, and no control character."""
    written = page(foreign)
    found = Page(written)
    assert not found.open  # each element is closed, in the order in which they were opened
    assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in found.elements}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", written)
    units = [unit for chunk in foreign.chunks for one in chunk.maskings for unit in one.units]
    on_page = found.units[len(legend_of(foreign)) :]
    assert [text for _, text in on_page] == [shown(unit) for unit in units]
    assert [of["class"] for of, _ in on_page] == [f"unit {code(unit)}" for unit in units]
    assert [of["title"] for of, _ in on_page] == [told(unit) for unit in units]
    text = "".join(unit.true for unit in units)
    for part in ("<", ">", "script", "&", '"', "\\u001b"):
        assert part in text


@pytest.mark.clause("PREV-008")
def test_names_are_text_on_the_page_too(foreign):
    """A name of somebody else's is escaped, and its control characters spelled out."""
    from dataclasses import replace

    named = replace(foreign, model='<b onclick="x">\x1b[31m')
    written = page(named)
    assert not Page(written).of("b")
    assert "&lt;b onclick=&#34;x&#34;&gt;\\u001b[31m" in written


@pytest.mark.clause("PREV-010")
def test_the_page_needs_nothing_and_names_its_parts(foreign):
    """No address but in the corpus's text; language, landmarks, headings, a phone's width."""
    written = page(foreign)
    found = Page(written)
    asked = [one for _, one in found.elements if {"src", "href", "srcset", "action"} & set(one)]
    assert asked == [{"rel": "icon", "href": "data:,"}]  # else a browser asks for one
    (style,) = [text for tag, text in found.text if tag == "style"]
    assert not re.search(r"url\(|@import|https?:", style)
    assert found.of("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in found.of(
        "meta"
    )
    for landmark in ("header", "main", "footer", "h1", "title"):
        assert len(found.of(landmark)) == 1
    ids = [one["id"] for _, one in found.elements if "id" in one]
    assert len(ids) == len(set(ids)) == 2 + len(foreign.chunks)
    assert {one["aria-labelledby"] for one in found.of("section")} == set(ids)
    texts = [one for one in found.of("p") if "lang" in one]
    # Nobody has said which language the corpus is in.
    assert texts == [{"class": "chunk", "lang": "", "dir": "auto"}] * (2 * len(foreign.chunks))
    assert {one.get("scope") for one in found.of("th")} == {"col", "row", "rowgroup"}


@pytest.mark.clause("PREV-010")
def test_each_unit_tells_what_it_is_and_what_the_model_reads(foreign):
    """In a sentence, whichever category it is."""
    seen = {}
    for chunk in foreign.chunks:
        for unit in chunk.maskings[0].units:
            seen[unit.kind] = unit, told(unit)
    for kind in ("masked", "replaced"):
        unit, sentence = seen[kind]
        assert sentence.startswith(f"{unit.true}: target, the model reads {unit.read}")
    assert seen["kept"][1].startswith(f"{seen['kept'][0].true}: target, the model reads it as it")
    assert "no target" in seen["plain"][1]
    assert "special token" in seen["special"][1]
    assert seen["boundary"][1] == "the next document begins"
    several = [one for chunk in foreign.chunks for one in chunk.maskings[1].units if one.tokens > 1]
    assert several
    assert all(told(one).endswith(f", {one.tokens} tokens") for one in several)


def luminance(colour):
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return sum(part * one for part, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    """Return the contrast of two colours."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.clause("PREV-010")
def test_both_schemes_have_contrast(foreign):
    """Text on each background that the page puts it on, in the light and in the dark."""
    written = page(foreign)
    light, dark = re.findall(r":root \{(.*?)\}", written, re.DOTALL)
    assert written.index("prefers-color-scheme: dark") < written.index(dark)
    for scheme in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", scheme))
        for kind in ("page", "masked", "replaced", "kept", "special"):
            assert contrast(colours["text"], colours[kind]) >= 4.5
        for kind in ("quiet", "boundary"):
            assert contrast(colours[kind], colours["page"]) >= 4.5
    assert set(re.findall(r"--[\w-]+(?=:)", light)) == set(re.findall(r"--[\w-]+(?=:)", dark))


@pytest.mark.clause("PREV-009")
@pytest.mark.clause("RANK-003")
@pytest.mark.parametrize("rank", [0, 1])
def test_the_main_process_alone_writes_the_page(place, invoke, tmp_path, monkeypatch, rank):
    """Under a launcher the others end well, and write nothing."""
    for name, value in (("RANK", rank), ("WORLD_SIZE", 2), ("LOCAL_RANK", rank)):
        monkeypatch.setenv(name, str(value))
    ended = invoke(*SMALL, "--html", tmp_path / "page.html")
    assert (ended.exit_code, (tmp_path / "page.html").exists()) == (0, not rank), ended.output


@pytest.mark.clause("PREV-002")
def test_it_works_as_it_is_typed(place):
    """The command in a process of its own, on the pieces of a byte-level tokenizer."""
    done = mlmref(*SMALL, "--model", "./bytes", "--as", "tokens", "--chunks", "1", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "training chunk 1 of" in done.stdout
    assert "Ġ" in done.stdout
    assert "chunks: " in done.stderr
