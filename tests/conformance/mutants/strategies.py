"""Faulty masking strategies, each with the check that is the first to reject it.

A fault is a function of the strategy and what it is asked with; its docstring says what is wrong.
Most are rare or subtle on purpose: one token in thousands, one key, one length of word.
"""

import os
import random
import threading
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from conformance.mutants import Mutant

from mlmref.conformance.strategies import KIT
from mlmref.conformance.strategies.subject import Seen
from mlmref.masking.masker import corrupt
from mlmref.plugin.arrays import IGNORE_INDEX, Probability
from mlmref.plugin.batches import Plan
from mlmref.plugin.contracts import Corruption, Options, StrategyEntry
from mlmref.plugin.draws import EVALUATION_PASS

MUTANTS = []


class Rate(Options):
    """The option that most strategies have."""

    mlm_probability: Probability = 0.15


@dataclass
class Faulty:
    """A strategy that does what a function says."""

    function: Any
    options: Any

    @property
    def p(self):
        """Return the probability asked for."""
        return getattr(self.options, "mlm_probability", 0.15)

    def propose(self, batch, draws):
        """Let the function say what the targets are."""
        answer = self.function(self, batch, draws)
        return Plan(targets=answer) if isinstance(answer, np.ndarray) else answer


def fault(rejected_by, **fields):
    """Register a faulty strategy; ``fields`` as of StrategyEntry."""

    def register(function):
        entry = {
            "options": Rate,
            "rate": "token",
            "build": lambda options: Faulty(function, options),
        }
        name = function.__name__.replace("_", "-")
        declared = StrategyEntry(name=name, summary="faulty", **(entry | fields))
        MUTANTS.append(
            Mutant(
                name=name,
                fault=function.__doc__,
                subject=KIT.subject(declared),
                rejected_by=rejected_by,
            )
        )
        return function

    return register


WORDS = {"needs_words": True, "whole_words": True, "rate": "word"}
SHARE = {"rate": "share"}


def tokens(self, batch, draws):
    """Return what a right strategy for tokens chooses."""
    return draws.bernoulli("mine", self.p) & ~batch.special


def whole(self, batch, draws, chosen=None):
    """Return what a right strategy for words chooses."""
    if chosen is None:
        return whole(self, batch, draws, draws.bernoulli("mine", self.p)) & (batch.words >= 0)
    return chosen[np.arange(len(chosen))[:, None], batch.words] if chosen.size else chosen


def rarely(draws, one_in, stream="rarely"):
    """Return cells that are true once in so many."""
    return draws.bernoulli(stream, 1 / one_in)


def swapped(self, batch, draws, ids):
    """Return a plan that replaces each target by one of some ids."""
    targets = tokens(self, batch, draws)
    read = np.asarray(ids)[draws.integers("swap", len(ids))]
    return Plan(targets=targets, replacements=read)


# --- what a plan is (MASK-016, MASK-014) -----------------------------------------------------


@fault("check_plan_is_well_formed")
def targets_are_numbers(self, batch, draws):
    """0 and 1 instead of false and true."""
    return tokens(self, batch, draws).astype(np.int64)


@fault("check_plan_is_well_formed")
def targets_of_one_row_less(self, batch, draws):
    """Batches of more than two hundred rows lose the last."""
    targets = tokens(self, batch, draws)
    return targets[:-1] if len(targets) > 200 else targets


@fault("check_plan_is_well_formed", replaces="random")
def replacements_are_floats(self, batch, draws):
    """What an average of ids would be."""
    targets = tokens(self, batch, draws)
    return Plan(targets=targets, replacements=np.full(targets.shape, 5.0))


@fault("check_plan_is_well_formed")
def no_plan(self, batch, draws):
    """A pair instead of a Plan."""
    return tokens(self, batch, draws), None


@fault("check_plan_is_well_formed")
def targets_are_a_masked_array(self, batch, draws):
    """A subclass of ndarray with rules of its own."""
    return Plan(targets=np.ma.masked_array(tokens(self, batch, draws)))


@fault("check_degenerate_batches")
def rows_of_padding_alone(self, batch, draws):
    """A large batch without a single ordinary token is an error."""
    if batch.input_ids.size > 100 and batch.special.all():
        raise ValueError("nothing to mask")
    return tokens(self, batch, draws)


# --- special tokens (MASK-003) ---------------------------------------------------------------


@fault("check_special_tokens_are_never_targets")
def special_once_in_ten_thousand(self, batch, draws):
    """A special token becomes a target once in ten thousand."""
    return tokens(self, batch, draws) | (batch.special & rarely(draws, 10_000))


@fault("check_special_tokens_are_never_targets")
def padding_that_is_no_special_token(self, batch, draws):
    """Special is told by the id, so that padding by an ordinary token is text."""
    special = np.isin(batch.input_ids, batch.vocabulary.special_ids)
    return draws.bernoulli("mine", self.p) & ~special


