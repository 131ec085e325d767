"""The projection onto the vocabulary, a block at a time (spec/model.md, LOSS)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mlmref.model import projection
from mlmref.model.projection import blocks, linear_cross_entropy, linear_losses


def problem(rows=13, width=6, vocabulary=11, scale=1.0, dtype=torch.float64, seed=0):
    """Return hidden states, weight, bias and targets."""
    generator = torch.Generator().manual_seed(seed)
    hidden, weight, bias = (
        (scale * torch.randn(shape, generator=generator, dtype=dtype)).requires_grad_()
        for shape in ((rows, width), (vocabulary, width), (vocabulary,))
    )
    return hidden, weight, bias, torch.randint(0, vocabulary, (rows,), generator=generator)


def both(hidden, weight, bias, targets):
    """Return loss and gradients of ours and of torch's, each scaled by 0.3."""
    leaves = [one for one in (hidden, weight, bias) if one is not None]
    losses = (
        linear_cross_entropy(hidden, weight, bias, targets)[0],
        F.cross_entropy(F.linear(hidden, weight, bias), targets, reduction="sum"),
    )
    return [(loss.detach(), torch.autograd.grad(0.3 * loss, leaves)) for loss in losses]


@pytest.mark.clause("LOSS-001")
@pytest.mark.parametrize("with_bias", [True, False])
def test_loss_and_gradients_are_torchs(with_bias):
    """In float64, against cross_entropy(linear(...)), and against finite differences."""
    hidden, weight, bias, targets = problem()
    bias = bias if with_bias else None
    ours, theirs = both(hidden, weight, bias, targets)
    torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradcheck(linear_cross_entropy, (hidden, weight, bias, targets))


@pytest.mark.clause("LOSS-005")
@given(rows=st.integers(0, 40), height=st.integers(1, 45), seed=st.integers(0, 5))
def test_the_block_size_does_not_matter(rows, height, seed):
    """Any number of rows cut at any height, no row at all included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projection, "BLOCK", height * 11 + 10)
        cuts = blocks(rows, 11)
        assert [i for cut in cuts for i in range(cut.start, cut.stop)] == list(range(rows))
        assert all(0 < cut.stop - cut.start <= height for cut in cuts)
        inputs = problem(rows, seed=seed)
        ours, theirs = both(*inputs)
        torch.testing.assert_close(ours, theirs)
        losses, hits = linear_losses(*inputs)
    logits = F.linear(*inputs[:3])
    expected = F.cross_entropy(logits, inputs[3], reduction="none").float()
    torch.testing.assert_close(losses, expected.detach())
    assert torch.equal(hits, logits.argmax(1) == inputs[3])


@pytest.mark.clause("LOSS-005")
def test_a_vocabulary_larger_than_a_block_is_taken_row_by_row():
    """There is always at least a row in a block."""
    assert blocks(3, projection.BLOCK * 2) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert len(blocks(2_000, 30_000)) == 10
    assert blocks(2_000, 30_000, "cuda") == [slice(0, 2_000)]


@pytest.mark.clause("LOSS-001")
@given(
    scale=st.sampled_from([1.0, 0.25, 1e-3, 0.0]), dtype=st.sampled_from(["float64", "bfloat16"])
)
def test_the_scale_is_a_factor_on_loss_and_gradients(scale, dtype):
    """As a product outside would be; the sum beside it is unscaled and has no gradient."""
    inputs = problem(dtype=torch.float64)
    leaves = [one.to(getattr(torch, dtype)).detach().requires_grad_() for one in inputs[:3]]
    loss, nll = linear_cross_entropy(*leaves, inputs[3], scale)
    outside, same = linear_cross_entropy(*leaves, inputs[3])
    assert not nll.requires_grad
    assert torch.equal(nll, same)
    torch.testing.assert_close(loss, outside * scale)
    got, expected = (torch.autograd.grad(one, leaves) for one in (loss, outside * scale))
    torch.testing.assert_close(got, expected)


@pytest.mark.clause("LOSS-001")
def test_a_graph_that_is_retained_gives_the_same_again():
    """Gradients are handed over the first time and made anew the second."""
    *leaves, targets = problem()
    loss, _ = linear_cross_entropy(*leaves, targets)
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    for one in first:
        one.fill_(7.0)  # the receiver's to do with as it likes
    expected = torch.autograd.grad(
        F.cross_entropy(F.linear(*leaves), targets, reduction="sum"), leaves
    )
    torch.testing.assert_close(torch.autograd.grad(loss, leaves), expected)


@pytest.mark.clause("LOSS-001")
def test_the_first_choice_is_the_first_of_the_highest():
    """As argmax has it, where several tokens share the highest logit and where none does."""
    hidden, weight, targets = torch.zeros(9, 4), torch.randn(5, 4), torch.arange(9) % 5
    hidden[5:] = torch.randn(4, 4)
    _, hits = linear_losses(hidden, weight, None, targets)
    assert torch.equal(hits, F.linear(hidden, weight).argmax(1) == targets)
    assert hits[0]
    assert not hits[1]


@pytest.mark.clause("LOSS-006")
def test_extreme_logits_stay_finite():
    """Logits of thousands, in float32: torch's own figures, nothing infinite."""
    ours, theirs = both(*problem(scale=60.0, dtype=torch.float32))
    assert torch.isfinite(ours[0])
    assert all(torch.isfinite(one).all() for one in ours[1])
    torch.testing.assert_close(ours, theirs)


