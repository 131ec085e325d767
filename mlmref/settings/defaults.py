"""Defaults that depend on the corpus and the model (CONF-006)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

DEFAULT_PRESET = "tiny"

_ABOUT = {"corpus": ("split",), "model": ("model", "training")}
"""Sections of the default preset that fit only its corpus or only its model.

A number of chunks to train on suits one corpus, and a learning rate suits one model. Others have
the defaults of :mod:`mlmref.settings.config`, which are shares and a moderate rate.
"""


@cache
def preset(name: str) -> dict[str, Any]:
    """Return the tree of settings of a preset that ships."""
    file = resources.files("mlmref.settings").joinpath("presets", f"{name}.toml")
    return tomllib.loads(file.read_text("utf-8"))


def fitting(model: str, corpus: str) -> dict[str, dict[str, Any]]:
    """Return the settings of the default preset, by section, that fit a model and a corpus."""
    own, names = preset(DEFAULT_PRESET), {"corpus": corpus, "model": model}
    fits = [name for name, about in _ABOUT.items() if names[name] == own[name]["name"]]
    return {section: own[section] for name in fits for section in _ABOUT[name]}
