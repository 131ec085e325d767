"""The kinds of plugin: each is declared once, here (PLUG-013, PLUG-017).

Everything that concerns all kinds reads :data:`KINDS`: discovery, the registry, the commands
``plugins``, ``check`` and ``new-plugin``, completion, the options in the settings, and the record
of a run. A new kind needs a hook, its own code (entry type, checks, template) and a declaration
below. A kind that a run selects also needs its setting.

A declaration names code as ``module:name``, and the code is imported when it is used. The command
line reads this module at each start, and the checks are in a package above this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from mlmref.plugin.contracts import Options, SegmenterEntry, StrategyEntry
    from mlmref.plugin.training import BackendEntry


class Entry(Protocol):
    """What the entries of all kinds have."""

    @property
    def name(self) -> str:
        """The name that selects the entry; lower-case letters, digits and ``-``."""
        ...

    @property
    def summary(self) -> str:
        """One line for ``mlmref plugins``."""
        ...

    @property
    def build(self) -> Callable[[Any], Any] | None:
        """Makes the object from its options; ``None`` only if the kind allows it."""
        ...

    @property
    def options(self) -> type[Options]:
        """The type of the options."""
        ...


EntryT = TypeVar("EntryT", bound=Entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[EntryT]):
    """A kind of plugin.

    Attributes:
        name: of one in messages; its last word is part of the names of the kit's functions, such
            as ``check_strategy``.
        plural: of several in JSON; also of the specification's ``Kit:`` lines.
        entry_type: ``module:class`` of the entries; they have what :class:`Entry` has. If an entry
            can contradict itself, its method ``problem`` returns how, or ``None``.
        hookspec: ``module:function``, the specification of the hook that returns the entries.
        method: the method that the object needs which ``build`` returns.
        setting: the setting that selects one, as ``section.key``. Its section also has
            ``options``, the options of the selected entry.
        tied: keys of the section that belong to the selected entry and not to another one.
        flag: the flag that selects one, without dashes; also a value of ``new-plugin --kind``.
        record: its key among the plugins in ``record.json``.
        kit: ``module:object`` of its :class:`mlmref.conformance.kit.Kit`.
        clause: a clause of the kit, as an example for authors.
        template: ``package:file`` of the code of a new plugin.
        requires: what a new plugin requires besides mlmref.
        optional: whether an entry may have no ``build``, because the core can do without one.
    """

    name: str
    plural: str
    entry_type: str
    hookspec: str
    method: str
    setting: str
    tied: tuple[str, ...] = ("options",)
    flag: str
    record: str
    kit: str
    clause: str
    template: str
    requires: tuple[str, ...] = ()
    optional: bool = False

    @property
    def short(self) -> str:
        """The last word of the name, such as ``strategy``."""
        return self.name.rpartition(" ")[2]

    @property
    def entry(self) -> type[EntryT]:
        """The type of the entries."""
        return cast(type[EntryT], imported(self.entry_type))

    @property
    def hook(self) -> str:
        """The name of the hook."""
        return self.hookspec.partition(":")[2]

    @property
    def section(self) -> str:
        """The section of the settings that selects an entry and has its options."""
        return self.setting.partition(".")[0]

    @property
    def key(self) -> str:
        """The key within the section that selects an entry."""
        return self.setting.partition(".")[2]

    def template_text(self) -> str:
        """Return the text of the template."""
        from importlib.resources import files

        package, _, file = self.template.partition(":")
        return (files(package) / file).read_text("utf-8")


def imported(place: str) -> Any:
    """Return the object at ``module:name``."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


STRATEGY: Kind[StrategyEntry] = Kind(
    name="masking strategy",
    plural="strategies",
    entry_type="mlmref.plugin.contracts:StrategyEntry",
    hookspec="mlmref.plugin.hookspecs:mlmref_masking_strategies",
    method="propose",
    setting="masking.strategy",
    tied=("options", "corruption"),
    flag="masking",
    record="masking",
    kit="mlmref.conformance.strategies:KIT",
    clause="MASK-032",
    template="mlmref.plugin.scaffold:templates/masking.py.template",
)
BACKEND: Kind[BackendEntry] = Kind(
    name="training backend",
    plural="backends",
    entry_type="mlmref.plugin.training:BackendEntry",
    hookspec="mlmref.plugin.hookspecs:mlmref_training_backends",
    method="train",
    setting="training.backend",
    flag="backend",
    record="backend",
    kit="mlmref.conformance.backends:KIT",
    clause="BACK-025",
    template="mlmref.plugin.scaffold:templates/backend.py.template",
    requires=("torch>=2.6",),
)
SEGMENTER: Kind[SegmenterEntry] = Kind(
    name="word segmenter",
    plural="segmenters",
    entry_type="mlmref.plugin.contracts:SegmenterEntry",
    hookspec="mlmref.plugin.hookspecs:mlmref_word_segmenters",
    method="segment",
    setting="words.segmenter",
    flag="segmenter",
    record="words",
    kit="mlmref.conformance.segmenters:KIT",
    clause="SEG-011",
    template="mlmref.plugin.scaffold:templates/segmenter.py.template",
    optional=True,
)

KINDS: list[Kind[Any]] = [STRATEGY, BACKEND, SEGMENTER]
"""All kinds, in the order in which people see them. Tests append a kind of their own."""


def kind_of(entry: EntryT) -> Kind[EntryT]:
    """Return the kind of an entry."""
    return next(kind for kind in KINDS if isinstance(entry, kind.entry))


def listed(words: list[str], conjunction: str = "or") -> str:
    """Return words as a list in a sentence: ``a, b or c``."""
    *most, last = words
    return f"{', '.join(most)} {conjunction} {last}" if most else last
