"""The plain loop that backends are held to, against gradients and steps worked out by hand."""

import math

import numpy as np
import pytest

from mlmref.conformance.backends.toy import Toy, ToyModel
from mlmref.conformance.backends.toy_job import PlainLoop, ToyJob
from mlmref.plugin.contracts import Options

EMBEDDING = np.linspace(-1, 1, 12).reshape(6, 2)
OUTPUT = np.linspace(-1, 1, 10).reshape(5, 2)
BIAS = np.linspace(-1, 1, 5)


def trained(toy, tmp_path):
    """Train a toy job on the plain loop."""
    job = ToyJob(toy, tmp_path)
    PlainLoop(Options()).train(job)
    return job


def by_hand(rows, embedding=EMBEDDING, output=OUTPUT, bias=BIAS):
    """Return loss and gradients of rows of (token, label): the mean over them, by the formula.

    With h = tanh(E[x]) and z = W h + b, the loss is -z[y] + log sum exp z. Its derivative by z is
    softmax(z) - onehot(y) = d; by W it is d h', by b it is d, by E[x] it is (W' d)(1 - h h).
    """
    loss, grads = 0.0, {"E": np.zeros((6, 2)), "W": np.zeros((5, 2)), "b": np.zeros(5)}
    for token, label in rows:
        hidden = np.tanh(embedding[token])
        logits = output @ hidden + bias
        chances = np.exp(logits) / np.exp(logits).sum()
        loss -= math.log(chances[label]) / len(rows)
        d = (chances - np.eye(5)[label]) / len(rows)
        grads["W"] += np.outer(d, hidden)
        grads["b"] += d
        grads["E"][token] += (output.T @ d) * (1 - hidden**2)
    return loss, grads


def seen(job, kind):
    """Return the facts of a job's events of one kind."""
    return [event.facts for event in job.trace.events if event.kind == kind]


def gradients(facts):
    """Return the gradients at an update under the names of :func:`by_hand`."""
    names = {"E": "embedding.weight", "W": "output.weight", "b": "output.bias"}
    return {short: np.array(facts["gradients"][name][1]) for short, name in names.items()}


# Row r has at column c the token (r * r + 2 c) mod 5 and the label (r + c) mod 5.
TWO_ROWS = [(0, 0), (2, 1), (1, 1)]  # two targets of row 0, one of row 1


@pytest.mark.clause("BACK-003")
@pytest.mark.clause("BACK-015")
@pytest.mark.parametrize("step", [((2, 1),), ((2,), (1,)), ((2,), (0,), (0,))])
def test_loss_and_gradient_are_those_of_the_formula(step, tmp_path):
    """Softmax minus one-hot, by hand in NumPy: for one micro-batch, for two, and with idle ones."""
    rows = TWO_ROWS if (0,) not in step else TWO_ROWS[:2]
    job = trained(Toy(steps=(step,)), tmp_path)
    loss, expected = by_hand(rows)
    assert sum(call["loss"] for call in seen(job, "call")) == pytest.approx(loss, rel=1e-6)
    got = gradients(seen(job, "update")[0])
    for name, want in expected.items():
        assert got[name] == pytest.approx(want, rel=1e-5, abs=1e-7), name
    norm = math.sqrt(sum(float((want**2).sum()) for want in expected.values()))
    assert seen(job, "told")[0]["grad_norm"] == pytest.approx(norm, rel=1e-6)


@pytest.mark.clause("BACK-015")
def test_one_number_with_pencil_and_paper(tmp_path):
    """The first gradient of the bias by its digits: logits, chances, minus one at the label."""
    # E[0] = (-1, -9/11), so h = (-0.76159, -0.67408); z = W h + b with W's rows from (-1, -7/9).
    job = trained(Toy(steps=(((1,),),)), tmp_path)
    logits = np.array([0.285878, 0.147801, 0.009724, -0.128353, -0.266430])
    chances = np.exp(logits) / np.exp(logits).sum()
    d = gradients(seen(job, "update")[0])["b"]
    assert d == pytest.approx(chances - [1, 0, 0, 0, 0], abs=1e-5)
    assert d == pytest.approx([-0.741348, 0.225294, 0.196238, 0.170930, 0.148885], abs=2e-6)


@pytest.mark.clause("BACK-017")
def test_the_gradient_is_scaled_to_the_limit(tmp_path):
    """Clipping multiplies with the limit over the norm, the told norm being the one before."""
    job = trained(Toy(steps=(((2, 1),),), max_grad_norm=0.25), tmp_path)
    _, expected = by_hand(TWO_ROWS)
    norm = math.sqrt(sum(float((want**2).sum()) for want in expected.values()))
    assert norm > 0.25
    got = gradients(seen(job, "update")[0])
    for name, want in expected.items():
        assert got[name] == pytest.approx(want * 0.25 / norm, rel=1e-4, abs=1e-7), name
    assert seen(job, "told")[0]["grad_norm"] == pytest.approx(norm, rel=1e-6)


