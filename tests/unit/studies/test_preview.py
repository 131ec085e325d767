"""Chunks as a model would read them, before anything is trained (spec/preview.md)."""

import errno
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.runs import save_corpus, save_model
from support.tokenizers import FAMILIES, tokenizer
from transformers import BertForMaskedLM, RobertaForMaskedLM

from mlmref.base.disk import create
from mlmref.base.errors import ConfigError, ModelError
from mlmref.data.tokens.spelling import Spelling
from mlmref.masking import rates as rates_module
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.batches import Plan
from mlmref.plugin.contracts import StrategyEntry
from mlmref.plugin.discovery import discover
from mlmref.plugin.hookspecs import hookimpl
from mlmref.runner.context import RunContext
from mlmref.runner.prepare import load, prepare
from mlmref.settings.resolve import resolve
from mlmref.studies.preview import preview as core
from mlmref.studies.preview.preview import preview
from mlmref.studies.preview.terminal import marked
from mlmref.training.steps import StepPlan, TrainingSteps

EVERY = 10_000
"""More chunks than there are."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a model of each family, and a corpus."""
    folder = tmp_path_factory.mktemp("place")
    for family in (*FAMILIES, "wordless"):
        save_model(folder / family, family)
    save_corpus(folder / "corpus.txt", copies=6)
    return folder


def settings(place, family, *sets, corpus="corpus.txt"):
    """Return a run's settings on a small model and corpus."""
    base = [f"model.name={place / family}", f"corpus.name={place / corpus}", "chunks.size=24"]
    return resolve(sets=[*base, *sets])


def lines(shown, strategy=0):
    """Return each chunk's line as it stands without colour."""
    return [
        "".join(
            ("" if unit.joined or not nth else " ") + marked(unit)
            for nth, unit in enumerate(chunk.maskings[strategy].units)
        )
        for chunk in shown.chunks
    ]


def ready_for(config):
    """Return what a run would prepare."""
    context = RunContext.of(config)
    return prepare(context, load(context))


def trained_on(config, epoch):
    """Return inputs and labels of all that a run's first step of an epoch would train on."""
    ready = ready_for(config)
    train = ready.split.train
    plan = StepPlan(examples=len(train), batch_size=len(train), accumulation=1, world_size=1)
    steps = TrainingSteps(train, ready.masker, plan, seed=config.seed, rank=0)
    (batch,) = steps[epoch - 1]
    rows = zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True)
    return {(tuple(ids), tuple(labels)) for ids, labels in rows}


@pytest.mark.clause("PREV-001")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("strategy", ["token", "whole-word"])
def test_what_is_shown_is_what_a_run_trains_on(place, family, strategy):
    """All chunks, inputs and labels, of two epochs and of another seed and split."""
    given = [f"masking.strategy={strategy}", "split.by=document", "seed=7"]
    config = settings(place, family, *given)
    seen = []
    for epoch in (1, 2):
        shown = preview([config], chunks=EVERY, epoch=epoch)
        masked = [chunk.maskings[0] for chunk in shown.chunks]
        seen.append({(tuple(one.input_ids), tuple(one.labels)) for one in masked})
        assert len(masked) == shown.training_chunks
        assert seen[-1] == trained_on(config, epoch)
    assert seen[0] != seen[1]


@pytest.mark.clause("CONF-010")
@pytest.mark.clause("PREV-001")
def test_a_seed_of_the_training_is_that_of_the_masks_shown(place):
    """With training.seed the masks are those of a run under that seed."""
    own = preview([settings(place, "wordpiece", "seed=5", "training.seed=7")], chunks=EVERY)
    other = preview([settings(place, "wordpiece", "seed=7")], chunks=EVERY)
    assert own.chunks == other.chunks
    assert own.seed == 7


@pytest.mark.clause("PREV-001")
def test_chunks_are_the_training_chunks_in_their_order(place):
    """From --first on, with their number in the corpus; the same beside other chunks."""
    config = settings(place, "wordpiece")
    train = ready_for(config).split.train
    some = preview([config], chunks=2, first=4)
    assert [chunk.number for chunk in some.chunks] == [4, 5]
    assert [chunk.chunk for chunk in some.chunks] == train.ids[3:5].tolist()
    all_ = preview([config], chunks=EVERY)
    assert all_.training_chunks == len(train) == len(all_.chunks)
    assert all_.chunks[3:5] == some.chunks


