"""Training that a GPU repeats: what is asked of torch, and what is left behind (spec/run.md)."""

import pytest
import torch
from support.models import tiny_model

from mlmref.model.loss import MaskedLMObjective
from mlmref.training.process import repeatable, strict


def settings():
    """Return all that is set of it."""
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )


@pytest.fixture(autouse=True)
def _as_found():
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.mark.clause("RUN-015")
@pytest.mark.parametrize("found", [(False, False, True), (True, True, False), (True, False, True)])
def test_deterministic_algorithms_are_asked_for_and_the_setting_put_back(found):
    """Within, and nothing is filled for nothing; whatever was set before is set again after."""
    torch.use_deterministic_algorithms(found[0], warn_only=found[1])
    torch.utils.deterministic.fill_uninitialized_memory = found[2]
    objective = MaskedLMObjective(tiny_model("bert"))
    seen = []

    def fails():
        with strict(objective.trial, pytest.fail):
            seen.append(settings())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert seen == [(True, False, False)]
    assert settings() == found


@pytest.mark.clause("RUN-015")
def test_a_model_with_an_operation_that_cannot_is_trained_all_the_same_and_said_so():
    """One line with the operation's name; the model is left in its mode, with its sums."""
    model = tiny_model("bert").train()

    def puts(_module, _inputs, output):
        changed = output.clone()
        changed.put_(torch.tensor([0]), torch.tensor([1.0]))  # torch has no such algorithm for it
        return changed

    model.bert.embeddings.register_forward_hook(puts)
    objective, said = MaskedLMObjective(model).train(), []
    with strict(objective.trial, said.append):
        assert settings() == (False, False, False)
    assert said == [
        "training this model on this device is not bitwise repeatable: put_ does not have a "
        "deterministic implementation"
    ]
    assert objective.training
    assert objective.take_sums() == (0.0, 0)


@pytest.mark.clause("RUN-015")
def test_another_error_of_the_model_is_not_taken_for_that():
    """A model that cannot take a step says so itself."""
    model = tiny_model("bert")
    objective = MaskedLMObjective(model)

    def fails(*_):
        raise RuntimeError("out of order")

    model.register_forward_hook(fails)
    with pytest.raises(RuntimeError, match="out of order"), strict(objective.trial, pytest.fail):
        pytest.fail("not reached")
    assert settings() == (False, False, True)


@pytest.mark.clause("RUN-015")
def test_a_cpu_is_left_alone():
    """Its order of additions is fixed as it is, and asking for more takes time."""
    with repeatable(torch.device("cpu"), pytest.fail, pytest.fail):
        assert settings() == (False, False, True)


@pytest.mark.clause("RUN-015")
def test_a_trial_leaves_no_trace():
    """Neither gradients nor sums nor the mode nor the generator, and it has a gradient for each."""
    objective = MaskedLMObjective(tiny_model("bert")).train()
    tokens = torch.arange(8).reshape(1, 8)
    objective(tokens, torch.ones_like(tokens), tokens, 1.0)
    before, state = objective._nll, torch.get_rng_state()
    gradients = objective.trial()
    assert len(gradients) == len(list(objective.parameters()))
    assert all(one is not None for one in gradients)
    assert all(one.grad is None for one in objective.parameters())
    assert objective.training
    assert torch.equal(torch.get_rng_state(), state)
    assert objective._nll is before
    assert objective.take_sums()[1] == 8
