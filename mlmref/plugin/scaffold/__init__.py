"""Write a new plugin as a package that installs and passes its tests (``mlmref new-plugin``)."""

from __future__ import annotations

import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError, OutputError
from mlmref.plugin.discovery import NAME, discover
from mlmref.plugin.kinds import KINDS, Kind


def new_plugin(name: str, flag: str, folder: Path | None = None) -> Path:
    """Write a package that contains a plugin with one entry, and return its folder.

    The distribution is called ``mlmref-NAME`` and its package ``mlmref_NAME``, so that NAME can be
    a Python keyword or the name of another module (NEW-004).

    Args:
        name: the name of the entry.
        flag: the kind of plugin, as the flag of ``mlmref run`` that selects one, such as
            ``masking``.
        folder: the folder to write; ``mlmref-NAME`` by default.

    Raises:
        ConfigError: the name is invalid or the kind unknown (NEW-003), or an installed plugin has
            an entry of that name (NEW-007).
        OutputError: the folder is not empty or cannot be written (NEW-005, NEW-006).
    """
    kind = _kind(flag)
    _check_name(name, kind)
    try:
        place = Path(f"mlmref-{name}") if folder is None else folder.expanduser()
    except RuntimeError:  # pathlib raises this for ~name without such a user
        raise OutputError(
            "no such user", where=str(folder), hint="choose another folder with --folder"
        ) from None
    if place.is_symlink() or (place.exists() and not _is_empty(place)):
        raise OutputError(
            "already exists; nothing was changed",
            where=str(place),
            hint="choose a new folder with --folder",
        )
    try:
        # Written beside its place and renamed, which fails if something exists there by then.
        building = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.absolute().parent))
        try:
            building.chmod(0o755)
            for file, text in _files(name, kind).items():
                (building / file).parent.mkdir(parents=True, exist_ok=True)
                (building / file).write_text(text, "utf-8")
            building.rename(place)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror})",
            where=str(place),
            hint="choose another folder with --folder",
        ) from None
    return place


def _files(name: str, kind: Kind[Any]) -> dict[str, str]:
    """Return the text of each file, by its path in the folder."""
    package = "mlmref_" + name.replace("-", "_")
    values = {
        "name": name,
        "distribution": f"mlmref-{name}",
        "package": package,
        "kind": kind.name,
        "short": kind.short,
        "hook": kind.hook,
        "flag": f"--{kind.flag}",
        "clause": kind.clause,
        "dependencies": ", ".join(f'"{one}"' for one in ("mlmref", *kind.requires)),
    }

    def filled(template: str) -> str:
        text = (files(__name__) / "templates" / f"{template}.template").read_text("utf-8")
        return Template(text).substitute(values)

    return {
        "pyproject.toml": filled("pyproject.toml"),
        "README.md": filled("README.md"),
        f"src/{package}/__init__.py": Template(kind.template_text()).substitute(values),
        f"src/{package}/py.typed": "",
        "tests/test_conformance.py": filled("test_conformance.py"),
    }


def _kind(flag: str) -> Kind[Any]:
    """Return the kind that a flag selects; raises ConfigError."""
    for kind in KINDS:
        if kind.flag == flag:
            return kind
    hint = suggest(flag, [kind.flag for kind in KINDS])
    raise ConfigError(f"no kind of plugin {flag!r}", where="--kind", hint=hint)


def _check_name(name: str, kind: Kind[Any]) -> None:
    """Raise ConfigError if a name is invalid or taken."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"the name {name!r} is not lower-case letters, digits and single hyphens",
            hint="choose a name such as my-masking",
        )
    for one in discover().of(kind):
        if one.entry.name == name:
            raise ConfigError(
                f"plugin {one.source} already has a {kind.name} {name!r}",
                hint="choose another name",
            )


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())
