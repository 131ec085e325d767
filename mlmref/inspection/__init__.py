"""Looking at a corpus before a model is trained on it (clauses INSP, spec/inspect.md)."""

from mlmref.inspection.core import inspect as inspect
from mlmref.inspection.findings import Finding as Finding
from mlmref.inspection.findings import Report as Report

__all__ = ["Finding", "Report", "inspect"]
