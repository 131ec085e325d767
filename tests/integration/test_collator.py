"""MaskingCollator in real training scripts: Trainer, Accelerate and mlmref's own runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from datasets import Dataset
from support.maskers import built_in
from support.models import without_dropout
from support.tokenizers import TEXT, tokenizer
from support.tokens import corpus_of, fresh_cache
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from mlmref import MaskingCollator
from mlmref.conformance.checks import run_checks
from mlmref.conformance.collator_check import collator_subject, load_collator
from mlmref.conformance.strategies import KIT
from mlmref.data.chunks import chunk
from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.data.tokens.tokenize import tokenize
from mlmref.plugin.contracts import Corruption
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.settings.config import ChunkConfig

WORDS = tokenizer("wordpiece")
IDS = [WORDS(text, truncation=True, max_length=24)["input_ids"] for text in TEXT * 3]
ROWS = Dataset.from_dict({"input_ids": [[*ids, 5 + n, 2] for n, ids in enumerate(IDS)]})


class Heard(MaskingCollator):
    """A collator for this process that notes each batch and its pass."""

    def masked(self, features, pass_, return_tensors=None):
        """Note and return the batch."""
        batch = super().masked(features, pass_, return_tensors)
        HEARD.append((pass_, sorted(map(tuple, batch["labels"].tolist()))))
        return batch


HEARD = []


class Stops(TrainerCallback):
    """Stops training after a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **_):
        """Stop."""
        control.should_training_stop = state.global_step == self.step
        control.should_save = control.should_training_stop


