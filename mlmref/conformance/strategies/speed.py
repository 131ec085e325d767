"""Check the cost of a mask: Python instructions and memory, which do not depend on the machine.

Seconds depend on the other work of the machine.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mlmref.conformance.checks import Checks
from mlmref.conformance.strategies.rows import make_rows
from mlmref.conformance.strategies.subject import Subject
from mlmref.conformance.strategies.worlds import Case, large_cases
from mlmref.conformance.violation import Violation
from mlmref.plugin.contracts import Corruption, StrategyEntry

CHECKS: Checks[Subject] = Checks()

SLOWEST = 20.0
"""Maximum cost of a mask, as a multiple of the cost of ``token`` (MASK-032)."""


@CHECKS("MASK-032", fix="replace loops over tokens by NumPy operations on whole arrays")
def check_it_is_not_slow(subject: Subject) -> None:
    """A mask takes at most twenty times the Python instructions and the memory of ``token``.

    Checked in batches of 64 rows of 128 tokens and of 8 rows of 1,024 tokens.
    """
    every = list(large_cases(3, subject.world))
    for case in (every[0], every[2]):  # a usual and a large vocabulary
        rows = case.rows
        ids, starts = (one.reshape(-1)[:8_192] for one in (rows.input_ids, rows.word_start))
        for shape in ((64, 128), (8, 1_024)):
            # The same tokens in rows of another length.
            again = make_rows(case.vocabulary, np.resize(ids, shape), np.resize(starts, shape))
            mine, tokens = (_cost(one, replace(case, rows=again)) for one in (subject, _token()))
            for what, own, usual in zip(_COUNTED, mine, tokens, strict=True):
                if own > SLOWEST * usual:
                    raise Violation(
                        f"a mask takes {own:,} {what}, {own / usual:.0f} times as many as token's",
                        shape=shape,
                        vocabulary_size=case.vocabulary.size,
                    )


_COUNTED = ("Python instructions", "bytes of memory")


def _cost(subject: Subject, case: Case) -> tuple[int, int]:
    """Return the instructions and bytes of a mask, not of the first one."""
    subject.ready(case)()  # the first call may build what later calls reuse
    return instructions(subject.ready(case)), _memory(subject.ready(case))


def instructions(function: Callable[..., Any], *arguments: Any) -> int:
    """Return the number of Python instructions (opcodes) that a call executes."""
    count = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return count


def _memory(function: Callable[..., Any], *arguments: Any) -> int:
    """Return the peak memory of a call in bytes, of Python objects and NumPy arrays."""
    traced = tracemalloc.is_tracing()
    if not traced:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        function(*arguments)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not traced:
            tracemalloc.stop()


def _token() -> Subject:
    """Return the strategy ``token``, whose cost is the unit."""
    from mlmref.masking.builtin import TokenMasking, TokenOptions

    entry = StrategyEntry(name="token", summary="-", build=TokenMasking, options=TokenOptions)
    return Subject(entry=entry, options=TokenOptions(), corruption=Corruption())
