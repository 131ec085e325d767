"""``mlmref verify``."""

from __future__ import annotations

import typer

from mlmref.base.errors import Status
from mlmref.cli import flags
from mlmref.cli.base import command, parts, reporter_of, show
from mlmref.cli.errors import told


@command()
def verify(
    only: flags.Only = None,
    require: flags.Require = None,
    cpu: flags.OnCpu = False,
    set_: flags.Sets = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Check mlmref against each step and figure of the tutorial that it is the reference for.

    Example: mlmref verify --only T09
    """
    with told(debug):
        from mlmref.studies.tutorial import verify as verify_

        rows = verify_(
            only=parts(only),
            require=parts(require),
            cpu=cpu,
            sets=set_ or (),
            reporter=reporter_of(quiet),
        )
        from mlmref.studies.tutorial.terminal import show_verified

        show(rows, as_json, show_verified)
    if any(row.verdict == "failed" for row in rows):
        raise typer.Exit(Status.FAULT)
