"""Turn pydantic's validation errors into one line: key, value, problem, source."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mlmref.base.errors import ConfigError

Tree = dict[str, Any]
Sources = Sequence[tuple[str, Tree]]
"""Trees of settings with the name of each one's source, weakest first."""


def explain(
    error: ValidationError,
    model: type[BaseModel],
    *,
    sources: Sources | None = None,
    prefix: str = "",
    owner: str = "there is",
) -> ConfigError:
    """Turn pydantic's first complaint into one line: key, what is wrong, where it came from."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    known = _keys_at(model, path)
    # A union's branches follow the key in pydantic's location; they are no part of the key.
    key_path = path if first["type"] == "extra_forbidden" else path[: known.depth]
    key = ".".join([prefix, *key_path] if prefix else key_path)
    place = _origin(sources or [], key_path)
    if first["type"] == "extra_forbidden":
        what = f"unknown key {key!r}"
        hint = suggest(key_path[-1], known.names) if known.names else f"{owner} no options"
    else:
        what = f"{key} = {_shown(first)}: {_complaint(error, first)}"
        hint = None
    return ConfigError(what, where=place, hint=hint)


class _Level:
    """The names that could stand where a location ends, and how deep the model knows it."""

    def __init__(self, names: list[str], depth: int) -> None:
        self.names, self.depth = names, depth


def _keys_at(model: type[BaseModel], path: Sequence[str]) -> _Level:
    names, depth = sorted(model.model_fields), 0
    current: type[BaseModel] | None = model
    for part in path:
        if current is None or part not in current.model_fields:
            break
        depth += 1
        annotation = current.model_fields[part].annotation
        inner = [t for t in (annotation, *get_args(annotation)) if isinstance(t, type)]
        current = next((t for t in inner if issubclass(t, BaseModel)), None)
        names = sorted(current.model_fields) if current else names
    return _Level(names, depth)


def _origin(sources: Sources, path: Sequence[str]) -> str | None:
    for name, tree in reversed(sources):
        node: Any = tree
        for part in path:
            if not isinstance(node, dict):  # a whole section in one word, such as 80/10/10
                break
            node = node.get(part)
        if node is not None:
            return name
    return None


def _shown(first: ErrorDetails) -> str:
    text = json.dumps(first["input"], default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _complaint(error: ValidationError, first: ErrorDetails) -> str:
    same_key = [one for one in error.errors() if one["loc"][:2] == first["loc"][:2]]
    texts = [one["msg"].removeprefix("Value error, ") for one in same_key]
    return " or ".join(dict.fromkeys(text[:1].lower() + text[1:] for text in texts))


def suggest(name: str, known: Sequence[str], most: int = 3) -> str:
    """Return a hint: the known names closest to ``name``, at most ``most``, or else all of them."""
    close = closest(name, known)[:most]
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there are {', '.join(known)}" if known else "there is none"


def closest(name: str, known: Sequence[str]) -> list[str]:
    """Return the known names closest to ``name``, at most three; those with dots by either end."""
    by_last = {key.rpartition(".")[2]: key for key in known}
    close = difflib.get_close_matches(name, known, n=3)
    close += [by_last[last] for last in difflib.get_close_matches(name, list(by_last), n=3)]
    return list(dict.fromkeys(close))[:3]


def all_keys(model: type[BaseModel]) -> list[str]:
    """List every key of a tree of settings, dotted."""
    return list(_walk(model, ""))


def _walk(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _walk(field.annotation, f"{prefix}{name}.")