@pytest.mark.clause("LOSS-001")
def test_only_the_gradients_that_are_wanted_are_computed():
    """A frozen weight gets none, and the others are as before."""
    hidden, weight, bias, targets = problem()
    expected = both(hidden, weight, bias, targets)[1][1]
    frozen = weight.detach()
    loss, _ = linear_cross_entropy(hidden, frozen, bias, targets)
    got = torch.autograd.grad(0.3 * loss, [hidden, bias])
    torch.testing.assert_close(got, (expected[0], expected[2]))


@pytest.mark.clause("LOSS-001")
def test_half_precision_sums_in_float32():
    """Under autocast to bfloat16 the loss is float32 and near the exact one."""
    hidden, weight, bias, targets = problem(rows=200, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = linear_cross_entropy(hidden, weight, bias, targets)
    exact = F.cross_entropy(F.linear(hidden, weight, bias), targets, reduction="sum")
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    gradient = torch.autograd.grad(loss, weight)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(exact, weight)[0], rtol=0.05, atol=0.3)


@pytest.mark.clause("LOSS-006")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_many_equal_targets_do_not_overflow_in_half_precision(dtype):
    """Sums over 20,000 targets of a small vocabulary stay finite, and near the exact ones."""
    hidden = torch.full((20_000, 4), 100.0, requires_grad=True)
    weight = torch.zeros(8, 4, requires_grad=True)
    targets = torch.full((20_000,), 3)
    with torch.autocast("cpu", dtype=dtype):
        loss = linear_cross_entropy(hidden, weight, None, targets)[0] / 20_000
    exact = F.cross_entropy(F.linear(hidden, weight), targets)
    got, expected = (torch.autograd.grad(one, [hidden, weight]) for one in (loss, exact))
    torch.testing.assert_close(got, expected, rtol=0.02, atol=1e-6)


@pytest.mark.clause("LOSS-006")
@pytest.mark.parametrize("scaled", [1.0, 65_536.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_small_shares_are_not_lost_in_half_precision(dtype, scaled):
    """A uniform softmax over 30,522 words: each one's gradient, with a scaled loss or without.

    Divided by the number of targets before they are rounded they would all be zero in fp16.
    """
    targets = torch.full((1_229,), 3)
    leaves = [
        torch.ones(1_229, 4, requires_grad=True),
        torch.zeros(30_522, 4, requires_grad=True),
        torch.zeros(30_522, requires_grad=True),
    ]
    with torch.autocast("cpu", dtype=dtype):
        loss, _ = linear_cross_entropy(*leaves, targets, scale=1 / 1_229)
    exact = F.cross_entropy(F.linear(*leaves), targets)
    got = [one / scaled for one in torch.autograd.grad(scaled * loss, leaves)]
    torch.testing.assert_close(got, list(torch.autograd.grad(exact, leaves)), rtol=0.02, atol=1e-7)


@pytest.mark.clause("LOSS-001")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("half", [(), (0,), (0, 1, 2)], ids=["none", "hidden", "all"])
def test_a_second_backward_is_in_the_first_ones_precision(dtype, half):
    """Made anew outside autocast the gradients are the same, of the types that they are of."""
    *leaves, targets = problem(dtype=torch.float32)
    leaves = [
        one.detach().to(dtype if number in half else one.dtype).requires_grad_()
        for number, one in enumerate(leaves)
    ]
    with torch.autocast("cpu", dtype=dtype):
        loss, _ = linear_cross_entropy(*leaves, targets, scale=0.25)
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    assert [one.dtype for one in first] == [one.dtype for one in leaves]
    torch.testing.assert_close(torch.autograd.grad(loss, leaves), first, rtol=0, atol=0)


@pytest.mark.clause("LOSS-001")
def test_a_gradient_of_the_gradient_is_refused():
    """It would be without the projection's share, so it is an error."""
    hidden, *others, targets = problem()
    encoded = torch.nn.functional.gelu(hidden)
    loss, _ = linear_cross_entropy(encoded, *others, targets)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(loss, hidden, create_graph=True)


@pytest.mark.clause("LOSS-006")
@pytest.mark.parametrize(("other", "expected"), [(9_992.0, 3.3541e-4), (9_999.0, 0.313262)])
def test_a_small_loss_of_large_logits_is_told(other, expected):
    """Of logits of ten thousand that differ by eight and by one, in float32."""
    logits = torch.tensor([[1e4, other]])
    weight, targets = torch.eye(2), torch.zeros(1, dtype=torch.long)
    loss, _ = linear_cross_entropy(logits, weight, None, targets)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    assert linear_losses(logits, weight, None, targets)[0].item() == pytest.approx(
        expected, abs=1e-6
    )
