"""``mlmref check``: test a plugin by name, or a data collator by its import path."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

from mlmref.base.errors import ConfigError
from mlmref.base.explain import suggest
from mlmref.plugin.contracts import Rate
from mlmref.plugin.registry import (
    BACKEND,
    KINDS,
    SEGMENTER,
    STRATEGY,
    Kind,
    Registered,
    Registry,
    choose,
)
from mlmref.settings.config import MaskingConfig
from mlmref.settings.tree import parse_assignment

if TYPE_CHECKING:
    from mlmref.conformance.checks import Report

CHECK_OF = {
    STRATEGY.key: ("strategies", "check_strategy"),
    BACKEND.key: ("backends", "check_backend"),
    SEGMENTER.key: ("segmenters", "check_segmenter"),
}
"""For each kind of entry the kit's module and the function that checks one."""


def refuse_ignored(given: Mapping[str, object], why: str) -> None:
    """Refuse flags that would be read by nothing (CLI-012).

    Args:
        given: the flags and their values; one that is empty or false was not given.
        why: why they would not be read, and what to do.

    Raises:
        ConfigError: one was given.
    """
    for flag, value in given.items():
        if value:
            raise ConfigError("would be ignored", where=flag, hint=why)


def check_named(
    registry: Registry, names: Sequence[str], *, every: bool = False, options: Sequence[str] = ()
) -> list[Report]:
    """Check the entries of any kind that are called so.

    Args:
        registry: the plugins.
        names: strategies, backends or segmenters.
        every: check all entries instead.
        options: KEY=VALUE each, for all of them.

    Raises:
        PluginError: there is no such entry, or two plugins claim it.
        ConfigError: nothing is named, a bad option, or the extra is not installed.
    """
    if bool(names) == every:
        raise ConfigError("name a plugin, or give --all, and not both", where="check")
    given: dict[str, Any] = {}
    for text in options:
        given |= parse_assignment(text, "--option")
    chosen = [
        (kind, one)
        for kind in KINDS
        for one in registry.of(kind)
        if every or one.entry.name in names
    ]
    found = {one.entry.name for _, one in chosen}
    for name in names:
        if name not in found:
            _missing(registry, name)
    return [_check(registry, kind, one, given) for kind, one in chosen]


def _missing(registry: Registry, name: str) -> None:
    """Raise the error of the kind that has the closest name to offer."""
    known = {one.entry.name: kind for kind in KINDS for one in registry.of(kind)}
    close = suggest(name, list(known)).removeprefix("did you mean ").rstrip("?")
    registry.only(known.get(close, STRATEGY), name)


def _check(
    registry: Registry, kind: Kind[Any], one: Registered[Any], given: dict[str, Any]
) -> Report:
    registry.only(kind, one.entry.name)  # refused when two plugins claim it
    chosen = choose(one, given, "--option")
    module, function = CHECK_OF[kind.key]
    check = getattr(_kit(module), function)
    with _hypothesis_elsewhere():
        report: Report = check(one.entry, chosen.options)
    return replace(report, subject=f"{kind.name} {chosen.owner}")


def check_collator(
    place: str,
    *,
    arguments: Sequence[str] = (),
    columns: Sequence[str] = (),
    rate: str | None = None,
    whole_words: bool = False,
    corruption: str | None = None,
) -> Report:
    """Check a data collator in the style of Transformers, under MODULE:NAME.

    Args:
        place: a class, or a function that is a collator itself.
        arguments: KEY=VALUE each, what the class takes beside the tokenizer and the probability.
        columns: what features it needs beside ``input_ids`` and ``attention_mask``.
        rate: what its ``mlm_probability`` promises, as in :class:`mlmref.plugin.StrategyEntry`.
        whole_words: whether it promises whole words.
        corruption: the shares it promises, as MASK/RANDOM/KEEP; 80/10/10 if not given.

    Raises:
        ConfigError: there is no such collator, a bad argument, or the extra is not installed.
    """
    kit = _kit("collators")
    if rate is not None and rate not in get_args(Rate):
        raise ConfigError(f"no rate {rate!r}", where="--rate", hint=suggest(rate, get_args(Rate)))
    for column in columns:
        if column not in kit.COLUMNS:
            raise ConfigError(
                f"no column {column!r}", where="--column", hint=suggest(column, kit.COLUMNS)
            )
    given: dict[str, Any] = {}
    for text in arguments:
        given |= parse_assignment(text, "--collator-arg")
    try:
        shares = MaskingConfig.model_validate({"corruption": corruption or "80/10/10"}).corruption
    except ValueError:
        raise ConfigError(f"{corruption!r} is not MASK/RANDOM/KEEP", where="--corruption") from None
    with _hypothesis_elsewhere():
        report: Report = kit.check_collator(
            place,
            arguments=given,
            columns=columns,
            rate=rate,
            whole_words=whole_words,
            corruption=shares,
        )
    return report


@contextmanager
def _hypothesis_elsewhere() -> Iterator[None]:
    """Let Hypothesis keep its files in a folder of its own for a while, and not in this one."""
    from hypothesis import configuration

    before = getattr(configuration, "__hypothesis_home_directory", None)
    with tempfile.TemporaryDirectory(prefix="mlmref-check-") as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(before)


def _kit(module: str) -> Any:
    try:
        import hypothesis  # noqa: F401 - what the kit needs of the extra
    except ImportError:
        raise ConfigError(
            "the conformance kit needs Hypothesis",
            where="check",
            hint="pip install 'mlmref[conformance]'",
        ) from None
    return import_module(f"mlmref.conformance.{module}")