@pytest.mark.clause("PREV-004")
@pytest.mark.parametrize("family", FAMILIES)
def test_each_position_is_told_as_what_became_of_it(place, family):
    """Against a loop over inputs, labels and true tokens; each category occurs."""
    config = settings(place, family, "masking.corruption=40/30/30")
    words, train = tokenizer(family), ready_for(config).split.train
    shown = preview([config], chunks=EVERY, unit="tokens")
    seen = Counter()
    for nth, chunk in enumerate(shown.chunks):
        row = train.gather(np.array([nth]))
        units = [one for one in chunk.maskings[0].units if one.kind != "boundary"]
        masking = chunk.maskings[0]
        truth = row.input_ids[0].tolist()
        for unit, true, read, label in zip(
            units, truth, masking.input_ids, masking.labels, strict=True
        ):
            if label == IGNORE_INDEX:
                kind = "special" if true in words.all_special_ids else "plain"
            elif read == label:
                kind = "kept"
            else:
                kind = "masked" if read == words.mask_token_id else "replaced"
            assert (unit.kind, unit.tokens, unit.joined) == (kind, 1, False)
            spelled = words.convert_ids_to_tokens([true, read])
            assert [unit.true, unit.read] == [one.replace(" ", "␣") for one in spelled]
            seen[kind] += 1
    assert set(seen) == {"plain", "masked", "replaced", "kept", "special"}


@pytest.mark.clause("PREV-004")
def test_another_document_begins_at_a_boundary(place):
    """Wherever two neighbours are of two documents, and nowhere else, as words too."""
    config = settings(place, "byte-bpe")
    train = ready_for(config).split.train
    for unit in ("words", "tokens"):
        shown = preview([config], chunks=EVERY, unit=unit)
        for nth, chunk in enumerate(shown.chunks):
            documents = train.gather(np.array([nth])).documents[0]
            at, found = 0, []
            for one in chunk.maskings[0].units:
                if one.kind == "boundary":
                    found.append(at)
                at += one.tokens
            wanted = np.flatnonzero(documents[1:] != documents[:-1]) + 1
            assert found == wanted.tolist()
            assert chunk.documents == len(wanted) + 1
            assert at == chunk.tokens == 24
    assert any(chunk.documents > 1 for chunk in shown.chunks)


SENTENCE = "Unwatchable! It isn't naïve, 映."
AS_WORDS = {
    "wordpiece": "⟨[CLS]⟩ unwatchable ! it isn ' t naive , ⟨[UNK]⟩ . ⟨[SEP]⟩",
    "byte-bpe": "⟨[CLS]⟩ Unwatchable ! It isn 't naïve , 映 . ⟨[SEP]⟩",
    "unigram": "⟨[CLS]⟩ Unwatchable! It isn't naïve, ␣ ⟨[UNK]⟩ . ⟨[SEP]⟩",
}


def one_document(place, family, text, *sets, **asked):
    """Preview a document that is a chunk by itself; there is another one to hold out."""
    (place / "one.csv").write_text("text\n" + f'"{text}"\n' * 2, "utf-8")
    size = len(tokenizer(family)(text, verbose=False)["input_ids"])
    sets = [*sets, f"chunks.size={size}", "split.test_size=1"]
    return preview([settings(place, family, *sets, corpus="one.csv")], **asked)


@pytest.mark.clause("PREV-005")
@pytest.mark.parametrize("family", FAMILIES)
def test_words_stand_as_text_with_a_blank_between(place, family):
    """Each family's words, pieces joined without their marks, all of them plain."""
    shown = one_document(place, family, SENTENCE, "masking.options.mlm_probability=0.0")
    assert shown.unit == "words"
    assert lines(shown) == [AS_WORDS[family]]


@pytest.mark.clause("PREV-005")
@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokens_of_a_word_that_came_out_alike_stand_together(place, family):
    """A word is one unit or, where token masking parts it, several that join; none is lost."""
    config = settings(place, family, "masking.options.mlm_probability=0.5")
    as_words, as_tokens = (preview([config], chunks=EVERY, unit=one) for one in core.UNITS)
    parted = 0
    for words, tokens in zip(as_words.chunks, as_tokens.chunks, strict=True):
        pieces = iter(tokens.maskings[0].units)
        before = None
        for unit in words.maskings[0].units:
            alike = [next(pieces) for _ in range(max(1, unit.tokens))]
            assert {one.kind for one in alike} == {unit.kind}
            if unit.joined:
                assert before.kind != unit.kind
                parted += 1
            before = unit
        assert not [*pieces]
    assert parted


