"""What a person sees while a run works: bars, lines for logs, or a bar in a notebook."""

from mlmref.progress.core import SILENT as SILENT
from mlmref.progress.core import Quiet as Quiet
from mlmref.progress.core import Reporter as Reporter
from mlmref.progress.core import Silent as Silent
from mlmref.progress.core import Stage as Stage
from mlmref.progress.core import of_a_library as of_a_library
from mlmref.progress.core import reporter as reporter
