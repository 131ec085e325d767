"""What commands print of an answer (spec/run.md)."""

import io

import pytest
from rich.console import Console

from mlmref.cli.show import show_fills
from mlmref.evaluation.fill_mask import Answer, Filled


@pytest.mark.clause("CLI-008")
def test_fill_prints_probabilities_as_run_does():
    """The token first, then per cent; two digits where one decimal would be 0.0 %."""
    answers = tuple(Answer(token=one, score=p) for one, p in (("film", 0.0421), ("sea", 1.23e-5)))
    console = Console(file=io.StringIO(), width=80)
    show_fills({"model": "m", "answers": [Filled(prompt="a", mask=1, answers=answers)]}, console)
    assert console.file.getvalue().splitlines() == [
        "model: m",
        "a",
        "  film  4.2%",
        "  sea  0.0012%",
    ]
