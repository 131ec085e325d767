"""The hooks that a plugin implements."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from mlmref.plugin.contracts import SegmenterEntry, StrategyEntry
from mlmref.plugin.training import BackendEntry

PROJECT = "mlmref"
"""The name of the hooks' namespace and of the entry-point group that plugins are found in."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of the same name."""


@hookspec
def mlmref_masking_strategies() -> Iterable[StrategyEntry]:
    """Return the masking strategies that this plugin brings.

    Called once, when plugins are discovered; make nothing heavy here, ``StrategyEntry.build``
    is called when a run names the strategy.
    """
    raise NotImplementedError  # pluggy calls implementations, never the specification


@hookspec
def mlmref_training_backends() -> Iterable[BackendEntry]:
    """Return the training backends that this plugin brings.

    Called once, when plugins are discovered; import the training library inside
    ``BackendEntry.build``, so that listing plugins stays quick.
    """
    raise NotImplementedError  # pluggy calls implementations, never the specification


@hookspec
def mlmref_word_segmenters() -> Iterable[SegmenterEntry]:
    """Return the word segmenters that this plugin brings.

    Called once, when plugins are discovered; load dictionaries and models when the segmenter is
    first asked, since tokens that were made before are served without asking it.
    """
    raise NotImplementedError  # pluggy calls implementations, never the specification