@fault("check_special_tokens_are_never_targets")
def special_ids_are_the_first_five(self, batch, draws):
    """Special ids are taken to be 0 to 4, as BERT's tests have them, or padding."""
    padding = batch.input_ids == batch.vocabulary.pad_id
    return draws.bernoulli("mine", self.p) & ~padding & (batch.input_ids > 4)


@fault("check_special_tokens_are_never_targets")
def the_mask_itself(self, batch, draws):
    """A mask token that stands in the text is ordinary."""
    stands = batch.special & (batch.input_ids == batch.vocabulary.mask_id)
    return draws.bernoulli("mine", self.p) & (~batch.special | stands)


@fault("check_special_tokens_are_never_targets", **WORDS)
def words_of_minus_one(self, batch, draws):
    """Outside words the index -1 reads the last word's draw."""
    if not batch.words.size:
        return batch.words >= 0
    return np.take_along_axis(draws.bernoulli("mine", self.p), batch.words, axis=1)


# --- words (MASK-011) ------------------------------------------------------------------------


@fault("check_words_are_whole", **WORDS)
def half_a_word(self, batch, draws):
    """Every token is drawn by itself."""
    return tokens(self, batch, draws)


@fault("check_words_are_whole", **WORDS)
def a_token_is_forgotten(self, batch, draws):
    """Once in five thousand a token of a chosen word is left out."""
    return whole(self, batch, draws) & ~rarely(draws, 5_000)


@fault("check_words_are_whole", **WORDS)
def long_words_end_early(self, batch, draws):
    """Of a word only the first sixteen tokens are masked."""
    targets = whole(self, batch, draws)
    same = np.zeros(targets.shape, dtype=np.int64)
    for back in range(1, 17):
        same[:, back:] += batch.words[:, back:] == batch.words[:, :-back]
    return targets & (same < 16)


@fault("check_words_are_whole", **WORDS)
def a_word_after_the_512th_position(self, batch, draws):
    """Past position 512 tokens are drawn one by one."""
    targets = whole(self, batch, draws)
    targets[:, 512:] = tokens(self, batch, draws)[:, 512:]
    return targets


@fault("check_words_are_whole", **WORDS)
def word_numbers_in_a_byte(self, batch, draws):
    """Word 256 of a row is taken for word 0, and half of the rest with it."""
    targets = whole(self, batch, draws)
    beyond = batch.words >= 256
    return np.where(beyond, tokens(self, batch, draws), targets)


@fault("check_words_are_whole", **WORDS)
def the_last_token_of_a_row(self, batch, draws):
    """A word at a row's end loses its last token."""
    targets = whole(self, batch, draws)
    if targets.shape[1] > 1:
        targets[:, -1] = False
    return targets


# --- replacements (MASK-018) -----------------------------------------------------------------


@fault("check_replacements_are_ids", replaces="random")
def one_past_the_vocabulary(self, batch, draws):
    """Random ids reach one too far."""
    return swapped(self, batch, draws, np.arange(batch.vocabulary.size + 1))


@fault("check_replacements_are_ids", replaces="random")
def no_id_for_one_in_thousands(self, batch, draws):
    """One target in five thousand is replaced by -1."""
    plan = swapped(self, batch, draws, batch.vocabulary.ordinary_ids)
    return Plan(
        targets=plan.targets, replacements=np.where(rarely(draws, 5_000), -1, plan.replacements)
    )


@fault("check_replacements_are_ids", replaces="random")
def ids_in_sixteen_bits(self, batch, draws):
    """Replacements are kept as int16, which ids past 32,767 do not go into."""
    plan = swapped(self, batch, draws, batch.vocabulary.ordinary_ids)
    return Plan(targets=plan.targets, replacements=plan.replacements.astype(np.int16))


@fault("check_replacements_are_declared")
def replacements_that_nobody_declared(self, batch, draws):
    """The corruption policy is passed over in silence."""
    return swapped(self, batch, draws, batch.vocabulary.ordinary_ids)


@fault("check_replacements_are_declared", replaces="random")
def no_replacements_without_targets(self, batch, draws):
    """Where nothing is chosen the declared replacements are left out."""
    plan = swapped(self, batch, draws, batch.vocabulary.ordinary_ids)
    return plan if plan.targets.any() else Plan(targets=plan.targets)


# --- what is written to (MASK-009) -----------------------------------------------------------


@fault("check_nothing_is_written_to")
def writes_to_the_tokens(self, batch, draws):
    """The mask is written into the batch."""
    targets = tokens(self, batch, draws)
    batch.input_ids[targets] = batch.vocabulary.mask_id
    return targets


@fault("check_nothing_is_written_to")
def writes_when_it_can(self, batch, draws):
    """Where the array may be written to, one token in thousands is changed."""
    targets = tokens(self, batch, draws)
    if batch.words.flags.writeable:
        batch.words[rarely(draws, 3_000)] = 7
    return targets


