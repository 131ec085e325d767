"""The tutorial's errata that are of today's libraries, of seeds, backends and attention.

Those of its algorithms are in tests/properties/test_errata.py; spec/errata.md tells both.
"""

import inspect
import json
import shutil
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from errata import measure
from support.jobs import masker, some_chunks, train
from support.models import VOCABULARY, tiny_model, without_dropout
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from mlmref.base.errors import ConfigError
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.training.optimizer import choose_precision

GONE = {"evaluation_strategy", "overwrite_output_dir"}


@pytest.mark.clause("ERR-001")
def test_e01_the_tutorials_names_are_gone():
    """Arguments of TrainingArguments and Trainer, a class of the hub's client, and its command."""
    arguments = inspect.signature(TrainingArguments).parameters
    assert not GONE & arguments.keys()
    assert "eval_strategy" in arguments
    trainer = inspect.signature(Trainer).parameters
    assert "tokenizer" not in trainer
    assert "processing_class" in trainer
    assert not hasattr(huggingface_hub, "Repository")
    beside = str(Path(sys.executable).parent)
    assert shutil.which("huggingface-cli", path=beside) is None
    assert shutil.which("hf", path=beside)


@pytest.mark.clause("ERR-001")
@pytest.mark.parametrize("name", sorted(GONE))
def test_e01_the_tutorials_call_stops(name, tmp_path):
    """TrainingArguments as the tutorial calls it is a TypeError that names the argument."""
    with pytest.raises(TypeError, match=name):
        TrainingArguments(output_dir=str(tmp_path), **{name: True})


@pytest.mark.clause("ERR-011")
def test_e11_two_backends_differ_by_their_settings_alone():
    """One job: the same losses and weights on both; another learning rate: others, on the same."""
    backends, rates = ("trainer", "accelerate"), (2e-3, 5e-3)
    jobs = {
        (backend, rate): train(
            backend, model=without_dropout("bert"), learning_rate=rate, batch_size=4
        )
        for backend in backends
        for rate in rates
    }
    for rate in rates:
        one, other = (jobs[backend, rate] for backend in backends)
        assert one.losses() == other.losses()
        assert np.array_equal(one.weights(), other.weights())
    low, high = (jobs["trainer", rate].losses() for rate in rates)
    assert low != high


def tutorials_losses():
    """Train as the tutorial does: DataLoader(shuffle=True), masks by whichever numbers come."""
    chunks, model = some_chunks(20), without_dropout("bert")
    torch.seed()  # as a process begins: with whatever number the system gives
    ids = torch.from_numpy(chunks.gather(np.arange(20)).input_ids).long()
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-3), []
    for (batch,) in DataLoader(torch.utils.data.TensorDataset(ids), batch_size=4, shuffle=True):
        chosen = torch.rand(batch.shape) < 0.15
        chosen[0, 0] = True
        labels = torch.where(chosen, batch, IGNORE_INDEX)
        loss = model(input_ids=torch.where(chosen, 4, batch), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.clause("ERR-012")
def test_e12_two_runs_are_one():
    """The tutorial's losses differ from one run to the next, the job's do not."""
    assert tutorials_losses() != tutorials_losses()
    one, other = (train("accelerate") for _ in range(2))
    assert one.losses() == other.losses()
    assert np.array_equal(one.weights(), other.weights())


@pytest.mark.clause("ERR-013")
def test_e13_attention_crosses_documents_as_in_the_tutorial():
    """Another first document changes what is predicted in the second, unless a mask parts them."""
    model = tiny_model("bert").eval()
    chunks = some_chunks(20)
    rows = chunks.gather(np.arange(20))
    [row, *_] = np.flatnonzero(rows.documents[:, 0] != rows.documents[:, -1])
    masked = masker()(rows, EVALUATION_PASS)
    ids = torch.from_numpy(masked.input_ids[[row]]).long()
    documents = torch.from_numpy(rows.documents[[row]])
    second = documents == documents[:, -1:]
    other = torch.where(second, ids, (ids + 1).clamp(max=VOCABULARY - 1))
    within = (documents[:, :, None] == documents[:, None, :])[:, None]

    @torch.no_grad()
    def predicted(read, attention):
        return model(input_ids=read, attention_mask=attention).logits[second]

    # What the masker hands to the model is the whole chunk.
    whole = torch.from_numpy(masked.attention_mask[[row]]).long()
    assert whole.all()
    assert not torch.allclose(predicted(ids, whole), predicted(other, whole))
    assert torch.equal(predicted(ids, within), predicted(other, within))


@pytest.mark.clause("ERR-014")
def test_e14_precision_goes_by_the_device(tmp_path):
    """The tutorial's fp16=True on a CPU is an error or no fp16; auto is fp32, fp16 is refused."""
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == "fp32"
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        choose_precision("fp16", cpu)


@pytest.mark.clause("ERR-005")
@pytest.mark.clause("ERR-008")
def test_the_page_shows_what_was_measured():
    """spec/errata.md has the tables that tests/errata/measure.py wrote last, of each erratum."""
    results = json.loads(measure.RESULTS.read_text("utf-8"))
    assert results.keys() == measure.MEASURED.keys()
    page = measure.PAGE.read_text("utf-8")
    assert measure.with_tables(page, results) == page
