"""Salient masking keeps every clause that a masking strategy has to keep."""

import numpy as np
from mlmref_salient import mlmref_masking_strategies
from mlmref_salient.background import write_background

from mlmref.conformance import parametrize_strategy_checks
from mlmref.conformance.checks import run_checks
from mlmref.conformance.strategies import KIT
from mlmref.conformance.strategies.worlds import worlds

(ENTRY,) = mlmref_masking_strategies()


@parametrize_strategy_checks([ENTRY, (ENTRY, {"smoothing": 1.0, "most": 64.0})])
def test_it_conforms(check):
    """As it is registered, and with weights as far apart as they can be."""
    check()


def test_it_conforms_with_a_background(tmp_path):
    """The same, with a background of the one vocabulary that it is then tied to."""
    world, place = worlds()[0], tmp_path / "background.json"
    counts = np.random.default_rng(0).integers(-1, 2_000, world.vocabulary.size)
    write_background(
        place, model="kit", source="chance", vocabulary=world.vocabulary, counts=counts
    )
    # On a quarter of the cases: the background changes the weights alone.
    subject = KIT.subject(ENTRY, {"background": str(place)}, world=world, large=30)
    report = run_checks(KIT.checks, subject, "salient")
    assert not report.failures
    assert [one.clause for one in report.outcomes if one.status == "pass"].count("MASK-006") >= 2