@pytest.mark.clause("PREV-005")
def test_what_the_model_reads_stands_beside_what_is_there(place):
    """As many masks as tokens for a masked word, the other word for a replaced one."""
    every = "masking.options.mlm_probability=1.0"
    masked, replaced, kept = (
        one_document(place, "wordpiece", "unwatchable", every, f"masking.corruption={shares}")
        for shares in ("100/0/0", "0/100/0", "0/0/100")
    )
    size = len(tokenizer("wordpiece")("unwatchable")["input_ids"]) - 2
    unit = masked.chunks[0].maskings[0].units[1]
    assert (unit.kind, unit.true, unit.tokens) == ("masked", "unwatchable", size)
    assert unit.read == " ".join(["[MASK]"] * size)
    assert lines(masked) == ["⟨[CLS]⟩ ⟦unwatchable⟧ ⟨[SEP]⟩"]
    assert lines(kept) == ["⟨[CLS]⟩ ⟦unwatchable→unwatchable⟧ ⟨[SEP]⟩"]
    read = replaced.chunks[0].maskings[0].input_ids[1:-1]
    text = Spelling(tokenizer("wordpiece")).text(read)
    assert lines(replaced) == [f"⟨[CLS]⟩ ⟦unwatchable→{text}⟧ ⟨[SEP]⟩"]


@pytest.mark.clause("PREV-005")
def test_a_part_of_a_character_is_told_by_its_pieces():
    """Where a unit ends within a character no text is lost to a replacement character."""
    words = tokenizer("byte-bpe")
    ids = words("电")["input_ids"][1:-1]
    assert len(ids) == 3
    spelling = Spelling(words)
    assert spelling.text(ids) == "电"
    assert spelling.text(ids[:2]) == "".join(words.convert_ids_to_tokens(ids[:2]))


@pytest.mark.clause("PREV-005")
def test_a_tokenizer_without_a_decoder_is_told_by_its_pieces(monkeypatch):
    """Its pieces stand one after the other."""
    words = tokenizer("wordpiece")
    ids = words("unwatchable")["input_ids"][1:-1]
    spelling = Spelling(words)
    monkeypatch.setattr(spelling, "_decoder", None)
    assert spelling.text(ids) == "".join(words.convert_ids_to_tokens(ids))


@pytest.mark.clause("PREV-006")
@pytest.mark.clause("SEC-009")
@pytest.mark.parametrize("unit", core.UNITS)
@pytest.mark.parametrize(
    ("odd", "spelled"),
    [
        ("⟦b⟧→\u2028", r"\u27e6b\u27e7\u2192\u2028"),
        ("⟨f⟩║", r"\u27e8f\u27e9\u2551"),
        ("\x1b[31m\n\t\x9b", r"\u001b[31m\n\t\u009b"),
    ],
)
def test_marks_and_controls_in_the_corpus_are_spelled_out(place, unit, odd, spelled):
    """Nothing of the corpus can be taken for a mark, end a line or move the cursor."""
    none = "masking.options.mlm_probability=0.0"
    (line,) = lines(one_document(place, "byte-bpe", f"a{odd}g", none, unit=unit))
    assert not set(line) & set("⟦⟧→║\x1b\n\t\x9b\u2028")
    assert (line.count("⟨"), line.count("⟩")) == (2, 2)  # of [CLS] and [SEP]
    if unit == "words":  # the pieces of this family spell bytes
        text = line.replace(" ", "").replace("␣", "")
        assert text == f"⟨[CLS]⟩a{spelled}g⟨[SEP]⟩"


def counted(shown, masking, train, words, which):
    """Count by a loop over positions and words what is shown of some chunks."""
    seen = Counter()
    for nth in which:
        row, one = train.gather(np.array([nth])), shown.chunks[nth].maskings[masking]
        truth, starts = row.input_ids[0].tolist(), row.word_start[0].tolist()
        groups = []
        for at, (true, read, label) in enumerate(
            zip(truth, one.input_ids, one.labels, strict=True)
        ):
            if at >= row.lengths[0] or true in words.all_special_ids:
                groups.append([])
                continue
            target = label != IGNORE_INDEX
            seen["tokens"] += 1
            seen["targets"] += target
            if target:
                kind = "masked" if read == words.mask_token_id else "replaced"
                seen["kept" if read == true else kind] += 1
            if starts[at] or not groups or not groups[-1]:
                groups.append([])
            groups[-1].append(target)
        groups = [group for group in groups if group]
        seen["words"] += len(groups)
        seen["words_with_target"] += sum(map(any, groups))
        seen["words_whole"] += sum(map(all, groups))
    return seen


NUMBERS = (
    "tokens",
    "targets",
    "masked",
    "replaced",
    "kept",
    "words",
    "words_with_target",
    "words_whole",
)


