"""What the libraries underneath get wrong, and the same thing right in mlmref (BACK-031).

Each fault is shown in the library itself, by a test that fails once the library is mended: the
reason that a clause gives is then history, and the clause may be looked at again.
"""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from accelerate import skip_first_batches
from accelerate.data_loader import prepare_data_loader
from safetensors import SafetensorError
from support.jobs import Booked, masker, some_chunks, train
from support.models import VOCABULARY, without_dropout
from support.tokenizers import tokenizer
from torch import nn
from torch.utils.data import DataLoader
from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from mlmref.base.errors import MlmrefError
from mlmref.evaluation.perplexity import evaluate
from mlmref.model.loss import MaskedLMObjective
from mlmref.runner.folder import checkpoint
from mlmref.training.steps import StepPlan, TrainingSteps, loader

ROWS = [{"input_ids": torch.arange(5 + row, 21 + row)} for row in range(24)]


def by_chance(rows):
    """Mask a third of the tokens, drawn from torch's generator, as Transformers' collator does."""
    return masked(rows, lambda ids: torch.rand(ids.shape) < 1 / 3)


def by_content(rows):
    """Mask every token that 3 divides."""
    return masked(rows, lambda ids: ids % 3 == 0)


def masked(rows, chosen):
    """Return a batch with a loss at the chosen tokens."""
    ids = torch.stack([row["input_ids"] for row in rows])
    where = chosen(ids)
    return {
        "input_ids": torch.where(where, 3, ids),
        "attention_mask": torch.ones_like(ids),
        "labels": torch.where(where, ids, -100),
    }


