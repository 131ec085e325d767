"""The conformance kit: tells whether a plugin keeps the clauses of spec/ that are a plugin's.

For a package's own tests::

    from mlmref.conformance import parametrize_strategy_checks

    @parametrize_strategy_checks([entry])
    def test_it_conforms(check):
        check()

It needs the extra ``conformance`` (Hypothesis and pytest).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "check_backend": "backends",
    "parametrize_backend_checks": "backends",
    "check_segmenter": "segmenters",
    "parametrize_segmenter_checks": "segmenters",
    "check_strategy": "strategies",
    "parametrize_strategy_checks": "strategies",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import the module of a public name when it is asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
