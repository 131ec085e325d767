"""The hooks that a plugin implements, one for each kind of plugin."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from mlmref.plugin.contracts import SegmenterEntry, StrategyEntry
from mlmref.plugin.training import BackendEntry

PROJECT = "mlmref"
"""The namespace of the hooks, and the entry-point group of plugins."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as the implementation of the hook with the same name."""


@hookspec
def mlmref_masking_strategies() -> Iterable[StrategyEntry]:
    """Return the masking strategies of this plugin.

    Called once, at discovery, and therefore by every command. Do expensive work in
    ``StrategyEntry.build``, which is called when a run uses the strategy.
    """
    raise NotImplementedError  # pluggy calls implementations, never the specification


@hookspec
def mlmref_training_backends() -> Iterable[BackendEntry]:
    """Return the training backends of this plugin.

    Called once, at discovery, and therefore by every command. Import the training library in
    ``BackendEntry.build``, which is called when a run uses the backend.
    """
    raise NotImplementedError  # pluggy calls implementations, never the specification


@hookspec
def mlmref_word_segmenters() -> Iterable[SegmenterEntry]:
    """Return the word segmenters of this plugin.

    Called once, at discovery, and therefore by every command. Load dictionaries and models at the
    first call of ``segment``: cached tokens need no segmenter.
    """
    raise NotImplementedError  # pluggy calls implementations, never the specification