@pytest.mark.clause("BACK-016")
@pytest.mark.clause("BACK-018")
@pytest.mark.clause("BACK-020")
def test_two_steps_of_sgd_by_hand(tmp_path):
    """Momentum 0.5, decay 0.25 on one group, half the rate on the other, a linear schedule."""
    job = trained(Toy(steps=(((2, 1),), ((1,),))), tmp_path)
    weights = {"E": EMBEDDING.copy(), "W": OUTPUT.copy(), "b": BIAS.copy()}
    rates, decay = {"E": 0.5, "W": 0.5, "b": 0.25}, {"E": 0.25, "W": 0.25, "b": 0.0}
    velocity = dict.fromkeys(weights, 0.0)
    # Row 2 is of the second step: token 4, label 2. Its rate is half the first one's.
    for factor, rows in ((1.0, TWO_ROWS), (0.5, [(4, 2)])):
        _, grads = by_hand(rows, weights["E"], weights["W"], weights["b"])
        for name, grad in grads.items():
            velocity[name] = 0.5 * velocity[name] + grad + decay[name] * weights[name]
            weights[name] = weights[name] - factor * rates[name] * velocity[name]
    final = job.model.state_dict()
    for name, key in (("E", "embedding.weight"), ("W", "output.weight"), ("b", "output.bias")):
        assert final[key].numpy() == pytest.approx(weights[name], rel=1e-5, abs=1e-6), name
    assert final["spare"].tolist() == [1.0, 1.0]
    assert [one["rates"] for one in seen(job, "schedule")] == [[0.125, 0.25], [0.0, 0.0]]


@pytest.mark.clause("BACK-016")
def test_two_steps_of_adamw_by_hand(tmp_path):
    """Loshchilov and Hutter's update with betas 1/2 and 3/4, decay apart from the gradient."""
    toy = Toy(steps=(((2, 1),), ((1,),)), optimizer="adamw", learning_rate=0.1)
    job = trained(toy, tmp_path)
    weights = {"E": EMBEDDING.copy(), "W": OUTPUT.copy(), "b": BIAS.copy()}
    rates, decay = {"E": 0.1, "W": 0.1, "b": 0.05}, {"E": 0.25, "W": 0.25, "b": 0.0}
    first, second = dict.fromkeys(weights, 0.0), dict.fromkeys(weights, 0.0)
    for number, (factor, rows) in enumerate(((1.0, TWO_ROWS), (0.5, [(4, 2)])), start=1):
        _, grads = by_hand(rows, weights["E"], weights["W"], weights["b"])
        for name, grad in grads.items():
            rate = factor * rates[name]
            first[name] = 0.5 * first[name] + 0.5 * grad
            second[name] = 0.75 * second[name] + 0.25 * grad**2
            mean, spread = first[name] / (1 - 0.5**number), second[name] / (1 - 0.75**number)
            weights[name] = weights[name] * (1 - rate * decay[name])
            weights[name] = weights[name] - rate * mean / (np.sqrt(spread) + 1e-8)
    final = job.model.state_dict()
    for name, key in (("E", "embedding.weight"), ("W", "output.weight"), ("b", "output.bias")):
        assert final[key].numpy() == pytest.approx(weights[name], rel=1e-4, abs=1e-5), name


@pytest.mark.clause("BACK-004")
def test_a_known_answer_decays_and_no_target_does_not(tmp_path):
    """A target whose gradient is zero is a step like any other; no target is none."""
    known = trained(Toy(steps=(((-1,),),)), tmp_path)
    (update,) = seen(known, "update")
    assert not any(np.any(grad) for grad in gradients(update).values())
    assert known.model.embedding.weight.detach().numpy() == pytest.approx(
        EMBEDDING * (1 - 0.5 * 0.25)
    )
    idle = trained(Toy(steps=(((0,),),)), tmp_path)
    assert idle.model.weights() == ToyModel(0.0).weights()


@pytest.mark.clause("BACK-010")
def test_the_same_rows_however_they_are_cut():
    """Tokens, labels and the weight of a row do not depend on its micro-batch."""

    def rows(toy):
        for step in toy.run(0, 2):
            for part in step:
                for ids, labels in zip(part["input_ids"], part["labels"], strict=True):
                    kept = labels != -100
                    yield ids[kept].tolist(), labels[kept].tolist(), part["weight"]

    whole = Toy(steps=(((2, 0, 5, 1),), ((1, 3),)))
    cut = Toy(steps=(((2, 0), (5,), (1,)), ((1,), (3,))))
    assert [*rows(whole)] == [*rows(cut)]


@pytest.mark.clause("KIT-006")
def test_an_example_shows_what_is_not_usual():
    """Defaults are left out, the steps are not."""
    assert Toy().example() == {"steps": (((1,),),)}
    assert Toy(dropout=0.5).example() == {"steps": (((1,),),), "dropout": 0.5}
