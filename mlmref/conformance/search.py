"""The smallest case that breaks a property, among those that Hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from mlmref.conformance.core import Violation

_SHRINKS: ContextVar[bool] = ContextVar("shrinks", default=True)


@contextmanager
def as_found() -> Iterator[None]:
    """Leave the first wrong case as it is: where only the verdict counts, in half the time."""
    before = _SHRINKS.set(False)
    try:
        yield
    finally:
        _SHRINKS.reset(before)


def search(cases: Any, violation: Callable[[Any], Violation | None], *, examples: int) -> None:
    """Draw cases, the same at each call, and make the first that is wrong as small as can be.

    Args:
        cases: a Hypothesis strategy.
        violation: tells what is wrong with a case, or ``None``.
        examples: how many to draw.

    Raises:
        Violation: of the smallest case found.
    """
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Flaky

    last: list[Violation] = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if _SHRINKS.get() else (Phase.generate,),
        report_multiple_bugs=False,
    )
    @given(case=cases)
    def small(case: Any) -> None:
        found = violation(case)
        if found:
            last[:] = [found]
            raise found

    try:
        small()
    except Flaky:  # it failed once and not again, which is a failure all the same
        raise last[0] from None