def trainer(folder, collator, *callbacks, **arguments):
    """Return a Trainer of two epochs of six steps on a tiny model without dropout."""
    given = {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "eval_strategy": "epoch",
        "logging_steps": 1,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return Trainer(
        without_dropout("bert", vocab_size=len(WORDS)),
        TrainingArguments(str(folder), **(given | arguments)),
        train_dataset=ROWS,
        eval_dataset=ROWS.select(range(10)),
        data_collator=collator,
        callbacks=list(callbacks),
    )


def losses(one, **how):
    """Train; returns the losses of the steps and of the evaluations."""
    one.train(**how)
    history = one.state.log_history
    return (
        [entry["loss"] for entry in history if "loss" in entry],
        [entry["eval_loss"] for entry in history if "eval_loss" in entry],
    )


@pytest.mark.clause("COLL-005")
@pytest.mark.clause("COLL-007")
@pytest.mark.parametrize("persistent", [False, True])
def test_workers_do_not_change_what_trainer_trains_on(tmp_path, persistent):
    """Without and with two workers: the same losses in each step and evaluation."""
    expected = losses(trainer(tmp_path, MaskingCollator(WORDS, "whole-word")))
    assert len(set(expected[0])) == 12
    got = losses(
        trainer(
            tmp_path,
            MaskingCollator(WORDS, "whole-word"),
            dataloader_num_workers=2,
            dataloader_persistent_workers=persistent,
        )
    )
    assert got == expected


@pytest.mark.clause("COLL-007")
@pytest.mark.clause("COLL-008")
def test_trainer_trains_on_other_masks_in_each_epoch_and_evaluates_on_the_same(tmp_path):
    """Epochs 0 and 1 in training; one fixed pass in every evaluation, between steps too."""
    HEARD.clear()
    one = trainer(tmp_path, Heard(WORDS, mlm_probability=0.5), eval_strategy="steps", eval_steps=4)
    one.evaluate()
    one.train()
    first, second = one.evaluate(), one.evaluate()
    assert first["eval_loss"] == second["eval_loss"]
    passes = {pass_: set() for pass_ in (0, 1, EVALUATION_PASS)}
    for pass_, labels in HEARD:
        passes[pass_].update(labels)
    assert len(passes[0]) == len(passes[1]) == len(ROWS)
    assert len(passes[EVALUATION_PASS]) == 10
    assert not passes[0] & passes[1]
    assert [pass_ for pass_, _ in HEARD if pass_ < 2] == [0] * 6 + [1] * 6


@pytest.mark.clause("COLL-007")
@pytest.mark.parametrize("stop", [3, 6, 8])
def test_a_resumed_trainer_continues_with_the_same_masks(tmp_path, stop):
    """Stopped in the first epoch, between the epochs and in the second one."""
    expected, _ = losses(trainer(tmp_path / "whole", MaskingCollator(WORDS, "whole-word")))
    first, _ = losses(trainer(tmp_path / "cut", MaskingCollator(WORDS, "whole-word"), Stops(stop)))
    assert first == expected[:stop]
    resumed = trainer(tmp_path / "cut", MaskingCollator(WORDS, "whole-word"))
    got, _ = losses(resumed, resume_from_checkpoint=True)
    assert got == expected


@pytest.mark.clause("COLL-007")
@pytest.mark.parametrize("seedable", [False, True])
def test_the_epoch_advances_under_accelerate(seedable):
    """In each iteration of a prepared loader, the masks are those of epochs 0, 1 and 2."""
    collator = MaskingCollator(WORDS, mlm_probability=0.5)
    accelerator = Accelerator(
        cpu=True, dataloader_config=DataLoaderConfiguration(use_seedable_sampler=seedable)
    )
    loader = accelerator.prepare(DataLoader(ROWS, batch_size=5, shuffle=True, collate_fn=collator))
    for epoch in range(3):
        found = [row for batch in loader for row in batch["labels"].tolist()]
        by_hand = MaskingCollator(WORDS, mlm_probability=0.5)
        by_hand.set_epoch(epoch)
        expected = by_hand(list(ROWS))["labels"].tolist()
        assert sorted(map(short, found)) == sorted(map(short, expected))


def short(labels):
    """Return labels without those at the end that are no target."""
    last = max((n for n, label in enumerate(labels) if label != -100), default=-1)
    return tuple(labels[: last + 1])


@pytest.mark.clause("COLL-006")
@pytest.mark.parametrize("strategy", ["token", "whole-word"])
@pytest.mark.parametrize("remainder", ["drop", "pad"])
def test_masks_are_those_of_a_run(strategy, remainder):
    """Inputs and labels of chunks, in two epochs and in evaluation, bit for bit."""
    with fresh_cache():
        tokens = tokenize(corpus_of(TEXT), WORDS)
    chunks = chunk(tokens, ChunkConfig(size=16, remainder=remainder))
    rows = chunks.gather(np.arange(len(chunks)))
    masker = built_in(strategy, seed=7, words=vocabulary_of(WORDS))
    features = list(chunks.to_dataset())
    collator = MaskingCollator(WORDS, strategy, seed=7)
    second = MaskingCollator(WORDS, strategy, seed=7)
    second.set_epoch(1)
    for made, pass_ in ((collator, 0), (second, 1), (collator.frozen(), EVALUATION_PASS)):
        expected, batch = masker(rows, pass_), made(features)
        assert torch.equal(batch["input_ids"], torch.from_numpy(expected.input_ids).long())
        assert torch.equal(batch["labels"], torch.from_numpy(expected.labels).long())


@pytest.mark.clause("COLL-010")
@pytest.mark.parametrize(
    ("strategy", "promises"),
    [
        pytest.param("token", {"rate": "token"}, marks=pytest.mark.full),
        (
            "whole-word",
            {
                "rate": "word",
                "whole_words": True,
                "columns": ["word_ids"],
                "corruption": Corruption(mask=1.0, random=0.0, keep=0.0),
            },
        ),
    ],
)
def test_it_keeps_every_clause_of_the_kit(strategy, promises):
    """Each check passes or does not apply, also those of rates and independence."""
    make = load_collator("mlmref:MaskingCollator", {"strategy": strategy})
    subject = collator_subject(make, name="ours", probability=0.15, **promises)
    report = run_checks(KIT.checks, replace(subject, large=2, small=10), "ours")
    assert report.ok, report.failures
    statuses = [one.status for one in report.outcomes]
    assert set(statuses) == {"pass", "not applicable"}
    assert statuses.count("pass") >= 25
