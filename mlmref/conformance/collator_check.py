"""Check a data collator against the clauses for masking strategies."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from mlmref.base.errors import ConfigError
from mlmref.conformance import strategies
from mlmref.conformance.checks import Report, run_checks
from mlmref.conformance.collators import Collator, CollatorStrategy, is_keyed
from mlmref.conformance.strategies.subject import Subject
from mlmref.conformance.strategies.worlds import large_cases
from mlmref.conformance.words import tokenizer, world
from mlmref.plugin.arrays import Probability
from mlmref.plugin.contracts import Corruption, Options, Rate, StrategyEntry


class CollatorOptions(Options):
    """Options of a collator that takes a rate."""

    mlm_probability: Probability = 0.15


def collator_subject(
    make: Callable[..., Collator],
    *,
    name: str,
    probability: float | None = None,
    corruption: Corruption = Corruption(),  # noqa: B008 - frozen
    rate: Rate | None = None,
    whole_words: bool = False,
    columns: Sequence[str] = (),
) -> Subject:
    """Return a collator as the subject of checks.

    Args:
        make: returns the collator from the tokenizer, and from ``mlm_probability`` if
            ``probability`` is given.
        name: its name in the report.
        probability: its rate of targets; ``None`` if it takes none.
        corruption: the corruption policy that it promises.
        rate: the meaning of the probability, as in :class:`StrategyEntry`.
        whole_words: whether it promises to mask whole words.
        columns: as of :class:`CollatorStrategy`.
    """

    def build(options: Options) -> CollatorStrategy:
        rates = {} if probability is None else options.model_dump()
        return CollatorStrategy(make(tokenizer(), **rates), columns)

    entry = StrategyEntry(
        name=name,
        summary="a data collator",
        build=build,
        options=Options if probability is None else CollatorOptions,
        corruption=corruption,
        needs_words=True,
        whole_words=whole_words,
        rate=rate,
        replaces="random",
    )
    options = Options() if probability is None else CollatorOptions(mlm_probability=probability)
    return Subject(
        entry=entry, options=options, corruption=corruption, world=world(), large=12, collates=True
    )


def load_collator(place: str, arguments: Mapping[str, Any]) -> Callable[..., Collator]:
    """Return a function that makes the collator ``MODULE:NAME``.

    Args:
        place: ``MODULE:NAME`` of a class, or of a function that is a collator itself.
        arguments: further arguments of the class, besides ``tokenizer`` and ``mlm_probability``.

    Raises:
        ConfigError: it cannot be imported.
    """
    module, _, name = place.partition(":")
    try:
        found: Any = getattr(import_module(module), name)
        takes = inspect.signature(found).parameters
    except Exception as error:  # a module may raise anything, and not every class has a signature
        raise ConfigError(
            f"no collator {place!r} ({error})", where="--collator", hint="give MODULE:NAME"
        ) from error
    if not inspect.isclass(found):
        return lambda _tokenizer, **_: found

    def make(tokenizer: Any, **rates: Any) -> Collator:
        given: dict[str, Any] = {"tokenizer": tokenizer} if "tokenizer" in takes else {}
        made: Any = found(**given, **arguments, **rates)
        collator: Collator = made
        return collator

    return make


def check_collator(
    place: str, *, arguments: Mapping[str, Any] | None = None, **promises: Any
) -> Report:
    """Check a collator against every clause for masking strategies.

    Args:
        place: ``MODULE:NAME`` of a class, or of a function that is a collator itself.
        arguments: further arguments of the class, besides ``tokenizer``.
        promises: ``corruption``, ``rate``, ``whole_words`` and ``columns``, as of
            :func:`collator_subject`.

    Raises:
        ConfigError: the collator cannot be imported, made or called.
    """
    given = dict(arguments or {})
    load_collator(place, given)  # raises before the class is inspected
    probability = given.pop("mlm_probability", 0.15) if _takes_probability(place) else None
    try:
        subject = collator_subject(
            load_collator(place, given), name=place, probability=probability, **promises
        )
        subject.see(next(iter(large_cases(1, subject.world))))
    except Exception as error:
        raise ConfigError(
            f"the collator cannot be called ({type(error).__name__}: {error})",
            where=place,
            hint="set its arguments with --collator-arg and its columns with --column",
        ) from error
    return run_checks(strategies.KIT.checks, subject, place)


def _takes_probability(place: str) -> bool:
    """Return whether a collator's class has the argument ``mlm_probability``."""
    module, _, name = place.partition(":")
    found = getattr(import_module(module), name)
    if not inspect.isclass(found):
        return False
    takes = inspect.signature(found).parameters.values()
    named = any(one.name == "mlm_probability" for one in takes)
    return named or (is_keyed(found) and any(one.kind is one.VAR_KEYWORD for one in takes))
