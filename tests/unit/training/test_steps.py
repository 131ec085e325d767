"""What a step trains on (spec/backends.md, ORDER)."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.jobs import Booked, masker, some_chunks

from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.training.steps import StepPlan, TrainingSteps, loader

plans = st.builds(
    StepPlan,
    examples=st.integers(1, 70),
    batch_size=st.integers(1, 9),
    accumulation=st.integers(1, 4),
    world_size=st.integers(1, 4),
)


@pytest.mark.clause("ORDER-001")
@pytest.mark.clause("ORDER-004")
@given(plans)
def test_each_example_is_dealt_once_and_evenly(plan):
    """Over steps, ranks and micro-batches every example of an epoch has one place."""
    dealt = []
    for step in range(plan.steps_per_epoch):
        size = min(plan.window, plan.examples - step * plan.window)
        assert size > 0
        shares = [plan.share(size, rank) for rank in range(plan.world_size)]
        assert len({len(share) for share in shares}) == 1
        assert 1 <= len(shares[0]) <= plan.accumulation
        for share in shares:
            for part in share:
                assert part.stop - part.start <= plan.batch_size
                dealt += range(step * plan.window + part.start, step * plan.window + part.stop)
        sizes = [part.stop - part.start for share in shares for part in share]
        assert max(sizes) - min(sizes) <= 1
    assert sorted(dealt) == list(range(plan.examples))


CHUNKS = some_chunks(23, pad=True)


def steps(batch_size=4, accumulation=1, world_size=1, rank=0, seed=42, chunks=CHUNKS):
    """Return the steps of one rank."""
    plan = StepPlan(
        examples=len(chunks),
        batch_size=batch_size,
        accumulation=accumulation,
        world_size=world_size,
    )
    return TrainingSteps(chunks, masker(), plan, seed=seed, rank=rank), plan


def flat(step, key="input_ids"):
    """Return a step's rows as one array, whatever its micro-batches."""
    return torch.cat([micro_batch[key] for micro_batch in step]).numpy()


@pytest.mark.clause("ORDER-001")
def test_the_order_is_a_permutation_of_its_own_in_each_epoch():
    """All chunks in each epoch; another order in the next and with another seed."""
    stream, plan = steps(batch_size=5)
    epochs = [
        np.concatenate(
            [
                flat(stream[epoch * plan.steps_per_epoch + i], "attention_mask").sum(1)
                for i in range(plan.steps_per_epoch)
            ]
        )
        for epoch in range(2)
    ]
    expected = sorted(CHUNKS.lengths.tolist())
    assert [sorted(epoch.tolist()) for epoch in epochs] == [expected, expected]
    orders = [
        steps(seed=seed)[0]._order(epoch).tolist() for seed, epoch in ((1, 0), (1, 1), (2, 0))
    ]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == list(range(23)) for order in orders)


@pytest.mark.clause("ORDER-002")
@given(st.permutations(range(12)))
def test_a_step_does_not_depend_on_what_was_asked_before(order):
    """Asked in any order, over two epochs, each step is the same to the last bit."""
    first, again = steps()[0], steps()[0]
    expected = {number: first[number] for number in range(12)}
    for number in order:
        for one, other in zip(expected[number], again[number], strict=True):
            assert one["weight"] == other["weight"]
            assert one["seed"] == other["seed"]
            for key in ("input_ids", "attention_mask", "labels"):
                assert torch.equal(one[key], other[key])


@pytest.mark.clause("ORDER-002")
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_change_nothing(workers):
    """The loader gives the same steps with any number of processes, from any step on."""
    stream, _ = steps()
    loaded = list(loader(stream, 2, 12, workers))
    assert len(loaded) == 10
    for number, step in enumerate(loaded, start=2):
        assert np.array_equal(flat(step), flat(stream[number]))
        assert np.array_equal(flat(step, "labels"), flat(stream[number], "labels"))


@pytest.mark.clause("ORDER-003")
@pytest.mark.parametrize(
    ("batch_size", "accumulation", "world_size"),
    [(4, 2, 1), (2, 4, 1), (1, 8, 1), (4, 1, 2), (2, 2, 2), (1, 4, 2)],
)
def test_a_step_is_the_same_for_any_cut(batch_size, accumulation, world_size):
    """Eight examples in a step: the same rows, masks and, in sum, weights for each cut."""
    whole, plan = steps(batch_size=8)
    ranks = [steps(batch_size, accumulation, world_size, rank)[0] for rank in range(world_size)]
    for number in range(2 * plan.steps_per_epoch):
        expected = whole[number]
        parts = [rank[number] for rank in ranks]
        rows = [
            row
            for step in parts
            for micro in step
            for row in torch.cat([micro["input_ids"], micro["labels"]], dim=1).tolist()
            if any(label != IGNORE_INDEX for label in row[16:])
        ]
        wanted = torch.cat([expected[0]["input_ids"], expected[0]["labels"]], dim=1).tolist()
        wanted = [row for row in wanted if any(label != IGNORE_INDEX for label in row[16:])]
        assert sorted(rows) == sorted(wanted)
        weights = {micro["weight"] for step in parts for micro in step}
        assert weights == {expected[0]["weight"] * world_size}


