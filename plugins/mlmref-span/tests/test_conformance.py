"""Span masking keeps every clause that a masking strategy has to keep."""

from mlmref_span import mlmref_masking_strategies

from mlmref.conformance import parametrize_strategy_checks


@parametrize_strategy_checks(mlmref_masking_strategies())
def test_it_conforms(check):
    """As it is registered."""
    check()
