"""The conformance kit: tests whether a plugin keeps the clauses that apply to plugins.

For a package's own tests::

    from mlmref.conformance import parametrize_strategy_checks

    @parametrize_strategy_checks([entry])
    def test_it_conforms(check):
        check()

For each kind of plugin there are ``check_KIND`` and ``parametrize_KIND_checks``, methods of its
:class:`~mlmref.conformance.kit.Kit`. They need the extra ``conformance`` (Hypothesis and pytest).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlmref.plugin.kinds import KINDS, imported

if TYPE_CHECKING:  # so that type checkers know the functions
    from mlmref.conformance import backends, segmenters, strategies

    check_backend = backends.KIT.check
    check_segmenter = segmenters.KIT.check
    check_strategy = strategies.KIT.check
    parametrize_backend_checks = backends.KIT.parametrize
    parametrize_segmenter_checks = segmenters.KIT.parametrize
    parametrize_strategy_checks = strategies.KIT.parametrize


def __getattr__(name: str) -> Any:
    """Return a public function; the kit is imported when it is first used."""
    for kind in KINDS:
        if name == f"check_{kind.short}":
            return imported(kind.kit).check
        if name == f"parametrize_{kind.short}_checks":
            return imported(kind.kit).parametrize
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
