"""The loss at masked positions, against the plain forward (spec/model.md)."""

import pytest
import torch
from support.models import FAMILIES, VOCABULARY, tiny_model
from torch.nn import functional as F

from mlmref.contracts import IGNORE_INDEX
from mlmref.objective import MaskedLMObjective, keeps_logits, target_logits


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


@pytest.mark.clause("LOSS-001")
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_equal_the_plain_forward_for_every_family(family):
    """Gathered and plain, in evaluation mode: the same loss and the same gradients."""
    model = tiny_model(family).eval()
    inputs = batch()
    plain = plain_loss(model, *inputs)
    plain.backward()
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)

    objective = MaskedLMObjective(model)
    assert objective.gathers, f"{family} takes the plain path: this comparison would be empty"
    loss = objective.eval()(*inputs, weight=1.0)["loss"]
    loss.backward()

    torch.testing.assert_close(loss, plain, rtol=1e-5, atol=1e-5)
    got = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert got.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-4, atol=1e-4, msg=name)


class LooksAround(torch.nn.Module):
    """A head that adds the next position's hidden state, as no shipped one does."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, hidden):
        """Return logits of each position and its neighbour."""
        return self.head(hidden + hidden.roll(1, dims=1))


@pytest.mark.clause("LOSS-002")
def test_a_head_that_looks_around_is_found_out_and_trained_plainly():
    """Its logits change when positions are left out, so none are."""
    model = tiny_model("bert").eval()
    assert keeps_logits(model)
    model.cls = LooksAround(model.cls)
    assert not keeps_logits(model)
    objective = MaskedLMObjective(model)
    loss = objective.eval()(*batch(), weight=1.0)["loss"]
    torch.testing.assert_close(loss, plain_loss(model, *batch()))


class Fails(torch.nn.Module):
    """A head that takes whole batches only."""

    def forward(self, hidden):
        """Raise unless there are two rows, or three."""
        if hidden.shape[0] not in {2, 3}:
            raise RuntimeError("expected two rows or three")
        return hidden.new_zeros(*hidden.shape[:2], VOCABULARY)


@pytest.mark.clause("LOSS-002")
@pytest.mark.clause("LOSS-004")
def test_a_head_that_refuses_gathered_positions_is_trained_plainly():
    """A head that raises on another shape takes the plain path, and no hook stays."""
    model = tiny_model("bert")
    model.cls = Fails()
    assert not keeps_logits(model)
    assert not model.base_model._forward_hooks
    assert model.training


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
def test_no_hook_stays_on_the_model_even_when_the_forward_fails():
    """The model is as it was after success and after failure."""
    model = tiny_model("bert").eval()
    target_logits(model, *batch(), gather=True)
    assert not model.base_model._forward_hooks
    input_ids, attention, labels = batch()
    with pytest.raises(IndexError):
        target_logits(model, input_ids + VOCABULARY, attention, labels, gather=True)
    assert not model.base_model._forward_hooks


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
