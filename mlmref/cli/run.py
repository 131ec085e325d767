"""``mlmref run``."""

from __future__ import annotations

from mlmref.cli import flags
from mlmref.cli.base import out, reporter_of, tell
from mlmref.cli.command import CHUNKS, Given, command


@command(
    *CHUNKS,
    "masking",
    "seed",
    "training",
    "checkpoints",
    "tracking",
    "fill",
    "output",
    sources=True,
)
def run(
    given: Given,
    resume: flags.Resume = None,
    no_plugin: flags.NoPlugin = None,
    print_config: flags.PrintConfig = False,
    quiet: flags.Quiet = False,
) -> None:
    """Adapt a model to a corpus: perplexity before, training, perplexity after.

    Example: mlmref run --corpus reviews.csv --text-column body --masking whole-word
    """
    from mlmref.plugin.discovery import discover
    from mlmref.runner.folder.resume import settings_file

    config = given.shared(file=lambda: settings_file(resume))
    registry = discover(disable=no_plugin or (), tell=tell)
    if print_config:
        from mlmref.runner.context import choose_plugins
        from mlmref.settings.resolve import to_toml

        printed = to_toml(choose_plugins(config, registry)[0])
        out.print(printed, end="", markup=False, soft_wrap=True)
        return
    from mlmref.runner.run import run as run_

    result = run_(config, resume=resume, reporter=reporter_of(quiet), registry=registry)
    if quiet:
        out.print(str(result.folder), markup=False, soft_wrap=True)
        return
    from mlmref.cli.show import show_run

    show_run(result, out)
