"""``mlmref verify``."""

from __future__ import annotations

from mlmref.base.errors import Status
from mlmref.cli import flags
from mlmref.cli.base import parts, reporter_of, show
from mlmref.cli.command import command


@command()
def verify(
    only: flags.Only = None,
    require: flags.Require = None,
    cpu: flags.OnCpu = False,
    set_: flags.Sets = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> int | None:
    """Check each step and figure of the tutorial against mlmref.

    Example: mlmref verify --only T09
    """
    from mlmref.studies.tutorial import verify as verify_
    from mlmref.studies.tutorial.terminal import show_verified

    rows = verify_(
        only=parts(only),
        require=parts(require),
        cpu=cpu,
        sets=set_ or (),
        reporter=reporter_of(quiet),
    )
    show(rows, as_json, show_verified)
    return Status.FAILED if any(row.verdict == "failed" for row in rows) else None