@fault("check_nothing_is_written_to")
def writes_to_the_vocabulary(self, batch, draws):
    """The ordinary ids are shuffled where they stand."""
    if batch.vocabulary.ordinary_ids.flags.writeable:
        batch.vocabulary.ordinary_ids[:2] = batch.vocabulary.ordinary_ids[1::-1]
    return tokens(self, batch, draws)


# --- what a mask depends on (MASK-001, MASK-002, MASK-010, MASK-019, MASK-034) ----------------


@fault("check_same_key_same_mask")
def unseeded(self, batch, draws):
    """One token in five thousand is drawn by a generator without a seed."""
    generator = np.random.default_rng()
    flips = generator.random(batch.input_ids.shape) < 1 / 5_000
    return tokens(self, batch, draws) ^ (flips & ~batch.special)


@fault("check_same_key_same_mask")
def by_the_clock(self, batch, draws):
    """Now and then the time has a say."""
    targets = tokens(self, batch, draws)
    if time.perf_counter_ns() // 1_000 % 5 == 0:
        targets[:, ::2] = False
    return targets


@fault("check_same_key_same_mask")
def by_the_instance(self, batch, draws):
    """Each instance has masks of its own."""
    return draws.bernoulli(f"mine {id(self)}", self.p) & ~batch.special


@fault("check_company_does_not_matter")
def by_the_row(self, batch, draws):
    """The first row of a batch is masked by its place in it."""
    targets = tokens(self, batch, draws)
    targets[1:] |= draws.bernoulli("more", 0.001)[1:] & ~batch.special[1:]
    return targets


@fault("check_company_does_not_matter")
def by_the_width(self, batch, draws):
    """A row's number of targets is bounded by the width of the batch."""
    targets = tokens(self, batch, draws)
    return targets & (np.cumsum(targets, axis=1) <= 0.55 * targets.shape[1])


@fault("check_company_does_not_matter")
def by_the_batch(self, batch, draws):
    """A budget is shared by all rows of the batch."""
    targets = tokens(self, batch, draws)
    budget = int(0.9 * targets.sum())
    return targets & (np.cumsum(targets.reshape(-1)).reshape(targets.shape) <= budget)


@fault("check_company_does_not_matter")
def by_the_neighbour(self, batch, draws):
    """A row of many special tokens changes what is chosen in the next."""
    targets = tokens(self, batch, draws)
    many = np.mean(batch.special[:-1], axis=1) > 0.3 if len(targets) else []
    targets[1:][many, ::7] = False
    return targets


@fault("check_company_does_not_matter")
def one_chunk_twice(self, batch, draws):
    """The second of two rows of the same chunk is not masked."""
    targets = tokens(self, batch, draws)
    _, first = np.unique(batch.chunk_ids, return_index=True)
    again = np.setdiff1d(np.arange(len(targets)), first)
    targets[again] = False
    return targets


@fault("check_nothing_is_kept_between_calls")
def at_the_three_thousandth_call(self, batch, draws):
    """After three thousand calls the masks are others."""
    self.calls = getattr(self, "calls", 0) + 1
    return draws.bernoulli("mine" if self.calls < 3_000 else "other", self.p) & ~batch.special


@fault("check_nothing_is_kept_between_calls")
def served_again(self, batch, draws):
    """What was chosen for a chunk is kept, and given again for another text under its id."""
    kept = self.__dict__.setdefault("kept", {})
    key = batch.chunk_ids.tobytes(), batch.input_ids.shape, draws._seed, draws._pass
    return kept.setdefault(key, tokens(self, batch, draws))


@fault("check_company_does_not_matter")
def one_buffer_for_all(self, batch, draws):
    """The array that is returned is used again for the next answer."""
    targets = tokens(self, batch, draws)
    buffer = self.__dict__.get("buffer")
    if buffer is None or buffer.shape != targets.shape:
        buffer = self.buffer = np.empty_like(targets)
    buffer[...] = targets
    return buffer


@fault("check_streams_of_the_core_are_left_alone")
def the_cores_stream(self, batch, draws):
    """The core's own stream decides, so that masked and kept targets are no longer alike."""
    return (draws.uniform("mlmref.corruption") < self.p) & ~batch.special


@fault("check_every_key_has_its_own_mask")
def no_seed(self, batch, draws):
    """The seed has no part in the mask."""
    other = type(draws)(
        seed=0, pass_=draws._pass, chunk_ids=batch.chunk_ids, width=batch.special.shape[1]
    )
    return tokens(self, batch, other)


@fault("check_every_key_has_its_own_mask")
def the_same_every_fourth_epoch(self, batch, draws):
    """Masks come again after 1,024 epochs."""
    other = type(draws)(
        seed=draws._seed,
        pass_=draws._pass % 1024,
        chunk_ids=batch.chunk_ids,
        width=batch.special.shape[1],
    )
    return tokens(self, batch, other)


@fault("check_every_key_has_its_own_mask")
def chunk_ids_in_32_bits(self, batch, draws):
    """Chunks whose ids differ by 2**32 are masked alike."""
    other = type(draws)(
        seed=draws._seed,
        pass_=draws._pass,
        chunk_ids=batch.chunk_ids.astype(np.int32).astype(np.int64),
        width=batch.special.shape[1],
    )
    return tokens(self, batch, other)


