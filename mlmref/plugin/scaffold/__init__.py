"""Write a new plugin as a package that installs and passes its tests (``mlmref new-plugin``)."""

from __future__ import annotations

import difflib
import shutil
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from mlmref.base.errors import ConfigError, OutputError
from mlmref.plugin.discovery import NAME, discover
from mlmref.plugin.registry import BACKEND, SEGMENTER, STRATEGY, Kind


@dataclass(frozen=True, slots=True)
class _Sort:
    """What differs between plugins of one kind and another.

    Attributes:
        kind: the kind of entry.
        key: the method of a registry that gives one, and what the kit's names have of it.
        flag: of ``mlmref run``, which chooses one.
        clause: of the kit, for an example.
        needs: what the package depends on beside mlmref.
    """

    kind: Kind[Any]
    key: str
    flag: str
    clause: str
    needs: tuple[str, ...] = ()


_SORTS = {
    "masking": _Sort(STRATEGY, "strategy", "--masking", "MASK-032"),
    "backend": _Sort(BACKEND, "backend", "--backend", "BACK-025", ("torch>=2.6",)),
    "segmenter": _Sort(SEGMENTER, "segmenter", "--segmenter", "SEG-011"),
}
SORTS = tuple(_SORTS)
"""What ``--kind`` takes."""


def new_plugin(name: str, sort: str, folder: Path | None = None) -> Path:
    """Write a package with a plugin of one entry, which is there whole or not at all.

    The distribution is called ``mlmref-NAME`` and its package ``mlmref_NAME``, so whatever NAME
    means to Python or to others is out of the way (NEW-004).

    Args:
        name: of the entry, as ``--masking`` and the like take it.
        sort: one of :data:`SORTS`.
        folder: where to; ``mlmref-NAME`` by default.

    Returns:
        The folder.

    Raises:
        ConfigError: the name or the kind will not do (NEW-003), or an installed plugin has it
            already (NEW-007).
        OutputError: the folder holds something, or cannot be written (NEW-005, NEW-006).
    """
    chosen = _chosen(sort)
    _check_name(name, chosen.kind)
    try:
        place = Path(f"mlmref-{name}") if folder is None else folder.expanduser()
    except RuntimeError:  # how pathlib tells of ~somebody
        raise OutputError(
            "no such user", where=str(folder), hint="choose another folder with --folder"
        ) from None
    if place.is_symlink() or (place.exists() and not _is_empty(place)):
        raise OutputError(
            "there is something already, and it stays as it is",
            where=str(place),
            hint="choose a new folder with --folder",
        )
    try:
        # Beside its place, and then renamed, which fails when something has come to be there.
        building = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.absolute().parent))
        try:
            building.chmod(0o755)
            for file, text in _files(name, sort, chosen).items():
                (building / file).parent.mkdir(parents=True, exist_ok=True)
                (building / file).write_text(text, "utf-8")
            building.rename(place)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"nothing can be written there ({error.strerror})",
            where=str(place),
            hint="choose another folder with --folder",
        ) from None
    return place


def _files(name: str, sort: str, chosen: _Sort) -> dict[str, str]:
    """Return the text of each file, by its path in the folder."""
    package = "mlmref_" + name.replace("-", "_")
    values = {
        "name": name,
        "distribution": f"mlmref-{name}",
        "package": package,
        "what": chosen.kind.name,
        "hook": chosen.kind.hook,
        "key": chosen.key,
        "flag": chosen.flag,
        "clause": chosen.clause,
        "dependencies": ", ".join(f'"{one}"' for one in ("mlmref", *chosen.needs)),
    }

    def filled(template: str) -> str:
        text = (files(__name__) / "templates" / f"{template}.template").read_text("utf-8")
        return Template(text).substitute(values)

    return {
        "pyproject.toml": filled("pyproject.toml"),
        "README.md": filled("README.md"),
        f"src/{package}/__init__.py": filled(f"{sort}.py"),
        f"src/{package}/py.typed": "",
        "tests/test_conformance.py": filled("test_conformance.py"),
    }


def _chosen(sort: str) -> _Sort:
    if sort in _SORTS:
        return _SORTS[sort]
    close = difflib.get_close_matches(sort, SORTS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(SORTS)}"
    raise ConfigError(f"no kind of plugin {sort!r}", where="--kind", hint=hint)


def _check_name(name: str, kind: Kind[Any]) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"the name {name!r} is not lower-case letters, digits and single hyphens",
            hint="such as my-masking",
        )
    for one in discover().of(kind):
        if one.entry.name == name:
            raise ConfigError(
                f"the {kind.name} {name!r} is there already, of plugin {one.source}",
                hint="choose another name",
            )


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())
