"""A folder with good and bad models, corpora and settings, and commands that are to refuse them."""

import gzip
import json
import os
import re
import shlex
import socket
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa
import torch
from safetensors.torch import load_file, save_file
from support.corpora import parquet
from support.runs import save_corpus, save_model
from support.tokenizers import SPECIAL, UNKNOWN
from tokenizers import Tokenizer, models
from transformers import (
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)
from typer.testing import CliRunner

from mlmref.cli import app

RUN = "run --model model --corpus corpus.txt --chunk-size 16 --output out --quiet "

_FILES = {
    # corpora
    "empty.txt": b"",
    "empty.txt.gz": b"",
    "empty.csv": b"",
    "empty.jsonl": b"",
    "empty.parquet": b"",
    "blank.txt": " \n\t\n\u2003\n".encode(),
    "blank.csv": b"text\n \n\n",
    "header.csv": b"text,label\n",
    "short.txt": b"too short\n",
    "few.txt": b"a great film of a great many words, and of others\n",
    "latin.txt": "café\n".encode("latin-1"),
    "utf16.txt": "a film\n".encode("utf-16"),
    "binary.txt": bytes(range(256)),
    "nul.txt": b"one\x00two\n",
    "nul.csv": b"text,label\nfine,1\n\x00,2\n",
    "nul.jsonl": b'{"text": "a\\u0000b"}\n',
    "ragged.csv": b"text,label\nfine,1\nnot,fine,at all\n",
    "short.csv": b"text,label\nfine\n",
    "open.csv": b'text,label\nfine,1\n"never closed,2\nand,3\n',
    "within.csv": b'text\n"a "great" film"\n',
    "mac.csv": b"text,label\rfine,1\r",
    "semicolons.csv": b"text;label\nfine;1\n",
    "twice.csv": b"text,text\nfine,fine\n",
    "other.csv": b"body,label\nfine,1\n",
    "broken.jsonl": b'{"text": "fine"}\n{"text": \n',
    "pretty.jsonl": b'{\n  "text": "fine"\n}\n',
    "array.jsonl": b'["fine"]\n',
    "deep.jsonl": b"[" * 100_000 + b"\n",
    "half.jsonl": b'{"text": "\\ud800"}\n',
    "number.jsonl": b'{"text": 3}\n',
    "long-number.jsonl": b'{"text": ' + b"9" * 5_000 + b"}\n",
    "list.jsonl": b'{"text": ["fine"]}\n',
    "later.jsonl": b'{"text": "fine"}\n{"Text": "not"}\n',
    "broken.txt.gz": gzip.compress(b"a text of some length " * 99)[:-20],
    "not.txt.gz": b"a text",
    "broken.parquet": b"PAR1 and nothing else",
    "numbers.parquet": parquet([1, 2], text_type=pa.int64()),
    "mixed/a.csv": b"text,label\nfine,1\n",
    "mixed/b.csv": b"text\nfine\n",
    "notes.pdf": b"%PDF",
    # settings
    "malformed.toml": b"seed = = 1\n",
    "latin.toml": "seed = 1 # é".encode("latin-1"),
    "unknown.toml": b"[training]\nbatchsize = 8\n",
    "stray.toml": b"[nonesuch]\nvalue = 8\n",
    "typed.toml": b'[training]\nlearning_rate = "high"\n',
    "section.toml": b"training = 3\n",
    "list.toml": b'[corpus]\nlabel_column = ["label"]\n',
    "preset.toml": b"preset = 3\n",
    "trusting.toml": b"[model]\ntrust_remote_code = true\n",
    "outside.toml": b"[output]\nfolder = '../elsewhere'\n",
    "damaged-settings/config.toml": b"[",
    # places
    "a-file": b"somebody's",
    "used/theirs.txt": b"somebody's",
    "links/a.txt": b"fine\n",
}


