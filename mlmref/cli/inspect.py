"""``mlmref inspect``."""

from __future__ import annotations

from mlmref.base.errors import Status
from mlmref.cli import flags
from mlmref.cli.base import reporter_of, show, tell
from mlmref.cli.command import CHUNKS, TRAINING_ONLY, Given, command


@command(*CHUNKS, omit=TRAINING_ONLY, sources=True)
def inspect(
    given: Given,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> int | None:
    """Inspect a corpus before training: its contents, its problems, and what to do about them.

    Status 1 if there is a problem. Example: mlmref inspect --corpus reviews.csv --text-column body
    """
    from mlmref.plugin.discovery import discover
    from mlmref.studies.inspection import inspect as inspect_
    from mlmref.studies.inspection.terminal import show_inspection

    config = given.shared()
    registry = discover(disable=no_plugin or (), tell=tell)
    report = inspect_(config, reporter=reporter_of(quiet), registry=registry)
    show(report, as_json, show_inspection)
    return Status.FAILED if report.mark == "problem" else None
