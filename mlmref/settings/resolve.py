"""Resolve preset, file, ``--set`` and flags into one Config (clauses CONF-002 to CONF-009).

Later sources override earlier ones, key by key: defaults, preset, TOML file, ``--set``, flags.
An error names the key and the source of the value.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from importlib import resources
from pathlib import Path

import tomli_w
from pydantic import ValidationError

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError
from mlmref.base.explain import Sources, Tree, all_keys, explain
from mlmref.base.layout import CHECKPOINTS, RECORD, SETTINGS
from mlmref.base.ranks.consensus import by_main
from mlmref.base.ranks.process import world_size
from mlmref.base.terminal import is_utf8
from mlmref.plugin.kinds import KINDS
from mlmref.settings.config import Config, Section, plain_defaults
from mlmref.settings.data import unused_by
from mlmref.settings.defaults import preset as read_preset
from mlmref.settings.tree import (
    merge,
    nest,
    parse_assignment,
    read_toml,
    strongest,
    table,
    texts_of,
    tree_of,
    without_none,
)

SECTIONS = "the dictionary of settings"
"""The name of that source in errors."""


def presets() -> list[str]:
    """Return the names of the presets that ship."""
    folder = resources.files("mlmref.settings").joinpath("presets")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir())


def resolve(
    sections: Mapping[str, object] | None = None,
    *,
    preset: str | None = None,
    file: Path | None = None,
    sets: Sequence[str] = (),
    flags: Mapping[str, tuple[str, object]] | None = None,
) -> Config:
    """Merge all sources of settings and validate the result.

    >>> import mlmref
    >>> config = mlmref.resolve({"training": {"epochs": 2}}, sets=["corpus.name=notes.txt"])
    >>> config.training.epochs, config.corpus.name
    (2, 'notes.txt')

    Args:
        sections: the settings as a dictionary of sections, as in TOML; overrides the file.
        preset: the preset's name; ``None`` takes the ``preset`` key of the file or the sections,
            or the default.
        file: a TOML file of settings.
        sets: ``SECTION.KEY=VALUE`` each; VALUE is TOML, or else a plain string.
        flags: each flag's dotted key and value; a flag with the value ``None`` is ignored.

    Raises:
        ConfigError: a missing or malformed file, an unknown key or preset, or a bad value;
            names the key, its source and close matches.
    """
    from_file = read_toml(file) if file else {}
    if file and _is_a_runs(file):
        # The folder belongs to the run that wrote the file, not to this one (SEC-005).
        table(from_file, "output").pop("folder", None)
    given: list[tuple[str, Tree]] = []
    if sections is not None:
        tree = tree_of(sections, SECTIONS)
        preset = tree.pop("preset", None) if preset is None else preset
        given.append((SECTIONS, tree))
    given += [(f"--set {text}", parse_assignment(text)) for text in sets]
    for flag, (key, value) in (flags or {}).items():
        if value is not None:
            given.append((flag, nest(key, value)))
    return resolve_trees([(str(file), from_file)] if file else [], given, preset=preset)


def resolve_trees(
    files: Sources, given: Sources, over: Sources = (), *, preset: str | None = None
) -> Config:
    """Merge trees of settings and validate the result.

    Args:
        files: the trees of files, weakest first; the first may name a preset.
        given: the trees of the command line, which override the files and count as one source.
        over: the trees of files that override the command line, weakest first.
        preset: the preset's name, as of :func:`resolve`.

    Raises:
        ConfigError: as of :func:`resolve`.
    """
    files = [(origin, dict(tree)) for origin, tree in files]
    in_file = files[0][1].pop("preset", None) if files else None
    named = in_file if preset is None else preset
    for origin, tree in (*files, *over):
        _check_file(origin, tree, given)
    weaker: Sources = files
    if named is not None:
        where = "--preset" if in_file is None or preset is not None else files[0][0]
        weaker = [
            ("defaults", plain_defaults()),
            (f"preset {named}", _read_preset(named, where)),
            *files,
        ]
    return _validate([*([one] for one in weaker), given, *([one] for one in over)])


def _is_a_runs(file: Path) -> bool:
    """Whether a file is the settings of a run, finished or not, in the run's folder."""
    beside = (file.with_name(RECORD), file.with_name(CHECKPOINTS))
    return file.name == SETTINGS and any(one.exists() for one in beside)


