"""What a report is made of: targets that are kept, sums by word, charts and their size."""

import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.jobs import masker, some_chunks
from support.models import tiny_model

from mlmref.base.errors import OutputError
from mlmref.evaluation import perplexity as station
from mlmref.evaluation.kept_targets import Targets, choose, evenly
from mlmref.evaluation.perplexity import evaluate
from mlmref.model.loss import MaskedLMObjective
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.results.report import charts, figures
from mlmref.results.report import sections as shown
from mlmref.results.report.axes import Axis
from mlmref.results.report.charts import Series
from mlmref.results.report.explorer import explorer
from mlmref.results.report.learned import LEAST, learnt
from mlmref.results.report.page import page
from mlmref.results.report.saved_run import Measured, SavedRun, Step

CHUNKS = some_chunks(60, pad=True)
OBJECTIVE = MaskedLMObjective(tiny_model("bert").eval())


@pytest.mark.clause("REP-007")
def test_targets_are_those_of_the_evaluation():
    """All of them, where each stands, in row-major order."""
    targets = choose(CHUNKS, masker())
    labels = masker()(CHUNKS.gather(np.arange(len(CHUNKS))), EVALUATION_PASS).labels
    rows, positions = np.nonzero(labels != IGNORE_INDEX)
    assert targets.rows.tolist() == rows.tolist()
    assert targets.positions.tolist() == positions.tolist()
    assert targets.chunks.tolist() == list(range(60))


@pytest.mark.clause("REP-007")
@pytest.mark.clause("REP-010")
def test_kept_losses_are_the_evaluations_own():
    """They add up to each chunk's sum, and no other figure moves by a bit."""
    targets = choose(CHUNKS, masker())
    kept = evaluate(OBJECTIVE, CHUNKS, masker(), targets=targets)
    plain = evaluate(OBJECTIVE, CHUNKS, masker())
    sums = np.bincount(targets.rows, kept.target_nll, len(CHUNKS))
    assert sums == pytest.approx(plain.chunk_nll, rel=1e-12)
    assert np.array_equal(kept.chunk_nll, plain.chunk_nll)
    assert kept.correct == plain.correct
    assert plain.target_nll is None


@pytest.mark.clause("REP-008")
@pytest.mark.parametrize("batch_size", [1, 7, 1_000])
def test_kept_losses_do_not_depend_on_the_batch(batch_size):
    """The same targets, and their losses but for rounding."""
    targets = choose(CHUNKS, masker())
    expected = evaluate(OBJECTIVE, CHUNKS, masker(), targets=targets).target_nll
    found = evaluate(OBJECTIVE, CHUNKS, masker(), targets=targets, batch_size=batch_size)
    assert found.target_nll == pytest.approx(expected, rel=1e-5)


@pytest.mark.clause("REP-008")
def test_ranks_share_the_losses(monkeypatch):
    """Each target is measured on one rank of three, and their sum is what one process measures."""
    targets = choose(CHUNKS, masker())
    alone = evaluate(OBJECTIVE, CHUNKS, masker(), targets=targets).target_nll
    parts = []
    monkeypatch.setattr(
        station, "sum_over_ranks", lambda array: parts.append(array.copy()) or array
    )
    total = 0
    for rank in range(3):
        parts.clear()
        here = type("Here", (), {"process_index": rank, "num_processes": 3})
        monkeypatch.setattr(station, "state", lambda here=here: here)
        found = evaluate(OBJECTIVE, CHUNKS, masker(), targets=targets).target_nll
        (each,) = [part for part in parts if part.ndim == 2]
        total = total + each
        assert np.isnan(found).any()
    assert (total[1] == 1).all()
    assert total[0] == pytest.approx(alone, rel=1e-5)


