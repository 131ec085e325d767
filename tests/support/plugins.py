"""Plugins by shape alone, as if they were installed."""

import types

from mlmref.plugin.contracts import Options, StrategyEntry
from mlmref.plugin.discovery import Found
from mlmref.plugin.hookspecs import hookimpl
from mlmref.plugin.registry import Source


class Strategy:
    """A strategy by shape alone."""

    def propose(self, batch, draws):
        """Propose nothing."""


class SomeOptions(Options):
    """Options with one field."""

    rate: float = 0.5


def entry(name="mine", **changes):
    """Return a valid entry, changed as asked."""
    values = {"name": name, "summary": "a summary", "build": lambda options: Strategy()}
    return StrategyEntry(**(values | changes))


def plugin(*entries, hook="mlmref_masking_strategies", arguments=""):
    """Return a module with one hook that gives ``entries``."""
    module = types.ModuleType("plugin_module")
    scope = {"entries": list(entries), "hookimpl": hookimpl}
    exec(f"@hookimpl\ndef {hook}({arguments}):\n    return entries\n", scope)  # noqa: S102 - a hook by name
    setattr(module, hook, scope[hook])
    return module


def found(module, distribution="other", name="entry", version="1.0"):
    """Return a plugin as if an installed distribution had it."""

    def load():
        if isinstance(module, BaseException):
            raise module
        return module

    return Found(Source(distribution, name, version), load)


def names(registry):
    """Return the names of a registry's strategies."""
    return [one.entry.name for one in registry.strategies]
