"""The loss at masked positions, against the plain forward (spec/model.md)."""

import pytest
import torch
from support.models import (
    FAMILIES,
    VARIANTS,
    VOCABULARY,
    sweep,
    tiny_model,
    variant,
    without_dropout,
)
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mlmref.base.errors import ModelError
from mlmref.model import gathering, projection
from mlmref.model.choose_path import choose_path
from mlmref.model.loss import MaskedLMObjective
from mlmref.model.unchanged import evaluating
from mlmref.plugin.arrays import IGNORE_INDEX


def batch(rows=3, width=16, share=0.3, seed=1):
    """Return inputs, attention mask and labels with some padding at the end of the first row."""
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(5, VOCABULARY, (rows, width), generator=generator)
    attention = torch.ones_like(input_ids)
    input_ids[0, -3:], attention[0, -3:] = 1, 0
    chosen = (torch.rand(rows, width, generator=generator) < share) & (attention == 1)
    labels = torch.where(chosen, input_ids, IGNORE_INDEX)
    return input_ids, attention, labels


def plain_loss(model, input_ids, attention, labels):
    """Return the summed cross-entropy over all logits, as Transformers' heads compute it."""
    logits = model(input_ids=input_ids, attention_mask=attention).logits
    return F.cross_entropy(
        logits.reshape(-1, logits.shape[-1]).float(),
        labels.reshape(-1),
        ignore_index=IGNORE_INDEX,
        reduction="sum",
    )


PATHS = ("plain", "gathered", "projected")

# Whose head ends otherwise than in a plain projection: a bias added after it, or a weight that
# is put together from two.
NOT_PROJECTED = {"bart", "esm", "mbart", "mobilebert", "mvp"}


@pytest.mark.clause("LOSS-001")
@pytest.mark.parametrize("family", sweep(*FAMILIES))
def test_loss_and_gradients_equal_the_plain_forward_for_every_family(family):
    """Gathered and projected, in training mode: the same loss and the same gradients."""
    model = without_dropout(family).train()
    inputs = batch()
    plain = plain_loss(model, *inputs)
    plain.backward()
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    chosen = choose_path(model)
    assert chosen == ("gathered" if family in NOT_PROJECTED else "projected")
    for path in PATHS[1 : 1 + PATHS.index(chosen)]:
        model.zero_grad(set_to_none=True)
        objective = MaskedLMObjective(model, path)
        loss = objective(*inputs, weight=1.0)["loss"]
        loss.backward()
        torch.testing.assert_close(loss, plain, rtol=1e-5, atol=1e-5)
        got = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        assert got.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(got[name], gradient, rtol=1e-4, atol=1e-4, msg=name)
        losses, _ = objective.losses(*inputs)
        torch.testing.assert_close(losses.sum(), plain.detach(), rtol=1e-5, atol=1e-5)


class LooksAround(torch.nn.Module):
    """A head that adds the next position's hidden state, as no shipped one does."""

    def __init__(self, head):
        super().__init__()
        self.head = head
        self.predictions = head.predictions

    def forward(self, hidden):
        """Return logits of each position and its neighbour."""
        return self.head(hidden + hidden.roll(1, dims=1))


class Doubles(torch.nn.Module):
    """A head that does something after its last projection."""

    def __init__(self, head):
        super().__init__()
        self.head = head
        self.predictions = head.predictions

    def forward(self, hidden):
        """Return logits twice as large."""
        return 2 * self.head(hidden)


class Caps(torch.nn.Module):
    """A head whose logits are softly capped at 30."""

    def __init__(self, head):
        super().__init__()
        self.head = head
        self.predictions = head.predictions

    def forward(self, hidden):
        """Return capped logits."""
        return 30 * torch.tanh(self.head(hidden) / 30)


class Fails(torch.nn.Module):
    """A head that takes whole batches only."""

    def forward(self, hidden):
        """Raise unless there are two rows, or three."""
        if hidden.shape[0] not in {2, 3}:
            raise RuntimeError("expected two rows or three")
        return hidden.new_zeros(*hidden.shape[:2], VOCABULARY)


@pytest.mark.clause("LOSS-002")
@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (LooksAround, "plain"),
        (Doubles, "gathered"),
        (Caps, "gathered"),
        (lambda _: Fails(), "plain"),
    ],
)
def test_a_head_that_a_shortcut_would_change_is_found_out(wrap, path):
    """It gets the quickest way that is right for it, and its loss is the plain one."""
    model = tiny_model("bert").eval()
    assert choose_path(model) == "projected"
    model.cls = wrap(model.cls)
    assert choose_path(model) == path
    loss = MaskedLMObjective(model).eval()(*batch(), weight=1.0)["loss"]
    torch.testing.assert_close(loss, plain_loss(model, *batch()))


