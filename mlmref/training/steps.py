"""The chunks and masks of each training step (clauses ORDER-001 to ORDER-005).

A step is a pure function of (seed, step, rank). No generator has a state that advances, so
workers, ranks, backends and resuming do not change the training data.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mlmref.data.chunks import Chunks
from mlmref.masking.masker import Masker
from mlmref.plugin.arrays import IGNORE_INDEX, Int64Array
from mlmref.plugin.draws import Draws
from mlmref.plugin.training import MicroBatch, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """The number of examples in a step, and of steps in an epoch.

    Attributes:
        examples: number of training chunks.
        batch_size: chunks in a micro-batch on one rank.
        accumulation: micro-batches in a step on one rank.
        world_size: number of ranks.
    """

    examples: int
    batch_size: int
    accumulation: int
    world_size: int

    @property
    def window(self) -> int:
        """Examples in a full step, over micro-batches and ranks."""
        return self.batch_size * self.accumulation * self.world_size

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch; the last may have fewer examples, but no example is dropped."""
        return -(-self.examples // self.window)

    def share(self, examples: int, rank: int) -> list[slice]:
        """Return which of a step's examples each micro-batch of a rank has, evenly distributed.

        Every rank has the same number of micro-batches: at most ``accumulation``, each with at
        most ``batch_size`` examples. In a short last step some may be empty.
        """
        parts = -(-examples // (self.batch_size * self.world_size)) * self.world_size
        edges = np.linspace(0, examples, parts + 1).astype(int)
        return [slice(edges[i], edges[i + 1]) for i in range(rank, parts, self.world_size)]


class TrainingSteps(Dataset[Step]):
    """The steps of one rank: ``steps[i]`` is the run's optimizer step ``i``, from 0.

    Args:
        chunks: the training chunks.
        masker: masks the chunks; the pass is the epoch's number, from 0.
        plan: the shape of a step.
        seed: seeds the order of examples and dropout.
        rank: the rank that receives the micro-batches.
    """

    def __init__(
        self, chunks: Chunks, masker: Masker, plan: StepPlan, *, seed: int, rank: int
    ) -> None:
        self._chunks, self._masker, self._plan = chunks, masker, plan
        self._seed, self._rank = seed, rank
        self._last: tuple[int, Int64Array] | None = None  # the last epoch used, and its order

    def tokens(self, step: int) -> int:
        """Return the tokens of a step over all ranks, without padding."""
        epoch, within = divmod(step, self._plan.steps_per_epoch)
        return int(self._chunks.lengths[self._order(epoch)[self._window(within)]].sum())

    def __getitem__(self, step: int) -> Step:
        epoch, within = divmod(step, self._plan.steps_per_epoch)
        rows = self._order(epoch)[self._window(within)]
        # Every rank masks the whole step, since its loss is divided by the targets of all ranks.
        masked = self._masker(self._chunks.gather(rows), epoch)
        targets = int(np.count_nonzero(masked.labels != IGNORE_INDEX))
        # Ranks average their gradients; their number turns the mean into a sum.
        weight = self._plan.world_size / targets if targets else 0.0
        whole = {
            "input_ids": torch.from_numpy(masked.input_ids).long(),
            "attention_mask": torch.from_numpy(masked.attention_mask).long(),
            "labels": torch.from_numpy(masked.labels).long(),
        }
        return [
            _micro_batch(whole, part, weight, self._dropout_seed(step, number))
            for number, part in enumerate(self._plan.share(len(rows), self._rank))
        ]

    def _window(self, within: int) -> slice:
        """Return the positions of a step's examples in the order of its epoch."""
        return slice(within * self._plan.window, (within + 1) * self._plan.window)

    def _order(self, epoch: int) -> Int64Array:
        # Not functools.cache, which cannot be pickled for a worker.
        if self._last is None or self._last[0] != epoch:
            self._last = epoch, self._shuffled(epoch)
        return self._last[1]

    def _shuffled(self, epoch: int) -> Int64Array:
        examples = np.arange(self._plan.examples, dtype=np.int64)
        draws = Draws(seed=self._seed, pass_=epoch, chunk_ids=examples, width=1)
        return np.argsort(draws.bits("order")[:, 0], kind="stable").astype(np.int64, copy=False)

    def _dropout_seed(self, step: int, micro_batch: int) -> int:
        key = f"dropout/{self._seed}/{step}/{self._rank}/{micro_batch}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) >> 1


def _micro_batch(
    whole: dict[str, torch.Tensor], part: slice, weight: float, seed: int
) -> MicroBatch:
    tensors = {key: value[part] for key, value in whole.items()}
    if part.start == part.stop:
        # Ranks run together, so a rank without examples runs one without targets.
        tensors = {key: value[:1] for key, value in whole.items()}
        tensors["labels"] = torch.full_like(tensors["labels"], IGNORE_INDEX)
    return {**tensors, "weight": weight, "seed": seed}


def loader(dataset: TrainingSteps, first: int, last: int, workers: int) -> DataLoader[Step]:
    """Return the steps ``first`` to ``last`` (exclusive), prepared by ``workers`` processes."""
    return DataLoader(
        dataset,
        batch_size=None,  # an item is a whole step already
        sampler=range(first, last),
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_apart,
    )


def _apart(_: int) -> None:
    """Put a worker into a process group of its own.

    A signal to the run's process group (Ctrl-C, timeout, a queue) then reaches only the main
    process, and its workers live until it has finished the step (RUN-014).
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)


def _as_it_is(step: Step) -> Step:
    return step
