"""``mlmref verify``: the tutorial's figures against mlmref's (spec/tutorial.md)."""

from __future__ import annotations

from mlmref.studies.tutorial.steps import Verified as Verified
from mlmref.studies.tutorial.steps import verify as verify