@pytest.mark.clause("PREV-007")
@pytest.mark.parametrize("family", FAMILIES)
def test_rates_are_those_of_a_loop(place, family, monkeypatch):
    """In the chunks shown, in each, and in the sample whatever the blocks; with padding."""
    monkeypatch.setattr(core, "SAMPLE", 11)
    monkeypatch.setattr(rates_module, "_BLOCK", 4)
    rules = [["masking.strategy=token"], ["masking.strategy=whole-word"]]
    rules = [[*one, "masking.corruption=50/30/20", "chunks.remainder=pad"] for one in rules]
    configs = [settings(place, family, *one) for one in rules]
    train, words = ready_for(configs[0]).split.train, tokenizer(family)
    shown = preview(configs, chunks=EVERY)
    part = preview(configs, chunks=2, first=3)
    assert len(train) > 11
    for nth, used in enumerate(shown.strategies):
        # Chunk by chunk from the chunks that are shown to be those of training (PREV-001).
        for rates, which in (
            (used.shown, range(len(train))),
            (used.sample, range(11)),
            (part.strategies[nth].shown, [2, 3]),
            (part.strategies[nth].sample, range(11)),
            (part.chunks[0].maskings[nth].rates, [2]),
        ):
            seen = counted(shown, nth, train, words, which)
            assert rates.chunks == len(which)
            assert {name: getattr(rates, name) for name in NUMBERS} == {
                name: seen[name] for name in NUMBERS
            }
            assert rates.shares == {
                "targets": seen["targets"] / seen["tokens"],
                "masked": seen["masked"] / seen["targets"],
                "replaced": seen["replaced"] / seen["targets"],
                "kept": seen["kept"] / seen["targets"],
                "words_with_target": seen["words_with_target"] / seen["words"],
                "words_whole": seen["words_whole"] / seen["words_with_target"],
            }
    token, whole = (one.sample for one in shown.strategies)
    assert token.words_whole < token.words_with_target
    assert whole.words_whole == whole.words_with_target


@pytest.mark.clause("PREV-007")
def test_a_share_of_nothing_is_no_number(place):
    """Without targets there is nothing to be a share of."""
    shown = preview([settings(place, "wordpiece", "masking.options.mlm_probability=0.0")])
    shares = shown.strategies[0].sample.shares
    assert shares.pop("targets") == shares.pop("words_with_target") == 0.0
    assert all(map(math.isnan, shares.values()))


@pytest.mark.clause("PREV-007")
@pytest.mark.clause("PREV-011")
def test_where_no_words_are_told_there_are_none(place):
    """Tokens are shown then and no words counted; words, when asked for, are refused."""
    config = settings(place, "wordless")
    shown = preview([config])
    assert shown.unit == "tokens"
    pieces = {unit.true for chunk in shown.chunks for unit in chunk.maskings[0].units}
    assert ",␣" in pieces  # a blank that is the vocabulary's is no gap between two tokens
    rates = shown.strategies[0].sample
    assert rates.words is rates.words_with_target is rates.words_whole is None
    assert set(rates.shares) == {"targets", "masked", "replaced", "kept"}
    with pytest.raises(ModelError, match=r"its tokenizer finds no words; use --as tokens"):
        preview([config], unit="words")
    with pytest.raises(ModelError, match=r"finds no words, which 'whole-word' masking needs"):
        preview([settings(place, "wordless", "masking.strategy=whole-word")])


@pytest.mark.clause("PREV-005")
def test_padding_is_counted_and_not_shown(place):
    """A remainder that is padded is as long as it is."""
    (place / "one.txt").write_text("a film\n" * 7, "utf-8")
    given = ["chunks.remainder=pad", "split.test_size=1"]
    padded = [
        chunk
        for seed in range(8)
        for chunk in preview(
            [settings(place, "wordpiece", *given, f"split.seed={seed}", corpus="one.txt")]
        ).chunks
        if chunk.padding
    ]
    for chunk in padded:
        assert (chunk.tokens, chunk.padding) == (28 - 24, 24 - 4)
        units = chunk.maskings[0].units
        assert sum(unit.tokens for unit in units) == chunk.tokens
        assert [unit.kind for unit in units][::3] == ["special", "special"]
    assert padded


class Own:
    """A plugin whose strategy says itself what the model reads: at every position the same."""

    @hookimpl
    def mlmref_masking_strategies(self):
        """Register it."""

        def propose(batch, draws):
            same = np.full(batch.input_ids.shape, batch.vocabulary.ordinary_ids[7])
            return Plan(targets=~batch.special, replacements=same)

        class Strategy:
            def __init__(self, _):
                self.propose = propose

        yield StrategyEntry(name="own", summary="of a test", build=Strategy, replaces="own")


