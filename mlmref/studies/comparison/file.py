"""Read a comparison's file: its keys and its variants (COMP-001, COMP-002)."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError
from mlmref.base.explain import Sources, Tree, explain
from mlmref.settings.config import MaskingConfig, Section, Seed
from mlmref.settings.tree import nest, read_toml

_NAME = re.compile(r"[^\W_][\w.=+-]{0,79}")


class TaskConfig(MaskingConfig):
    """The task on which all models are evaluated.

    Attributes:
        strategy, options, corruption: as in the section ``masking`` of a run.
        draws: number of fixed draws of masks.
        resamples: number of resamples of the bootstrap and of the randomization test.
        confidence: level of the intervals.
    """

    draws: Annotated[int, Field(ge=1, le=1_000)] = 1
    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    confidence: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95


class ComparisonConfig(Section):
    """A comparison's file.

    Attributes:
        seeds: values of ``training.seed``.
        baseline: the variant to compare the others with; by default the first.
        pairs: compare each variant with the ``baseline``, or ``all`` with each other.
        base: settings of all runs, with the keys of a run's file.
        variants: by name, the settings of a variant that override ``base``.
        grid: by dotted key, a list of values; every variant runs with every combination.
        evaluation: the common task.
    """

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2, 3, 4)
    baseline: str | None = None
    pairs: Literal["baseline", "all"] = "baseline"
    base: dict[str, Any] = Field(default_factory=dict)
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)
    grid: dict[str, Any] = Field(default_factory=dict)
    evaluation: TaskConfig = TaskConfig()

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed is repeated; list each seed once")
        return seeds


def shipped() -> list[str]:
    """Return the names of the bundled comparisons."""
    folder = resources.files("mlmref.studies.comparison").joinpath("presets")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir())


def read_file(file: Path, task: Tree) -> tuple[str, ComparisonConfig]:
    """Return the name and the content of a comparison's file.

    Args:
        file: a TOML file, or the name of a bundled comparison.
        task: settings of the common task that override the file's.
    """
    path = _path(file)
    return path.stem, _validated(read_toml(path, "FILE"), str(file), task)


def _path(file: Path) -> Path:
    if not file.exists() and str(file) in shipped():
        return Path(
            str(resources.files("mlmref.studies.comparison").joinpath("presets", f"{file}.toml"))
        )
    if not file.exists() and not file.suffix:
        hint = suggest(str(file), shipped())
        raise ConfigError("no such file or bundled comparison", where=str(file), hint=hint)
    return file


def _validated(tree: Tree, where: str, task: Tree) -> ComparisonConfig:
    sources: Sources = [(where, tree)]
    evaluation = tree.get("evaluation", {})
    if task and isinstance(evaluation, dict):
        # The file's options and corruption belong to its own strategy (CONF-009).
        kept = {} if "strategy" in task else {"options": {}, **evaluation}
        free = {
            key: evaluation[key]
            for key in ("draws", "resamples", "confidence")
            if key in evaluation
        }
        options = kept.get("options", {})
        if isinstance(options, dict):  # otherwise the validation refuses it
            options = {**options, **task.get("options", {})}
        tree = {**tree, "evaluation": {**free, **kept, **task, "options": options}}
        sources = [(where, tree), ("the command line", {"evaluation": task})]
    try:
        return ComparisonConfig.model_validate_json(json.dumps(tree, default=str), strict=True)
    except ValidationError as error:
        raise explain(error, ComparisonConfig, sources=sources) from None


def cells(said: ComparisonConfig, where: str) -> Iterator[tuple[str, Sources]]:
    """Yield the name of each variant, with the trees of its settings, weakest first.

    Raises:
        ConfigError: there is no variant, a name is invalid or repeated, or an axis of the grid is
            not a list.
    """
    axes = list(_axes(said.grid, "", where))
    keys = [key for key, _ in axes]
    if twice := [key for key in keys if keys.count(key) > 1]:  # once in quotes and once as a table
        raise ConfigError(
            f"grid.{twice[0]} is set twice", where=where, hint="write it once, with all values"
        )
    last = [key.rpartition(".")[2] for key in keys]
    shown = [
        short if last.count(short) == 1 else key for (key, _), short in zip(axes, last, strict=True)
    ]
    if not axes and not said.variants:
        raise ConfigError("nothing to compare", where=where, hint="add [variants.NAME] or a [grid]")
    seen: set[str] = set()
    for variant, tree in (said.variants or {"": {}}).items():
        own: Sources = [(f"{where} [variants.{variant}]", tree)] if said.variants else []
        for values in itertools.product(*(values for _, values in axes)):
            parts = [variant] if variant else []
            over = list(own)
            for (key, _), short, value in zip(axes, shown, values, strict=True):
                parts.append(f"{short}={_spelled(value)}")
                over.append((f"{where} [grid]", nest(key, value)))
            name = "+".join(parts)
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"invalid variant name {name!r}",
                    where=where,
                    hint="use letters, digits and ._=+-, 80 at most; instead of a [grid], you can "
                    "name variants yourself",
                )
            if name.casefold() in seen:  # a file system may ignore case
                raise ConfigError(f"two variants have the name {name!r}", where=where)
            seen.add(name.casefold())
            yield name, over


def _axes(tree: Tree, prefix: str, where: str) -> Iterator[tuple[str, list[Any]]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _axes(value, f"{prefix}{key}.", where)
        elif (
            isinstance(value, list)
            and value
            and not any(isinstance(one, dict | list) for one in value)
        ):
            yield f"{prefix}{key}", value
        else:
            raise ConfigError(
                f"grid.{prefix}{key} = {json.dumps(value, default=str)} is not a list of values",
                where=where,
                hint="give a list such as [1, 2], or use [variants.NAME]",
            )


def _spelled(value: object) -> str:
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return re.sub(r"[^\w.=+-]", "-", text)