@pytest.mark.clause("ORDER-004")
def test_a_rank_without_an_example_runs_on_one_that_does_not_count():
    """Three chunks on four ranks: the idle rank's micro-batch has no label."""
    chunks = CHUNKS.select(np.arange(3))
    ranks = [steps(2, 1, 4, rank, chunks=chunks)[0][0] for rank in range(4)]
    labels = [flat(step, "labels") for step in ranks]
    assert [len(step) for step in ranks] == [1, 1, 1, 1]
    assert sum((rows == IGNORE_INDEX).all() and len(rows) == 1 for rows in labels) >= 1
    whole, _ = steps(8, chunks=chunks)
    assert sum(np.count_nonzero(rows != IGNORE_INDEX) for rows in labels) == np.count_nonzero(
        flat(whole[0], "labels") != IGNORE_INDEX
    )


def masks(stream, first, last):
    """Return what each row of some steps is masked to, by what it is without masks."""
    found = {}
    for number in range(first, last):
        for micro in stream[number]:
            labels = micro["labels"]
            true = torch.where(labels == IGNORE_INDEX, micro["input_ids"], labels)
            for row, masked, label in zip(true, micro["input_ids"], labels, strict=True):
                if bool((label != IGNORE_INDEX).any()):  # a row that fills up has no labels
                    found[tuple(row.tolist())] = (masked.tolist(), label.tolist())
    return found


@pytest.mark.clause("MASK-001")
@pytest.mark.clause("MASK-002")
@pytest.mark.clause("ORDER-002")
@given(st.data())
def test_a_chunk_has_one_mask_in_an_epoch_wherever_it_turns_up(data):
    """Whatever the batch, its company, the rank, and the step and ranks that a run goes on with."""
    epoch = data.draw(st.integers(0, 2))
    chunks = CHUNKS.gather(np.arange(len(CHUNKS)))
    masked = masker()(chunks, epoch)
    expected = {
        tuple(row.tolist()): (inputs.tolist(), labels.tolist())
        for row, inputs, labels in zip(
            chunks.input_ids, masked.input_ids, masked.labels, strict=True
        )
        if (labels != IGNORE_INDEX).any()
    }
    window = data.draw(st.sampled_from([1, 2, 4, 8, 12]))
    found = {}
    per_epoch = -(-len(CHUNKS) // window)
    first = epoch * per_epoch
    while first < (epoch + 1) * per_epoch:  # each part of the epoch on another layout
        last = data.draw(st.integers(first + 1, (epoch + 1) * per_epoch))
        world_size = data.draw(st.sampled_from([n for n in (1, 2, 4) if window % n == 0]))
        accumulation = data.draw(st.sampled_from([window // world_size, 1]))
        for rank in range(world_size):
            batch_size = window // world_size // accumulation
            stream, _ = steps(batch_size, accumulation, world_size, rank)
            found |= masks(stream, first, last)
        first = last
    assert found == expected


@pytest.mark.clause("ORDER-005")
def test_each_epoch_has_masks_of_its_own():
    """The masks of an epoch are the masker's for that pass, and differ from the others'."""
    stream, plan = steps(batch_size=23)
    assert plan.steps_per_epoch == 1
    seen = []
    for epoch in range(3):
        expected = masker()(CHUNKS.gather(stream._order(epoch)), epoch)
        assert np.array_equal(flat(stream[epoch]), expected.input_ids)
        assert np.array_equal(flat(stream[epoch], "labels"), expected.labels)
        by_chunk = expected.labels[np.argsort(stream._order(epoch))] != IGNORE_INDEX
        seen.append(by_chunk.tobytes())
    assert len(set(seen)) == 3


@pytest.mark.clause("BACK-003")
def test_the_weight_is_one_over_the_steps_targets():
    """Micro-batches of unequal targets share the weight of the whole step."""
    stream, plan = steps(batch_size=2, accumulation=3)
    for number in range(plan.steps_per_epoch):
        targets = np.count_nonzero(flat(stream[number], "labels") != IGNORE_INDEX)
        assert {micro["weight"] for micro in stream[number]} == {1 / targets}


@pytest.mark.clause("BACK-005")
def test_dropout_seeds_differ_by_seed_step_rank_and_micro_batch():
    """No two micro-batches of a run share a seed."""
    seeds = [
        micro["seed"]
        for seed in (1, 2)
        for rank in (0, 1)
        for number in range(4)
        for micro in steps(2, 2, 2, rank, seed=seed)[0][number]
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.clause("CONF-010")
def test_training_has_a_seed_of_its_own():
    """Order, masks and dropout are those of a run under that seed; evaluation's masks are not."""

    def steps(**seeds):
        booked = Booked(masker_=masker(seed=seeds["run"]), seed=seeds["run"], epochs=2)
        training = booked.job.config.training.model_copy(update={"seed": seeds.get("training")})
        booked.job.config = booked.job.config.model_copy(update={"training": training})
        assert booked.job.masker.seed == seeds["run"]
        taken = [micro for step in booked.job.steps() for micro in step]
        return [
            [value.tolist() if torch.is_tensor(value) else value for value in one.values()]
            for one in taken
        ]

    assert steps(run=1, training=7) == steps(run=7) == steps(run=7, training=7)
    assert steps(run=1) != steps(run=1, training=7)
    assert steps(run=1, training=0) == steps(run=0)
