"""What a plugin gets wrong: one line that names the strategy, its plugin and the clause."""

import ctypes

import numpy as np
import pytest
from support.maskers import CLS, SEP, Proposes, chunk_rows, proposing

from mlmref.base.errors import ConfigError, PluginError
from mlmref.plugin.batches import Plan
from mlmref.plugin.contracts import Corruption, StrategyEntry
from mlmref.plugin.discovery import discover
from mlmref.plugin.hookspecs import hookimpl
from mlmref.runner.context import choose_plugins
from mlmref.settings.resolve import resolve

ROWS = chunk_rows([[CLS, 10, 11, SEP], [20, 21, 22, 0]], lengths=[4, 3], chunk_ids=[7, 9])
OWNER = "masking strategy 'odd' of acme:odd 1.0: "
HINT = "; report it to the plugin's author"


def _targets(*cells, dtype=np.bool_, shape=(2, 4)):
    array = np.zeros(shape, dtype=dtype)
    for cell in cells:
        array[cell] = True
    return array


def _replaced(value, dtype=np.int64, shape=(2, 4)):
    return Plan(targets=_targets((0, 1)), replacements=np.full(shape, value, dtype=dtype))


def _special(*cells):
    return lambda batch, draws: Plan(targets=_targets(*cells))


def _gives(plan):
    return lambda batch, draws: plan


def _fails(batch, draws):
    raise RuntimeError("two\nlines")


def _refuses(batch, draws):
    raise ConfigError("no such thing", where="a.toml", hint="look again")


def _writes(name):
    def propose(batch, draws):
        getattr(batch, name)[0] = 1
        return Plan(targets=_targets())

    return propose


def _writable(array):
    """Return the same memory without NumPy's mark, as libraries that share it get at it."""
    address, _ = array.__array_interface__["data"]
    memory = (ctypes.c_char * array.nbytes).from_address(address)
    return np.frombuffer(memory, array.dtype).reshape(array.shape)


def _unlocks(batch, draws):
    batch.words.setflags(write=True)


def _sneaks(name):
    def propose(batch, draws):
        last = _writable(getattr(batch, name))[-1:]
        last[:] = 1 - last
        return Plan(targets=_targets())

    return propose


def _spoils_vocabulary(batch, draws):
    batch.vocabulary.ordinary_ids[:] = 0


FAULTS = {
    "raises": (_fails, "propose raised RuntimeError: two lines (MASK-017)"),
    "raises ours": (
        _refuses,
        "propose raised ConfigError: a.toml: no such thing; look again (MASK-017)",
    ),
    "draws nonsense": (
        lambda batch, draws: draws.integers("s", 0),
        "propose raised ValueError: high is 0, not between 1 and 2**32 (MASK-017)",
    ),
    "none": (_gives(None), "propose returned NoneType, not Plan (MASK-016)"),
    "bare array": (_gives(_targets()), "propose returned ndarray, not Plan (MASK-016)"),
    "list": (_gives(Plan(targets=[[True]])), "targets is list, not ndarray (MASK-016)"),
    "masked array": (
        _gives(Plan(targets=np.ma.masked_array(_targets()))),
        "targets is MaskedArray, not ndarray (MASK-016)",
    ),
    "int targets": (
        _gives(Plan(targets=_targets(dtype=np.int64))),
        "targets is of type int64, not bool (MASK-016)",
    ),
    "object targets": (
        _gives(Plan(targets=_targets(dtype=object))),
        "targets is of type object, not bool (MASK-016)",
    ),
    "one row": (
        _gives(Plan(targets=_targets(shape=(1, 4)))),
        "targets has shape (1, 4), not (2, 4) (MASK-016)",
    ),
    "flat": (
        _gives(Plan(targets=_targets(shape=(8,)))),
        "targets has shape (8,), not (2, 4) (MASK-016)",
    ),
    "float replacements": (
        _gives(_replaced(5.0, np.float64)),
        "replacements is of type float64, not integer (MASK-016)",
    ),
    "bool replacements": (
        _gives(_replaced(1, np.bool_)),
        "replacements is of type bool, not integer (MASK-016)",
    ),
    "replacements of another shape": (
        _gives(_replaced(5, shape=(2, 1))),
        "replacements has shape (2, 1), not (2, 4) (MASK-016)",
    ),
    "replacements as a list": (
        _gives(Plan(targets=_targets(), replacements=[5])),
        "replacements is list, not ndarray (MASK-016)",
    ),
    "replacement too large": (
        _gives(_replaced(100)),
        "replacement 100 is not in range(100) (MASK-018)",
    ),
    "replacement too small": (
        _gives(_replaced(-1, np.int8)),
        "replacement -1 is not in range(100) (MASK-018)",
    ),
    "replacement huge": (
        _gives(_replaced(2**63, np.uint64)),
        "replacement 9223372036854775808 is not in range(100) (MASK-018)",
    ),
    "special target": (
        _special((0, 1), (0, 3)),
        "a special token or padding is a target, in chunk 7 at position 3 (token id 3) (MASK-003)",
    ),
    "padding target": (
        _special((1, 3)),
        "a special token or padding is a target, in chunk 9 at position 3 (token id 0) (MASK-003)",
    ),
    "writes tokens": (
        _writes("input_ids"),
        "propose raised ValueError: assignment destination is read-only (MASK-009)",
    ),
    "writes specials": (
        _writes("special"),
        "propose raised ValueError: assignment destination is read-only (MASK-009)",
    ),
    "writes words": (
        _writes("words"),
        "propose raised ValueError: assignment destination is read-only (MASK-009)",
    ),
    "writes chunk ids": (
        _writes("chunk_ids"),
        "propose raised ValueError: assignment destination is read-only (MASK-009)",
    ),
    "writes vocabulary": (
        _spoils_vocabulary,
        "propose raised ValueError: assignment destination is read-only (MASK-009)",
    ),
    "unlocks": (
        _unlocks,
        "propose raised ValueError: cannot set WRITEABLE flag to True of this array (MASK-009)",
    ),
    "sneaks into tokens": (_sneaks("input_ids"), "propose wrote to batch.input_ids (MASK-009)"),
    "sneaks into words": (_sneaks("words"), "propose wrote to batch.words (MASK-009)"),
    "sneaks into chunk ids": (_sneaks("chunk_ids"), "propose wrote to batch.chunk_ids (MASK-009)"),
}


