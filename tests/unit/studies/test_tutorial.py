"""Figures, verdicts and steps of ``mlmref verify``, on made-up ones (spec/tutorial.md)."""

import datasets.config
import pytest
from huggingface_hub import constants
from support.hub import HubStandIn
from support.launch import free_port

from mlmref.base.errors import ConfigError, CorpusError
from mlmref.studies.tutorial import steps as core
from mlmref.studies.tutorial import verify
from mlmref.studies.tutorial.ground import Figure, asked_once
from mlmref.studies.tutorial.verdicts import Missing, Outcome, explained, near, same


def figure(find, step="T01"):
    """Make a figure of a function."""
    return Figure(step=step, what="it", printed="1", find=find)


def raises(error):
    """Return what finds nothing but an error."""

    def find(_):
        raise error

    return find


@pytest.fixture
def only(monkeypatch):
    """Return a function that has ``verify`` know some figures and no others."""
    return lambda *some: monkeypatch.setattr(core, "figures", lambda: list(some))


def verdicts(**options):
    """Return the verdict of each step that has one."""
    return {row.step: row.verdict for row in verify(**options) if row.figures}


@pytest.mark.clause("VER-001")
def test_every_step_has_figures():
    """T01 to T20, each with a title and at least one figure; none is of another step."""
    assert [one.step for one in core.figures()] == sorted(one.step for one in core.figures())
    assert {one.step for one in core.figures()} == {f"T{number:02}" for number in range(1, 21)}
    assert set(core.STEPS) == {one.step for one in core.figures()}
    assert len({(one.step, one.what) for one in core.figures()}) == len(core.figures())


@pytest.mark.clause("VER-002")
def test_exact_is_equal():
    """Equal is exact, anything else has failed, and the value is shown."""
    assert same(25_000, 25_000) == Outcome(found="25,000", verdict="exact")
    assert same([7, 8], [7, 9], "a note") == Outcome(found="7, 8", verdict="failed", note="a note")
    assert same(True, expected=True).found == "yes"
    assert same(float("nan"), float("nan")).verdict == "failed"


@pytest.mark.clause("VER-002")
@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (21.75, "within tolerance"),
        (23.92, "within tolerance"),
        (19.58, "within tolerance"),
        (23.93, "failed"),
        (19.57, "failed"),
        (float("nan"), "failed"),
        (float("inf"), "failed"),
    ],
)
def test_a_tolerance_is_relative_to_what_is_printed(found, verdict):
    """A tenth of 21.75 on either side, told with its reason; no number is within none."""
    outcome = near(found, 21.75, 0.1, "other masks")
    assert outcome.verdict == verdict
    assert outcome.note == "±10 %: other masks"


@pytest.mark.clause("VER-002")
def test_a_difference_is_explained_by_a_prediction():
    """The predicted value is explained, a value that equals neither has failed."""
    assert explained(61_291, 61_291, "E06").verdict == "differs, explained"
    assert explained(61_290, 61_291, "E06") == Outcome(found="61,290", verdict="failed", note="E06")


@pytest.mark.clause("VER-001")
def test_a_step_has_the_worst_of_its_figures(only):
    """Failed before a missing hub, that before a GPU, that before what differs, and exact last."""
    outcomes = [Outcome(found="", verdict=verdict) for verdict in core.VERDICTS]
    for number, worst in enumerate(core.VERDICTS):
        only(*[figure(lambda _, one=one: one) for one in outcomes[number:][::-1]])
        assert verdicts() == {"T01": worst}


@pytest.mark.clause("VER-004")
def test_what_is_missing_is_said_or_has_failed(only):
    """A figure without its hub or GPU says so, and has failed where that is required."""
    only(
        figure(raises(Missing("hub", "no answer")), "T01"),
        figure(raises(Missing("gpu", "no GPU")), "T02"),
    )
    assert verdicts() == {"T01": "needs the hub", "T02": "needs a GPU"}
    assert verdicts(require=["hub"]) == {"T01": "failed", "T02": "needs a GPU"}
    assert verdicts(require=["gpu", "hub"]) == {"T01": "failed", "T02": "failed"}
    [row] = verify(only=["T01"], require=["hub"])
    assert row.figures[0][1].note == "no answer"


@pytest.mark.clause("VER-005")
def test_an_error_fails_its_figure_alone(only):
    """The note is the error's line, and the next figure is found."""
    error = CorpusError("nothing in it", where="imdb", hint="look again")
    only(figure(raises(error)), figure(lambda _: same(1, 1), "T02"))
    assert verdicts() == {"T01": "failed", "T02": "exact"}
    assert verify()[0].figures[0][1].note == "imdb: nothing in it; look again"


@pytest.mark.clause("VER-001")
def test_only_some_steps(only):
    """The steps asked for, in the tutorial's order, and no figure of another is looked for."""
    only(figure(lambda _: same(1, 1), "T03"), figure(raises(AssertionError), "T09"))
    assert [row.step for row in verify(only=["T03", "T02"])] == ["T02", "T03"]


@pytest.mark.clause("RUN-001")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": ["T9"]}, "no step 'T9'; did you mean T"),
        ({"require": ["internet"]}, "no need 'internet'; there are hub, gpu"),
        ({"sets": ["training.epoch=1"]}, "training.epoch"),
    ],
)
def test_what_cannot_be_verified_is_refused_before_any_work(only, options, message):
    """Another step, need or setting is one line that names it."""
    only(figure(raises(AssertionError)))
    with pytest.raises(ConfigError) as caught:
        verify(**options)
    assert message in str(caught.value)


def offline():
    """Return whether the libraries stay with their caches."""
    return constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE


@pytest.mark.clause("VER-007")
@pytest.mark.parametrize("before", [False, True])
def test_a_hub_that_is_out_of_reach_is_asked_once(monkeypatch, before):
    """The libraries are offline as long as it lasts, and after it what they were."""
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", before)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", before)
    seen = []

    def fails():
        with asked_once():
            seen.append(offline())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert seen == [(True, True)]
    assert offline() == (before, before)


@pytest.mark.clause("VER-007")
def test_a_hub_that_answers_is_used(monkeypatch):
    """Whatever it answers."""
    with HubStandIn() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        with asked_once():
            assert offline() == (False, False)
        assert len(hub.requests) == 1


@pytest.mark.clause("VER-007")
def test_whoever_wants_to_stay_offline_asks_nobody(monkeypatch):
    """As with HF_HUB_OFFLINE=1, though there is a hub."""
    with HubStandIn() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with asked_once():
            assert constants.HF_HUB_OFFLINE
        assert not hub.requests
