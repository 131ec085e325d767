"""mlmref: the reference implementation of masked-language-model fine-tuning.

``mlmref.run(config)`` does the same as ``mlmref run`` with these settings. Three modules are
public: ``mlmref``, ``mlmref.plugin`` for the authors of plugins, and ``mlmref.conformance``, which
tests a plugin. All others are private: their names and contents may change in any release.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlmref.base.version import __version__ as __version__

if TYPE_CHECKING:
    from mlmref.base.errors import MlmrefError as MlmrefError
    from mlmref.masking.collator import MaskingCollator as MaskingCollator
    from mlmref.plugin.discovery import discover as discover
    from mlmref.plugin.hookspecs import hookimpl as hookimpl
    from mlmref.results.result import Result as Result
    from mlmref.runner.run import evaluate as evaluate
    from mlmref.runner.run import run as run
    from mlmref.settings.config import Config as Config
    from mlmref.settings.resolve import resolve as resolve

# Imported when first used, so that the command line answers before NumPy and pydantic load.
_HOMES = {
    "Config": "settings.config",
    "MaskingCollator": "masking.collator",
    "MlmrefError": "base.errors",
    "Result": "results.result",
    "discover": "plugin.discovery",
    "evaluate": "runner.run",
    "hookimpl": "plugin.hookspecs",
    "resolve": "settings.resolve",
    "run": "runner.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mlmref' has no attribute {name!r}")
    return getattr(import_module(f"mlmref.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