@pytest.mark.clause("MASK-003")
@pytest.mark.clause("MASK-009")
@pytest.mark.clause("MASK-016")
@pytest.mark.clause("MASK-017")
@pytest.mark.clause("MASK-018")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_with_names(name):
    """Each fault is told with the strategy, its plugin, what is wrong, and the clause."""
    propose, message = FAULTS[name]
    before = ROWS.input_ids.copy(), ROWS.chunk_ids.copy()
    with pytest.raises(PluginError) as caught:
        proposing(propose, replaces="replacement" in name)(ROWS, 0)
    assert str(caught.value) == OWNER + message + HINT
    assert np.array_equal(ROWS.input_ids, before[0])
    assert np.array_equal(ROWS.chunk_ids, before[1])


@pytest.mark.clause("MASK-036")
@pytest.mark.parametrize(
    ("replaces", "plan", "said"),
    [
        (False, _replaced(5), "has replacements"),
        (True, Plan(targets=_targets()), "has no replacements"),
    ],
)
def test_replacements_are_as_declared(replaces, plan, said):
    """A plan with replacements that nobody declared, or without those declared, is a fault."""
    with pytest.raises(PluginError) as caught:
        proposing(_gives(plan), replaces=replaces)(ROWS, 0)
    assert str(caught.value) == f"{OWNER}the plan {said}, unlike declared (MASK-036){HINT}"


class _Replaces:
    @hookimpl
    def mlmref_masking_strategies(self):
        yield StrategyEntry(name="mine", summary="of a test", build=Proposes, replaces="own")


@pytest.mark.clause("MASK-036")
def test_a_corruption_that_would_not_be_followed_is_refused():
    """A strategy with replacements of its own takes no policy, and none stands in the record."""
    registry = discover([_Replaces()])
    chosen, _ = choose_plugins(resolve(sets=["masking.strategy=mine"]), registry)
    assert chosen.masking.corruption is None
    given = resolve(sets=["masking.strategy=mine", "masking.corruption=80/10/10"])
    with pytest.raises(ConfigError) as caught:
        choose_plugins(given, registry)
    said = "masking.corruption: 'mine' of plugin given:_Replaces chooses its own replacements"
    assert str(caught.value).startswith(said)


@pytest.mark.clause("MASK-009")
def test_specials_cannot_be_redefined():
    """A strategy that gets at ``batch.special`` is found out before its targets are looked at."""

    def propose(batch, draws):
        _writable(batch.special)[:] = False
        return Plan(targets=~batch.special)

    with pytest.raises(PluginError, match=r"wrote to batch.special \(MASK-009\)"):
        proposing(propose)(ROWS, 0)


@pytest.mark.clause("MASK-017")
def test_the_cause_is_kept():
    """The plugin's own error is the cause, for whoever asks for a traceback."""
    with pytest.raises(PluginError) as caught:
        proposing(_fails)(ROWS, 0)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.clause("MASK-017")
@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_not_a_fault(stop):
    """Ctrl-C during a strategy is Ctrl-C."""

    def propose(batch, draws):
        raise stop

    with pytest.raises(stop):
        proposing(propose)(ROWS, 0)


@pytest.mark.clause("MASK-007")
def test_the_vocabulary_shown_is_a_copy():
    """A strategy that forces its way into the vocabulary changes no replacement."""

    def propose(batch, draws):
        for ids in (batch.vocabulary.ordinary_ids, batch.vocabulary.special_ids):
            ids.setflags(write=True)
            ids[:] = CLS
        return Plan(targets=~batch.special)

    random = Corruption(mask=0.0, random=1.0, keep=0.0)
    masker = proposing(propose, corruption=random)
    before = masker.vocabulary.special_ids.copy(), masker.vocabulary.ordinary_ids.copy()
    for _ in range(2):
        masked = masker(ROWS, 0)
        assert np.array_equal(masker.vocabulary.special_ids, before[0])
        assert np.array_equal(masker.vocabulary.ordinary_ids, before[1])
        assert (masked.input_ids[masked.labels != -100] >= 5).all()
        assert (masked.labels != -100).sum() == 5


@pytest.mark.clause("MASK-008")
def test_what_a_strategy_does_to_its_draws_does_not_reach_the_corruption():
    """A strategy that changes the draws it was given changes no fate and no random token."""

    def meddling(batch, draws):
        targets = ~batch.special
        draws._pass = draws._seed = 0
        return Plan(targets=targets)

    honest, meddled = (
        proposing(lambda batch, draws: Plan(targets=~batch.special)),
        proposing(meddling),
    )
    assert np.array_equal(honest(ROWS, 5).input_ids, meddled(ROWS, 5).input_ids)
