"""Plan a comparison: variants, seeds and the common task (COMP-003 to COMP-005)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError, MlmrefError
from mlmref.base.explain import Sources, Tree
from mlmref.plugin.registry import Registry
from mlmref.runner.context import choose_plugins
from mlmref.settings.config import Config, MaskingConfig, OutputConfig
from mlmref.settings.resolve import resolve_trees
from mlmref.settings.tree import differences, dotted, nest, parse_assignment
from mlmref.studies.comparison.file import ComparisonConfig, TaskConfig, cells, read_file

_FREE_IN_SPLIT = "split.train_size"  # does not change the held-out chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to train.

    Attributes:
        name: letters, digits and ``._=+-``.
        config: complete settings, except the seed and the folder.
        settings: the settings that differ from the base, by dotted key.
    """

    name: str
    config: Config
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A variant with a seed.

    Attributes:
        variant: its name.
        seed: of the training.
        config: complete settings, with the run folder.
    """

    variant: str
    seed: int
    config: Config

    @property
    def folder(self) -> Path:
        """The run folder, which may not exist yet."""
        return Path(str(self.config.output.folder))

    @property
    def name(self) -> str:
        """The name of the run folder."""
        return run_name(self.variant, self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonPlan:
    """A comparison, before its first run.

    Attributes:
        name: the name of the file, without its suffix.
        base: complete settings of all runs.
        task: the common task, with complete options and corruption.
        variants: in the order of the file.
        seeds: of the training.
        pairs: names of variants; the second is compared with the first.
    """

    name: str
    base: Config
    task: TaskConfig
    variants: Sequence[Variant]
    seeds: Sequence[int]
    pairs: Sequence[tuple[str, str]]

    def runs(self, place: Path) -> list[PlannedRun]:
        """Return the runs of a comparison folder in their order: seed by seed (COMP-005)."""
        return [
            PlannedRun(
                variant=one.name,
                seed=seed,
                config=one.config.model_copy(
                    update={
                        "training": one.config.training.model_copy(update={"seed": seed}),
                        "output": OutputConfig(
                            folder=str(place / "runs" / run_name(one.name, seed))
                        ),
                    }
                ),
            )
            for seed in self.seeds
            for one in self.variants
        ]


def run_name(variant: str, seed: int) -> str:
    """Return the name of the run of a variant with a seed."""
    return f"{variant}-seed-{seed}"


def read_plan(
    file: Path,
    *,
    sets: Sequence[str] = (),
    trusts: bool | None = None,
    task: Tree | None = None,
    registry: Registry | None = None,
) -> ComparisonPlan:
    """Read and check a comparison's file.

    Args:
        file: a TOML file, or the name of a bundled comparison.
        sets: texts ``SECTION.KEY=VALUE``, which override ``base``.
        trusts: whether to run code that comes with the model.
        task: settings that override those in ``evaluation``.
        registry: the plugins; by default those installed.

    Raises:
        ConfigError: the file is missing or malformed, a key is unknown, a value is invalid, or
            variants cannot be compared; names the key.
    """
    given: list[tuple[str, Tree]] = [(f"--set {text}", parse_assignment(text)) for text in sets]
    if trusts is not None:
        given.append(("--trust-remote-code", nest("model.trust_remote_code", trusts)))
    called, said = read_file(file, task or {})
    bottom: Sources = [(f"{file} [base]", said.base)]
    with _within(f"{file} [base]"):
        base, _ = choose_plugins(resolve_trees(bottom, given), registry)
    if base.output != OutputConfig() or base.training.seed is not None:
        key = "output" if base.output != OutputConfig() else "training.seed"
        hint = "omit it; see --output" if key == "output" else "use seeds = [...]"
        raise ConfigError(f"{key} cannot be set in a comparison", where=str(file), hint=hint)
    variants = []
    for name, over in cells(said, str(file)):
        with _within(f"{file}, variant {name!r}"):
            config, _ = choose_plugins(resolve_trees(bottom, given, over), registry)
        _refuse_other_text(name, base, config, str(file))
        settings = dict(dotted(config.model_dump(mode="json")))
        was = dict(dotted(base.model_dump(mode="json")))
        changed = {key: value for key, value in settings.items() if value != was.get(key)}
        variants.append(Variant(name=name, config=config, settings=changed))
    with _within(f"{file} [evaluation]"):
        task_ = _complete(said.evaluation, base, registry)
    return ComparisonPlan(
        name=called,
        base=base,
        task=task_,
        variants=variants,
        seeds=said.seeds,
        pairs=_pairs(said, [one.name for one in variants], str(file)),
    )


@contextmanager
def _within(place: str) -> Iterator[None]:
    """Add the place to an error of a plugin, which does not know the file."""
    try:
        yield
    except MlmrefError as error:
        error.where = error.where or place
        raise


def _refuse_other_text(name: str, base: Config, config: Config, where: str) -> None:
    """Raise a ConfigError if a variant changes the held-out text or a seed (COMP-003)."""
    own = "seed", "corpus", "chunks", "split", "evaluation", "output"

    def held(of: Config) -> dict[str, Any]:
        settings = dict(dotted(of.model_dump(mode="json")))
        kept = {key: value for key, value in settings.items() if key.partition(".")[0] in own}
        kept["training.seed"] = of.training.seed
        kept.pop(_FREE_IN_SPLIT)
        return kept

    if found := differences(held(base), held(config)):
        raise ConfigError(
            f"variant {name!r} must have the same held-out text and seeds: {'; '.join(found)}",
            where=where,
            hint="set it in [base], or a training seed in seeds",
        )


def _complete(task: TaskConfig, base: Config, registry: Registry | None) -> TaskConfig:
    """Return the common task with all options of its strategy."""
    config, _ = choose_plugins(task_config(base, task), registry)
    return task.model_copy(
        update={"options": config.masking.options, "corruption": config.masking.corruption}
    )


def task_config(base: Config, task: TaskConfig) -> Config:
    """Return the settings of the evaluation on the common task."""
    masking = MaskingConfig(
        strategy=task.strategy, options=task.options, corruption=task.corruption
    )
    return base.model_copy(update={"masking": masking})


def _pairs(said: ComparisonConfig, names: list[str], where: str) -> list[tuple[str, str]]:
    baseline = names[0] if said.baseline is None else said.baseline
    if baseline not in names:
        raise ConfigError(
            f"no variant {baseline!r} to use as baseline",
            where=where,
            hint=suggest(baseline, names),
        )
    names = [baseline, *(one for one in names if one != baseline)]
    if said.pairs == "all":
        return list(itertools.combinations(names, 2))
    return [(baseline, one) for one in names[1:]]