def plain_trainer(folder, model=None, rows=ROWS, collator=by_content, **arguments):
    """Make a Trainer as anybody would, that saves every three steps and logs each."""
    settings = {
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_steps": 3,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    } | arguments
    return Trainer(
        model=model or without_dropout("bert"),
        args=TrainingArguments(output_dir=str(folder), num_train_epochs=1, **settings),
        train_dataset=rows,
        eval_dataset=rows,
        data_collator=collator,
    )


def losses(trainer):
    """Return the loss of each step that a Trainer logged."""
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


# --- where a run goes on ---------------------------------------------------------------------


@pytest.mark.clause("BACK-031")
@pytest.mark.parametrize(("collator", "right"), [(by_chance, False), (by_content, True)])
def test_trainer_fetches_before_it_restores_the_generators(collator, right, tmp_path):
    """Resumed after step 3, masks of the next steps are others than without a stop (39215).

    Nor were the generators saved as they were after step 3, one batch being fetched ahead. The
    same run with masks that are not drawn goes on exactly, so nothing else is to blame.
    """
    whole = plain_trainer(tmp_path, collator=collator)
    whole.train()
    resumed = plain_trainer(tmp_path, collator=collator)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert losses(resumed)[:3] == losses(whole)[:3]  # these are from the checkpoint
    assert len(losses(resumed)) == len(losses(whole)) == 6
    assert (losses(resumed)[3:] == losses(whole)[3:]) is right


@pytest.mark.clause("BACK-031")
@pytest.mark.clause("ORDER-002")
@pytest.mark.parametrize("backend", ["trainer", "accelerate"])
def test_a_resumed_step_is_the_same_whatever_was_drawn(backend, tmp_path, monkeypatch):
    """Stopped after step 3 in the second epoch and gone on with: the same losses and weights."""
    monkeypatch.chdir(tmp_path)
    settings = {"batch_size": 10, "epochs": 3, "workers": 1}
    whole = train(backend, **settings)
    stopped = train(backend, stop=3, **settings)
    torch.manual_seed(7)
    again = train(backend, goes_on=stopped, **settings)
    assert stopped.reports + again.reports == whole.reports
    assert np.array_equal(again.weights(), whole.weights())


def shuffled(epoch=None):
    """Return a loader of twelve numbers that Accelerate shuffles by epoch, perhaps set to one."""
    torch.manual_seed(0)
    plain = DataLoader(range(12), batch_size=2, shuffle=True)
    prepared = prepare_data_loader(plain, use_seedable_sampler=True, put_on_device=False)
    if epoch is not None:
        prepared.set_epoch(epoch)
    return prepared


def numbers(batches):
    """Return all numbers of a loader in order."""
    return torch.cat(list(batches)).tolist()


@pytest.mark.clause("BACK-031")
def test_accelerate_skips_in_the_first_epochs_order():
    """Without set_epoch the batches skipped, and all later epochs, are the first's (4071, 4233)."""
    uninterrupted = shuffled()
    epochs = [numbers(uninterrupted) for _ in range(3)]
    assert len({tuple(epoch) for epoch in epochs}) == 3

    resumed = shuffled()  # in the middle of the second epoch
    assert numbers(skip_first_batches(resumed, 2)) == epochs[0][4:]
    assert numbers(resumed) == epochs[0]

    told = shuffled(epoch=1)
    assert numbers(skip_first_batches(told, 2)) == epochs[1][4:]
    assert numbers(told) == epochs[1], "the epoch is counted on by now"
    told.set_epoch(2)
    assert numbers(told) == epochs[2]


CHUNKS = some_chunks(12)


def batches(first, last, workers=0):
    """Return inputs and labels of mlmref's steps of six, two an epoch, from and to a step."""
    plan = StepPlan(examples=12, batch_size=6, accumulation=1, world_size=1)
    steps = TrainingSteps(CHUNKS, masker(mlm_probability=0.5), plan, seed=1, rank=0)
    made = [step[0] for step in loader(steps, first, last, workers)]
    return [(one["input_ids"].tolist(), one["labels"].tolist()) for one in made]


@pytest.mark.clause("BACK-031")
@pytest.mark.clause("ORDER-002")
def test_steps_know_their_epoch_by_their_number():
    """Begun at any step, nobody having been told of an epoch, the steps are those of the run."""
    whole = batches(0, 6)
    for first in range(6):
        assert batches(first, 6) == whole[first:]
    assert len({json.dumps(step) for step in whole}) == 6


# --- masks ------------------------------------------------------------------------------------


@pytest.mark.clause("BACK-031")
@pytest.mark.parametrize("workers", [0, 1])
def test_the_seeded_collator_repeats_itself(workers):
    """With workers the second epoch has the first's masks; begun anew, the first's in any case."""
    words = tokenizer("wordpiece")
    rows = [words("The story of the homeless woman was told beautifully.")] * 4

    def epochs(count):
        collator = DataCollatorForLanguageModeling(words, seed=1)
        made = DataLoader(rows, batch_size=2, collate_fn=collator, num_workers=workers)
        return [[one["labels"].tolist() for one in made] for _ in range(count)]

    first, second = epochs(2)
    assert (first == second) is (workers > 0)
    assert epochs(1) == [first], "a run that goes on with the second epoch has the first's masks"


@pytest.mark.clause("BACK-031")
@pytest.mark.clause("ORDER-005")
@pytest.mark.parametrize("workers", [0, 1])
def test_masks_are_fresh_with_workers_and_when_a_run_goes_on(workers):
    """Each chunk has other masks in the second epoch, begun there or not."""
    whole = batches(0, 4, workers)
    assert batches(2, 4, workers) == whole[2:]
    first, second = (
        {
            tuple(np.where(np.array(label) == -100, ids, label)): label
            for inputs, labels in epoch
            for ids, label in zip(inputs, labels, strict=True)
        }
        for epoch in (whole[:2], whole[2:])
    )
    assert first.keys() == second.keys()
    assert len(first) == 12
    assert all(first[row] != second[row] for row in first)


# --- checkpoints ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Train to step 6, with Trainer's checkpoints of steps 3 and 6."""
    folder = tmp_path_factory.mktemp("saved")
    plain_trainer(folder).train()
    return folder


@pytest.mark.clause("BACK-031")
def test_trainer_saves_in_place_and_takes_the_highest_number(tmp_path, monkeypatch):
    """Killed in the middle of its second save it cannot resume, the first being whole (35782)."""
    trainer = plain_trainer(tmp_path)
    save = trainer._save_rng_state

    def killed_at_six(folder):
        if trainer.state.global_step == 6:
            raise KeyboardInterrupt
        save(folder)

    monkeypatch.setattr(trainer, "_save_rng_state", killed_at_six)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert (tmp_path / "checkpoint-3" / "trainer_state.json").exists()
    assert get_last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-6")
    with pytest.raises(FileNotFoundError, match=r"checkpoint-6.trainer_state\.json"):
        plain_trainer(tmp_path).train(resume_from_checkpoint=True)


@pytest.mark.clause("BACK-031")
def test_trainer_does_not_pass_over_a_checkpoint_that_is_cut_short(saved, tmp_path):
    """A whole one of step 3 stands beside it, and is not taken."""
    folder = shutil.copytree(saved, tmp_path / "saved")
    weights = folder / "checkpoint-6" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(SafetensorError, match="file not fully covered"):
        plain_trainer(folder, max_steps=8).train(resume_from_checkpoint=True)


@pytest.mark.clause("BACK-031")
def test_trainer_goes_on_with_a_damaged_checkpoint(saved, tmp_path):
    """One bit of the weights is another, and so are the losses; nothing is said."""
    folder = shutil.copytree(saved, tmp_path / "saved")
    weights = folder / "checkpoint-3" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    begin, _ = header["bert.embeddings.word_embeddings.weight"]["data_offsets"]
    content[8 + size + begin + 4 * 32 * 20 + 3] ^= 0x80  # the sign of token 20's first number
    found = []
    for now in (weights.read_bytes(), bytes(content)):
        weights.write_bytes(now)
        trainer = plain_trainer(folder)
        trainer.train(resume_from_checkpoint=str(weights.parent))
        found.append(losses(trainer)[3:])
    assert found[0] != found[1]
    assert all(map(math.isfinite, found[1]))


def cut_short(place):
    """Take a little off the weights' end."""
    file = place / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def flip_a_bit(place):
    """Change one bit of the weights."""
    file = place / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-100] ^= 0x80
    file.write_bytes(bytes(content))


