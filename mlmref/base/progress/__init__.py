"""Progress of a run: live bars, lines for logs, or one bar in a notebook."""

from mlmref.base.progress.reporter import SILENT as SILENT
from mlmref.base.progress.reporter import Quiet as Quiet
from mlmref.base.progress.reporter import Reporter as Reporter
from mlmref.base.progress.reporter import Silent as Silent
from mlmref.base.progress.reporter import Stage as Stage
from mlmref.base.progress.reporter import of_a_library as of_a_library
from mlmref.base.progress.reporter import reporter as reporter
