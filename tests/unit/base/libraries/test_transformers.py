"""Transformers words errors of loading as mlmref expects, and takes one GPU when told so."""

import json

import pytest
from safetensors import SafetensorError
from support.runs import save_model
from transformers import AutoConfig, AutoModelForMaskedLM, GPT2Config

from mlmref.base.libraries.transformers import LoadingError, loading_error
from mlmref.training.backends.trainer import OneGpu

pytestmark = pytest.mark.clause("RUN-018")


def load(folder):
    """Load a model as mlmref does."""
    return AutoModelForMaskedLM.from_pretrained(folder, use_safetensors=True)


def another_architecture(folder):
    """Load a causal language model's configuration."""
    return AutoModelForMaskedLM.from_config(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=9))


def own_code(folder):
    """Load a configuration whose class is in the checkpoint."""
    own = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(own))
    (folder / "own.py").write_text("")
    return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def other_sizes(folder):
    """Load weights of 9 rows more than the configuration gives."""
    config = json.loads((folder / "config.json").read_text())
    config["vocab_size"] += 9
    (folder / "config.json").write_text(json.dumps(config))
    return load(folder)


def no_safetensors(folder):
    """Load a checkpoint without weights."""
    (folder / "model.safetensors").unlink()
    return load(folder)


def damaged(folder):
    """Load weights that are cut short."""
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    return load(folder)


@pytest.mark.parametrize(
    ("provoke", "error"),
    [
        (another_architecture, LoadingError.NO_HEAD),
        (own_code, LoadingError.REMOTE_CODE),
        (other_sizes, LoadingError.OTHER_SIZES),
        (no_safetensors, LoadingError.NO_SAFETENSORS),
        (damaged, LoadingError.DAMAGED),
    ],
)
def test_an_error_of_loading_is_recognized(provoke, error, tmp_path):
    """Each error is provoked in Transformers itself."""
    save_model(tmp_path / "model")
    with pytest.raises((OSError, ValueError, RuntimeError, SafetensorError)) as caught:
        provoke(tmp_path / "model")
    assert loading_error(caught.value) is error


def test_another_error_is_none_of_them():
    """An error that does not concern loading has no kind."""
    assert loading_error(OSError("disk full")) is None


def test_trainer_uses_one_gpu_per_process(tmp_path, monkeypatch):
    """With two GPUs and one process, ``n_gpu`` is 1 and Trainer does not split batches."""
    arguments = OneGpu(output_dir=str(tmp_path), use_cpu=True)
    assert arguments.n_gpu <= 1
    monkeypatch.setattr("transformers.TrainingArguments.n_gpu", 2)
    assert arguments.n_gpu == 1
    assert arguments.train_batch_size == arguments.per_device_train_batch_size
    assert str(arguments.parallel_mode) != "ParallelMode.NOT_DISTRIBUTED"