@pytest.mark.clause("MODEL-004")
def test_a_model_that_does_not_answer_each_token_is_refused():
    """Perceiver answers 64 places for 8 tokens, which labels have no place in."""
    with pytest.raises(ModelError, match=r"answers \[2, 8\] tokens with \[2, 64\] places"):
        choose_path(tiny_model("perceiver"))


@pytest.mark.clause("LOSS-002")
def test_choosing_leaves_the_model_as_it_was():
    """Training mode and every weight are the same to the last bit afterwards."""
    model = tiny_model("bert").train()
    before = [one.clone() for one in model.state_dict().values()]
    choose_path(model)
    assert model.training
    assert all(map(torch.equal, model.state_dict().values(), before))


@pytest.mark.clause("LOSS-003")
@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
def test_a_batch_without_targets_has_no_loss_and_no_gradient(family):
    """All labels -100: loss 0, gradients 0, nothing NaN."""
    model = tiny_model(family)
    input_ids, attention, labels = batch()
    objective = MaskedLMObjective(model).train()
    loss = objective(input_ids, attention, torch.full_like(labels, IGNORE_INDEX), weight=0.0)
    loss["loss"].backward()
    assert loss["loss"].item() == 0.0
    assert all(not p.grad.any() for p in model.parameters() if p.grad is not None)
    assert objective.idle


@pytest.mark.clause("LOSS-004")
@pytest.mark.parametrize("path", PATHS)
def test_nothing_stays_on_the_model_even_when_the_forward_fails(path):
    """No hook and no replaced layer, after success and after failure."""
    model = tiny_model("bert").eval()
    objective = MaskedLMObjective(model, path)
    expected = model(input_ids=batch()[0]).logits
    input_ids, attention, labels = batch()
    objective(input_ids, attention, labels, weight=1.0)
    with pytest.raises(IndexError):
        objective(input_ids + VOCABULARY, attention, labels, weight=1.0)
    assert not model.base_model._forward_hooks
    assert "forward" not in vars(model.get_output_embeddings())
    assert torch.equal(model(input_ids=input_ids).logits, expected)


@pytest.mark.clause("BACK-003")
def test_sums_are_taken_once():
    """What was summed since the last time is handed out, and then forgotten."""
    objective = MaskedLMObjective(tiny_model("bert").eval())
    inputs = batch()
    nll = objective(*inputs, weight=0.5)["loss"].item() * 2
    objective(*inputs, weight=0.5)
    total, targets = objective.take_sums()
    assert total == pytest.approx(2 * nll)
    assert targets == 2 * int((inputs[2] != IGNORE_INDEX).sum())
    assert objective.take_sums() == (0.0, 0)


class Largest(TorchDispatchMode):
    """Notes the most elements of an array that torch makes."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Let it be made, and look at it."""
        made = function(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, torch.Tensor):
                self.elements = max(self.elements, one.numel())
        return made


@pytest.mark.clause("LOSS-007")
@pytest.mark.parametrize("rows", [4, 40])
def test_no_array_has_the_size_of_all_logits(monkeypatch, rows):
    """Ten times the targets, and the largest array is a block's or the weight's still."""
    model = tiny_model("bert", vocab_size=2_000)
    monkeypatch.setattr(projection, "BLOCK", 20 * 2_000)
    ids = torch.arange(rows * 16).reshape(rows, 16) % 2_000
    inputs = (ids, torch.ones_like(ids), ids)
    objective = MaskedLMObjective(model, "projected")
    with Largest() as largest:
        objective(*inputs, weight=1.0)["loss"].backward()
        objective.losses(*inputs)
    assert largest.elements == 2_000 * 32  # the weight of the projection, and its gradient
    with Largest() as largest:
        plain_loss(model, *inputs)
    assert largest.elements == ids.numel() * 2_000


def everything(model):
    """Return what a forward pass could change, by name: attributes, buffers, configuration."""
    found = {"configuration": model.config.to_json_string()}
    for name, module in model.named_modules():
        found[name] = (id(module), type(module).__name__)
        for key, value in vars(module).items():
            if isinstance(value, dict):
                found[name, key] = [(one, id(held)) for one, held in value.items()]
            elif isinstance(value, str | int | float | tuple | list | set) or value is None:
                found[name, key] = repr(value)
            else:
                found[name, key] = id(value)
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for key, tensor in own:
            value = tensor.detach().clone().reshape(-1)
            found[name, key, "value"] = value.view(torch.uint8).numpy().tobytes()
            found[name, key, "gradient"] = tensor.grad
    return found


# They write to themselves in evaluation mode, and the sweep has to notice it.
CHANGE = {"big_bird-sparse", "eurobert-dynamic", "funnel", "ibert-quantized", "reformer-lsh"}


