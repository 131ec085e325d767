"""Findings with their marks, the report of them, and the data they are made from (INSP-001)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from mlmref.base.errors import MlmrefError
from mlmref.base.number_format import fixed_percent
from mlmref.plugin.arrays import Int64Array
from mlmref.settings.config import Config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mlmref.data.chunks import Chunks
    from mlmref.data.corpus.corpus import Corpus
    from mlmref.data.split import Split
    from mlmref.data.tokens.tokens import Tokens
    from mlmref.studies.inspection.counts import Counted
    from mlmref.studies.inspection.reading import Seen

Mark = Literal["figure", "good", "warning", "problem"]
MARKS: tuple[Mark, ...] = get_args(Mark)
"""From "not judged" to the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A corpus, prepared as a run prepares it.

    Attributes:
        config: the settings of the run.
        tokenizer: the model's tokenizer.
        max_length: the most tokens that the model reads at once.
        corpus, seen: the documents, and what reading found in each.
        tokens, counted: their tokens, and the count of each token.
        chunks: the chunks of a run, or those it would have if it did not refuse them.
        split: the split of a run; ``None`` if it is impossible.
        refused: the errors of a run at chunks and split.
    """

    config: Config
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    corpus: Corpus
    seen: Seen
    tokens: Tokens
    counted: Counted
    chunks: Chunks
    split: Split | None
    refused: tuple[MlmrefError, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One property of the corpus.

    Attributes:
        section: ``documents``, ``duplicates``, ``tokens``, ``chunks`` or ``split``.
        key: its name for programs, the same in every version.
        what: its name for people.
        figure: the result, for people.
        values: the result, for programs: numbers, texts, or lists of them.
        mark: ``good``, ``warning``, ``problem``; ``figure`` if it is not judged.
        hint: what to do about a warning or a problem.
    """

    section: str
    key: str
    what: str
    figure: str
    values: dict[str, Any] = field(default_factory=dict)
    mark: Mark = "figure"
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionReport:
    """The result of an inspection.

    Attributes:
        model: the model whose tokenizer was used.
        corpus: where the text was found.
        mark: the worst mark of the findings.
        findings: in the order of the sections.
    """

    model: str
    corpus: str
    mark: Mark
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, model: str, corpus: str, findings: Iterable[Finding]) -> InspectionReport:
        """Return the report of some findings."""
        found = tuple(findings)
        worst = max((one.mark for one in found), key=MARKS.index, default=MARKS[0])
        return cls(model=model, corpus=corpus, mark=worst, findings=found)


def graded(amount: float, *, warning: float, problem: float = np.inf, hint: str) -> dict[str, Any]:
    """Mark an amount: good up to ``warning``, a problem above ``problem`` (INSP-022).

    Returns:
        ``mark`` and ``hint`` of a :class:`Finding`; the hint only if it is needed.
    """
    if amount <= warning:
        return {"mark": "good"}
    return {"mark": "problem" if amount > problem else "warning", "hint": hint}


def counted(
    section: str,
    key: str,
    what: str,
    part: int,
    whole: int,
    *,
    unit: str = "documents",
    warning: float | None = None,
    problem: float = np.inf,
    hint: str = "",
    such_as: str = "",
    **values: Any,
) -> Finding:
    """Return the finding that a part of a whole has some property.

    Args:
        section, key, what: as in :class:`Finding`.
        part, whole: how many have the property, and of how many.
        unit: the key of ``part`` among the values.
        warning, problem: bounds of the share, as in :func:`graded`; not judged without ``warning``.
        hint: what to do.
        such_as: text to append to the figure.
        values: further values.
    """
    ratio = share(part, whole)
    return Finding(
        section=section,
        key=key,
        what=what,
        figure=of(part, whole) + such_as,
        values={unit: part, "share": ratio, **values},
        **({} if warning is None else graded(ratio, warning=warning, problem=problem, hint=hint)),
    )


def share(part: int, whole: int) -> float:
    """Return a part of a whole; 0 if the whole is 0."""
    return part / whole if whole else 0.0


def of(part: int, whole: int) -> str:
    """Write a part of a whole: ``96 of 25,000 (0.38 %)``."""
    return f"{part:,} of {whole:,} ({fixed_percent(share(part, whole), 2)})"


def frequent(texts: Iterable[tuple[str, int]]) -> tuple[str, list[dict[str, Any]]]:
    """Write texts with their counts, for people and for programs."""
    listed = [{"text": text, "times": times} for text, times in texts]
    shown = ", ".join(f"{one['text']!r} ({one['times']:,})" for one in listed)
    return f": {shown}" if shown else "", listed


def spread(amounts: Int64Array) -> tuple[dict[str, float], str]:
    """Describe the distribution of amounts (at least one), for programs and for people."""
    low, median, high, most = (float(x) for x in np.quantile(amounts, [0, 0.5, 0.95, 1]))
    values = {"min": low, "median": median, "mean": float(amounts.mean()), "p95": high, "max": most}
    return values, ", ".join(f"{name} {value:,.0f}" for name, value in values.items())
