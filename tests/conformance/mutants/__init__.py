"""Faulty plugins: what the conformance kit has to reject (spec/conformance.md, KIT-002)."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A plugin with a fault.

    Attributes:
        name: what it is called.
        fault: what is wrong with it, in a line.
        subject: the plugin on the bench, as the kit's checks take it.
        rejected_by: the check that is the first to reject it, in the kit's order.
    """

    name: str
    fault: str
    subject: Any
    rejected_by: str
