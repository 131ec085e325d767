"""The differences drawn (spec/compare.md)."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.comparisons import made_up

from mlmref.studies.comparison.page import WIDTH, forest, page

ONE = "seeds = {seeds}\n[variants.alone]\n[evaluation]\nresamples = 200\n"


@pytest.mark.clause("COMP-019")
def test_every_figure_is_on_the_page():
    """Variants, pairs with all intervals, runs, the task; a square a pair and a circle a seed."""
    answer = made_up()
    text = page(answer)
    assert text.count("<rect") == len(answer["pairs"]) == 3
    assert text.count("<circle") == 15
    for one in answer["variants"]:
        assert f"{one['common']['perplexity']:.2f}" in text
    for pair in answer["pairs"]:
        assert f"{pair['ratio']:.4f}" in text
        for name in ("", "over_seeds_", "over_documents_"):
            assert (
                f"{math.exp(pair[f'{name}low']):.4f} to {math.exp(pair[f'{name}high']):.4f}" in text
            )
    for run in answer["runs"]:
        assert run["run"] in text
        assert f"{run['common']:.3f}" in text
    assert "common task: token (mlm_probability 0.15, 80/10/10)" in text


@pytest.mark.clause("COMP-020")
def test_the_page_begins_with_the_verdict_of_each_pair():
    """Before any figure, with the ratio and its interval."""
    answer = made_up()
    text = page(answer)
    for pair in answer["pairs"]:
        said = {"better": "is better than", "worse": "is worse than"}.get(
            pair["verdict"], "does not clearly differ from"
        )
        sentence = (
            f"{pair['variant']} {said} {pair['against']}: {pair['ratio']:.3f} times the perplexity "
            f"({pair['ratio_low']:.3f} to {pair['ratio_high']:.3f})."
        )
        assert text.index(sentence) < text.index("<main>")


@pytest.mark.clause("COMP-019")
@pytest.mark.clause("COMP-015")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"text": ONE}, "No chart: the only variant has nothing to be compared with."),
        ({"infinite": True}, "No chart: a loss is infinite, so no difference is a number."),
    ],
)
def test_nothing_to_draw_says_why(given, said):
    """No plot, and a sentence."""
    text = page(made_up(**given))
    assert "<svg" not in text
    assert said in text


@pytest.mark.clause("COMP-019")
@pytest.mark.clause("COMP-015")
def test_without_an_interval_no_line_is_drawn():
    """One seed has a square and a circle in each row, and dashes in the table."""
    text = page(made_up(seeds=(4,)))
    assert text.count("<rect") == text.count("<circle") == 3
    assert len(re.findall(r"<line x1", text)) == 0
    assert "<td>-</td>" in text
    assert "no interval over seeds" in text


@pytest.mark.clause("COMP-015")
def test_an_infinite_loss_before_training_is_told():
    """The gain on it has no interval, and a line says why."""
    answer = made_up(infinite_before=True)
    one = answer["variants"][0]["common"]
    assert math.isnan(one["of_before"]["ratio_low"])
    assert one["low"] < one["perplexity"] < one["high"]
    assert answer["notes"] == ["no interval if a loss is infinite"]


@pytest.mark.clause("COMP-018")
@pytest.mark.parametrize("shares", ["87.5/12.5/0", "55/35/10"])
def test_the_common_task_is_not_rounded(shares):
    """A corruption stands there as it was given."""
    given = f'[evaluation]\ncorruption = "{shares}"'
    answer = made_up(text=ONE.replace("[evaluation]", given))
    assert f"(mlm_probability 0.15, {shares})" in page(answer)


NAMES = {"variant": "a" * 80, "against": "b" * 80}
figures = st.floats(-3, 3)


@pytest.mark.clause("COMP-019")
@given(st.lists(st.tuples(figures, st.floats(0, 1), st.lists(figures, min_size=1)), min_size=1))
def test_everything_drawn_is_in_its_place(pairs):
    """Within the plot, from left to right as the ratios are, with few ticks in their order."""
    made = [
        {**NAMES, "nll": nll, "low": nll - reach, "high": nll + reach, "by_seed": seeds}
        for nll, reach, seeds in pairs
    ]
    plot = forest(made)
    seen = [(1.0, plot.one)]
    for pair, mark in zip(made, plot.marks, strict=True):
        seen += [(math.exp(pair["nll"]), mark.x)]
        seen += [
            (math.exp(pair[end]), x) for end, x in zip(("low", "high"), mark.both, strict=True)
        ]
        seen += [(math.exp(one), x) for one, x in zip(pair["by_seed"], mark.seeds, strict=True)]
    assert all(mark.name.endswith("a…") for mark in plot.marks)
    seen += [(float(text), x) for x, text in plot.ticks]
    assert all(0 <= x <= WIDTH for _, x in seen)
    assert [x for _, x in sorted(seen)] == sorted(x for _, x in seen)
    assert 2 <= len(plot.ticks) <= 8
    assert len({text for _, text in plot.ticks}) == len(plot.ticks)
