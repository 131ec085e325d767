"""What came of the mutants: the share killed, and each survivor with its reason."""

import re
from collections import Counter
from dataclasses import dataclass

LEAST = 0.9
"""The share of mutants to be killed."""
KILLED = ("killed", "timeout")
"""What mutmut calls a mutant that a test failed on, or that ran on and on."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A mutant: what stands in which function, what instead, and what mutmut says came of it."""

    module: str
    function: str
    was: str
    becomes: str
    status: str

    @property
    def key(self):
        """Return what it is known by: no number, which changes with all code before it."""
        return self.module, self.function, self.was, self.becomes

    @property
    def killed(self):
        """Tell whether it was found out."""
        return self.status in KILLED


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to be reported.

    Attributes:
        counts: for each module its killed mutants and all of them.
        explained: each survivor that is known to be equivalent, and why.
        unexplained: every other survivor.
        stale: entries of the list of equivalent mutants that did not survive.
    """

    counts: dict[str, tuple[int, int]]
    explained: list[tuple[Mutant, str]]
    unexplained: list[Mutant]
    stale: list[dict[str, str]]

    @property
    def share(self):
        """Return the share killed of all mutants, equivalent ones among them."""
        killed, total = (sum(column) for column in zip(*self.counts.values(), strict=True))
        return killed / total

    @property
    def passed(self):
        """Tell whether enough were killed, and each other one is known to be equivalent."""
        return self.share >= LEAST and not self.unexplained and not self.stale


def changes(diff):
    """Return the lines that a unified diff takes away, and those it adds, in one line each."""
    parts = {"-": [], "+": []}
    for line in diff.splitlines():
        if line[:1] in parts and not re.match(r"(---|\+\+\+)( |$)", line):
            parts[line[0]].append(line[1:].strip())
    return " ".join(parts["-"]), " ".join(parts["+"])


def judge(mutants, equivalent, *, whole=True):
    """Compare what survived with the list of equivalent mutants.

    Args:
        mutants: all mutants.
        equivalent: entries with ``module``, ``function``, ``was``, ``becomes`` and ``why``.
        whole: whether these are all mutants; entries of others are not stale.

    Raises:
        ValueError: there are no mutants, or an entry gives no reason.
    """
    mutants = [*mutants]
    if not mutants:
        raise ValueError("there are no mutants")
    reasons = {}
    for entry in equivalent:
        if not entry["why"].strip():
            raise ValueError(f"no reason is given for {entry}")
        reasons[tuple(entry[name] for name in ("module", "function", "was", "becomes"))] = entry
    killed = Counter(mutant.module for mutant in mutants if mutant.killed)
    total = Counter(mutant.module for mutant in mutants)
    alive = [mutant for mutant in mutants if not mutant.killed]
    survived = {mutant.key for mutant in alive}
    return Verdict(
        counts={module: (killed[module], total[module]) for module in sorted(total)},
        explained=[(one, reasons[one.key]["why"]) for one in alive if one.key in reasons],
        unexplained=[one for one in alive if one.key not in reasons],
        stale=[entry for key, entry in reasons.items() if whole and key not in survived],
    )


def lines(verdict):
    """Write the report, line by line."""
    for title, survivors in (
        ("equivalent", verdict.explained),
        ("UNEXPLAINED", [(mutant, None) for mutant in verdict.unexplained]),
    ):
        for mutant, why in survivors:
            yield f"{title}: {mutant.module} {mutant.function} ({mutant.status})"
            yield from (f"  - {mutant.was}", f"  + {mutant.becomes}")
            yield from [f"  {why}"] if why else []
    for entry in verdict.stale:
        yield f"STALE in equivalent.toml: {entry['module']} {entry['function']}"
        yield from (f"  - {entry['was']}", f"  + {entry['becomes']}")
    yield ""
    width = max(map(len, verdict.counts))
    for module, (killed, total) in verdict.counts.items():
        yield f"{module:{width}} {killed:4} of {total:4} killed, {killed / total:6.1%}"
    killed, total = (sum(column) for column in zip(*verdict.counts.values(), strict=True))
    yield f"{'all':{width}} {killed:4} of {total:4} killed, {verdict.share:6.1%}"
    yield (
        f"{len(verdict.explained)} survivors equivalent, {len(verdict.unexplained)} unexplained, "
        f"{len(verdict.stale)} stale entries; at least {LEAST:.0%} have to be killed: "
        f"{'passed' if verdict.passed else 'FAILED'}"
    )
