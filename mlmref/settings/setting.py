"""Declare a setting once: type, default, description, flag (CONF-013)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

MOST = 2**31 - 1
"""The largest count that a setting takes, which fits the integers of every library."""

Count = Annotated[int, Field(ge=1, le=MOST)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Size = Count | Share
"""A number of chunks, or a share of all of them."""


def setting(
    default: Any,
    text: str,
    *,
    flag: str | None = None,
    rare: bool = False,
    suggest: str | tuple[str, ...] = (),
    properties: dict[str, Any] | None = None,
    **constraints: Any,
) -> Any:
    """Declare a field of a :class:`Section`, and the flag that sets it.

    Args:
        default: its value if nothing sets it.
        text: its description. ``--help`` shows the first sentence, the reference shows all.
        flag: its flag, such as ``--epochs``; without one, only ``--set`` and files set it.
        rare: whether only ``--help-all`` shows the flag.
        suggest: what a shell completes: some words, or ``models`` or a kind of plugins. The words
            of a ``Literal`` type need not be repeated.
        properties: for a table of options, the JSON schema of each option that has a flag.
        constraints: as of :func:`pydantic.Field`.
    """
    declared = {"flag": flag, "rare": rare, "suggest": suggest, "properties": properties}
    extra: Any = {key: value for key, value in declared.items() if value}
    return Field(default, description=text, json_schema_extra=extra, **constraints)


class Section(BaseModel):
    """Base of a section: immutable, strict about unknown keys and about types.

    Its docstring lists its settings, from their declarations.

    Attributes:
        panel: the heading of its flags in ``--help``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
    panel: ClassVar[str] = "Data and model"

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Add the settings to the docstring."""
        lines = [
            f"        {name}: {_reference(field)}"
            for name, field in cls.model_fields.items()
            if field.description
        ]
        if lines:
            cls.__doc__ = "\n".join([(cls.__doc__ or "").rstrip(), "\n    Attributes:", *lines, ""])


def _reference(field: FieldInfo) -> str:
    """Return the description of a setting for the reference."""
    extra = field.json_schema_extra
    flag = extra.get("flag") if isinstance(extra, dict) else None
    default = None if field.is_required() else field.default
    return " ".join(
        [
            f"{field.description}.",
            *([f"Default ``{json.dumps(default)}``."] if default is not None else []),
            *([f"Flag ``{flag}``."] if flag else []),
        ]
    )


@dataclass(frozen=True, slots=True)
class Flag:
    """The flag of a setting.

    Attributes:
        name: with its dashes, such as ``--batch-size``.
        key: the setting's dotted key, such as ``training.batch_size``.
        help: one line of help.
        kind: the type of its value on the command line; a list is given with one flag each.
        panel: the heading in ``--help``.
        rare: whether only ``--help-all`` shows it.
        suggest: words to complete, or the name of what to complete.
        several: whether the words can be given with commas between them.
        numbers: the types of number to try, if the value may be a number or a word.
        default: the setting's default.
    """

    name: str
    key: str
    help: str
    kind: type
    panel: str
    rare: bool = False
    suggest: str | tuple[str, ...] = ()
    several: bool = False
    numbers: tuple[type, ...] = ()
    default: Any = None

    @property
    def keyword(self) -> str:
        """The name of its keyword argument in Python, such as ``batch_size`` (API-001)."""
        return self.name[2:].replace("-", "_")

    def read(self, value: Any) -> Any:
        """Return a number if the setting may be one and the text is one, else the value."""
        for kind in self.numbers:
            with suppress(ValueError):
                return kind(value)
        return value


def flags_of(root: type[Section], keys: Sequence[str], omit: Sequence[str] = ()) -> list[Flag]:
    """Return the flags of sections and settings, in their order.

    Args:
        root: the tree of settings.
        keys: sections such as ``training``, and settings such as ``model.tokenizer``.
        omit: settings of these sections to leave out.
    """
    found = list(_walk(root, ""))
    left = [flag for flag in found if not any(_within(flag.key, key) for key in omit)]
    return [flag for key in keys for flag in left if _within(flag.key, key)]


def _within(key: str, other: str) -> bool:
    return f"{key}.".startswith(f"{other}.")


def _walk(section: type[Section], prefix: str) -> Iterator[Flag]:
    for name, field in section.model_fields.items():
        key, kind = f"{prefix}{name}", field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _walk(kind, f"{key}.")
        extra = field.json_schema_extra
        if isinstance(extra, dict):
            if "flag" in extra:
                yield _flag(key, field, section.panel, extra)
            options: Any = extra.get("properties", {})
            for option, schema in options.items():
                one = FieldInfo(annotation=float, default=None, description=schema["description"])
                yield _flag(f"{key}.{option}", one, section.panel, schema)


def _flag(key: str, field: FieldInfo, panel: str, extra: dict[str, Any]) -> Flag:
    kind: Any = field.annotation
    words = words_of(kind)
    leaves = list(_leaves(kind))
    numbers = tuple(one for one in (int, float) if one in leaves)
    repeated = get_origin(kind) is tuple
    if repeated and not words:
        on_line: Any = list[str]
    elif words or len(numbers) != 1:
        on_line = str
    else:
        (on_line,) = numbers
    return Flag(
        name=extra["flag"],
        key=key,
        help=(field.description or "").partition(". ")[0],
        kind=bool if kind is bool else on_line,
        panel=panel,
        rare=extra.get("rare", False),
        suggest=extra.get("suggest", ()) or tuple(words),
        several=repeated and bool(words),
        numbers=numbers if on_line is str else (),
        default=field.default,
    )


def words_of(kind: Any) -> list[str]:
    """Return the words that the type of a setting names, those of a truth value included."""
    if kind is bool:
        return ["true", "false"]
    return [one for one in _leaves(kind) if isinstance(one, str)]


def _leaves(kind: Any) -> Iterator[Any]:
    """Yield the plain types and the words in a type."""
    inner = [one for one in get_args(kind) if one not in (NoneType, ...)]
    if get_origin(kind) is Literal:
        yield from inner
    elif not inner:
        yield kind
    for one in inner if get_origin(kind) is not Literal else ():
        yield from _leaves(one)