# --- where a mask is made (MASK-010, MASK-035) -----------------------------------------------


@fault("check_no_other_generator_is_used")
def seeds_what_is_shared(self, batch, draws):
    """The process's generator is seeded by the key and drawn from."""
    first = draws.bits("mine")[:, :1]
    random.seed(int(first.sum()))
    return draws.bernoulli("mine", self.p) & ~batch.special


@fault("check_same_key_same_mask")
def draws_from_what_is_shared(self, batch, draws):
    """Where a row has over a thousand tokens, NumPy's shared generator has a say."""
    targets = tokens(self, batch, draws)
    if targets.shape[1] > 1_000:
        targets &= np.random.random(targets.shape) < 0.999  # noqa: NPY002 - the fault
    return targets


@fault("check_where_and_when_do_not_matter")
def by_the_process(self, batch, draws):
    """Each process has masks of its own."""
    return draws.bernoulli(f"mine {os.getpid()}", self.p) & ~batch.special


@fault("check_where_and_when_do_not_matter")
def by_the_rank(self, batch, draws):
    """Each rank has masks of its own."""
    return draws.bernoulli("mine" + os.environ.get("RANK", "0"), self.p) & ~batch.special


@fault("check_where_and_when_do_not_matter")
def by_the_year(self, batch, draws):
    """Each year has masks of its own."""
    return draws.bernoulli(f"mine {time.gmtime().tm_year}", self.p) & ~batch.special


@fault("check_where_and_when_do_not_matter")
def by_the_thread(self, batch, draws):
    """Only the main thread masks as it should."""
    where = threading.current_thread() is threading.main_thread()
    return draws.bernoulli(f"mine {where}", self.p) & ~batch.special


@fault("check_where_and_when_do_not_matter")
def by_the_folder(self, batch, draws):
    """The folder that the process is in decides."""
    return draws.bernoulli(f"mine {Path.cwd()}", self.p) & ~batch.special


def _unpicklable(options):
    strategy = Faulty(tokens, options)
    strategy.lock = lambda: None
    return strategy


MUTANTS.append(
    Mutant(
        name="holds-a-lambda",
        fault="It holds a function without a name, so it cannot be sent to another process.",
        subject=KIT.subject(
            StrategyEntry(
                name="holds-a-lambda",
                summary="faulty",
                build=_unpicklable,
                options=Rate,
                rate="token",
            )
        ),
        rejected_by="check_it_travels_to_another_process",
    )
)


@fault("check_it_travels_to_another_process")
def holds_a_lambda_once_used(self, batch, draws):
    """What is cached at the first call cannot be pickled."""
    self.ready = lambda: None
    return tokens(self, batch, draws)


@fault("check_the_hash_of_a_text_does_not_matter")
def by_the_hash_of_a_name(self, batch, draws):
    """The stream's number is Python's hash of a text, which each process salts anew."""
    return draws.bernoulli(f"mine {hash('mine')}", self.p) & ~batch.special


# --- how often (MASK-006) --------------------------------------------------------------------


@fault("check_never_and_always")
def at_least_one(self, batch, draws):
    """A row never goes without a target."""
    targets = tokens(self, batch, draws)
    ordinary = ~batch.special
    for row in np.flatnonzero(~targets.any(axis=1) & ordinary.any(axis=1)):
        targets[row, ordinary[row].argmax()] = True
    return targets


@fault("check_never_and_always")
def never_the_last_token(self, batch, draws):
    """The ordinary token with the highest id is never a target."""
    return tokens(self, batch, draws) & (batch.input_ids != batch.vocabulary.ordinary_ids[-1])


@fault("check_never_and_always")
def at_most_three_quarters(self, batch, draws):
    """The probability is bounded, as if by a budget."""
    return draws.bernoulli("mine", min(self.p, 0.75)) & ~batch.special


@fault("check_rate")
def one_in_thousands_is_lost(self, batch, draws):
    """One target in three thousand is lost, unless all are asked for."""
    targets = tokens(self, batch, draws)
    return targets if self.p in {0.0, 1.0} else targets & ~rarely(draws, 3_000)


@fault("check_rate")
def one_in_thousands_is_added(self, batch, draws):
    """One token in five thousand is a target whatever the probability, but for 0."""
    targets = tokens(self, batch, draws)
    return targets | (rarely(draws, 5_000) & ~batch.special) if self.p else targets


@fault("check_rate")
def a_little_less(self, batch, draws):
    """At the default the rate is 0.149."""
    return draws.bernoulli("mine", 0.149 if self.p == 0.15 else self.p) & ~batch.special


@fault("check_rate", **WORDS)
def long_words_more_often(self, batch, draws):
    """Words are drawn by their tokens, so that longer ones are chosen more often."""
    p = 1 - (1 - self.p) ** lengths_of(batch.words)
    return (whole(self, batch, draws, draws.uniform("mine")) < p) & (batch.words >= 0)


