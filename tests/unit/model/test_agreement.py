"""The tokenizer of tokenizer.json, and the one that Transformers builds."""

import json

import numpy as np
import pytest
import typer
from support.runs import save_model
from support.tokenizers import FAMILIES
from tokenizers import Tokenizer
from transformers import (
    AutoTokenizer,
    BertForMaskedLM,
    RobertaForMaskedLM,
    XLMRobertaForMaskedLM,
)
from typer.testing import CliRunner

import mlmref
from mlmref.base.errors import ModelError
from mlmref.cli import app
from mlmref.data.corpus.corpus import corpus_from_texts
from mlmref.evaluation.fill_mask import fill
from mlmref.model.load import check_documents, load_model, load_tokenizer
from mlmref.settings.config import Config, CorpusConfig, ModelConfig
from mlmref.settings.resolve import resolve
from mlmref.studies.inspection import inspect

CASED = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
         "strip_accents": False, "lowercase": False}  # fmt: skip
LOWER = {"type": "Lowercase"}
NFKC = {"type": "NFKC"}

CASES = {
    "BertTokenizer": ("wordpiece", "normalizer", CASED, "The"),
    "MPNetTokenizer": ("wordpiece", "normalizer", CASED, "The"),
    "ElectraTokenizer": ("wordpiece", "normalizer", CASED, "The"),
    "RobertaTokenizer": ("byte-bpe", "normalizer", LOWER, "The"),
    "DebertaTokenizer": ("byte-bpe", "normalizer", LOWER, "The"),
    "XLMRobertaTokenizer": ("unigram", "normalizer", NFKC, "NASA"),
    "CamembertTokenizer": ("unigram", "normalizer", NFKC, "cafe\u0301"),
    "AlbertTokenizer": ("unigram", "normalizer", NFKC, "The"),
    "BigBirdTokenizer": ("unigram", "normalizer", NFKC, "NASA"),
}
"""Classes that build a part on their own: family, part, the file's, and where it shows."""


def save(folder, family="wordpiece", kind=BertForMaskedLM, named=None, **parts):
    """Save a model with some parts of tokenizer.json replaced, and a class named."""
    place = save_model(folder, family, kind)
    file = place / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | parts), "utf-8")
    if named:  # with the names that some classes would give to tokens of their own
        config = place / "tokenizer_config.json"
        given = {"tokenizer_class": named, "bos_token": "[CLS]", "eos_token": "[SEP]"}
        config.write_text(json.dumps(json.loads(config.read_text()) | given))
    return place


def chosen(folder, tokenizer="checked"):
    """Load the tokenizer of a model."""
    return load_tokenizer(ModelConfig(name=str(folder), tokenizer=tokenizer))[0]


def alone(folder, text):
    """Return the ids that tokenizer.json alone gives a text."""
    return Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids


TEXT = "The NASA \ufb01lm cafe\u0301, Müller  12345!"


@pytest.mark.clause("TOK-021")
@pytest.mark.parametrize("named", CASES)
def test_another_tokenizer_than_the_files_is_refused(tmp_path, named):
    """One line has an example: the tokens by the file, and those that Transformers gives."""
    family, part, own, shown = CASES[named]
    folder = save(tmp_path / "model", family, named=named, **{part: own})
    built = AutoTokenizer.from_pretrained(folder)
    file = Tokenizer.from_file(str(folder / "tokenizer.json"))
    file = [file.id_to_token(one) for one in file.encode(shown).ids]
    other = built.convert_ids_to_tokens(built(shown)["input_ids"])
    with pytest.raises(ModelError) as raised:
        chosen(folder)
    assert str(raised.value) == (
        f"{folder}: its tokenizer.json and the tokenizer that Transformers builds differ: for "
        f"{shown!r} the file gives {' '.join(file)}, and Transformers gives {' '.join(other)}; "
        "choose one with --tokenizer file or --tokenizer loaded"
    )
    with pytest.raises(ModelError, match=r"--tokenizer file or --tokenizer loaded"):
        load_model(ModelConfig(name=str(folder)))


@pytest.mark.clause("TOK-022")
@pytest.mark.parametrize("named", sorted({*CASES} - {"CamembertTokenizer"}))  # adds tokens
def test_a_setting_chooses_either(tmp_path, named):
    """``file`` gives the ids of tokenizer.json, ``loaded`` those of Transformers."""
    family, part, own, _ = CASES[named]
    folder = save(tmp_path / "model", family, named=named, **{part: own})
    file, loaded = chosen(folder, "file"), chosen(folder, "loaded")
    assert file(TEXT)["input_ids"] == alone(folder, TEXT)
    assert loaded(TEXT)["input_ids"] == AutoTokenizer.from_pretrained(folder)(TEXT)["input_ids"]
    assert file(TEXT)["input_ids"] != loaded(TEXT)["input_ids"]
    assert (file.mask_token_id, file.pad_token_id) == (loaded.mask_token_id, loaded.pad_token_id)
    assert file.model_max_length == loaded.model_max_length == 32


@pytest.mark.clause("TOK-023")
@pytest.mark.parametrize("tokenizer", ["file", "loaded"])
@pytest.mark.parametrize("named", ["BertTokenizer", "RobertaTokenizer", "XLMRobertaTokenizer"])
def test_a_saved_tokenizer_is_the_one_that_was_chosen(tmp_path, named, tokenizer):
    """Saved and loaded again it agrees with its own file, and gives the same ids."""
    family, part, own, _ = CASES[named]
    kind = {
        "BertTokenizer": BertForMaskedLM,
        "RobertaTokenizer": RobertaForMaskedLM,
        "XLMRobertaTokenizer": XLMRobertaForMaskedLM,
    }[named]
    folder = save(tmp_path / "model", family, kind, named, **{part: own})
    mine = chosen(folder, tokenizer)
    mine.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved/config.json").write_bytes((folder / "config.json").read_bytes())
    again = chosen(tmp_path / "saved")
    assert again(TEXT)["input_ids"] == mine(TEXT)["input_ids"]
    assert again(TEXT)["input_ids"] == alone(tmp_path / "saved", TEXT)


