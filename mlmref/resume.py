"""Going on with an unfinished run: which one, whether it is the same run, and from where.

Clauses RES-001 to RES-006 (spec/checkpoints.md).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mlmref import checkpoint
from mlmref.checkpoint import RUN
from mlmref.config import Config
from mlmref.disk import sealed, unsealed
from mlmref.distributed import world_size
from mlmref.errors import ConfigError, OutputError
from mlmref.together import by_main
from mlmref.workspace import RUNS, finished, unfinished

if TYPE_CHECKING:
    from mlmref.prepare import Plugins, Ready

AUTO = "auto"
"""For ``--resume``: go on if there is something to go on with, else begin."""

# Keys that change no figure of a run beyond the last digits, and where it is written; how a step
# is cut into micro-batches is compared by the examples in it.
_FREE = {
    "training.workers",
    "training.batch_size",
    "training.accumulation",
    "evaluation.batch_size",
    "output.folder",
    "output.push",
    "output.push_every_epoch",
    "output.private",
    "checkpoints.every",
    "checkpoints.last",
    "checkpoints.keep",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run that has been begun.

    Attributes:
        run: its identifier.
        settings: what has to stay as it is: dotted keys and values.
    """

    run: str
    settings: Mapping[str, Any]

    @property
    def marker(self) -> bytes:
        """What marks a folder as this run's, to be put in ``checkpoints/run.json``."""
        return sealed({"run": self.run, "settings": dict(self.settings)})

    def refuse_other(self, settings: Mapping[str, Any], where: Path) -> None:
        """Refuse to go on with settings that would make it another run (RES-002).

        Raises:
            ConfigError: names each that differs.
        """
        if differences := _differences(self.settings, settings):
            raise ConfigError(
                f"the run was begun with other settings: {'; '.join(differences)}",
                where=str(where),
                hint="go on with the same, or begin a new run with another --output",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What ``--resume`` comes to.

    Attributes:
        place: where the run's folder is or will be; ``None`` for a new one under ``runs/``.
        begun: the run that is there, if there is one.
        done: whether the run is finished, and there is nothing to do but to clear up.
    """

    place: Path | None
    begun: Begun | None = None
    done: bool = False

    def plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        begun = self.begun and asdict(self.begun)
        place = None if self.place is None else str(self.place)
        return {"place": place, "begun": begun, "done": self.done}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return what :meth:`plain` made JSON values of."""
        begun, place = plain["begun"], plain["place"]
        return cls(
            place=None if place is None else Path(place),
            begun=begun and Begun(**begun),
            done=plain["done"],
        )


def look_for(resume: str | None, config: Config, tell: Callable[[str], None]) -> Found:
    """Find what to go on with (RES-001).

    Args:
        resume: ``auto``, a run folder, finished or not, or ``None`` to begin a new run.
        config: the settings of the run, complete.
        tell: told in a line what was found.

    Raises:
        OutputError: there is no such run.
        ConfigError: the settings are another run's.
    """
    found = by_main(lambda: _look_for(resume, config, tell).plain())
    return Found.of(found)


def _look_for(resume: str | None, config: Config, tell: Callable[[str], None]) -> Found:
    wanted = config.output.folder
    place = None if wanted is None else _path(wanted, "--output")
    if resume is None:
        return Found(place=place)
    if resume != AUTO:
        named = finished(_path(resume, "--resume"))
        if place is not None and place.absolute() != named.absolute():
            raise ConfigError(
                f"the run goes on where it is, in {named}", where="--output", hint="leave it out"
            )
        place = named
    found = _newest_alike(config) if place is None else _at(place, config)
    if found is None and resume != AUTO:
        raise OutputError(
            "no run is there to go on with",
            where=str(place),
            hint="check --resume, or leave it out",
        )
    if found is None:
        tell(f"nothing to go on with in {place or RUNS}: a new run begins")
        return Found(place=place)
    return found


def begin(config: Config) -> Begun:
    """Begin a new run."""
    return Begun(run=uuid.uuid4().hex, settings=what_matters(config))


def settings_file(resume: str | None) -> Path | None:
    """Return the settings that the run to go on with was begun with, if it is named."""
    if resume in {None, AUTO}:
        return None
    place = finished(_path(str(resume), "--resume"))
    files = [folder / "config.toml" for folder in (unfinished(place), place)]
    return next((file for file in files if file.is_file()), None)


def what_matters(config: Config) -> dict[str, Any]:
    """Return the settings that shape a run's figures, by dotted key, as JSON values."""
    training = config.training
    settings = dict(_dotted(config.model_dump(mode="json")))
    return {key: value for key, value in settings.items() if key not in _FREE} | {
        "examples in a step": training.batch_size * training.accumulation * world_size()
    }


def ingredients(ready: Ready, plugins: Plugins) -> dict[str, Any]:
    """Return what a run is made of, beside its settings."""
    from mlmref import __version__
    from mlmref.distributed import state
    from mlmref.optimisation import choose_precision

    used = (plugins.segmenter, plugins.strategy, plugins.backend)
    return {
        "mlmref": __version__,
        "corpus": ready.corpus.fingerprint,
        "tokens": ready.chunks.tokens.fingerprint,
        "chunks to train on": len(ready.split.train),
        "model": ready.loaded.digest,
        "the model's settings": _digest(ready.loaded.model.config.to_dict()),
        "precision": choose_precision(ready.config.training.precision, state().device),
        **{f"plugin {one.entry.name}": str(one.source) for one in used},
    }


def _digest(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a model's own settings, wherever it was loaded from."""
    own = {key: value for key, value in settings.items() if not key.startswith("_")}
    return hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()


def surroundings(config: Config) -> dict[str, Any]:
    """Return what ranks have to have in common beside what a run is made of."""
    from mlmref.distributed import state

    return {
        **{name: version(name) for name in ("mlmref", "torch", "transformers")},
        "the device": state().device.type,
        **dict(_dotted(config.model_dump(mode="json"))),
    }


def _path(text: str, flag: str) -> Path:
    """Read the name of a run folder."""
    with suppress(RuntimeError):  # no such user
        path = Path(text).expanduser()
        path = path if path.name else path.absolute()
        if path.name:
            return path
    raise ConfigError(f"no folder can have the name {text!r}", where=flag)


def _at(place: Path, config: Config) -> Found | None:
    """Find the run of a place, finished or not."""
    building = unfinished(place)
    if building.is_dir():
        begun = _begun(building)
        begun.refuse_other(what_matters(config), building)
        return Found(place=place, begun=begun)
    if (place / "record.json").is_file() and (place / "config.toml").is_file():
        from mlmref.resolve import resolve

        settings = what_matters(resolve(file=place / "config.toml"))
        try:
            run = _begun(place).run  # one that was ended before its checkpoints were removed
        except OutputError:
            run = ""
        begun = Begun(run=run, settings=settings)
        begun.refuse_other(what_matters(config), place)
        return Found(place=place, begun=begun, done=True)
    return None


def _newest_alike(config: Config) -> Found | None:
    """Find the unfinished run under ``runs/`` with these settings that saved last."""
    now, alike = what_matters(config), []
    for building in RUNS.glob(unfinished(Path("*")).name):
        try:
            begun = _begun(building)
        except OutputError:
            continue
        if not _differences(begun.settings, now):
            saved = (building / checkpoint.FOLDER).stat().st_mtime_ns  # a save changes it
            alike.append((saved, building, begun))
    if not alike:
        return None
    _, building, begun = max(alike, key=lambda one: one[0])
    return Found(place=finished(building), begun=begun)


def _begun(building: Path) -> Begun:
    file = building / checkpoint.FOLDER / RUN
    try:
        marker = unsealed(file.read_bytes())
        return Begun(run=marker["run"], settings=marker["settings"])
    except (OSError, ValueError, LookupError):
        raise OutputError(
            f"no unfinished run of mlmref ({RUN} is missing or damaged), and it stays as it is",
            where=str(building),
            hint="choose another folder with --output, or remove it",
        ) from None


def _differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} was {_shown(was.get(key))}, is {_shown(now.get(key))}"
        for key in sorted({*was, *now})
        if was.get(key) != now.get(key)
    ]


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