@fault("check_rate", **SHARE)
def a_share_rounded_down(self, batch, draws):
    """Each row gets its share rounded down to whole tokens."""
    ordinary = ~batch.special
    order = np.argsort(
        np.where(ordinary, draws.bits("mine"), np.uint64(2**32)), axis=1, kind="stable"
    )
    rank = np.argsort(order, axis=1, kind="stable")
    return (rank < np.floor(self.p * ordinary.sum(axis=1))[:, None]) & ordinary


@fault("check_rate_everywhere")
def less_at_one_token(self, batch, draws):
    """One token is chosen half as often, and another half as often again."""
    ordinary = batch.vocabulary.ordinary_ids
    less, more = (ordinary[n % len(ordinary)] for n in (333, 444))
    p, spread = np.full(batch.input_ids.shape, self.p), self.p * (1 - self.p)
    p[batch.input_ids == less] -= spread
    p[batch.input_ids == more] += spread
    return (draws.uniform("mine") < p) & ~batch.special


@fault("check_rate_everywhere")
def less_at_one_position(self, batch, draws):
    """The fifth position is chosen less often, and the sixth more often."""
    p, spread = np.full(batch.input_ids.shape, self.p), self.p * (1 - self.p) / 3
    p[:, 4:5] -= spread
    p[:, 5:6] += spread
    return (draws.uniform("mine") < p) & ~batch.special


@fault("check_rate")
def less_after_a_special_token(self, batch, draws):
    """The token after a special one is chosen a fifth less often."""
    targets = tokens(self, batch, draws)
    if self.p < 1:
        targets[:, 1:] &= ~(batch.special[:, :-1] & draws.bernoulli("lost", 0.2)[:, 1:])
    return targets


@fault("check_every_key_has_its_own_mask")
def nothing_in_one_chunk(self, batch, draws):
    """Of every thousand chunks one is not masked."""
    targets = tokens(self, batch, draws)
    if self.p < 1:
        targets[batch.chunk_ids % 1_000 == 77] = False
    return targets


@fault("check_rate_everywhere")
def more_in_evaluation(self, batch, draws):
    """Evaluation has a few more targets."""
    more = draws._pass == EVALUATION_PASS and 0.4 < self.p < 0.6
    return draws.bernoulli("mine", self.p * 1.02 if more else self.p) & ~batch.special


@fault("check_rate_everywhere", **WORDS)
def long_words_less_often(self, batch, draws):
    """Words of more than eight tokens are chosen less often, those of two a little more."""
    length = lengths_of(batch.words)
    p, spread = np.full(batch.words.shape, self.p), self.p * (1 - self.p)
    p += np.where(length > 8, -spread, np.where(length == 2, spread / 20, 0.0))
    return (whole(self, batch, draws, draws.uniform("mine")) < p) & (batch.words >= 0)


def lengths_of(words):
    """Return for each token how many tokens its word has, [B, T]."""
    numbers = (np.arange(len(words))[:, None] * (words.shape[1] + 1) + words + 1).reshape(-1)
    return np.bincount(numbers, minlength=1)[numbers].reshape(words.shape)


@fault("check_rate")
def by_the_token(self, batch, draws):
    """Tokens of the same id, or of ids 64 apart, are chosen together in a row."""
    few = type(draws)(
        seed=draws._seed, pass_=draws._pass, chunk_ids=batch.chunk_ids, width=64
    ).bernoulli("mine", self.p)
    return few[np.arange(len(few))[:, None], batch.input_ids % 64] & ~batch.special


@fault("check_units_are_independent")
def in_pairs(self, batch, draws):
    """A token and the one two further on are drawn together now and then."""
    bits = draws.uniform("mine")
    together = draws.bernoulli("together", 0.05)
    bits[:, 2:] = np.where(together[:, 2:], bits[:, :-2], bits[:, 2:])
    return (bits < self.p) & ~batch.special


@fault("check_units_are_independent")
def a_budget_a_row(self, batch, draws):
    """The number of a row's targets is fixed, but for chance in its rounding."""
    ordinary = ~batch.special
    order = np.argsort(
        np.where(ordinary, draws.bits("mine"), np.uint64(2**32)), axis=1, kind="stable"
    )
    rank = np.argsort(order, axis=1, kind="stable")
    exact = self.p * ordinary.sum(axis=1)
    extra = draws.uniform("extra")[:, :1].sum(axis=1) < exact % 1
    return (rank < (np.floor(exact) + extra)[:, None]) & ordinary


@fault("check_keys_are_independent")
def the_next_epoch_is_alike(self, batch, draws):
    """A tenth of the tokens is drawn as in the epoch before, which has its number halved."""
    half = type(draws)(
        seed=draws._seed,
        pass_=draws._pass // 2,
        chunk_ids=batch.chunk_ids,
        width=batch.special.shape[1],
    )
    old = half.uniform("mine")
    some = half.bernoulli("some", 0.1)
    return (np.where(some, old, draws.uniform("new")) < self.p) & ~batch.special


