"""What a launcher starts in the tests of ranks: facts about them, or the command with a fault.

``ranks_child.py facts FOLDER`` writes what each rank finds to ``FOLDER/rank-N.json``;
``ranks_child.py FAULT run ...`` is ``mlmref run ...`` with something wrong on one rank.
"""

import hashlib
import json
import sys
import time
from itertools import chain
from pathlib import Path

# Of the folder above, since a module here has the name of a library.
sys.path[0] = str(Path(__file__).parents[1])


def facts():
    """Return what this rank finds out about itself and the others."""
    from mlmref.base.errors import CorpusError
    from mlmref.base.ranks.consensus import agree, by_main, together
    from mlmref.base.ranks.process import gather, rank, world_size

    here = rank()

    def fails(on):
        def phase():
            with together():
                if here in on:
                    raise CorpusError(f"rank {here} finds nothing", where="corpus.txt")

        return said(phase)

    def main_fails():
        raise CorpusError("the main process finds nothing")

    return {
        "rank": here,
        "world_size": world_size(),
        "gathered": gather({"rank": here, "text": "é" * here}),
        **exchanged(here),
        "a fork collects": a_fork_collects(),
        "none fails": fails(()),
        "one fails": fails((1,)),
        "both fail": fails((0, 1)),
        "main makes": by_main(lambda: {"made on": here}),
        "main fails": said(lambda: by_main(main_fails)),
        "main cannot say": said(lambda: by_main(lambda: print and {1, 2})),
        "agree": said(lambda: agree({"corpus": "a", "tokens": 3})),
        "differ": said(lambda: agree({"corpus": "a", "tokens": 3 + here})),
        **figures(),
        "trained": {name: trained(name) for name in ("trainer", "accelerate")},
    }


def a_fork_collects():
    """Return the exit status of a fork that collects garbage, a process group of ours among it."""
    import gc
    import multiprocessing

    import torch.distributed as dist

    from mlmref.base.ranks.process import world_size

    def leave_garbage():
        group = None
        if world_size() > 1:
            store = dist.PrefixStore("forgotten", dist.distributed_c10d._get_default_store())
            group = dist.ProcessGroupGloo(store, dist.get_rank(), world_size())
        cycle = [group]
        cycle.append(cycle)

    gc.disable()  # here the garbage is to last until the fork
    try:
        leave_garbage()
        forked = multiprocessing.get_context("fork").Process(target=gc.collect)
        forked.start()
        forked.join(30)
        forked.kill()
        return forked.exitcode
    finally:
        gc.enable()


def said(phase):
    """Return what a phase raises, as text, with its exit status."""
    try:
        phase()
    except Exception as error:  # noqa: BLE001 - it is to be looked at
        return [type(error).__name__, str(error), getattr(error, "status", None)]
    return None


def exchanged(here):
    """Return what ranks were told, and what came of adding up."""
    import numpy as np
    import torch

    from mlmref.base.ranks.process import broadcast, broadcast_tensor, sum_over_ranks

    tensors = [
        torch.full((2, 3), float(here)),
        torch.tensor(here),
        torch.tensor([True, False]) ^ bool(here),
        torch.zeros(3, dtype=torch.bfloat16) + here,
        torch.zeros(0),
        torch.full((4, 4), here).t()[::2],
    ]
    return {
        "value": broadcast({"a": [1, None, "é", float("inf")]} if here == 0 else object()),
        "nothing": broadcast(None if here == 0 else here),
        "tensors": [broadcast_tensor(one).tolist() for one in tensors],
        "sum": sum_over_ranks(np.array([1.0, here])).tolist(),
    }


def figures():
    """Return evaluations in several cuts, and what the steps of every rank consist of."""
    import numpy as np
    from support.jobs import masker, some_chunks
    from support.models import tiny_model

    from mlmref.base.ranks.process import gather, rank, world_size
    from mlmref.evaluation.perplexity import evaluate
    from mlmref.model.loss import MaskedLMObjective
    from mlmref.training.steps import StepPlan, TrainingSteps, loader

    objective, chunks = MaskedLMObjective(tiny_model("bert").eval()), some_chunks(50, pad=True)
    one = chunks.select(np.arange(1))
    plan = StepPlan(
        examples=len(chunks), batch_size=8 // world_size(), accumulation=1, world_size=world_size()
    )
    cuts = {}
    for workers in (0, 1, 2):
        steps = TrainingSteps(chunks, masker(), plan, seed=42, rank=rank())
        rows = [
            [
                hashlib.sha256(row.numpy().tobytes()).hexdigest()
                for micro_batch in step
                for row in micro_batch["labels"]
                if (row >= 0).any()
            ]
            for step in loader(steps, 0, 2 * plan.steps_per_epoch, workers)
        ]
        every = gather(rows)
        cuts[str(workers)] = [sorted(chain(*step)) for step in zip(*every, strict=True)]
    sizes = {}
    for size in (1, 7, 64):
        measured = evaluate(objective, chunks, masker(), batch_size=size)
        sizes[str(size)] = [measured.perplexity, measured.targets, measured.correct]
    few = evaluate(objective, one, masker())
    return {"steps": cuts, "evaluations": sizes, "a single chunk": [few.perplexity, few.targets]}


def trained(backend):
    """Return the losses of a model with a layer that is never used, and of one with few targets."""
    from support.jobs import masker, some_chunks, train
    from support.models import without_dropout
    from torch import nn

    from mlmref.base.ranks.process import world_size

    losses = {}
    for name, rate in (("unused", 0.15), ("few targets", 0.01)):
        model = without_dropout("bert")
        if name == "unused":
            model.bert.forgotten = nn.Linear(3, 3)
        cut = {"batch_size": 4 // world_size(), "accumulation": 2, "epochs": 2}
        masks = masker(mlm_probability=rate)
        done = train(backend, model=model, chunks=some_chunks(17), masker_=masks, **cut)
        losses[name] = done.losses()
    return losses


def faulty(fault):
    """Put something wrong into this process, if it is on the rank of the fault."""
    from mlmref.base.errors import CorpusError
    from mlmref.base.ranks import consensus as together
    from mlmref.base.ranks.process import rank
    from mlmref.runner import identity
    from mlmref.runner import run as runner
    from mlmref.training import job

    what, _, where = fault.partition(":")
    if where and int(where) != rank():
        return
    after_step = job.Job.after_step

    def fails(*_):
        raise CorpusError("nothing in it", where="there.txt", hint="look elsewhere")

    def fails_at_three(self, grad_norm):
        if self.done == 2:
            raise ZeroDivisionError("by nothing")
        after_step(self, grad_norm)

    def slow(self, grad_norm):
        time.sleep(0.05)
        after_step(self, grad_norm)

    if what == "prepare":
        runner.prepare = fails
    elif what == "version":
        true = identity.version
        identity.version = lambda name: "another" if name == "torch" else true(name)
    elif what == "one GPU":
        import torch

        together._PATIENCE = 2.0  # the main process has not joined, and cannot say when it is done
        torch.accelerator.is_available = lambda: True
        torch.accelerator.current_accelerator = lambda: torch.device("cuda")
        torch.accelerator.device_count = lambda: 1
    elif what != "none":
        job.Job.after_step = {"step": fails_at_three, "slow": slow}[what]


if __name__ == "__main__":
    if sys.argv[1] == "facts":
        from mlmref.base.ranks.process import rank

        found = facts()
        Path(sys.argv[2], f"rank-{rank()}.json").write_text(json.dumps(found), "utf-8")
    else:
        from mlmref.cli import main

        faulty(sys.argv.pop(1))
        main()
