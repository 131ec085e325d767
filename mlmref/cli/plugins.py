"""``mlmref plugins``."""

from __future__ import annotations

from mlmref.cli import flags
from mlmref.cli.base import show, tell
from mlmref.cli.command import command


@command()
def plugins(no_plugin: flags.NoPlugin = None, as_json: flags.AsJson = False) -> None:
    """List the entries of all plugins by kind, and the plugins that are broken or disabled.

    Example: mlmref plugins --json
    """
    from mlmref.cli.show import show_plugins
    from mlmref.plugin.discovery import discover

    show(discover(disable=no_plugin or (), tell=tell), as_json, show_plugins)