@fault("check_a_special_token_ends_a_word", **WORDS)
def words_join_over_a_seam(self, batch, draws):
    """The first word of a document is drawn with the last of the one before it (E02)."""
    seam = np.zeros(batch.words.shape, dtype=np.int64)
    seam[:, 1:] = batch.special[:, 1:] & batch.special[:, :-1]
    joined = np.maximum(batch.words - np.cumsum(seam, axis=1), 0)
    chosen = draws.bernoulli("mine", self.p)
    return (
        whole(self, batch, draws, chosen)
        if not chosen.size
        else (chosen[np.arange(len(chosen))[:, None], joined] & (batch.words >= 0))
    )


# --- a rate that is a function (MASK-037) ----------------------------------------------------


@dataclass
class Expecting(Faulty):
    """A strategy that declares its rate by a function, from the probability asked for."""

    rates: Any

    def expected(self, batch):
        """Let the function say how likely each position is."""
        return self.rates(self, batch)


def falling(self, batch):
    """Return a right rate: it falls to a half over the first positions of a row."""
    along = np.maximum(0.5, 0.95 - np.arange(batch.special.shape[1]) / 64)
    return np.where(batch.special, 0.0, along * self.p)


def drawn(self, batch, draws):
    """Choose each position as often as the right rate says."""
    return draws.uniform("mine") < falling(self, batch)


def expecting(rejected_by, rates=None, **fields):
    """Register a strategy whose choice, or with ``rates`` whose expected rate, is faulty."""

    def register(function):
        choice, told = (drawn, function) if rates is None else (function, rates)
        declared = {"expected": True, "rate": None} | fields
        build = {"build": lambda options: Expecting(choice, options, told)}
        fault(rejected_by, **declared, **build)(function)
        return function

    return register


@fault("check_expected_is_well_formed", rate=None, expected=True)
def expected_is_only_declared(self, batch, draws):
    """The method does not exist."""
    return tokens(self, batch, draws)


@expecting("check_expected_is_well_formed")
def special_tokens_are_expected(self, batch):
    """The rate is not 0 at special tokens."""
    return np.full(batch.special.shape, self.p)


@expecting("check_expected_is_well_formed")
def a_rate_for_all(self, batch):
    """One number instead of one for each position."""
    return np.array([self.p])


@expecting("check_expected_is_well_formed")
def counts_instead_of_probabilities(self, batch):
    """At long rows the rate is multiplied by the positions."""
    right = falling(self, batch)
    return right * right.shape[1] if right.shape[1] > 300 else right


@expecting("check_expected_is_well_formed")
def whole_numbers(self, batch):
    """The probabilities are rounded to 0 and 1."""
    return (falling(self, batch) > 0.5).astype(np.int64)


@expecting("check_expected_is_well_formed")
def writes_while_it_expects(self, batch):
    """The words are numbered anew in the batch itself."""
    batch.words[batch.special] = -2
    return falling(self, batch)


@expecting("check_expected_depends_on_the_row_alone")
def expects_less_each_time(self, batch):
    """The rate decays with the calls."""
    self.calls = getattr(self, "calls", 0) + 1
    return falling(self, batch) * 0.999**self.calls


@expecting("check_expected_depends_on_the_row_alone")
def expects_by_the_batch(self, batch):
    """The rate is scaled so that the mean over the batch is the probability asked for."""
    right = falling(self, batch)
    ordinary = max(1, np.count_nonzero(~batch.special))
    return np.minimum(right * (self.p * ordinary / max(right.sum(), 1e-9)), 1.0)


@expecting("check_expected_depends_on_the_row_alone")
def expects_by_the_chunk(self, batch):
    """Every fourth chunk is said to have fewer targets."""
    fewer = (batch.chunk_ids % 4 == 1)[:, None]
    return np.where(fewer, 0.9, 1.0) * falling(self, batch)


def sparing(self, batch):
    """Return a right rate that is 0 at every third id and 1 at every fifth."""
    right = np.where(batch.input_ids % 5 == 0, 1.0, falling(self, batch))
    return np.where(batch.special | (batch.input_ids % 3 == 0), 0.0, right)


@expecting("check_expected_never_and_always", sparing)
def never_but_once(self, batch, draws):
    """Where no target is expected there is one once in five thousand."""
    return (draws.uniform("mine") < sparing(self, batch)) | (rarely(draws, 5_000) & ~batch.special)


@expecting("check_expected_never_and_always", sparing)
def always_but_once(self, batch, draws):
    """Where a target is certain it is left out once in five thousand."""
    return (draws.uniform("mine") < sparing(self, batch)) & ~rarely(draws, 5_000)


@expecting("check_expected_rate", falling)
def flat(self, batch, draws):
    """The share is right in each row, and the same at all of its positions."""
    right = falling(self, batch)
    ordinary = np.maximum(1, np.count_nonzero(~batch.special, axis=1))
    mean = right.sum(axis=1) / ordinary
    return (draws.uniform("mine") < mean[:, None]) & ~batch.special


