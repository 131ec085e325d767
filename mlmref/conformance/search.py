"""Draw small cases with Hypothesis, and find the smallest that breaks a property."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from mlmref.conformance.violation import Violation

_SHRINKS: ContextVar[bool] = ContextVar("shrinks", default=True)


@contextmanager
def as_found() -> Iterator[None]:
    """Report the first failing case as it was found: much faster if only the verdict matters."""
    before = _SHRINKS.set(False)
    try:
        yield
    finally:
        _SHRINKS.reset(before)


def shrinks() -> bool:
    """Return whether failing cases are made smaller; they are, except in :func:`as_found`."""
    return _SHRINKS.get()


def search(cases: Any, violation: Callable[[Any], Violation | None], *, examples: int) -> None:
    """Try cases that Hypothesis draws, the same in each call, and shrink the first failing one.

    Args:
        cases: a Hypothesis strategy. Its cases are drawn once per process, so pass the same
            object for each property.
        violation: returns what is wrong with a case, or ``None``.
        examples: number of cases.

    Raises:
        Violation: of the smallest failing case found.
    """
    found = next(filter(None, map(violation, _drawn(cases, examples))), None)
    if found is None:
        return
    last = [found]

    def look(case: Any) -> None:
        wrong = violation(case)
        if wrong:
            last[:] = [wrong]
            raise wrong

    if shrinks():
        from hypothesis.errors import Flaky

        with suppress(Flaky):  # a failure that happens only sometimes is still a failure
            _each(cases, examples, look)
    raise last[0]


@lru_cache(maxsize=64)
def _drawn(cases: Any, examples: int) -> tuple[Any, ...]:
    """Return the cases of a Hypothesis strategy: drawing one costs more than most checks of it."""
    found: list[Any] = []
    _each(cases, examples, found.append)
    return tuple(found)


def _each(cases: Any, examples: int, look: Callable[[Any], None]) -> None:
    """Call ``look`` with each case; if it raises :class:`Violation`, shrink and raise again.

    Hypothesis seeds its draws with the source of ``each``. It is therefore one function for both
    uses: the case that failed in :func:`search` comes up again to be shrunk.
    """
    from hypothesis import HealthCheck, Phase, given, settings

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
    )
    @given(case=cases)
    def each(case: Any) -> None:
        look(case)

    each()
