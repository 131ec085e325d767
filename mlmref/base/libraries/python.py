"""What mlmref uses of Python's standard library that is not in its public API."""

from __future__ import annotations

import csv
from importlib.metadata import Distribution
from pathlib import Path


def metadata_folder(distribution: Distribution) -> str:
    """Return the name of a distribution's metadata folder, which it has even if it is damaged."""
    return Path(str(getattr(distribution, "_path", "a damaged distribution"))).name


def is_lone_carriage_return(error: csv.Error) -> bool:
    """Tell whether a CSV line ends with a carriage return alone."""
    return "new-line character" in str(error)


def is_open_quote(error: csv.Error) -> bool:
    """Tell whether a CSV file ends within quotation marks."""
    return "unexpected end" in str(error)
