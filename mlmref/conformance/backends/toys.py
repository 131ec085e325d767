"""Draw toy jobs, and shrink a failing one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from mlmref.conformance.backends.toy import Rows, Toy
from mlmref.conformance.search import shrinks

DRAWN = 60
"""Number of small jobs that Hypothesis draws."""

WORK = 3_000
"""Maximum number of rows trained to shrink a failure: ten seconds with a slow library."""

Parts = tuple[Rows, ...]


@lru_cache(maxsize=1)
def toys() -> tuple[Toy, ...]:
    """Return the jobs, small ones first; always the same."""
    return tuple(sorted({*_drawn(), *_large()}, key=lambda toy: (size(toy), repr(toy))))


def size(toy: Toy) -> int:
    """Return the size of a job: its rows, micro-batches and fields without defaults."""
    return sum(1 + len(rows) for step in toy.steps for rows in step) + len(toy.example())


def _drawn() -> list[Toy]:
    """Return small jobs that Hypothesis draws; :func:`shrink` shrinks a failing one.

    All checks use the same jobs, so a backend trains each only once.
    """
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    rows = st.lists(st.sampled_from([0, 0, 1, 2, 3, 5, -1]), min_size=1, max_size=3).map(tuple)
    step = st.lists(rows, min_size=1, max_size=4).map(tuple)
    found: list[Toy] = []

    @settings(
        max_examples=DRAWN,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(
        st.builds(
            Toy,
            steps=st.lists(step, min_size=1, max_size=5).map(tuple),
            optimizer=st.sampled_from(["sgd", "adamw"]),
            learning_rate=st.sampled_from([0.5, 0.05]),
            max_grad_norm=st.sampled_from([math.inf, 0.5, 0.01]),
            dropout=st.sampled_from([0.0, 0.5]),
            precision=st.sampled_from(["fp32", "fp32", "bf16"]),
            evaluates=st.booleans(),
            leftovers=st.booleans(),
        )
    )
    def draw(toy: Toy) -> None:
        found.append(toy)

    draw()
    return found


def _large() -> list[Toy]:
    """Return large jobs, which show rare bugs: many steps, micro-batches or rows."""
    many = _random_steps(0, 131)
    wide: tuple[Parts, ...] = tuple(
        tuple((row % 4, 1) for row in range(parts)) for parts in (1, 2, 3, 5, 8, 17, 33, 65, 6)
    )
    window: Parts = ((2,), (1,), (3,), (1,))
    return [
        Toy(steps=many, optimizer="adamw", learning_rate=0.05),
        Toy(steps=_random_steps(1, 130), learning_rate=0.05, max_grad_norm=0.25, dropout=0.25),
        Toy(steps=(((1,),), ((0, 2),), ((3,), (1,))) * 340, learning_rate=0.01),
        Toy(steps=_random_steps(2, 40), evaluates=True, optimizer="adamw", max_grad_norm=0.5),
        Toy(steps=_random_steps(3, 40), precision="bf16", learning_rate=0.05),
        Toy(steps=wide, learning_rate=0.05),
        Toy(steps=wide, learning_rate=0.05, max_grad_norm=0.1, optimizer="adamw"),
        Toy(steps=(((1,) * 300,), ((0,) * 70 + (9,),), ((2, 0) * 64, (40,)))),
        *(Toy(steps=(*(window,) * 3, window[:left])) for left in (1, 2, 3)),  # a partial window
        *(Toy(steps=(window,) * count, max_grad_norm=1.0) for count in (1, 2, 3, 4, 6)),
        # Without targets: first, last and middle steps; a whole step or a part of it.
        Toy(steps=(((0,),), ((2,),), ((0,), (0,)), ((1,),), ((0,),)), optimizer="adamw"),
        Toy(steps=(((0,), (2,)), ((2,), (0,)), ((1,), (0,), (1,)), ((0,), (0,), (3,)))),
        # With a gradient of zero, momentum and decay still apply, unlike without targets.
        Toy(steps=(((2,),), ((-1,),), ((-1,), (-1,)), ((1,),)), optimizer="adamw"),
    ]


def _random_steps(seed: int, count: int) -> tuple[Parts, ...]:
    """Return steps of one to nine micro-batches; one step in ten has no target."""
    rng = np.random.default_rng(seed)

    def rows(idle: bool) -> Rows:
        counts = rng.choice([0, 1, 2, 3, 5, -1], int(rng.integers(1, 5)))
        return tuple(0 if idle else int(count) for count in counts)

    def step() -> Parts:
        idle = rng.random() < 0.1
        parts = 1 + min(8, int(rng.geometric(0.4)))
        return tuple(rows(idle) for _ in range(parts if rng.random() < 0.8 else 1))

    return tuple(step() for _ in range(count))


def shrink(toy: Toy, fails: Callable[[Toy], bool]) -> Toy:
    """Return the smallest failing job that is found."""
    if not shrinks():
        return toy
    tried, work = {toy}, 0
    found: Toy | None = toy
    while found is not None:
        toy, found = found, None
        for one in _smaller(toy):
            if one in tried or work > WORK:
                continue
            tried.add(one)
            work += size(one)
            if fails(one):
                found = one
                break
    return toy


def _smaller(toy: Toy) -> Iterator[Toy]:
    """Yield smaller jobs, much smaller ones first."""
    for steps in _without(toy.steps):
        yield replace(toy, steps=steps)
    for one in fields(toy):
        if one.name != "steps" and getattr(toy, one.name) != one.default:
            usual: dict[str, Any] = {one.name: one.default}
            yield replace(toy, **usual)
    *early, last = toy.steps
    for steps in (
        (*((((1,),),) * len(early)), last),
        tuple(tuple((1,) for _ in step) for step in toy.steps),
        tuple((step[0],) for step in toy.steps),
    ):
        if size(replace(toy, steps=steps)) < size(toy):
            yield replace(toy, steps=steps)
    for number, step in enumerate(toy.steps):
        for parts in _fewer_parts(step):
            yield replace(toy, steps=(*toy.steps[:number], parts, *toy.steps[number + 1 :]))


def _fewer_parts(step: Parts) -> Iterator[Parts]:
    yield from _without(step)
    for number, rows in enumerate(step):
        for fewer in (*_without(rows), *_lower(rows)):
            yield (*step[:number], fewer, *step[number + 1 :])


def _lower(rows: Rows) -> Iterator[Rows]:
    for number, count in enumerate(rows):
        if count not in (0, 1):
            yield (*rows[:number], 1, *rows[number + 1 :])


def _without(parts: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the parts without a run of neighbours, long runs first; never empty."""
    step = (len(parts) + 1) // 2
    while step and len(parts) > 1:
        for first in range(0, len(parts), step):
            left = parts[:first] + parts[first + step :]
            if left:
                yield left
        step //= 2
