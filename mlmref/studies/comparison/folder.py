"""The comparison folder: check, create and lock it, and keep measures in it (COMP-006 to COMP-008).

``begun.json`` marks it and has the base's settings, ``runs/`` has the run folders, and ``common/``
the measures of each model on the common task.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlmref.base.disk import canonical, create, replace, sealed, unsealed
from mlmref.base.errors import ConfigError, OutputError
from mlmref.runner.folder.lock import held
from mlmref.runner.identity import what_matters
from mlmref.settings.tree import differences
from mlmref.studies.comparison.plan import ComparisonPlan

COMPARISONS = Path("comparisons")
"""The parent folder of comparisons without ``--output``."""

MARKER = "begun.json"


def place_of(plan: ComparisonPlan, output: Path | None) -> Path:
    """Return the folder of a comparison."""
    return COMPARISONS / plan.name if output is None else output


def check_place(place: Path, plan: ComparisonPlan) -> bool:
    """Return whether the folder of this comparison exists; if not, it can be created.

    Raises:
        OutputError: the folder has other content.
        ConfigError: its comparison has another base (COMP-007).
    """
    if not os.path.lexists(place) or (place.is_dir() and not any(place.iterdir())):
        return False
    try:
        settings = unsealed((place / MARKER).read_bytes())["base"]
    except (OSError, ValueError, LookupError):
        raise OutputError(
            "already exists and is not a comparison; nothing was changed",
            where=str(place),
            hint="choose a new folder with --output, or remove this one",
        ) from None
    if found := differences(settings, what_matters(plan.base)):
        raise ConfigError(
            f"the comparison was started with another base: {'; '.join(found)}",
            where=str(place),
            hint="use the same base, or start another comparison with --output",
        )
    return True


@contextmanager
def opened(place: Path, plan: ComparisonPlan) -> Iterator[None]:
    """Lock a comparison's folder; create it if it does not exist.

    Raises:
        OutputError: the folder has other content, or another process has locked it.
        ConfigError: its comparison has another base.
    """
    check_place(place, plan)
    place.absolute().parent.mkdir(parents=True, exist_ok=True)
    with held(place):
        if not check_place(place, plan):
            place.mkdir(exist_ok=True)
            create(place / MARKER, sealed({"base": what_matters(plan.base)}))
        for name in ("runs", "common"):
            (place / name).mkdir(exist_ok=True)
        yield


class Kept:
    """The measures on one common task in a comparison folder, by name.

    Args:
        place: the comparison folder.
        task: the task as JSON values; each task has its own files.
    """

    def __init__(self, place: Path, task: Mapping[str, Any]) -> None:
        digest = hashlib.sha256(canonical(task)).hexdigest()[:12]
        self._folder = place / "common" / digest

    def get(self, name: str, of: str) -> dict[str, Any] | None:
        """Return the measures of a model; ``None`` if missing, damaged or of another model."""
        with suppress(OSError, ValueError):
            entry = unsealed((self._folder / f"{name}.json").read_bytes())
            if entry.get("of") == of:
                return entry
        return None

    def put(self, name: str, entry: Mapping[str, Any]) -> None:
        """Save the measures of a model."""
        self._folder.mkdir(exist_ok=True)
        replace(self._folder / f"{name}.json", sealed(entry))
