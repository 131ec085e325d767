"""Check published data collators; writes spec/collators.md.

Run ``python tests/conformance/published.py`` where the extra ``test`` is installed.
"""

import io
import os
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

if __name__ == "__main__":
    # Under the name that tests import it by, so that other processes find it too.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conformance import published

    reports = [*map(published.result, published.COLLATORS)]
    published.FILE.write_text(published.page(reports), "utf-8")
    sys.exit()

import numpy as np
from support.naive_masking import tutorial_whole_word_collator

from mlmref.conformance.checks import run_checks
from mlmref.conformance.collator_check import collator_subject, load_collator
from mlmref.conformance.search import as_found
from mlmref.conformance.strategies import KIT
from mlmref.plugin.contracts import Corruption

FILE = Path(__file__).parents[2] / "spec" / "collators.md"
TRANSFORMERS = "transformers:DataCollatorForLanguageModeling"
ALL_MASK = Corruption(mask=1.0, random=0.0, keep=0.0)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A collator, and the clauses that it never promised, each with the reason."""

    title: str
    about: str
    subject: object
    never_promised: dict = field(default_factory=dict)


@dataclass
class Tutorials:
    """The tutorial's whole-word collator in our own words; draws from NumPy's shared generator."""

    tokenizer: object
    mlm_probability: float

    def __call__(self, features):
        """Mask words in the features."""
        shared, mask = np.random.mtrand._rand, self.tokenizer.mask_token_id
        made = tutorial_whole_word_collator(features, self.mlm_probability, mask, shared)
        return dict(zip(("input_ids", "labels"), made, strict=True))


@dataclass
class Seqmasks:
    """The BERT-style masking of seqmask, which takes an array and a seed."""

    tokenizer: object
    mlm_probability: float

    def __call__(self, features, seed):
        """Mask the features' tokens."""
        ids = np.array([feature["input_ids"] for feature in features])
        read, labels = seqmasking(self.tokenizer, self.mlm_probability)(ids, seed=seed)
        return {"input_ids": read, "labels": labels}


def seqmasking(tokenizer, mlm_probability):
    """Return seqmask's own object, which is called with an array and a seed."""
    os.environ["SEQMASK_BACKEND"] = "torch"
    with redirect_stdout(io.StringIO()):  # it says which backend it uses
        import seqmask

    special = tokenizer.all_special_ids
    return seqmask.CategoricalMasking(
        seqmask.MLMProbabilitySampler([mlm_probability], [0.8], [0.1]),
        mask_token_id=tokenizer.mask_token_id,
        valid_token_ids=sorted(set(range(len(tokenizer))) - set(special)),
        special_token_ids=special,
    )


UNSEEDED = {
    "MASK-001": "it draws from a shared generator unless it gets its own seed",
    "MASK-002": "it does not mention other rows of the batch",
    "MASK-010": "its generator is stateful",
    "MASK-019": "it knows neither epochs nor chunks",
    "MASK-035": "a copy continues with the shared generator",
    "MASK-032": "it does not mention speed",
}
WRITES = {"MASK-009": "it does not mention the caller's features"}

COLLATORS = [
    Published(
        title="Transformers, tokens",
        about="`DataCollatorForLanguageModeling(tokenizer)`",
        subject=collator_subject(
            load_collator(TRANSFORMERS, {}), name="transformers", probability=0.15, rate="token"
        ),
        never_promised=UNSEEDED
        | WRITES
        | {"MASK-007": "it takes random tokens from the vocabulary, which includes special tokens"},
    ),
    Published(
        title="Transformers, whole words",
        about="`DataCollatorForLanguageModeling(tokenizer, whole_word_mask=True)`, which needs "
        "`offset_mapping`",
        subject=collator_subject(
            load_collator(TRANSFORMERS, {"whole_word_mask": True}),
            name="transformers-whole-word",
            probability=0.15,
            rate="word",
            whole_words=True,
            corruption=ALL_MASK,
            columns=["offset_mapping"],
        ),
        never_promised=UNSEEDED | WRITES,
    ),
    Published(
        title="The tutorial, whole words",
        about="the tutorial's `whole_word_masking_data_collator`, reimplemented in "
        "`tests/support/naive_masking.py`",
        subject=collator_subject(
            Tutorials,
            name="tutorial-whole-word",
            probability=0.2,
            rate="word",
            whole_words=True,
            corruption=ALL_MASK,
            columns=["labels", "word_ids"],
        ),
        never_promised=UNSEEDED | WRITES,
    ),
    Published(
        title="seqmask",
        about="`seqmask.CategoricalMasking`, with a seed that depends on the key of the whole "
        "batch",
        subject=collator_subject(Seqmasks, name="seqmask", probability=0.15, rate="token"),
        never_promised={
            "MASK-002": "its seed is per batch, and it does not mention single rows",
        },
    ),
]


def result(one):
    """Hold a collator to the specification."""
    with as_found():  # the page has facts, and no examples of them
        return run_checks(KIT.checks, one.subject.anew(), one.title)


def cell(outcomes, reason):
    """Return what the table shows of one clause and one collator."""
    statuses = {one.status for one in outcomes}
    if statuses == {"not applicable"}:
        return "-"
    if "fail" not in statuses:
        return "holds"
    return "fails, never promised" if reason else "**fails**"


CLAUSES = list(dict.fromkeys(check.clause for check in KIT.checks))


def page(reports):
    """Write the page."""
    columns = [column(one, report) for one, report in zip(COLLATORS, reports, strict=True)]
    lines = head()
    for number, clause in enumerate(CLAUSES):
        cells = " | ".join(cells[number] for cells in columns)
        lines.append(f"| [{clause}](masking.md) | {cells} |")
    lines += ["", "## Failures", ""]
    for one, report in zip(COLLATORS, reports, strict=True):
        lines += [*failures(one, report), ""]
    return "\n".join(lines).rstrip() + "\n"


def head():
    """Return what stands before the rows of the table."""
    titles = " | ".join(one.title for one in COLLATORS)
    return [
        HEAD.format(transformers=version("transformers"), seqmask=version("seqmask")),
        *(f"- **{one.title}**: {one.about}" for one in COLLATORS),
        *("", f"| clause | {titles} |", "|---" * (len(COLLATORS) + 1) + "|"),
    ]


def column(one, report):
    """Return a collator's cells of the table, by clause."""
    return [
        cell([o for o in report.outcomes if o.clause == clause], one.never_promised.get(clause))
        for clause in CLAUSES
    ]


def failures(one, report):
    """Return the lines of a collator's failures."""
    lines = [f"### {one.title}", ""]
    for outcome in report.failures:
        reason = one.never_promised.get(outcome.clause)
        promised = f" (never promised: {reason})" if reason else ""
        lines.append(f"- {outcome.clause}: {told(outcome)}{promised}")
    return lines


def told(outcome):
    """Return the check's fact, whose failure is the same in each run though its figures are not."""
    fact = outcome.fact[0].lower() + outcome.fact[1:].rstrip(".")
    return f"violated: {fact}".replace("``", "`")


HEAD = """# Results for published data collators

This page shows how Transformers-style data collators perform in the checks for masking
strategies, with transformers {transformers} and seqmask {seqmask}. This command writes the page:

```
python tests/conformance/published.py
```

`tests/conformance/test_collators.py` checks that the page is up to date. To check any other
collator, run `mlmref check --collator MODULE:NAME`. A collator gets padded batches and no seed in
its constructor, as in the main process of a data loader.

*fails, never promised* marks a clause that the collator's documentation does not promise: the
clauses are those of mlmref. `-` means that the clause does not apply.
"""
