"""The corpus, model and plugins that a run used, as its record states them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlmref.plugin.kinds import kind_of

if TYPE_CHECKING:
    from mlmref.plugin.registry import Chosen
    from mlmref.runner.context import Plugins
    from mlmref.runner.prepare import Ready


def corpus_used(ready: Ready) -> dict[str, Any]:
    """Return the corpus with its numbers of documents, tokens and chunks."""
    return {
        "name": ready.corpus.name,
        "source": ready.corpus.source,
        "fingerprint": ready.corpus.fingerprint,
        "documents": len(ready.corpus),
        "empty": ready.corpus.empty,
        "tokens": int(ready.chunks.tokens.offsets[-1]),
        "chunks": len(ready.chunks),
        "chunks_train": len(ready.split.train),
        "chunks_test": len(ready.split.test),
    }


def model_used(ready: Ready) -> dict[str, Any]:
    """Return the name, revision, hash and size of the model."""
    return {
        "name": ready.loaded.name,
        "revision": ready.loaded.revision,
        "hash": ready.loaded.digest,
        "parameters": sum(one.numel() for one in ready.loaded.model.parameters()),
        "repeatable": ready.objective.repeatable,
    }


def plugins_used(plugins: Plugins) -> dict[str, Any]:
    """Return the plugin of each kind with its options."""
    return {kind_of(one.entry).record: plugin_used(one) for one in plugins.chosen}


def plugin_used(chosen: Chosen[Any]) -> dict[str, Any]:
    """Return a plugin's name, distribution, version and options."""
    return {
        "name": chosen.entry.name,
        "distribution": chosen.source.distribution,
        "version": chosen.source.version,
        "options": chosen.options.model_dump(mode="json"),
    }
