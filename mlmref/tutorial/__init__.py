"""``mlmref verify``: the tutorial's steps against mlmref, figure by figure (spec/tutorial.md)."""

from __future__ import annotations

from mlmref.tutorial.core import Verified as Verified
from mlmref.tutorial.core import verify as verify