def leave_half(place):
    """Leave what is there before the last file is written."""
    (place / "manifest.json").unlink()


@pytest.mark.clause("BACK-031")
@pytest.mark.clause("CKPT-004")
@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, leave_half])
def test_a_damaged_checkpoint_is_passed_over(damage, tmp_path):
    """The whole one before it is taken, and the damaged one is named."""
    job = Booked().job
    for step in (3, 6):
        checkpoint.save(
            tmp_path,
            run="this",
            step=step,
            model=job.weights(),
            state=job.state(),
            metrics="",
            last=2,
        )
    told = []
    assert checkpoint.newest(tmp_path, "this", told.append).step == 6
    damage(tmp_path / "step-00000006")
    assert checkpoint.newest(tmp_path, "this", told.append).step == 3
    assert len(told) == 1
    assert "step-00000006: skipped, it" in told[0]


@pytest.mark.clause("BACK-032")
@pytest.mark.parametrize("backend", ["trainer", "accelerate"])
def test_libraries_save_nothing(backend, tmp_path, monkeypatch):
    """There is no file in the folder that Trainer is given, nor where it runs."""
    monkeypatch.chdir(tmp_path)
    assert len(train(backend, batch_size=2, epochs=2).reports) == 20
    assert not [one for one in tmp_path.rglob("*") if one.is_file()]


# --- losses that are no numbers ---------------------------------------------------------------


class Diverges(nn.Module):
    """A model whose loss is no number for rows that hold the token 20, or 1."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, input_ids, labels=None, **_):
        """Return the loss."""
        bad = (input_ids[:, 0] == 20).any()
        return {"loss": self.weight * (math.nan if bad else 1.0), "logits": labels}


def as_they_are(rows):
    """Return a batch of rows whose tokens are labels."""
    ids = torch.stack([row["input_ids"] for row in rows])
    return {"input_ids": ids, "labels": ids}


@pytest.mark.clause("BACK-031")
def test_trainer_drops_losses_that_are_no_numbers(tmp_path):
    """An evaluation of one batch in six without a number has the mean of the other five."""
    trainer = plain_trainer(tmp_path, Diverges(), collator=as_they_are, save_strategy="no")
    assert any(row["input_ids"][0] == 20 for row in ROWS)
    assert trainer.evaluate()["eval_loss"] == 1.0


@pytest.mark.clause("BACK-031")
def test_trainer_logs_a_loss_of_zero_when_there_is_none(tmp_path):
    """From the step on that diverges, each loss in its log is 0."""
    trainer = plain_trainer(tmp_path, Diverges(), collator=as_they_are, save_strategy="no")
    trainer.train()
    assert math.isnan(trainer.model.weight.item())
    assert 0.0 in losses(trainer)
    assert all(map(math.isfinite, losses(trainer)))


@pytest.mark.clause("BACK-031")
@pytest.mark.clause("BACK-008")
@pytest.mark.clause("EVAL-011")
@pytest.mark.parametrize("backend", ["trainer", "accelerate"])
def test_a_loss_that_is_no_number_is_an_error(backend, tmp_path, monkeypatch):
    """One token's embedding is no number: neither evaluation nor training goes past it."""
    monkeypatch.chdir(tmp_path)
    model = without_dropout("bert")
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[VOCABULARY - 7] = math.nan
    with pytest.raises(MlmrefError, match="NaN|nan"):
        evaluate(MaskedLMObjective(model, "plain"), some_chunks(20), masker(), batch_size=4)
    with pytest.raises(MlmrefError, match="the loss is nan at step 1"):
        train(backend, model=model, batch_size=20)