@expecting("check_expected_rate", falling)
def a_twentieth_more(self, batch, draws):
    """Every position is chosen 1.05 times as often as it says."""
    return draws.uniform("mine") < 1.05 * falling(self, batch)


@expecting("check_expected_rate", falling)
def a_fiftieth_less(self, batch, draws):
    """Every position is chosen 0.98 times as often as it says."""
    return draws.uniform("mine") < 0.98 * falling(self, batch)


@expecting("check_expected_rate", falling)
def six_in_a_thousand_less(self, batch, draws):
    """Every position is chosen 0.994 times as often as it says."""
    return draws.uniform("mine") < 0.994 * falling(self, batch)


@expecting("check_expected_rate", falling)
def one_position_late(self, batch, draws):
    """Each position is chosen with the rate of the one before it."""
    right = falling(self, batch)
    late = np.concatenate([right[:, :1], right[:, :-1]], axis=1)
    return (draws.uniform("mine") < late) & ~batch.special


@expecting("check_expected_rate", falling)
def rare_tokens_instead(self, batch, draws):
    """Rare tokens are chosen more often and frequent ones less, which it does not say."""
    usual = batch.vocabulary.counts
    rare = usual < np.median(usual) if usual.size else np.zeros(batch.vocabulary.size, bool)
    right = falling(self, batch)
    spread = 0.2 * right * (1 - right)
    by_id = np.where(rare[batch.input_ids], right + spread, right - spread)
    return draws.uniform("mine") < by_id


@expecting("check_expected_rate", falling)
def another_rate_in_evaluation(self, batch, draws):
    """Evaluation has the same rate at all positions."""
    right = falling(self, batch)
    return draws.uniform("mine") < (
        np.where(right > 0, 0.7 * self.p, 0.0) if draws._pass == EVALUATION_PASS else right
    )


def by_words(self, batch):
    """Return a right rate for words: the longer a word, the more seldom."""
    return np.where(batch.words >= 0, self.p / np.sqrt(np.maximum(1, lengths_of(batch.words))), 0.0)


@expecting("check_expected_rate", by_words, needs_words=True)
def first_tokens_less(self, batch, draws):
    """The first token of a word is chosen less often, and the others a little more."""
    right = by_words(self, batch)
    first = batch.words >= 0
    first[:, 1:] &= batch.words[:, 1:] != batch.words[:, :-1]
    spread = 0.2 * right * (1 - right)
    return draws.uniform("mine") < right + np.where(first, -spread, spread)


@expecting("check_expected_at_each_position", falling)
def by_pairs_of_tokens(self, batch, draws):
    """A token after one of the same parity is chosen more often, and any other less often."""
    right = falling(self, batch)
    spread, odd = 0.2 * right * (1 - right), batch.input_ids % 2 == 1
    spread[:, 1:] *= np.where(odd[:, 1:] == odd[:, :-1], 1, -1)
    spread[:, :1] = 0
    return draws.uniform("mine") < right + spread


# --- what is read (MASK-007) -----------------------------------------------------------------


@fault("check_no_special_token_is_read", replaces="random")
def any_token_at_random(self, batch, draws):
    """Random tokens come from all ids, special ones too."""
    return swapped(self, batch, draws, np.arange(batch.vocabulary.size))


@fault("check_no_special_token_is_read", replaces="random")
def from_the_fifth_id_on(self, batch, draws):
    """Random tokens are those from id 5 on, as if no special token stood behind them."""
    return swapped(
        self, batch, draws, np.arange(min(5, batch.vocabulary.size - 1), batch.vocabulary.size)
    )


@fault("check_random_tokens_are_all_alike", replaces="random")
def never_the_last_ordinary_token(self, batch, draws):
    """Random tokens reach one too short."""
    ordinary = batch.vocabulary.ordinary_ids
    return swapped(self, batch, draws, ordinary[: max(1, len(ordinary) - 1)])


