"""The verdict on a run in a sentence (spec/report.md, REP-019; spec/run.md, RUN-016)."""

import math

import pytest

from mlmref.results.verdict import verdict, warning


@pytest.mark.clause("REP-019")
@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (
            (0.534, 0.521, 0.547),
            "Perplexity fell by 46.6 % (45.3 to 47.9 %): the model learned from this text.",
        ),
        (
            (3.019, 2.244, 3.952),
            "Perplexity rose by 202 % (124 to 295 %): the model is worse on this text than before "
            "training.",
        ),
        (
            (0.99, 0.97, 1.02),
            "Perplexity did not change by more than chance: it is 99 % of that before (97 to "
            "102 %).",
        ),
        (
            (0.5, math.nan, math.nan),
            "Perplexity fell by 50 %; one held-out document gives no interval, so this may be "
            "chance.",
        ),
        (
            (math.inf, 2.0, math.inf),
            "Perplexity rose to infinity: the model is worse on this text than before training.",
        ),
        (
            (math.nan, math.nan, math.nan),
            "How perplexity changed is unknown: it was infinite before training.",
        ),
    ],
)
def test_the_verdict_is_what_the_interval_says(figures, said):
    """Fell or rose only if one is outside of the interval, and otherwise that it may be chance."""
    assert verdict(*figures) == said


@pytest.mark.clause("RUN-016")
def test_a_warning_names_the_better_model():
    """By its epoch, or as the original one; none where none was better."""
    lost = {"ratio": 3.019, "ratio_low": 2.244, "ratio_high": 3.952}
    assert warning({"epoch": 0, "value": 126.234, "difference": lost}) == (
        "The original model was better than the final one: its perplexity was 126.23, and at the "
        "end it is 302 % of that (224 to 395 %). Train for fewer epochs, with a lower "
        "--learning-rate, or on more text."
    )
    assert warning(None) is None
