"""``mlmref verify``: the tutorial's steps against mlmref, figure by figure (spec/tutorial.md)."""

from __future__ import annotations

from mlmref.studies.tutorial.steps import Verified as Verified
from mlmref.studies.tutorial.steps import verify as verify