@fault("check_random_tokens_are_all_alike", replaces="random")
def from_a_tenth_of_the_vocabulary(self, batch, draws):
    """Random tokens come from the first tenth of the ids."""
    ordinary = batch.vocabulary.ordinary_ids
    return swapped(self, batch, draws, ordinary[: -(-len(ordinary) // 10)])


@fault("check_random_tokens_are_all_alike", replaces="random")
def ids_modulo(self, batch, draws):
    """Random tokens are bits modulo 768, so that some are twice as likely."""
    ordinary = batch.vocabulary.ordinary_ids
    numbers = draws.bits("swap") % 1_024 % len(ordinary)
    return Plan(targets=tokens(self, batch, draws), replacements=ordinary[numbers])


@fault("check_random_tokens_are_independent", replaces="random")
def random_tokens_without_a_pass(self, batch, draws):
    """Random tokens are the same in each epoch."""
    other = type(draws)(
        seed=draws._seed, pass_=0, chunk_ids=batch.chunk_ids, width=batch.special.shape[1]
    )
    plan = swapped(self, batch, other, batch.vocabulary.ordinary_ids)
    return Plan(targets=tokens(self, batch, draws), replacements=plan.replacements)


@fault("check_random_tokens_are_independent", replaces="random")
def the_same_token_for_a_row(self, batch, draws):
    """All targets of a row become the same random token."""
    plan = swapped(self, batch, draws, batch.vocabulary.ordinary_ids)
    return Plan(targets=plan.targets, replacements=plan.replacements[:, :1] + 0 * plan.replacements)


@fault("check_keys_are_independent")
def the_first_token_has_no_key(self, batch, draws):
    """The first token of a chunk is chosen in each epoch or in none."""
    other = type(draws)(seed=0, pass_=0, chunk_ids=batch.chunk_ids, width=batch.special.shape[1])
    targets = tokens(self, batch, draws)
    targets[:, :1] = tokens(self, batch, other)[:, :1]
    return targets


@fault("check_nothing_is_written_to")
def writes_and_undoes_it(self, batch, draws):
    """Where nothing can be written to, as in a run, it is an error."""
    batch.input_ids[:, :1] += 1
    targets = tokens(self, batch, draws)
    batch.input_ids[:, :1] -= 1
    return targets


# --- options and speed (MASK-031, MASK-032) --------------------------------------------------


class Since(Options):
    """Options of which one does not survive being written."""

    mlm_probability: Probability = 0.15
    since: Any = date(2020, 1, 1)


@fault("check_options_survive_being_written", options=Since)
def a_date_among_the_options(self, batch, draws):
    """A date comes back as a text."""
    return tokens(self, batch, draws)


@fault("check_it_is_not_slow")
def slow_where_rows_are_long(self, batch, draws):
    """Every position is compared with every other of its row."""
    if 512 < batch.special.shape[1] < 2_048:
        ids = batch.input_ids
        _ = (ids[:, :, None] == ids[:, None, :]).sum(axis=2)
    return tokens(self, batch, draws)


@fault("check_it_is_not_slow")
def token_by_token(self, batch, draws):
    """A loop in Python goes over all tokens, and looks each up among the special ones."""
    bits, targets = draws.uniform("mine"), np.zeros(batch.special.shape, dtype=np.bool_)
    for row in range(targets.shape[0]):
        for position in range(targets.shape[1]):
            known = batch.input_ids[row, position] in batch.vocabulary.special_ids
            if not (known or batch.special[row, position]):
                targets[row, position] = bits[row, position] < self.p
    return targets


@fault("check_it_is_not_slow")
def lean_loop(self, batch, draws):
    """A comprehension goes over all tokens, which takes little more time than NumPy's overhead."""
    drawn = [[bit < self.p for bit in row] for row in draws.uniform("mine").tolist()]
    return np.array(drawn, np.bool_).reshape(batch.special.shape) & ~batch.special


# --- what writes inputs and labels itself, as collators do (MASK-004, MASK-005, MASK-008) -----


@dataclass
class Writer(Faulty):
    """A strategy that the kit takes for a collator: it says what the model reads and answers."""

    def collate(self, batch, draws):
        """Let the function write inputs and labels, from right ones."""
        targets, ids = tokens(self, batch, draws), batch.input_ids
        read = corrupt(ids, targets, Corruption(), batch.vocabulary, draws)
        labels = np.where(targets, ids, IGNORE_INDEX)
        read, labels = self.function(self, batch, draws, read, labels)
        return Seen(
            targets=labels != IGNORE_INDEX,
            input_ids=read,
            labels=labels,
            attention_mask=np.ones_like(targets),
        )


def writer(rejected_by):
    """Register a faulty strategy that writes inputs and labels."""

    def register(function):
        fault(rejected_by, build=lambda options: Writer(function, options))(function)
        MUTANTS[-1] = replace(MUTANTS[-1], subject=replace(MUTANTS[-1].subject, collates=True))
        return function

    return register


@writer("check_labels_are_the_true_tokens")
def one_label_in_thousands(self, batch, draws, read, labels):
    """Once in three thousand the label is the id after the true one."""
    return read, labels + (rarely(draws, 3_000) & (labels >= 0))


@writer("check_labels_are_the_true_tokens")
def labels_of_what_is_read(self, batch, draws, read, labels):
    """The labels are taken after the tokens were replaced."""
    return read, np.where(labels >= 0, read, labels)


@writer("check_only_targets_change")
def one_token_in_thousands(self, batch, draws, read, labels):
    """Once in five thousand a token that is no target is masked."""
    mask = batch.vocabulary.mask_id
    return np.where(rarely(draws, 5_000) & (labels < 0), mask, read), labels


@writer("check_shares_of_corruption")
def masked_a_little_less(self, batch, draws, read, labels):
    """One in a hundred of the masked tokens is left as it is."""
    kept = rarely(draws, 100) & (labels >= 0) & (read == batch.vocabulary.mask_id)
    return np.where(kept, batch.input_ids, read), labels
