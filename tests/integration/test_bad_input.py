"""What a user gets wrong: one clear line, exit status 2, and nothing left behind (RUN-001, 002)."""

import errno
import gzip
import json
import os
import re

import pytest
from support.runs import save_corpus, save_model
from support.tokenizers import SPECIAL, UNKNOWN
from tokenizers import Tokenizer, models
from transformers import (
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)
from typer.testing import CliRunner

from mlmref.cli import app


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with good and bad models, corpora and settings in it."""
    here = tmp_path_factory.mktemp("place")
    save_model(here / "model")
    save_corpus(here / "corpus.txt")
    files = {
        "empty.txt": b"",
        "blank.csv": b"text\n \n\n",
        "short.txt": b"too short\n",
        "latin.txt": "caf\xe9\n".encode("latin-1"),
        "nul.txt": b"one\x00two\n",
        "ragged.csv": b"text,label\nfine,1\nnot,fine,at all\n",
        "other.csv": b"body,label\nfine,1\n",
        "broken.jsonl": b'{"text": "fine"}\n{"text": \n',
        "number.jsonl": b'{"text": 3}\n',
        "broken.txt.gz": gzip.compress(b"a text of some length " * 99)[:-20],
        "broken.parquet": b"PAR1 and nothing else",
        "notes.pdf": b"%PDF",
        "malformed.toml": b"seed = = 1\n",
        "unknown.toml": b"[training]\nbatchsize = 8\n",
        "typed.toml": b'[training]\nbatch_size = "8"\n',
        "a-file": b"somebody's",
        "used/theirs.txt": b"somebody's",
    }
    for name, content in files.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_bytes(content)
    (here / "nothing").mkdir()
    save_model(here / "classifier", kind=BertForSequenceClassification)
    save_model(here / "too-few-rows", vocab_size=50)
    save_model(here / "pickled")
    (here / "pickled" / "model.safetensors").rename(here / "pickled" / "pytorch_model.bin")
    save_model(here / "damaged")
    weights = (here / "damaged" / "model.safetensors").read_bytes()
    (here / "damaged" / "model.safetensors").write_bytes(weights[:-100])
    save_model(here / "no-tokenizer")
    for file in (here / "no-tokenizer").glob("token*"):
        file.unlink()
    GPT2LMHeadModel(GPT2Config(vocab_size=9, n_layer=1, n_head=1, n_embd=4)).save_pretrained(
        here / "causal"
    )
    maskless = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"[PAD]": 0, UNKNOWN: 1}, unk_token=UNKNOWN)),
        **{key: value for key, value in SPECIAL.items() if key in {"pad_token", "unk_token"}},
    )
    save_model(here / "maskless")
    maskless.save_pretrained(here / "maskless")
    maskless.save_pretrained(here / "causal")
    config = json.loads((here / "model" / "config.json").read_text())
    (here / "coded").mkdir()
    (here / "coded" / "config.json").write_text(
        json.dumps(
            config
            | {
                "model_type": "own",
                "auto_map": {"AutoConfig": "own.Own", "AutoModelForMaskedLM": "own.OwnModel"},
            }
        )
    )
    (here / "coded" / "own.py").write_text("raise SystemExit('this must never run')\n")
    return here


RUN = "run --model model --corpus corpus.txt --chunk-size 16 --output out "
CASES = {
    # the corpus
    "missing file": (RUN + "--corpus nowhere.txt", "nowhere.txt"),
    "missing folder": (RUN + "--corpus ./nowhere/", "nowhere"),
    "glob of nothing": (RUN + "--corpus *.zst", r"\*\.zst"),
    "empty folder": (RUN + "--corpus nothing", "nothing"),
    "unsupported kind": (RUN + "--corpus notes.pdf", r"notes\.pdf.*\.txt"),
    "empty corpus": (RUN + "--corpus empty.txt", r"empty\.txt"),
    "blank corpus": (RUN + "--corpus blank.csv", r"blank\.csv"),
    "absent column": (RUN + "--corpus other.csv", r"other\.csv.*'text'.*body"),
    "ragged CSV": (RUN + "--corpus ragged.csv", r"ragged\.csv.*3"),
    "not UTF-8": (RUN + "--corpus latin.txt", r"latin\.txt.*UTF-8"),
    "NUL byte": (RUN + "--corpus nul.txt", r"nul\.txt.*NUL"),
    "not JSON": (RUN + "--corpus broken.jsonl", r"broken\.jsonl.*2"),
    "a number for a text": (RUN + "--corpus number.jsonl", r"number\.jsonl.*text"),
    "damaged gzip": (RUN + "--corpus broken.txt.gz", r"broken\.txt\.gz"),
    "damaged parquet": (RUN + "--corpus broken.parquet", r"broken\.parquet"),
    "corpus shorter than a chunk": (RUN + "--corpus short.txt", "--remainder pad"),
    # the model
    "missing model": (RUN + "--model ./nowhere", r"\./nowhere: no such folder; check --model"),
    "folder without a model": (RUN + "--model ./nothing", "nothing"),
    "causal model": (RUN + "--model ./causal", "no masked"),
    "model without a head's weights": (RUN + "--model ./classifier", "no weights for cls"),
    "tokenizer without a mask token": (RUN + "--model ./maskless", "mask token"),
    "no tokenizer": (RUN + "--model ./no-tokenizer", "no-tokenizer.*tokenizer"),
    "tokenizer of another model": (RUN + "--model ./too-few-rows", "the model 50 rows"),
    "pickled weights": (RUN + "--model ./pickled", "safetensors"),
    "damaged weights": (RUN + "--model ./damaged", "damaged"),
    "remote code": (RUN + "--model ./coded", "--trust-remote-code"),
    # the settings
    "probability over 1": (RUN + "--mlm-probability 1.5", "masking.options.mlm_probability = 1.5"),
    "unknown strategy": (RUN + "--masking tokn", "'tokn'; did you mean token"),
    "unknown backend": (RUN + "--backend trainr", "'trainr'; did you mean trainer"),
    "option that the strategy lacks": (RUN + "--set masking.options.rate=1", "options.rate"),
    "unknown preset": (RUN + "--preset tutorial", "'tutorial'; did you mean"),
    "missing settings": (RUN + "--config nowhere.toml", r"nowhere\.toml: no such file"),
    "malformed settings": (RUN + "--config malformed.toml", r"malformed\.toml: is not TOML"),
    "unknown setting": (RUN + "--config unknown.toml", r"unknown\.toml.*did you mean batch_size"),
    "setting of another type": (RUN + "--config typed.toml", r"typed\.toml.*valid integer"),
    "no assignment": (RUN + "--set epochs", "SECTION.KEY=VALUE"),
    "batch of nothing": (RUN + "--batch-size 0", "--batch-size: training.batch_size = 0"),
    "corruption of 110 %": (RUN + "--corruption 80/20/10", "add up to 1.1"),
    "chunk over the maximum": (RUN + "--chunk-size 100", "100.*(32|40)"),
    "sizes that do not fit": (RUN + "--train-size 9000 --test-size 9000", "9,000"),
    "size that is none": (RUN + "--test-size many", "--test-size: split.test_size"),
    "fp16 on a CPU": (RUN + "--precision fp16", "fp16 needs a GPU"),
    "no such plugin to leave out": (RUN + "--no-plugin builtin-msking", "builtin-masking"),
    "nothing to predict": (RUN + "--mlm-probability 0", "no target"),
    "loss that diverges": (
        RUN + "--learning-rate 1e30 --epochs 9 --set training.max_grad_norm=0",
        "the loss is",
    ),
    "weights that diverge": (
        RUN + "--learning-rate 1e30 --max-steps 1 --set training.max_grad_norm=0",
        "the loss is no number",
    ),
    "prompt without a mask": (RUN + "--prompt hello", "hello"),
    # the output
    "output in use": (RUN + "--output used", "used: there is something already"),
    "output is a file": (RUN + "--output a-file", "a-file: there is something already"),
    "output below a file": (RUN + "--output a-file/out", "a-file/out: nothing can be written"),
    "no name for the hub": (RUN + "--push not/a/name", "not/a/name"),
    # the other commands
    "evaluate: missing model": ("evaluate ./nowhere", "no such folder"),
    "fill: missing model": ("fill ./nowhere text", "no such folder"),
    "fill: no mask": ("fill model nothing-to-fill", "nothing-to-fill"),
    "fill: another model's mask": ("fill model great-<mask>", r"<mask>.*\[MASK\]"),
    "fill: more answers than tokens": ("fill model {mask} --top-k 999999", "999"),
    "fill: no answers": ("fill model {mask} --top-k 0", "top_k"),
}


def listing(folder):
    """Return every file below a folder with its content's size and time."""
    return {
        (str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def told(arguments):
    """Run the command in this process; returns exit status and standard error."""
    result = CliRunner().invoke(app, arguments.split())
    return result.exit_code, result.stderr


@pytest.mark.clause("RUN-001")
@pytest.mark.clause("RUN-002")
@pytest.mark.clause("CLI-003")
@pytest.mark.parametrize("case", CASES)
def test_bad_input_gets_one_line_and_status_2(place, case, monkeypatch, request):
    """The line names what is wrong, no traceback is shown, and no file is made or changed."""
    monkeypatch.chdir(place)
    before = listing(place)
    arguments, expected = CASES[case]
    status, text = told(arguments + (" --quiet" if arguments.startswith("run") else ""))
    *notes, line = text.strip().splitlines()
    assert status == 2, text
    assert not notes, text
    assert line.startswith("mlmref: ")
    assert re.search(expected, line), line
    assert len(line) < 600
    assert listing(place) == before


@pytest.mark.clause("MODEL-004")
def test_the_model_that_serves_as_the_good_one_is_good(place, monkeypatch):
    """The table's base command succeeds, so that each case fails for its own reason."""
    monkeypatch.chdir(place)
    status, text = told(RUN + "--max-steps 1 --output good --quiet")
    assert status == 0, text
    BertForMaskedLM.from_pretrained(place / "good")


@pytest.mark.clause("RUN-002")
@pytest.mark.parametrize("call", ["fsync", "weights", "tokenizer"])
def test_a_full_disk_is_told_and_nothing_is_kept(place, call, monkeypatch):
    """ENOSPC while flushing, writing weights or the tokenizer: one line, and no folder."""
    from safetensors import SafetensorError

    monkeypatch.chdir(place)

    def full(*_, **__):
        if call == "weights":
            raise SafetensorError("Error while serializing: I/O error: No space left on device")
        if call == "tokenizer":
            raise Exception("No space left on device (os error 28)")  # as tokenizers does
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = {
        "fsync": "mlmref.workspace.os.fsync",
        "weights": "transformers.PreTrainedModel.save_pretrained",
        "tokenizer": "transformers.PreTrainedTokenizerFast.save_pretrained",
    }[call]
    told(RUN + "--max-steps 1 --output filled-the-cache --quiet")
    before = listing(place)
    monkeypatch.setattr(target, full)
    status, text = told(RUN + "--max-steps 1 --output no-room --quiet")
    assert status == 2, text
    assert "no-room: nothing more can be written" in text
    assert listing(place) == before


@pytest.mark.clause("RUN-001")
def test_debug_shows_the_traceback(place, monkeypatch):
    """--debug lets the exception through."""
    monkeypatch.chdir(place)
    result = CliRunner().invoke(app, (RUN + "--batch-size 0 --debug").split())
    assert type(result.exception).__name__ == "ConfigError"


@pytest.mark.clause("CLI-003")
def test_a_fault_has_its_own_status(monkeypatch):
    """What is nobody's bad input exits with 1 and says how to see more."""
    monkeypatch.setattr("mlmref.plugins.discover", lambda **_: 1 / 0)
    status, text = told("plugins")
    assert status == 1
    assert "ZeroDivisionError" in text
    assert "--debug" in text