def _check_file(name: str, tree: Tree, command_line: Sources) -> None:
    """Refuse settings that a file must not decide, since a stranger may have written it.

    Raises:
        ConfigError: it trusts code, or its run folder is outside the current folder (SEC-003,
            SEC-006).
    """
    trusts = ("model", "trust_remote_code")
    if strongest([(name, tree)], *trusts) and strongest(command_line, *trusts) is None:
        raise ConfigError(
            "a file cannot set model.trust_remote_code = true",
            where=name,
            hint="read that code, and if you trust its author add --trust-remote-code",
        )
    folder = strongest([(name, tree)], "output", "folder")
    if isinstance(folder, str) and strongest(command_line, "output", "folder") is None:
        place = Path(os.path.abspath(folder))  # noqa: PTH100 - with .. resolved, and links not
        if folder.startswith("~") or not place.is_relative_to(Path.cwd()):
            raise ConfigError(
                f"output.folder = {folder!r} is outside the current folder",
                where=name,
                hint="choose it with --output",
            )


def shared(make: Callable[[], Config]) -> Config:
    """Return the main process's configuration on every rank; the files are only on its host."""
    if world_size() == 1:
        return make()
    return Config.model_validate(by_main(lambda: make().model_dump(mode="json")))


def to_toml(config: Config) -> str:
    """Return a configuration as TOML, which resolves to the same configuration."""
    return tomli_w.dumps(without_none(config.model_dump(mode="json")))


def _read_preset(name: object, where: str) -> Tree:
    if not isinstance(name, str) or name not in presets():
        raise ConfigError(f"no preset {name!r}", where=where, hint=suggest(str(name), presets()))
    return read_preset(name)


def _without_options_of_another(low: Tree, high: Tree) -> Tree:
    """Return ``low`` without what belongs to a plugin, model or corpus that ``high`` replaces."""
    kept = dict(low)
    corpus = str(table(high, "corpus").get("name", ""))
    tied = ((kind.section, kind.key, kind.tied) for kind in KINDS)
    others = (("model", "name", ("revision",)), ("corpus", "name", unused_by(corpus)))
    for section, choice, own in (*others, *tied):
        before, after = table(low, section), table(high, section).get(choice)
        if after is not None and choice in before and before[choice] != after:
            kept[section] = {key: value for key, value in before.items() if key not in own}
    return kept


def _check_source(name: str, tree: Tree) -> None:
    """Refuse errors in a source even if another source overrides them."""
    for key, value in tree.items():
        if key not in Config.model_fields:
            close = suggest(key, all_keys(Config))
            if not close.startswith("did"):  # the list of all keys fills a page
                close = f"there are {', '.join(Config.model_fields)}"
            raise ConfigError(f"unknown key {key!r}", where=name, hint=close)
        if isinstance(Config.model_fields[key].default, Section) and not isinstance(value, dict):
            shown = json.dumps(value, default=str)
            raise ConfigError(
                f"{key} is a section, not a value: {key} = {shown}",
                where=name,
                hint=f"set {key}.KEY",
            )
    for key, text in texts_of(tree, ""):
        if "\0" in text or not is_utf8(text):
            what = "contains a NUL character" if "\0" in text else "is not UTF-8"
            # The text is written to the record, the settings and the model card.
            raise ConfigError(f"{key} {what}", where=name, hint="remove the character")


def _validate(layers: Sequence[Sources]) -> Config:
    sources = [source for layer in layers for source in layer]
    for name, tree in sources:
        _check_source(name, tree)
    merged: Tree = {}
    # The flags of one command line are one choice, whatever their order.
    for layer in layers:
        whole = reduce(merge, (tree for _, tree in layer), Tree())
        merged = merge(_without_options_of_another(merged, whole), whole)
    try:
        # Through JSON, because strict mode accepts a list for a tuple only there.
        return Config.model_validate_json(json.dumps(merged, default=str), strict=True)
    except ValidationError as error:
        raise explain(error, Config, sources=sources) from None
