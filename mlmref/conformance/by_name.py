"""``mlmref check``: test a plugin by name, or a data collator by its import path."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, get_args

from mlmref.base.closest import closest, suggest
from mlmref.base.errors import ConfigError, PluginError
from mlmref.plugin.contracts import Rate
from mlmref.plugin.kinds import KINDS, Kind, imported
from mlmref.plugin.registry import Registered, Registry, choose
from mlmref.settings.config import MaskingConfig
from mlmref.settings.tree import parse_assignment

if TYPE_CHECKING:
    from mlmref.conformance.checks import Report


def refuse_ignored(given: Mapping[str, object], why: str) -> None:
    """Refuse flags that would have no effect (CLI-012).

    Args:
        given: the flags and their values; an empty or false value counts as not given.
        why: why they would have no effect, and what to do.

    Raises:
        ConfigError: one was given.
    """
    for flag, value in given.items():
        if value:
            raise ConfigError("would be ignored", where=flag, hint=why)


def check_named(
    registry: Registry, names: Sequence[str], *, every: bool = False, options: Sequence[str] = ()
) -> list[Report]:
    """Check the entries of all kinds that have these names.

    Args:
        registry: the plugins.
        names: names of entries of any kind.
        every: check all entries instead.
        options: KEY=VALUE each, for all of them.

    Raises:
        PluginError: a name is unknown, or several plugins have it.
        ConfigError: no name, an invalid option, or Hypothesis is not installed.
    """
    if bool(names) == every:
        raise ConfigError("give either names of plugins or --all", where="check")
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
            raise _unknown(registry, name)
    return [_check(registry, kind, one, given) for kind, one in chosen]


def _unknown(registry: Registry, name: str) -> PluginError:
    """Return the error about an unknown name, of the kind that has the closest name if any has."""
    known = {one.entry.name: kind for kind in KINDS for one in registry.of(kind)}
    close = [known[one] for one in closest(name, list(known))]
    return registry.unknown(name, close[:1] or KINDS)


def _check(
    registry: Registry, kind: Kind[Any], one: Registered[Any], given: dict[str, Any]
) -> Report:
    registry.only(kind, one.entry.name)  # raises if several plugins have the name
    chosen = choose(one, given, "--option")
    _need_hypothesis()
    with _hypothesis_elsewhere():
        report: Report = imported(kind.kit).check(one.entry, chosen.options)
    return replace(report, subject=f"{kind.name} {one.owner}")


def check_collator(
    place: str,
    *,
    arguments: Sequence[str] = (),
    columns: Sequence[str] = (),
    rate: str | None = None,
    whole_words: bool = False,
    corruption: str | None = None,
) -> Report:
    """Check a data collator in the style of Transformers.

    Args:
        place: ``MODULE:NAME`` of a class, or of a function that is a collator itself.
        arguments: KEY=VALUE each, further arguments of the class besides the tokenizer and the
            probability.
        columns: features that it needs besides ``input_ids`` and ``attention_mask``.
        rate: the meaning of its ``mlm_probability``, as in :class:`mlmref.plugin.StrategyEntry`.
        whole_words: whether it promises to mask whole words.
        corruption: the shares that it promises, as MASK/RANDOM/KEEP; 80/10/10 by default.

    Raises:
        ConfigError: no such collator, an invalid argument, or Hypothesis is not installed.
    """
    _need_hypothesis()
    from mlmref.conformance import collator_check
    from mlmref.conformance.collators import COLUMNS

    if rate is not None and rate not in get_args(Rate):
        raise ConfigError(f"no rate {rate!r}", where="--rate", hint=suggest(rate, get_args(Rate)))
    for column in columns:
        if column not in COLUMNS:
            raise ConfigError(
                f"no column {column!r}", where="--column", hint=suggest(column, COLUMNS)
            )
    given: dict[str, Any] = {}
    for text in arguments:
        given |= parse_assignment(text, "--collator-arg")
    try:
        shares = MaskingConfig.model_validate({"corruption": corruption or "80/10/10"}).corruption
    except ValueError:
        raise ConfigError(f"{corruption!r} is not MASK/RANDOM/KEEP", where="--corruption") from None
    with _hypothesis_elsewhere():
        report: Report = collator_check.check_collator(
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
    """Let Hypothesis write its files into a temporary folder instead of the current one."""
    from hypothesis import configuration

    before = getattr(configuration, "__hypothesis_home_directory", None)
    with tempfile.TemporaryDirectory(prefix="mlmref-check-") as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(before)


def _need_hypothesis() -> None:
    """Raise ConfigError unless Hypothesis, which the checks import, is installed."""
    if find_spec("hypothesis") is None:
        raise ConfigError(
            "the conformance kit needs Hypothesis",
            where="check",
            hint="pip install 'mlmref[conformance]'",
        )
