"""``mlmref inspect``: findings about a corpus before training (clauses INSP, spec/inspect.md)."""

from mlmref.studies.inspection.findings import Finding as Finding
from mlmref.studies.inspection.findings import InspectionReport as InspectionReport
from mlmref.studies.inspection.inspect import inspect as inspect

__all__ = ["Finding", "Report", "inspect"]
