"""The conformance kit: tests whether a plugin keeps the clauses that apply to plugins.

For a package's own tests::

    from mlmref.conformance import parametrize_strategy_checks

    @parametrize_strategy_checks([entry])
    def test_it_conforms(check):
        check()

It needs the extra ``conformance`` (Hypothesis and pytest).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that the tests of a plugin can be typed strictly
    from mlmref.conformance.backends import check_backend, parametrize_backend_checks
    from mlmref.conformance.segmenters import check_segmenter, parametrize_segmenter_checks
    from mlmref.conformance.strategies import check_strategy, parametrize_strategy_checks

_PUBLIC = {
    "check_backend": "backends",
    "parametrize_backend_checks": "backends",
    "check_segmenter": "segmenters",
    "parametrize_segmenter_checks": "segmenters",
    "check_strategy": "strategies",
    "parametrize_strategy_checks": "strategies",
}

__all__ = [
    "check_backend",
    "check_segmenter",
    "check_strategy",
    "parametrize_backend_checks",
    "parametrize_segmenter_checks",
    "parametrize_strategy_checks",
]


def __getattr__(name: str) -> Any:
    """Import the module of a public name when it is asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