@pytest.mark.clause("REP-009")
@pytest.mark.parametrize("most", [1, 10, 40, 100])
def test_no_more_targets_are_kept_than_may_be(most):
    """Whole chunks, evenly far apart; what is not kept is not found again."""
    every = choose(CHUNKS, masker())
    few = choose(CHUNKS, masker(), most)
    assert len(few) <= max(most, np.bincount(every.rows).max())
    assert len(few) < len(every)
    in_chunks = np.isin(every.rows, few.chunks)
    assert few.rows.tolist() == every.rows[in_chunks].tolist()
    assert np.ptp(np.diff(few.chunks)) <= 1 if len(few.chunks) > 2 else True
    places, there = few.find(every.rows, every.positions)
    assert there.tolist() == in_chunks.tolist()
    assert places.tolist() == list(range(len(few)))


@pytest.mark.clause("REP-009")
@given(st.integers(0, 500), st.integers(1, 500))
def test_even_numbers_are_even(count, most):
    """As many as there may be, from the first on, with gaps that differ by one at most."""
    found = evenly(count, most)
    assert len(found) == min(count, most)
    assert found.tolist() == sorted(set(found.tolist()))
    assert not len(found) or (found[0] == 0 and found[-1] < count)
    assert not len(found) > 1 or np.ptp(np.append(np.diff(found), count - found[-1])) <= 1


@pytest.mark.clause("REP-009")
def test_a_target_that_is_not_masked_again_is_left_out():
    """A strategy that breaks its promise costs a report its rows, and no run its figures."""
    wrong = Targets(
        rows=np.array([0, 0]),
        positions=np.array([0, 15]),  # special tokens and padding never are targets
        chunks=np.array([0]),
        width=16,
    )
    found = evaluate(OBJECTIVE, CHUNKS, masker(), targets=wrong)
    assert np.isnan(found.target_nll).all()


def table(rows):
    """Return rows of word, part, count, before and after as a table."""
    word, part, count, before, after = zip(*rows, strict=True)
    return pa.table(
        {
            "word": pa.array(word, pa.string()).dictionary_encode(),
            "part": pa.array(part, pa.string()).dictionary_encode(),
            "count": pa.array(count, pa.int64()),
            "before": pa.array(before, pa.float32()),
            "after": pa.array(after, pa.float32()),
        }
    )


@pytest.mark.clause("REP-011")
def test_what_was_learnt_is_the_mean_over_targets():
    """By word with enough targets, by band and by part; what was measured once does not count."""
    rows = [("film", "whole", 50, 4.0, 1.0)] * LEAST
    rows += [("the", "whole", 20_000, 1.0, 1.5)] * LEAST
    rows += [("seldom", "first", 0, 9.0, 1.0)] * (LEAST - 1)
    rows += [("film", "later", 50, 2.0, None)] * 3
    found = learnt(table(rows))
    assert [(one.name, one.targets, one.before, one.after) for one in found.fell] == [
        ("film", LEAST, 4.0, 1.0)
    ]
    assert [(one.name, one.change) for one in found.rose] == [("the", 0.5)]
    assert found.words == 2
    assert [(one.name, one.targets) for one in found.bands] == [
        ("never", 4),
        ("10 to 99", 5),
        ("10,000 or more", 5),
    ]
    assert [(one.name, one.targets) for one in found.parts] == [
        ("a whole word in one token", 10),
        ("the first subword of a word", 4),
    ]
    assert found.all.targets == 14
    assert found.all.before == pytest.approx((20 + 5 + 36) / 14)


@pytest.mark.clause("REP-011")
def test_a_token_is_in_the_band_that_its_count_is_in():
    """To the last one at either end."""
    counts = [0, 1, 9, 10, 99, 100, 999, 1_000, 9_999, 10_000, 10**9]
    found = learnt(table([("a", "whole", count, float(count), 0.0) for count in counts]))
    assert [(one.name, one.targets) for one in found.bands] == [
        *(("never", 1), ("1 to 9 times", 2), ("10 to 99", 2), ("100 to 999", 2)),
        *(("1,000 to 9,999", 2), ("10,000 or more", 2)),
    ]
    assert [one.before for one in found.bands[:3]] == [0, 5, 54.5]


