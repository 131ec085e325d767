"""The result of a comparison, as in ``comparison.json`` (COMP-011 to COMP-017)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlmref.evaluation.intervals import exp
from mlmref.plugin.arrays import FloatArray
from mlmref.results.record import number
from mlmref.studies.comparison.measured import task_of
from mlmref.studies.comparison.plan import ComparisonPlan, PlannedRun, Variant
from mlmref.studies.comparison.statistics import Estimate, Range, estimates, holm, randomized


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished run.

    Attributes:
        run: its plan.
        record: its ``record.json``.
        common: the measures of its model on the common task.
    """

    run: PlannedRun
    record: Mapping[str, Any]
    common: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """Return the run as a row of ``runs.csv`` (COMP-017)."""
        native = self.record["perplexity"]
        common = _nll(self.common)
        return {
            "run": self.run.name,
            "variant": self.run.variant,
            "seed": self.run.seed,
            "common": exp(common),
            "common_nll": common,
            "common_accuracy": self.common["correct"] / sum(self.common["targets"]),
            "native_before": number(native["before"]["value"]),
            "native_after": number(native["after"]["value"]),
            "time_s": self.record["timings"]["total_s"],
            "folder": str(self.run.folder),
        }


def answer_of(
    plan: ComparisonPlan,
    place: Path,
    before: Mapping[str, Mapping[str, Any]],
    finished: Sequence[Finished],
) -> dict[str, Any]:
    """Return the result of a comparison, as in ``comparison.json``.

    Args:
        plan: the comparison.
        place: its folder.
        before: by variant, the measures of its model on the common task before training.
        finished: all runs.
    """
    names = [one.name for one in plan.variants]
    by_variant = {name: [one for one in finished if one.run.variant == name] for name in names}
    first = before[names[0]]
    targets = np.array(first["targets"], dtype=np.float64)
    after = np.array(
        [[one.common["nll"] for one in by_variant[name]] for name in names], dtype=np.float64
    )
    start = np.array([[before[name]["nll"]] for name in names], dtype=np.float64)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        gains = after - start
        apart = np.array(
            [after[names.index(other)] - after[names.index(one)] for one, other in plan.pairs]
        ).reshape(-1, *after.shape[1:])
    figures = estimates(
        np.concatenate([after, gains, apart]),
        targets,
        seed=plan.base.seed,
        resamples=plan.task.resamples,
        confidence=plan.task.confidence,
    )
    tops, over = figures[: len(names)], figures[len(names) : 2 * len(names)]
    pairs = _pairs(plan, apart, figures[2 * len(names) :])
    variants = [
        _variant(one, by_variant[one.name], before[one.name], top, gain)
        for one, top, gain in zip(plan.variants, tops, over, strict=True)
    ]
    variants.sort(key=lambda one: (math.isnan(one["common"]["nll"]), one["common"]["nll"]))
    return {
        "comparison": plan.name,
        "folder": str(place),
        "task": task_of(plan),
        "corpus": first["corpus"],
        "model": first["model"],
        "chunks": first["chunks"],
        "documents": len(targets),
        "targets": int(targets.sum()),
        "seeds": list(plan.seeds),
        "confidence": plan.task.confidence,
        "resamples": plan.task.resamples,
        "variants": variants,
        "pairs": pairs,
        "runs": [one.row() for one in finished],
        "notes": _notes(len(plan.seeds), len(targets), bool(np.isfinite(gains).all())),
    }


def _variant(
    variant: Variant,
    finished: Sequence[Finished],
    before: Mapping[str, Any],
    top: Estimate,
    gain: Estimate,
) -> dict[str, Any]:
    rows = [one.row() for one in finished]
    native = [one.record["perplexity"] for one in finished]
    return {
        "variant": variant.name,
        "settings": variant.settings,
        "common": {
            "before": exp(_nll(before)),
            "perplexity": exp(top.value),
            **_in_perplexity("", top),
            "nll": top.value,
            "accuracy": float(np.mean([row["common_accuracy"] for row in rows])),
            "of_before": {"ratio": exp(gain.value), **_in_perplexity("ratio_", gain)},
        },
        "native": {
            side: exp(float(np.mean([number(one[side]["nll"]) for one in native])))
            for side in ("before", "after")
        },
        "time_s": sum(row["time_s"] for row in rows),
    }


def _pairs(
    plan: ComparisonPlan, apart: FloatArray, figures: Sequence[Estimate]
) -> list[dict[str, Any]]:
    with np.errstate(invalid="ignore"):
        swapped = apart.sum(axis=1)
    p_values = randomized(swapped, seed=plan.base.seed, resamples=plan.task.resamples)
    pairs = []
    for (one, other), figure, p_value, corrected in zip(
        plan.pairs, figures, p_values, holm(p_values), strict=True
    ):
        ranges = {
            "": figure.both,
            "over_seeds": figure.over_seeds,
            "over_documents": figure.over_documents,
        }
        pairs.append(
            {
                "variant": other,
                "against": one,
                "nll": figure.value,
                "ratio": exp(figure.value),
                **_in_perplexity("ratio_", figure),
                **{
                    f"{name}{'_' * bool(name)}{end}": value
                    for name, ends in ranges.items()
                    for end, value in zip(("low", "high"), ends, strict=True)
                },
                "by_seed": figure.by_seed.tolist(),
                "p": p_value,
                "p_corrected": corrected,
                "verdict": verdict(figure, corrected, plan.task.confidence),
            }
        )
    return pairs


def verdict(difference: Estimate, p_corrected: float, confidence: float) -> str:
    """Return ``better`` or ``worse`` if all statistics agree, otherwise ``not settled`` (COMP-016).

    Both intervals over seeds must exclude zero on the same side, and the test must agree: the
    multi-bootstrap alone is too narrow with few seeds.
    """
    sides = {_side(ends) for ends in (difference.both, difference.over_seeds)}
    if len(sides) > 1 or None in sides or not p_corrected <= 1 - confidence:
        return "not settled"
    return "better" if sides == {-1} else "worse"


def _side(ends: Range) -> int | None:
    low, high = ends
    return -1 if high < 0 else 1 if low > 0 else None


def _in_perplexity(prefix: str, figure: Estimate) -> dict[str, float]:
    return {f"{prefix}low": exp(figure.both[0]), f"{prefix}high": exp(figure.both[1])}


def _notes(seeds: int, documents: int, finite: bool) -> list[str]:
    """Return the reasons for missing intervals (COMP-015)."""
    notes = []
    if seeds < 2:
        notes.append(
            "no interval over seeds: one seed does not show the seed-to-seed variation; give "
            "several, such as seeds = [0, 1, 2, 3, 4]"
        )
    if documents < 2:
        notes.append(
            "no interval over documents and no p: all targets are in one document; hold out more"
        )
    if not finite:
        notes.append("no interval if a loss is infinite")
    return notes


def _nll(common: Mapping[str, Any]) -> float:
    return float(np.sum(common["nll"]) / np.sum(common["targets"]))
