"""Turn pydantic's validation errors into one line: key, value, problem, source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError

Tree = dict[str, Any]
Sources = Sequence[tuple[str, Tree]]
"""Trees of settings, each with the name of its source, weakest first."""


def explain(
    error: ValidationError,
    model: type[BaseModel],
    *,
    sources: Sources | None = None,
    prefix: str = "",
    owner: str = "there is",
) -> ConfigError:
    """Return pydantic's first error as one line: source, key, value and problem.

    Args:
        error: raised by a model.
        model: the model that raised it.
        sources: the trees that the values came from, weakest first.
        prefix: a dotted key that goes before the error's own key.
        owner: the subject of a hint if the model has no keys, such as ``token has``.
    """
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    known = _keys_at(model, path)
    # In pydantic's location the branches of a union follow the key.
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
    """The known keys where a location ends, and how many parts of it the model has."""

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


def all_keys(model: type[BaseModel]) -> list[str]:
    """List every key of a tree of settings, dotted."""
    return list(_walk(model, ""))


def _walk(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _walk(field.annotation, f"{prefix}{name}.")
