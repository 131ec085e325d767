"""Small, real runs: a tiny trained tokenizer and model in a folder, and a corpus in a file."""

import math
from pathlib import Path

import torch
from support import warm
from support.processes import run
from support.tokenizers import TEXT, tokenizer
from transformers import BertForMaskedLM

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}


def save_model(folder: Path, family="wordpiece", kind=BertForMaskedLM, **changes) -> Path:
    """Save a tiny random model with the family's tokenizer."""
    torch.manual_seed(0)
    words = tokenizer(family)
    sizes = SMALL | {"vocab_size": len(words), "pad_token_id": words.pad_token_id}
    kind(kind.config_class(**(sizes | changes))).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def save_corpus(file: Path, copies=12) -> Path:
    """Save a text file of a few sentences, one a line, over and over."""
    file.write_text("\n".join(TEXT * copies) + "\n", "utf-8")
    return file


def mlmref(*arguments, **options):
    """Run the command as a user does; returns the completed process."""
    return run([warm.python(), "-m", "mlmref", *arguments], **options)


def floats(values):
    """Return losses of steps, NaN for those without targets, to compare with ``nan_ok``."""
    return [math.nan if one is None else one for one in values]
