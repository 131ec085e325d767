"""The training backend ``fabric`` for mlmref: a plain loop on Lightning Fabric."""

from __future__ import annotations

from mlmref.plugin import BackendEntry, Options, TrainingBackend, hookimpl

__all__ = ["mlmref_training_backends"]


@hookimpl
def mlmref_training_backends() -> list[BackendEntry]:
    """Return the entry of ``fabric``."""
    return [BackendEntry(name="fabric", summary="a plain loop on Lightning Fabric", build=_build)]


def _build(options: Options) -> TrainingBackend:
    # Imported here, so that listing plugins imports neither torch nor Fabric (PLUG-011).
    from mlmref_fabric.backend import FabricBackend

    return FabricBackend(options)