@pytest.mark.clause("PREV-012")
@pytest.mark.clause("PREV-004")
def test_a_strategy_of_somebody_elses_is_shown_beside_ours(place):
    """The same chunks under both; what it reads is its own, and it has no corruption."""
    configs = [
        settings(place, "wordpiece", f"masking.strategy={one}") for one in ("own", "whole-word")
    ]
    registry = discover([Own()])
    shown = preview(configs, registry=registry, unit="tokens")
    assert [one.masking["name"] for one in shown.strategies] == ["own", "whole-word"]
    assert [one.corruption for one in shown.strategies] == [
        None,
        {"mask": 1.0, "random": 0.0, "keep": 0.0},
    ]
    same = int(np.setdiff1d(range(99), tokenizer("wordpiece").all_special_ids)[7])
    for chunk in shown.chunks:
        own, whole = chunk.maskings
        assert [one.true for one in own.units] == [one.true for one in whole.units]
        kinds = Counter(one.kind for one in own.units)
        assert set(kinds) <= {"replaced", "kept", "special", "boundary"}
        assert kinds["replaced"] > kinds["kept"]
        assert {read for read, label in zip(own.input_ids, own.labels, strict=True)
                if label != IGNORE_INDEX} == {same}  # fmt: skip


@pytest.mark.clause("PREV-003")
@pytest.mark.parametrize(
    ("kind", "changes", "limit"),
    [
        (BertForMaskedLM, {"max_position_embeddings": 20}, 20),
        (BertForMaskedLM, {"max_position_embeddings": 40}, 32),  # the tokenizer's
        (
            RobertaForMaskedLM,
            {"max_position_embeddings": 22},
            18,
        ),  # from behind padding, which is 3
    ],
)
def test_the_most_that_a_model_reads_is_a_runs(place, tmp_path, kind, changes, limit):
    """Just as many are taken, one more is refused, as with the weights loaded."""
    folder = save_model(tmp_path / "model", kind=kind, **changes)
    for size in (limit - 5, limit - 1, limit, limit + 1):
        given = [f"model.name={folder}", f"chunks.size={size}"]
        config = settings(place, "wordpiece", *given)
        if size <= limit:
            assert preview([config]).chunks[0].tokens == size
            continue
        said = []
        for refused in (lambda one: preview([one]), ready_for):
            with pytest.raises(ConfigError) as caught:
                refused(config)
            said.append(str(caught.value))
        assert said[0] == said[1]
        assert f"too long for a model that takes {limit}" in said[0]


@pytest.mark.clause("PREV-011")
def test_what_there_is_not_is_refused(place):
    """A chunk beyond the last, told with how many there are; a unit."""
    config = settings(place, "wordpiece")
    count = preview([config]).training_chunks
    assert len(preview([config], first=count).chunks) == 1
    with pytest.raises(ConfigError, match=rf"no training chunk {count + 1:,}, only {count:,}"):
        preview([config], first=count + 1)
    with pytest.raises(ConfigError, match=r"no unit 'word'; did you mean words"):
        preview([config], unit="word")


@pytest.mark.clause("PREV-009")
def test_a_new_file_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    """One that appears meanwhile is left as it is, and nothing stays behind a failure."""
    file = tmp_path / "page.html"
    create(file, b"ours")
    with pytest.raises(FileExistsError):
        create(file, b"others")
    assert file.read_bytes() == b"ours"

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlmref.base.disk.flush", full)
    with pytest.raises(OSError, match="No space left"):
        create(tmp_path / "other.html", b"half")
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.clause("PREV-009")
def test_where_there_are_no_links_a_new_file_is_new_as_well(tmp_path, monkeypatch):
    """As on exFAT: written, never in another's place, and gone again where the disk is full."""

    def none(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    file = tmp_path / "page.html"
    create(file, b"ours")
    with pytest.raises(FileExistsError):
        create(file, b"others")
    assert file.read_bytes() == b"ours"
    opened, sizes = Path.open, iter([None, 0])

    class Full:
        """A file on a disk that is full by its second."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            self.file.__enter__()
            return self

        def __exit__(self, *what):
            self.file.__exit__(*what)

        def write(self, content):
            self.file.write(content[:1])
            raise OSError(errno.ENOSPC, "No space left on device")

    def fills(self, *mode):
        file = opened(self, *mode)
        return file if next(sizes) is None else Full(file)

    monkeypatch.setattr(Path, "open", fills)
    with pytest.raises(OSError, match="No space left"):
        create(tmp_path / "other.html", b"half")
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
