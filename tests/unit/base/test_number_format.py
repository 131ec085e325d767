"""Numbers as text, at the edges of each format."""

import math

import pytest

from mlmref.base.number_format import chance, level, number, percent, rounded_percent, span


@pytest.mark.clause("CLI-008")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(1234.567), "1,234.57"),
        (number(1e9), "1e+09"),
        (number(math.nan), "unknown"),
        (number(-math.inf), "-infinite"),
        (percent(0.4567), "45.7 %"),
        (percent(0.0), "0.0 %"),
        (percent(0.0009), "under 0.1 %"),
        (percent(math.inf), "infinite"),
        (rounded_percent(0.046_78), "4.68 %"),
        (rounded_percent(9.994), "999 %"),
        (rounded_percent(12.345), "1,234 %"),
        (level(0.95), "95%"),
        (level(0.999), "99.9%"),
        (span(1.0, 2.0, ".1f"), "1.0 to 2.0"),
        (span(math.nan, math.nan, ".1f"), "-"),
        (chance(0.000_123), "0.012%"),
        (chance(0.25), "25.0%"),
    ],
)
def test_formats(text, expected):
    """Large, small, infinite and missing numbers are written as expected."""
    assert text == expected