@pytest.mark.clause("REP-011")
def test_words_that_are_spelled_alike_are_one():
    """Whatever tokens they are of; and without a second measurement nothing was learnt."""
    spelled = table([("film", "whole", 1, 2.0, 1.0)] * LEAST)
    twice = pa.DictionaryArray.from_arrays([0, 1, 0, 1, 0], ["film", "film"])
    found = learnt(spelled.set_column(0, "word", twice))
    assert [(one.name, one.targets) for one in found.fell] == [("film", LEAST)]
    assert learnt(table([("film", "whole", 1, 2.0, None)])) is None


def measured(epoch, value, low=math.nan, high=math.nan):
    """Return what an evaluation gave."""
    return Measured(
        epoch=epoch, value=value, low=low, high=high, nll=1.0, targets=100, accuracy=0.5
    )


def made(name="one", steps=10, evaluations=((0, 90.0), (1, 60.0)), **changes):
    """Return a run that was never run."""
    return SavedRun(
        folder=Path(name),
        name=name,
        finished=True,
        steps=[Step(step=at, loss=5 - at / 1e4, learning_rate=1e-3) for at in range(1, steps + 1)],
        evaluations=[measured(*one) for one in evaluations],
        **changes,
    )


@pytest.mark.clause("REP-005")
def test_a_chart_has_a_title_a_description_axes_and_a_table():
    """It is XML, names itself, has ticks with numbers, and the table has each point."""
    figure = figures.perplexity([made(evaluations=[(0, 90.0), (1, 70.0), (2, 60.0)])])
    root = ET.fromstring(str(figure.svg))  # noqa: S314 - our own
    names = root.attrib["aria-labelledby"].split()
    told = {one.attrib["id"]: one.text for one in root if one.tag in {"title", "desc"}}
    assert [told[name] for name in names] == ["Perplexity by epoch", "it goes from 90.00 to 60.00"]
    texts = [one.text for one in root.iter("text")]
    assert {"0", "1", "60", "90", "perplexity", "epoch (0 is before training)"} <= set(texts)
    found = [row[:2] for row in figure.rows]
    assert found == [["before", "90.00"], ["1", "70.00"], ["2", "60.00"]]
    assert "viewBox" in root.attrib
    assert not re.search(r"(?:stroke|fill)[:=]\"?#", str(figure.svg))  # the page's own colours


@pytest.mark.clause("REP-005")
def test_points_of_a_chart_are_where_their_numbers_are():
    """The highest value is the highest point, equal steps are equally far apart."""
    svg = charts.lines(
        "t", "d", [Series(name="a", x=[0, 1, 2], y=[1, 3, 2])], Axis(label="x", whole=True),
        Axis(label="y"), ident="i",
    )  # fmt: skip
    (line,) = re.findall(r'points="([^"]+)"', svg)
    points = [tuple(map(float, one.split(","))) for one in line.split()]
    assert points[1][1] < points[2][1] < points[0][1]
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.11)
    assert points[0][1] - points[2][1] == pytest.approx((points[0][1] - points[1][1]) / 2, abs=0.11)