def make_place(here: Path) -> Path:
    """Fill a folder."""
    save_model(here / "model")
    save_corpus(here / "corpus.txt")
    for name, content in _FILES.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_bytes(content)
    for name in ("nothing", "dir.txt"):
        (here / name).mkdir()
    for name, to in {
        "dead.txt": "gone.txt",
        "itself.txt": "itself.txt",
        "links/b.txt": "c",
    }.items():
        (here / name).symlink_to(to)
    os.mkfifo(here / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(here)  # a socket's name has to be short
        listener.bind("socket.txt")
        os.chdir(before)
    for name, unit in {"large.txt": b"a film ", "many.txt": b"a film\n"}.items():
        with (here / name).open("wb") as file:
            for _ in range(100):
                file.write(unit * (10**6 // 7))
    _make_models(here)
    return here


def _make_models(here: Path) -> None:
    save_model(here / "classifier", kind=BertForSequenceClassification)
    save_model(here / "too-few-rows", vocab_size=50)
    GPT2LMHeadModel(
        GPT2Config(vocab_size=9, n_layer=1, n_head=1, n_embd=4, bos_token_id=1, eos_token_id=1)
    ).save_pretrained(here / "causal")
    maskless = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"[PAD]": 0, UNKNOWN: 1}, unk_token=UNKNOWN)),
        **{key: value for key, value in SPECIAL.items() if key in {"pad_token", "unk_token"}},
    )
    maskless.save_pretrained(here / "causal")
    layer = "bert.encoder.layer.0.output.dense.weight"

    def model(name: str) -> Path:
        """Begin with what is good."""
        return save_model(here / name)

    maskless.save_pretrained(model("maskless"))
    for file in model("no-tokenizer").glob("token*"):
        file.unlink()
    weights = model("pickled") / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    weights = model("cut") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    (model("noise") / "model.safetensors").write_bytes(b"\xff" * 100)
    (model("empty") / "model.safetensors").write_bytes(b"")
    weights = model("folder") / "model.safetensors"
    weights.unlink()
    weights.mkdir()
    weights = model("shards") / "model.safetensors"
    index = {"metadata": {}, "weight_map": dict.fromkeys(load_file(weights), "part.safetensors")}
    weights.unlink()
    weights.with_name("model.safetensors.index.json").write_text(json.dumps(index))
    for name, change in {
        "nan": lambda tensors: tensors[layer].view(-1)[3].fill_(float("nan")),
        "infinite": lambda tensors: tensors[layer].view(-1)[3].fill_(float("-inf")),
        "lacking": lambda tensors: tensors.pop(layer),
        "sizes": lambda tensors: tensors.update({layer: torch.zeros(3, 3)}),
    }.items():
        weights = model(name) / "model.safetensors"
        tensors = load_file(weights)
        change(tensors)
        save_file(tensors, weights, metadata={"format": "pt"})
    own = {"AutoConfig": "own.Own", "AutoModelForMaskedLM": "own.OwnModel"}
    for name, changes in {
        "unknown": {"model_type": "nonesuch"},
        "heads": {"num_attention_heads": 7},
        "activation": {"hidden_act": "nonesuch"},
        "named": {"transformers_weights": "weights.bin"},
        "coded": {"model_type": "own", "auto_map": own},
    }.items():
        _change(model(name) / "config.json", changes)
    (here / "coded" / "own.py").write_text("raise SystemExit('this must never run')\n")
    _change(model("unlimited") / "tokenizer_config.json", {"model_max_length": 0})
    (model("config") / "config.json").write_bytes(b"{")
    (model("tokenizer") / "tokenizer.json").write_bytes(b"[]")
    (model("adapter") / "adapter_config.json").write_bytes(b"{}")


def _change(file: Path, changes: dict) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def listing(folder):
    """Return every file below a folder with its size and time; folders too, by name."""
    return {
        (str(path.relative_to(folder)), *_state(path))
        for path in folder.rglob("*")
        if not path.name.endswith(".lock")
    }


def _state(path):
    state = path.lstat()
    return () if path.is_dir() else (state.st_size, state.st_mtime_ns)


def told(arguments):
    """Run the command in this process; returns exit status and standard error."""
    result = CliRunner().invoke(app, shlex.split(arguments))
    return result.exit_code, result.stderr


def check_refused(place, arguments, expected):
    """Run a command, and find it refused in just one line, with nothing made or changed.

    Args:
        place: the folder that it is run in, and which may not change.
        arguments: the command line.
        expected: the whole line behind ``mlmref: ``; ``*`` stands for words of a library's or the
            system's own, which another version may put differently.
    """
    before = listing(place)
    status, text = told(arguments)
    assert status == 2, text
    assert text.endswith("\n"), text
    assert re.fullmatch("[^\n]*\n", text), text
    found = text.removeprefix("mlmref: ").removesuffix("\n")
    if "*" in expected:
        pattern = re.sub(r"([\[\]?])", r"[\1]", expected)
        assert fnmatchcase(found, pattern), f"{found}\nis not\n{expected}"
    else:
        assert found == expected
    assert len(text) < 600
    assert listing(place) == before
