"""What an error about a model says to do works when it is done (MODEL-004, CLI-017)."""

import json
import re
import shlex

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.runs import save_model
from transformers import AutoModelForMaskedLM, AutoTokenizer, DebertaV2Config, DebertaV2ForMaskedLM

from mlmref.base.errors import ModelError
from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.model.load import load_model
from mlmref.settings.config import ModelConfig


def refused(name):
    """Return the line that refuses a model."""
    with pytest.raises(ModelError) as caught:
        load_model(ModelConfig(name=str(name)))
    return str(caught.value)


def convert(line):
    """Run what the line says, in this process; it is a python -c."""
    command = shlex.split(re.search(r"python -c .*", line).group())
    exec(command[2], {})  # noqa: S102 - the text is mlmref's own


@pytest.mark.clause("CLI-017")
@pytest.mark.parametrize("left", ["nothing", "no head"])
@pytest.mark.parametrize("name", ["m", "my model's"])
def test_pickled_weights_are_converted_by_the_command_that_the_error_gives(tmp_path, left, name):
    """Where there are no others, and where the others have no head."""
    folder = save_model(tmp_path / name)
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    torch.save(tensors, folder / "pytorch_model.bin")
    weights.unlink()
    if left == "no head":
        kept = {key: one for key, one in tensors.items() if not key.startswith("cls.")}
        save_file(kept, weights, metadata={"format": "pt"})
    convert(refused(folder))
    assert torch.equal(
        load_model(ModelConfig(name=str(folder))).model.state_dict()["cls.predictions.bias"],
        tensors["cls.predictions.bias"],
    )


@pytest.mark.clause("CLI-017")
def test_a_head_of_deberta_is_read_with_the_setting_that_the_error_gives(tmp_path):
    """The head has other names with legacy = false, and the same numbers."""
    folder = save_model(tmp_path / "m")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    settings = DebertaV2Config(
        vocab_size=len(tokenizer),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        legacy=False,
    )
    model = DebertaV2ForMaskedLM(settings)
    model.save_pretrained(folder)
    file = folder / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"legacy": True}))
    assert refused(folder).endswith(
        'its head is DeBERTa\'s own: set "legacy": false in its config.json'
    )
    file.write_text(json.dumps(config | {"legacy": False}))
    loaded = load_model(ModelConfig(name=str(folder))).model
    for key, one in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], one), key


@pytest.mark.clause("CLI-017")
@pytest.mark.clause("MODEL-004")
def test_added_tokens_get_rows_by_the_calls_that_the_error_gives(tmp_path):
    """resize_token_embeddings of the whole model, saved again."""
    folder = save_model(tmp_path / "m")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["covid19"])
    tokenizer.save_pretrained(folder)
    assert "call model.resize_token_embeddings(len(tokenizer)) and model.save_pr" in refused(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder)
    model.bert.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    assert "call resize_token_embeddings of the whole model" in refused(folder)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    assert load_model(ModelConfig(name=str(folder))).model.config.vocab_size == len(tokenizer)


@pytest.mark.clause("CLI-017")
def test_a_slow_class_of_a_fast_tokenizer_is_named(tmp_path):
    """With a tokenizer.json the class can be exchanged; without, nothing can."""
    folder = save_model(tmp_path / "m")

    class Slow:
        is_fast = False
        name_or_path = str(folder)

    with pytest.raises(ModelError, match=r'set "tokenizer_class" to "PreTrainedTokenizerFast"'):
        vocabulary_of(Slow())
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    file.write_text(json.dumps(config))
    assert load_model(ModelConfig(name=str(folder))).tokenizer.is_fast
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="choose a model with a fast tokenizer"):
        vocabulary_of(Slow())