@pytest.mark.clause("LOSS-008")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("family", sweep(*FAMILIES, *VARIANTS))
def test_looking_at_a_model_of_any_family_changes_nothing(family, training):
    """The probe of its loss, a step that is tried, and losses of short rows and of long ones."""
    model = variant(family).train(training)
    long = min(40, getattr(model.config, "max_position_embeddings", 64) * 3 // 2)
    before, generator = everything(model), torch.get_rng_state()

    objective = MaskedLMObjective(model, length=16).train(training)
    with evaluating(model):
        for width in (12, long):
            objective.losses(*batch(width=width))
    objective.trial_losses()
    objective.trial()
    objective.reseeds()

    after = everything(model)
    assert {
        key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
    } == set()
    assert torch.equal(torch.get_rng_state(), generator)
    assert objective.take_sums() == (0.0, 0)
    with torch.no_grad():
        for width in (12, long):
            ids, attention, _ = batch(width=width)
            model.eval()(input_ids=ids, attention_mask=attention)
        unguarded = everything(model.train(training))
    assert (unguarded != before) == (family in CHANGE)


@pytest.mark.clause("LOSS-008")
def test_a_failed_forward_pass_changes_nothing():
    """BigBird has replaced its attention when the head fails, and has its own again."""
    model = variant("big_bird-sparse").train()
    sparse = model.bert.encoder.layer[0].attention.self

    def fails(*_):
        assert model.bert.attention_type == "original_full"
        raise ZeroDivisionError

    model.cls.register_forward_hook(fails)
    with pytest.raises(ZeroDivisionError):
        MaskedLMObjective(model, "plain").losses(*batch(width=8))
    assert model.bert.attention_type == "block_sparse"
    assert model.bert.encoder.layer[0].attention.self is sparse


@pytest.mark.clause("MODEL-014")
@pytest.mark.parametrize("family", sweep(*FAMILIES, *VARIANTS))
def test_a_family_that_seeds_torch_in_training_is_found(family):
    """Reformer does, in each of its forms, and no other family."""
    objective = MaskedLMObjective(variant(family), "plain", length=8)
    assert objective.reseeds() is family.startswith("reformer")


@pytest.mark.clause("MODEL-014")
def test_a_fixed_seed_is_found_too():
    """A layer that seeds torch with the same number each time: the dropout is always the same."""
    model = tiny_model("bert")
    assert not MaskedLMObjective(model).reseeds()
    model.bert.embeddings.register_forward_hook(lambda *_: torch.manual_seed(3) and None)
    assert MaskedLMObjective(model).reseeds()


@pytest.mark.clause("LOSS-009")
@pytest.mark.parametrize("rows", [4, 40])
@pytest.mark.parametrize("family", ["mobilebert", "bart", "esm"])
def test_an_evaluation_without_a_plain_projection_is_in_blocks(monkeypatch, family, rows):
    """No array but those of the weights has more elements than a block; the losses are the same."""
    model = without_dropout(family, vocab_size=4_000).eval()
    ids = torch.arange(rows * 16).reshape(rows, 16) % 4_000
    inputs = (ids, torch.ones_like(ids), ids)
    objective = MaskedLMObjective(model, "gathered")
    expected, _ = objective.losses(*inputs)
    monkeypatch.setattr(gathering, "GPU_BLOCK", 20 * 4_000)
    runs = []
    model.base_model.register_forward_pre_hook(lambda *_: runs.append(1))
    with Largest() as largest:
        losses, hits = objective.losses(*inputs)
    assert largest.elements <= 4_000 * 33
    assert len(runs) == -(-ids.numel() // 20)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    assert hits.shape == losses.shape


@pytest.mark.clause("LOSS-009")
def test_a_head_that_needs_every_position_sees_a_row_at_a_time(monkeypatch):
    """With a block of one row, no array has more logits than that row's."""
    model = tiny_model("bert", vocab_size=1_000).eval()
    model.cls = LooksAround(model.cls)
    ids = torch.arange(40 * 16).reshape(40, 16) % 1_000
    inputs = (ids, torch.ones_like(ids), ids)
    objective = MaskedLMObjective(model, "plain")
    expected, _ = objective.losses(*inputs)
    monkeypatch.setattr(gathering, "GPU_BLOCK", 16 * 1_000)
    with Largest() as largest:
        losses, _ = objective.losses(*inputs)
    assert largest.elements == 1_000 * 32  # the weight of the projection
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.clause("LOSS-003")
@pytest.mark.parametrize("path", PATHS)
def test_an_evaluation_without_targets_has_no_losses(path):
    """All labels -100: no loss and no hit, whatever the path."""
    ids, attention, labels = batch()
    objective = MaskedLMObjective(tiny_model("bert").eval(), path)
    losses, hits = objective.losses(ids, attention, torch.full_like(labels, IGNORE_INDEX))
    assert (losses.dtype, hits.dtype) == (torch.float32, torch.bool)
    assert losses.shape == hits.shape == (0,)
