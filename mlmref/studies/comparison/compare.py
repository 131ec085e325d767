"""Run a comparison: train each run, evaluate it on the common task, and compare.

Clauses COMP-005 to COMP-010 (spec/compare.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.disk import canonical, sha256
from mlmref.base.errors import ConfigError
from mlmref.base.layout import RECORD
from mlmref.base.progress import SILENT, Reporter
from mlmref.base.ranks.consensus import alone
from mlmref.results.record import read_record
from mlmref.runner.folder.resume import AUTO, look_for
from mlmref.settings.config import ModelConfig
from mlmref.studies.comparison.answer import Finished, answer_of
from mlmref.studies.comparison.folder import Kept, check_place, opened
from mlmref.studies.comparison.measured import check_alike, measure, task_of
from mlmref.studies.comparison.plan import ComparisonPlan, PlannedRun
from mlmref.studies.comparison.tables import write_all

if TYPE_CHECKING:
    from mlmref.plugin.registry import Registry

Measures = dict[str, Any]
"""What :func:`mlmref.studies.comparison.measured.measure` returns."""


def compare(
    plan: ComparisonPlan,
    place: Path,
    *,
    reporter: Reporter = SILENT,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Train the runs that are not finished, evaluate all on the common task, and compare them.

    Args:
        plan: the comparison.
        place: the comparison folder, new or of this comparison.
        reporter: gets the progress.
        registry: the plugins; by default those installed.

    Returns:
        The content of ``comparison.json`` (COMP-017).

    Raises:
        MlmrefError: an error that the user can fix. Finished runs are kept.
    """
    alone("a comparison", "mlmref compare")
    runs = plan.runs(place)
    with opened(place, plan):
        states = states_of(runs)
        kept = Kept(place, task_of(plan))
        before = _before(plan, kept, reporter, registry)
        finished = []
        for number, run in enumerate(runs, 1):
            try:
                title = f"run {number} of {len(runs)}"
                record = _finish(run, title, states[run.name], reporter, registry)
                common = _after(plan, run, kept, reporter, registry)
                _check(run, record, before[run.variant], common)
            except BaseException as error:
                error.add_note(
                    f"in {run.name}, run {number} of {len(runs)} of the comparison; the same "
                    "command resumes it"
                )
                raise
            finished.append(Finished(run=run, record=record, common=common))
        answer = answer_of(plan, place, before, finished)
        write_all(place, answer)
    return answer


def states_of(runs: list[PlannedRun]) -> dict[str, str]:
    """Return the state of each run: ``finished``, ``unfinished`` or ``to do`` (COMP-007).

    Raises:
        ConfigError: an existing run has other settings; names each difference.
        OutputError: an existing run is damaged.
    """
    states = {}
    for run in runs:
        found = look_for(AUTO, run.config, lambda _: None)
        states[run.name] = "finished" if found.done else "unfinished" if found.begun else "to do"
    return states


def listed(plan: ComparisonPlan, place: Path) -> list[dict[str, Any]]:
    """Return the runs of a comparison with their states and settings; writes nothing.

    Raises:
        MlmrefError: the same errors as :func:`compare` before its first run.
    """
    check_place(place, plan)
    runs = plan.runs(place)
    states, settings = states_of(runs), {one.name: one.settings for one in plan.variants}
    return [
        {
            "run": run.name,
            "variant": run.variant,
            "seed": run.seed,
            "state": states[run.name],
            "settings": settings[run.variant],
        }
        for run in runs
    ]


def _before(
    plan: ComparisonPlan, kept: Kept, reporter: Reporter, registry: Registry | None
) -> dict[str, Measures]:
    """Measure each variant's model before training, equal models once.

    So models that cannot be compared are refused before any training (COMP-010).
    """
    measures: dict[str, Measures] = {}
    for variant in plan.variants:
        settings = variant.config.model.model_dump(mode="json", exclude={"dropout"})
        of = hashlib.sha256(canonical(settings)).hexdigest()[:12]
        model = plan.base.model.model_copy(update=settings)
        measures[variant.name] = _kept(
            kept,
            f"before-{of}",
            of,
            lambda: measure(plan, model, of, reporter, registry),  # noqa: B023
        )
    first = next(iter(measures.values()))
    for one in measures.values():
        check_alike(first, one)
    return measures


def _finish(
    run: PlannedRun, title: str, state: str, reporter: Reporter, registry: Registry | None
) -> Mapping[str, Any]:
    """Return a run's record; train it first if it is not finished."""
    if not (run.folder / RECORD).is_file():
        from mlmref.runner.run import run as run_

        reporter.note(f"{title}: {run.name}")
        # A new run must not report that there is no run to resume.
        resume = None if state == "to do" else AUTO
        run_(run.config, resume=resume, reporter=reporter, registry=registry)
    return read_record(run.folder)


def _after(
    plan: ComparisonPlan, run: PlannedRun, kept: Kept, reporter: Reporter, registry: Registry | None
) -> Measures:
    model = ModelConfig(name=str(run.folder), trust_remote_code=run.config.model.trust_remote_code)
    of = sha256(run.folder / RECORD)
    return _kept(kept, run.name, of, lambda: measure(plan, model, of, reporter, registry))


def _kept(kept: Kept, name: str, of: str, make: Callable[[], Measures]) -> Measures:
    found = kept.get(name, of)
    if found is None:
        found = make()
        kept.put(name, found)
    return found


def _check(run: PlannedRun, record: Mapping[str, Any], before: Measures, after: Measures) -> None:
    """Raise a ConfigError if a run was trained from another model than measured (COMP-010)."""
    check_alike(before, after)
    if record["model"]["hash"] != before["digest"]:
        raise ConfigError(
            f"this run was trained from another model than {before['model']}",
            where=str(run.folder),
            hint="use a new comparison folder with --output",
        )
