"""mlmref: the reference implementation of masked-language-model fine-tuning.

``mlmref.run`` does the same as the command ``mlmref run``. The steps of a run are functions too,
from ``load_corpus`` and ``tokenize`` to ``perplexity`` and ``fill_mask``. Three modules are public:
``mlmref``, ``mlmref.plugin`` for the authors of plugins, and ``mlmref.conformance``, which tests a
plugin. All others are private: their names and contents may change in any release.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlmref.base.version import __version__ as __version__

if TYPE_CHECKING:
    from mlmref.base.errors import MlmrefError as MlmrefError
    from mlmref.data.from_dataset import from_dataset as from_dataset
    from mlmref.data.group_texts import GroupTexts as GroupTexts
    from mlmref.masking.collator import MaskingCollator as MaskingCollator
    from mlmref.plugin.discovery import discover as discover
    from mlmref.plugin.hookspecs import hookimpl as hookimpl
    from mlmref.results.result import Result as Result
    from mlmref.runner.run import evaluate as evaluate
    from mlmref.runner.run import run as run
    from mlmref.runner.steps.masks import decode as decode
    from mlmref.runner.steps.masks import mask as mask
    from mlmref.runner.steps.models import fill_mask as fill_mask
    from mlmref.runner.steps.models import load_model as load_model
    from mlmref.runner.steps.models import load_tokenizer as load_tokenizer
    from mlmref.runner.steps.perplexity import perplexity as perplexity
    from mlmref.runner.steps.text import chunk as chunk
    from mlmref.runner.steps.text import load_corpus as load_corpus
    from mlmref.runner.steps.text import split as split
    from mlmref.runner.steps.text import tokenize as tokenize
    from mlmref.settings.config import Config as Config
    from mlmref.settings.resolve import resolve as resolve

# Imported when first used, so that the command line answers before NumPy and pydantic load.
_HOMES = {
    "Config": "settings.config",
    "MaskingCollator": "masking.collator",
    "GroupTexts": "data.group_texts",
    "MlmrefError": "base.errors",
    "Result": "results.result",
    "chunk": "runner.steps.text",
    "decode": "runner.steps.masks",
    "discover": "plugin.discovery",
    "evaluate": "runner.run",
    "fill_mask": "runner.steps.models",
    "from_dataset": "data.from_dataset",
    "hookimpl": "plugin.hookspecs",
    "load_corpus": "runner.steps.text",
    "load_model": "runner.steps.models",
    "load_tokenizer": "runner.steps.models",
    "mask": "runner.steps.masks",
    "perplexity": "runner.steps.perplexity",
    "resolve": "settings.resolve",
    "run": "runner.run",
    "split": "runner.steps.text",
    "tokenize": "runner.steps.text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mlmref' has no attribute {name!r}")
    return getattr(import_module(f"mlmref.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
