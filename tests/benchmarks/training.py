"""Training and evaluating, against plain Trainer."""

import resource
import statistics
import sys
import tempfile
from copy import deepcopy
from functools import partial

import torch
from benchmarks import machine, ours, peers
from benchmarks.bench import Found, benchmark, in_a_process, in_turn, seconds
from support.models import FAMILIES, tiny_model
from torch.nn import functional as F

from mlmref.evaluation.perplexity import evaluate
from mlmref.model.loss import MaskedLMObjective
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.settings.config import EvaluationConfig

STEPS = 5


def steps_in_turn(pairs, model, batch_size):
    """Time a step of plain Trainer and one of ours, on models with the same weights."""
    rows, tokenizer = ours.as_dataset(ours.parts().train), ours.loaded().tokenizer
    mine, yours = model, deepcopy(model)
    with tempfile.TemporaryDirectory() as folder:
        found = in_turn(
            pairs,
            lambda: ours.step(mine, batch_size=batch_size, steps=STEPS),
            lambda: peers.trainer_step(
                yours, tokenizer, rows, folder, batch_size=batch_size, steps=STEPS
            ),
        )
    work = machine.operations(lambda: ours.step(mine, batch_size=batch_size, steps=2)) / 2
    rate = machine.matrix_products()
    share = work / statistics.median(found.ours) / rate
    found.facts.update(
        {"gigaflop": work / 1e9, "machine_gigaflop_per_s": rate / 1e9, "share_of_machine": share}
    )
    return found


@benchmark(
    "step",
    what="training step, embedded checkpoint",
    work="64 x 128, token masking 15 %",
    peer="Trainer",
    floor=5.0,
)
def step(pairs):
    """Time a step of the checkpoint that ships, with its own dropout."""
    return steps_in_turn(pairs, ours.loaded().model, 64)


@benchmark(
    "step-distilbert",
    what="training step, DistilBERT's shape",
    work="16 x 128, random weights",
    peer="Trainer",
    floor=1.4,
)
def step_distilbert(pairs):
    """Time a step of a model of DistilBERT's size, whose layers weigh more than its head."""
    return steps_in_turn(pairs, _distilbert(), 16)


def _distilbert():
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    torch.manual_seed(0)
    return DistilBertForMaskedLM(DistilBertConfig())


@benchmark(
    "step-compiled",
    what="training step, DistilBERT's shape",
    work="16 x 128, random weights",
    peer="ours with its layers through `torch.compile`",
)
def step_compiled(pairs):
    """Time a step of the same model with its layers compiled, which needs a C++ compiler."""
    plain, compiled = _distilbert(), _distilbert()
    compiled.distilbert.transformer.compile()

    def step_of(model):
        return partial(ours.step, model, batch_size=16, steps=STEPS)

    compiling = seconds(partial(ours.step, compiled, batch_size=16, steps=2))
    found = in_turn(pairs, step_of(plain), step_of(compiled))
    found.facts["first_two_steps_s"] = compiling
    return found


@benchmark(
    "families",
    what="forward and backward, the slowest of all `*ForMaskedLM` families",
    work="16 x 32, small, 8,000 words",
    peer="its own forward",
    floor=1.0,
)
def families(pairs):
    """Time each family against its own plain forward, and return the one that gains least."""
    gained = {}
    for family in FAMILIES:
        model = tiny_model(family, vocab_size=8_000).train()
        gained[family] = in_turn(pairs, *_both_ways(model))
    gains = {
        family: statistics.median(found.theirs) / statistics.median(found.ours)
        for family, found in gained.items()
    }
    least = min(gains, key=gains.get)
    facts = {"slowest": least, "families": len(gains), "gains": gains}
    return Found(ours=gained[least].ours, theirs=gained[least].theirs, facts=facts)


def _both_ways(model):
    """Return our step and the plain one, without data and optimizer, on the same batch."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 8_000, (16, 32), generator=generator)
    attention = torch.ones_like(ids)
    labels = torch.where(torch.rand(ids.shape, generator=generator) < 0.15, ids, IGNORE_INDEX)
    objective = MaskedLMObjective(model)
    weight = 1.0 / int((labels != IGNORE_INDEX).sum())

    def mine():
        objective(ids, attention, labels, weight)["loss"].backward()
        model.zero_grad()

    def plain():
        logits = model(input_ids=ids, attention_mask=attention).logits
        F.cross_entropy(logits.flatten(0, 1), labels.flatten()).backward()
        model.zero_grad()

    return (lambda: seconds(mine, 3)), (lambda: seconds(plain, 3))


@benchmark(
    "evaluation",
    what="evaluation, embedded checkpoint",
    work="1,000 chunks, interval included",
    peer="`Trainer.evaluate`",
    floor=6.0,
)
def evaluation(pairs):
    """Measure the held-out chunks, with the bootstrap that Trainer has none of."""
    model, tokenizer, test = ours.loaded().model, ours.loaded().tokenizer, ours.parts().test
    objective = MaskedLMObjective(model)
    with tempfile.TemporaryDirectory() as folder:
        rows = ours.as_dataset(test)
        theirs = peers.trainer_evaluation(deepcopy(model), tokenizer, rows, folder)
        return in_turn(
            pairs,
            lambda: seconds(
                lambda: evaluate(objective, test, ours.masker()).summary(EvaluationConfig(), 42)
            ),
            lambda: seconds(theirs),
        )


@benchmark(
    "step-memory",
    what="peak memory of training, embedded checkpoint",
    work="64 x 128, the whole process",
    peer="Trainer",
    floor=2.0,
    unit="MB",
)
def step_memory(pairs):
    """Compare the largest resident sets of two processes that train a few steps."""
    ours_, theirs = (partial(in_a_process, "training", side) for side in ("ours", "theirs"))
    return in_turn(pairs, ours_, theirs, warm_up=False)


def _train_and_tell(side):
    """Train a few steps as one side does, and print the process's peak memory."""
    rows = ours.as_dataset(ours.parts().train) if side == "theirs" else None
    model = ours.loaded().model
    if rows is None:
        ours.step(model, batch_size=64, steps=STEPS)
    else:
        with tempfile.TemporaryDirectory() as folder:
            tokenizer = ours.loaded().tokenizer
            peers.trainer_step(model, tokenizer, rows, folder, batch_size=64, steps=STEPS)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    _train_and_tell(sys.argv[1])
