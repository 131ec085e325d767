"""Resume an unfinished run: find it, check that it is the same run, and locate its step.

Clauses RES-001 to RES-006 (spec/checkpoints.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mlmref.base import layout
from mlmref.base.closest import did_you_mean
from mlmref.base.disk import alike, unsealed
from mlmref.base.errors import ConfigError, OutputError
from mlmref.base.layout import RUN, RUNS, SETTINGS, finished, unfinished
from mlmref.base.ranks.consensus import by_main
from mlmref.results.record import read_record
from mlmref.runner.identity import Begun, what_matters
from mlmref.settings.config import Config
from mlmref.settings.tree import differences

AUTO = "auto"
"""For ``--resume``: resume an unfinished run with these settings; if none exists, start one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The run that ``--resume`` selects.

    Attributes:
        place: where the run's folder is or will be; ``None`` for a new one under ``runs/``.
        begun: the run in this folder; ``None`` if there is none.
        done: whether the run is finished; only its checkpoints may remain to be removed.
    """

    place: Path | None
    begun: Begun | None = None
    done: bool = False

    def plain(self) -> dict[str, Any]:
        """Return the run as JSON values."""
        begun = self.begun and asdict(self.begun)
        place = None if self.place is None else str(self.place)
        return {"place": place, "begun": begun, "done": self.done}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return the run from the JSON values of :meth:`plain`."""
        begun, place = plain["begun"], plain["place"]
        return cls(
            place=None if place is None else Path(place),
            begun=begun and Begun(**begun),
            done=plain["done"],
        )


def look_for(resume: str | None, config: Config, tell: Callable[[str], None]) -> Found:
    """Find the run to resume (RES-001).

    Args:
        resume: ``auto``, a run folder, finished or not, or ``None`` to start a new run.
        config: the complete settings of the run.
        tell: called with one line if no run can be resumed.

    Raises:
        OutputError: ``resume`` names no run.
        ConfigError: the settings differ from those of the run.
    """
    found = by_main(lambda: _look_for(resume, config, tell).plain())
    return Found.of(found)


def _look_for(resume: str | None, config: Config, tell: Callable[[str], None]) -> Found:
    wanted = config.output.folder
    place = None if wanted is None else _path(wanted, "--output")
    if place is not None and place != finished(place):
        raise ConfigError(
            f"{place} is the name of an unfinished run's folder",
            where="--output",
            hint=f"use {finished(place)}, with --resume to resume the run",
        )
    if resume is None:
        return Found(place=place)
    named = Path(resume)
    if resume != AUTO:
        named = finished(_path(resume, "--resume"))
        if place is not None and place.absolute() != named.absolute():
            raise ConfigError(
                f"the run resumes in its own folder, {named}", where="--output", hint="omit it"
            )
        place = named
    found = _newest_alike(config) if place is None else _at(place, config)
    if found is None and resume != AUTO:
        close = [str(finished(one)) for one in alike(named, (SETTINGS,))]
        raise OutputError(
            "no such run",
            where=f"--resume {resume}",
            hint=did_you_mean(close, "name a run folder, or omit --resume"),
        )
    if found is None:
        tell(f"no unfinished run to resume in {place or RUNS}: starting a new run")
        return Found(place=place)
    return found


def settings_file(resume: str | None) -> Path | None:
    """Return ``config.toml`` of the run that ``--resume`` names; ``None`` if it names none."""
    if resume in {None, AUTO}:
        return None
    place = finished(_path(str(resume), "--resume"))
    files = [folder / SETTINGS for folder in (unfinished(place), place)]
    return next((file for file in files if file.is_file()), None)


def settings_of(model: object) -> Path | None:
    """Return ``config.toml`` of the run that a model comes from; ``None`` if it is no run's."""
    if not isinstance(model, str | Path):
        return None
    from mlmref.model.checkpoint import run_of

    own = run_of(Path(model)) / SETTINGS
    return own if own.is_file() else None


def _path(text: str, flag: str) -> Path:
    """Return the path of a run folder, with ``~`` expanded."""
    with suppress(RuntimeError):  # no such user
        path = Path(text).expanduser()
        path = path if path.name else path.absolute()
        if path.name:
            return path
    raise ConfigError(f"no folder can have the name {text!r}", where=flag)


def _at(place: Path, config: Config) -> Found | None:
    """Return the run of a folder, finished or not; ``None`` if there is none."""
    building = unfinished(place)
    if building.is_dir():
        begun = _begun(building)
        begun.refuse_other(what_matters(config), building)
        return Found(place=place, begun=begun)
    was = _recorded(place)
    if was is None:
        return None
    try:
        run = _begun(place).run  # killed before its checkpoints were removed
    except OutputError:
        run = ""
    begun = Begun(run=run, settings=what_matters(was))
    begun.refuse_other(what_matters(config), place)
    return Found(place=place, begun=begun, done=True)


def _recorded(place: Path) -> Config | None:
    """Return the settings of a finished run; ``None`` if its record is missing or damaged."""
    with suppress(OSError, OutputError, ValueError, LookupError):
        return Config.model_validate_json(json.dumps(read_record(place)["config"]))
    return None


def _newest_alike(config: Config) -> Found | None:
    """Return the unfinished run under ``runs/`` with these settings that saved last."""
    now, alike = what_matters(config), []
    for building in RUNS.glob(unfinished(Path("*")).name):
        try:
            begun = _begun(building)
        except OutputError:
            continue
        if not differences(begun.settings, now):
            saved = (building / layout.CHECKPOINTS).stat().st_mtime_ns  # a save changes it
            alike.append((saved, building, begun))
    if not alike:
        return None
    _, building, begun = max(alike, key=lambda one: one[0])
    return Found(place=finished(building), begun=begun)


def _begun(building: Path) -> Begun:
    file = building / layout.CHECKPOINTS / RUN
    try:
        marker = unsealed(file.read_bytes())
        return Begun(run=marker["run"], settings=marker["settings"])
    except (OSError, ValueError, LookupError):
        raise OutputError(
            f"not an unfinished run of mlmref ({RUN} is missing or damaged); nothing was changed",
            where=str(building),
            hint="choose another folder with --output, or remove it",
        ) from None
