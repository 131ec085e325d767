"""Write a comparison as JSON, CSV and a page (COMP-017)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlmref.base.disk import replace
from mlmref.results.record import dumps
from mlmref.studies.comparison.page import page


def write_all(place: Path, answer: Mapping[str, Any]) -> None:
    """Write an answer to the comparison folder, and replace an earlier one."""
    replace(place / "comparison.json", (dumps(answer, indent=1) + "\n").encode())
    replace(place / "runs.csv", as_csv(answer["runs"]))
    pairs = [{**pair, "by_seed": " ".join(map(repr, pair["by_seed"]))} for pair in answer["pairs"]]
    replace(place / "pairs.csv", as_csv(pairs))
    replace(place / "comparison.html", page(answer).encode())


def as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows with the same keys as CSV in UTF-8, with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0] if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
