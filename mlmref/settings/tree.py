"""Trees of settings: read from TOML, merged, compared and flattened to dotted keys."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel

from mlmref.base.errors import ConfigError
from mlmref.base.explain import Sources, Tree

_DEEPEST = 16  # parts of a key


def table(tree: Tree, section: str) -> Tree:
    """Return a section of a tree of settings; empty if it has none."""
    found = tree.get(section)
    return found if isinstance(found, dict) else {}


def strongest(given: Sources, section: str, key: str) -> object:
    """Return the value of a setting in the strongest source that has it, or ``None``."""
    found = [tree[section][key] for _, tree in given if key in table(tree, section)]
    return found[-1] if found else None


def without_none(tree: Tree) -> Tree:
    """Return a tree without the values ``None``, which TOML cannot write."""
    return {
        key: without_none(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if value is not None
    }


def read_toml(path: Path, flag: str = "--config") -> Tree:
    """Read a TOML file.

    Args:
        path: the file.
        flag: the flag that named it, for the error if it is missing.

    Raises:
        ConfigError: the file is missing or not TOML.
    """
    try:
        return _toml(path.read_text("utf-8-sig"), str(path))
    except FileNotFoundError:
        raise ConfigError("no such file", where=str(path), hint=f"check {flag}") from None
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror or error})", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"the file is not UTF-8 at byte {error.start}", where=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the file is not TOML: {error}", where=str(path)) from None


def _toml(text: str, where: str) -> Tree:
    """Read TOML.

    Raises:
        tomllib.TOMLDecodeError: it is not TOML.
        ConfigError: a number is too long for Python, or tables are nested too deep.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python's limit
        raise ConfigError("a number of more than 4,300 digits", where=where) from None
    except RecursionError:
        raise ConfigError("lists or tables nested too deep", where=where) from None


def parse_assignment(text: str, where: str = "--set") -> Tree:
    """Read KEY=VALUE, the key dotted or not; VALUE is TOML, or else a plain string.

    Raises:
        ConfigError: it does not have this form; names ``where``.
    """
    key, equals, raw = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts) or len(parts) > _DEEPEST:
        form = "SECTION.KEY=VALUE" if where == "--set" else "KEY=VALUE"
        raise ConfigError(f"{text!r} is not {form}", where=where)
    try:
        value = _toml(f"value = {raw}", f"{where} {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw.strip()  # a plain word
    return nest(key.strip(), value)


def nest(key: str, value: object) -> Tree:
    """Return a tree with one setting: a dotted key and its value."""
    head, dot, rest = key.partition(".")
    return {head: nest(rest, value) if dot else value}


def tree_of(sections: object, where: str) -> Tree:
    """Return a dictionary of settings as a tree of JSON values.

    Raises:
        ConfigError: it is no dictionary, or a key or a value has a type that no setting has.
    """
    if not isinstance(sections, Mapping):
        raise ConfigError(
            f"{type(sections).__name__} is not a dictionary of sections",
            where=where,
            hint='give one such as {"corpus": {"name": "notes.txt"}}',
        )
    return {_key(key, where): value_of(one, f"{where}, {key}") for key, one in sections.items()}


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise ConfigError(f"the key {key!r} is not text", where=where, hint="use a section's name")
    return key


def value_of(value: object, where: str) -> Any:
    """Return the value of a setting as a JSON value: NumPy's numbers and paths are accepted.

    Raises:
        ConfigError: no setting has a value of this type.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {_key(key, where): value_of(one, f"{where}.{key}") for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [value_of(one, where) for one in value]
    raise ConfigError(
        f"no setting has a value of type {type(value).__name__}",
        where=where,
        hint="give text, a number, a list or a dictionary",
    )


def merge(low: Tree, high: Tree) -> Tree:
    """Return both trees merged; ``high`` overrides ``low``, key by key."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def texts_of(value: object, key: str) -> Iterator[tuple[str, str]]:
    """Yield each text of a tree of settings with its key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from texts_of(name, key or name)
            yield from texts_of(one, f"{key}.{name}" if key else name)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_of(one, key)


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line for each setting whose value changed: its old and its new value."""
    return [
        f"{key} was {_shown(was.get(key))}, is {_shown(now.get(key))}"
        for key in sorted({*was, *now})
        if was.get(key) != now.get(key)
    ]


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


def dotted(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting of a tree with its dotted key."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