@pytest.mark.clause("TOK-023")
@pytest.mark.parametrize("tokenizer", ["file", "loaded"])
def test_a_run_folder_has_the_tokenizer_of_the_run(tmp_path, tokenizer):
    """A finished run's folder gives the tokens that its model was trained on."""
    folder = save(tmp_path / "model", named="BertTokenizer", normalizer=CASED)
    (tmp_path / "text.txt").write_text("The film WAS great\n" * 60)
    config = resolve(
        sets=[
            f"model.name={folder}", f"model.tokenizer={tokenizer}",
            f"corpus.name={tmp_path / 'text.txt'}", f"output.folder={tmp_path / 'run'}",
            "chunks.size=16", "training.max_steps=1", "training.batch_size=4",
            'fill.prompts=["a {mask}"]',
        ]
    )  # fmt: skip
    made = mlmref.run(config)
    assert chosen(made.folder)(TEXT)["input_ids"] == chosen(folder, tokenizer)(TEXT)["input_ids"]
    assert fill(*_of(made.folder), ["a {mask}"])


def _of(folder):
    loaded = load_model(ModelConfig(name=str(folder)))
    return loaded.model, loaded.tokenizer


@pytest.mark.clause("TOK-021")
def test_the_first_documents_are_compared(tmp_path):
    """A sign that no known text has, and the file alone replaces, shows in the corpus."""
    own = {"type": "Sequence", "normalizers": [
        {"type": "Replace", "pattern": {"String": "\u2042"}, "content": "film"},
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
         "strip_accents": None, "lowercase": True},
    ]}  # fmt: skip
    folder = save(tmp_path / "model", named="BertTokenizer", normalizer=own)
    config = ModelConfig(name=str(folder))
    tokenizer, heard = chosen(folder), Heard()
    with pytest.raises(ModelError) as raised:
        check_documents(config, tokenizer, corpus_from_texts(["a", "so \u2042 so"]), heard)
    assert "for '\u2042' the file gives [CLS] film [SEP], and Transformers" in str(raised.value)
    check_documents(config, tokenizer, corpus_from_texts(["a film"]), heard)
    assert heard.warnings == [
        f"{folder}: its tokenizer.json and the tokenizer that Transformers builds have different "
        "normalizers; the first 1 documents have the same tokens with both; choose one with "
        "--tokenizer file or --tokenizer loaded"
    ]
    with pytest.raises(ModelError, match="\u2042"):
        inspect(_inspected(tmp_path, folder, "so \u2042 so\n" * 50))


class Heard:
    """A reporter that remembers warnings."""

    def __init__(self):
        self.warnings = []

    def warn(self, text):
        """Remember it."""
        self.warnings.append(text)


def _inspected(place, folder, text):
    (place / "c.txt").write_text(text, "utf-8")
    return Config(
        model=ModelConfig(name=str(folder)), corpus=CorpusConfig(name=str(place / "c.txt"))
    )


@pytest.mark.clause("TOK-021")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_tokenizer_that_is_its_file_is_not_refused(tmp_path, family):
    """A file that Transformers loads as it is agrees with it, and nothing is warned of."""
    folder, heard = save_model(tmp_path / "model", family), Heard()
    tokenizer = chosen(folder)
    check_documents(ModelConfig(name=str(folder)), tokenizer, corpus_from_texts([TEXT]), heard)
    assert heard.warnings == []
    assert np.array_equal(tokenizer(TEXT)["input_ids"], alone(folder, TEXT))


@pytest.mark.clause("TOK-022")
def test_a_file_that_is_not_there_cannot_be_chosen(tmp_path):
    """A checkpoint with a vocab.txt alone loads, and has no tokenizer.json to choose."""
    folder = save(tmp_path / "model", named="BertTokenizer")
    vocabulary = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)), "utf-8")
    (folder / "tokenizer.json").unlink()
    assert chosen(folder)("film")["input_ids"] == chosen(folder, "loaded")("film")["input_ids"]
    with pytest.raises(ModelError, match=r"it has no tokenizer.json; use --tokenizer loaded"):
        chosen(folder, "file")


@pytest.mark.clause("TOK-022")
@pytest.mark.parametrize(
    "command", ["run", "inspect", "preview", "evaluate", "fill", "downstream", "compare"]
)
def test_every_command_that_loads_a_model_has_the_flag(command):
    """The hint of the refusal works when typed, whatever the command."""
    known = typer.main.get_command(app).commands[command]
    assert "--tokenizer" in [name for one in known.params for name in one.opts]


@pytest.mark.clause("TOK-022")
def test_fill_takes_the_flag(tmp_path):
    """The flag chooses the tokenizer, and a wrong value is one line."""
    folder = save(tmp_path / "model", named="BertTokenizer", normalizer=CASED)
    command = ["fill", str(folder), "The {mask}"]
    assert CliRunner().invoke(app, command).exit_code == 2
    assert CliRunner().invoke(app, [*command, "--tokenizer", "file"]).exit_code == 0
    wrong = CliRunner().invoke(app, [*command, "--tokenizer", "fast"])
    assert wrong.exit_code == 2
    assert '--tokenizer: model.tokenizer = "fast"' in wrong.output