@pytest.mark.clause("REP-005")
@pytest.mark.parametrize("steps", [1, 200, 201, 12_345])
def test_long_curves_are_thinned_and_say_so(steps):
    """To at most 200 points, each the mean of so many steps, the last step among them."""
    figure = figures.loss([made(steps=steps)])
    assert len(figure.rows) <= 200
    assert figure.rows[-1][0] == f"{steps:,}"
    every = -(-steps // 200)
    first = np.mean([5 - at / 1e4 for at in range(1, every + 1)])
    assert float(figure.rows[0][1]) == pytest.approx(first, abs=0.0006)
    assert any(f"the mean of {every}" in note for note in figure.notes) == (every > 1)
    assert len(figures.learning_rate([made(steps=steps)]).rows) == len(figure.rows)


@pytest.mark.clause("REP-003")
def test_what_is_not_finite_parts_the_curve_and_is_told():
    """An infinite perplexity has no place in a chart; where none is finite there is no chart."""
    values = [math.inf, 60.0, 55.0, math.inf, 50.0]
    endless = made(evaluations=list(enumerate(values)))
    figure = figures.perplexity([endless])
    assert str(figure.svg).count("<polyline") == 2
    assert [row[1] for row in figure.rows] == ["infinite", "60.00", "55.00", "infinite", "50.00"]
    none = figures.perplexity([made(evaluations=[(0, math.inf)])])
    assert not none.svg
    assert none.empty == "No chart: no perplexity is finite."
    lost = made()
    lost.steps[3] = Step(step=4, loss=math.nan, learning_rate=1e-3)
    assert "1 steps without a finite value are omitted." in figures.loss([lost]).notes


@pytest.mark.clause("REP-020")
def test_fewer_than_three_points_are_a_table():
    """Two figures, before and after one epoch, are no curve; beside one they are dots."""
    short, long = made(steps=2), made("long", evaluations=[(0, 90.0), (1, 70.0), (2, 60.0)])
    for figure in (figures.perplexity([short]), figures.loss([short])):
        assert not figure.svg
        assert not figure.empty
        assert len(figure.rows) == 2
    both = str(figures.perplexity([short, long]).svg)
    assert both.count("<polyline") == 1
    assert both.count('<circle class="dot s0"') == 2
    html = page([short])
    assert "<svg" not in html
    assert "<td>before</td><td>90.00</td>" in html


@pytest.mark.clause("REP-006")
def test_curves_differ_in_dashes_and_are_named():
    """Whatever the colours: six kinds of line, and each run's name beside its own."""
    runs = [made(f"run & {at}") for at in range(6)]
    svg = str(figures.loss(runs).svg)
    dashes = re.findall(r'<polyline class="line s\d"(?: stroke-dasharray="([^"]*)")?', svg)
    assert len(set(dashes)) == len(dashes) == 6
    for run in runs:
        assert svg.count(f">{run.name.replace('&', '&amp;')}<") == 1
    assert [row[0] for row in figures.loss(runs).rows][::10] == [run.name for run in runs]


@pytest.mark.clause("REP-003")
@pytest.mark.clause("EVAL-006")
def test_one_document_has_no_interval_and_the_page_says_so():
    """In words, beside the figure and under the chart."""
    run = made(ratio=(0.66, math.nan, math.nan))
    text = page([run])
    assert text.count("no interval: fewer than two documents") >= 3
    assert "all held-out targets are in one document" in text


def enormous():
    """Return a run that has too much of everything."""
    text, target = "<\"&'漢字" * 6, '<"漢' * 8
    answer = {"nll": 1.0, "rank": 3, "best": [[target, 0.2]] * 5}
    units = [[text, False, "plain"]] * 200 + [[target, True, "masked", target, target]] * 30
    explored = [{"row": at, "chunk": at, "tokens": 256, "shown": 256, "units": units}
                for at in range(16)]  # fmt: skip
    prompts = [{"prompt": f"{at}{text * 50}", "mask": mask, "token": text * 9, "score": 0.1}
               for at in range(500) for mask in range(3) for _ in range(50)]  # fmt: skip
    return made(
        steps=20_000,
        evaluations=[(at, 90.0, 80.0, 100.0) for at in range(3_000)],
        fills=[prompts, prompts],
        config={f"section{at}": {f"key{at}{text}": [text] * 1_000} for at in range(2_000)},
        versions={f"{text}{at}": text * 100 for at in range(1_000)},
        timings={f"{text}{at}": 1.0 for at in range(1_000)},
        resumed=list(range(10_000)),
        kept={"explorer": explored, "answers": {when: [[answer] * 30] * 16
                                                for when in ("before", "after")}},
    )  # fmt: skip


@pytest.mark.clause("REP-004")
def test_the_page_is_small_whatever_there_is():
    """Under 2 MB with too much of everything, and what is left out is said."""
    text = page([enormous()])
    assert len(text.encode()) < 2_000_000
    assert "the first 20 of 1,500 masks and the best 10 of 50 answers" in text
    assert re.search(r"\d+ of 16 chunks are shown: with more, the page would be larger", text)
    assert "200 of 3,000 evaluations are drawn" in text
    assert "each point is the mean of 100 steps, of 20,000" in text
    assert "200 of 2,000 settings" in text


@pytest.mark.clause("REP-015")
@pytest.mark.clause("REP-004")
def test_many_runs_fit_on_a_page_and_more_are_refused():
    """Twelve with too much of everything; not thirteen."""
    one = enormous()
    one.config = dict(list(one.config.items())[:300])
    one.fills = [side[:5_000] for side in one.fills]
    runs = [replace(one, name=f"run {at}", config=one.config | {"seed": at}) for at in range(12)]
    assert len(page(runs).encode()) < 2_000_000
    with pytest.raises(OutputError, match="13 runs do not fit on a page; give at most 12"):
        page([*runs, made()])


@pytest.mark.clause("REP-015")
def test_only_settings_that_differ_are_listed():
    """Not where the runs were written, nor what is left out where it is none."""
    one = made(config={"seed": 1, "a": {"b": 2, "none": None}, "output": {"folder": "x"}})
    other = made(config={"seed": 2, "a": {"b": 2}, "output": {"folder": "y"}})
    assert shown.differing([one, other]) == [("seed", ["1", "2"])]


@pytest.mark.clause("REP-001")
@pytest.mark.parametrize(
    ("finished", "config", "command"),
    [
        (True, {}, "mlmref run --config 'my run/config.toml'"),
        (
            True,
            {"output": {"folder": "my run"}, "model": {"trust_remote_code": True}},
            "mlmref run --config 'my run/config.toml' --output 'my run-again' --trust-remote-code",
        ),
        (False, {}, "mlmref run --resume 'my run'"),
    ],
)
def test_the_command_is_what_to_type(finished, config, command):
    """Quoted for a shell, into another folder, with what no file of settings may allow."""
    run = made("my run" if finished else "my run.unfinished", config=config)
    run.finished = finished
    assert shown.again(run) == command


def asked(*ranks, nll=0.5):
    """Return what a model answered at targets, whose true tokens it ranked so."""
    best = [["film", 0.6], ["movie", 0.25]]
    return [[{"nll": nll + at, "rank": rank, "best": best} for at, rank in enumerate(ranks)]]


@pytest.mark.clause("REP-012")
@pytest.mark.clause("REP-007")
def test_a_masked_position_shows_what_was_answered_there():
    """The true token's probability, whether it came first, the answers, and what became of it."""
    targets = [["film", False, "masked", "[MASK]", "film"], ["x", True, "kept", "x", "x"]] * 2
    units = [["a", False, "plain"], *targets]
    kept = {
        "explorer": [{"row": 3, "chunk": 7, "tokens": 9, "shown": 5, "units": units}],
        "answers": {"before": asked(0, 1, 0, 4), "after": asked(0, 0, 2, 1, nll=0.25)},
    }
    (chunk,) = explorer(made(kept=kept))
    assert (chunk.where, chunk.tokens, chunk.shown, len(chunk.units)) == ("Chunk 8", 9, 5, 5)
    assert [one.state for one in chunk.targets] == ["right", "gained", "lost", "wrong"]
    for at, one in enumerate(chunk.targets):
        assert one.before is not None
        assert one.after is not None
        assert one.before.chance == pytest.approx(math.exp(-0.5 - at))
        assert one.after.chance == pytest.approx(math.exp(-0.25 - at))
        assert one.before.best == [("film", 0.6, at % 2 == 0), ("movie", 0.25, False)]
        assert (one.read, one.text) == (("[MASK]", "film"), ("x", "x"))[at % 2]
    text = page([made(kept=kept)])
    assert 'class="unit target gained"' in text
    assert "before: probability 60.7 %, first choice film; after: probability 77.9 %" in text


@pytest.mark.clause("REP-003")
def test_a_model_that_was_not_asked_again_is_neither_right_nor_wrong():
    """Of a run that was stopped before its first epoch ended."""
    units = [["film", False, "masked", "[MASK]", "film"]] * 2
    kept = {
        "explorer": [{"row": 3, "chunk": 7, "tokens": 9, "shown": 5, "units": units}],
        "answers": {"before": asked(0, 1), "after": None},
    }
    (chunk,) = explorer(made(kept=kept))
    assert [one.state for one in chunk.targets] == ["unknown", "unknown"]
    assert [one.after for one in chunk.targets] == [None, None]
