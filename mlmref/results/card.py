"""The model card of a run folder (clauses PUB-007 to PUB-011)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlmref.base.number_format import level
from mlmref.model.trial import NOT_REPEATABLE
from mlmref.results.card_metadata import base_name, corpus_name, metadata
from mlmref.results.record import number
from mlmref.results.verdict import verdict, warning

Entries = Sequence[Mapping[str, Any]]

# The limits of each way to split; by chunk, both sides share documents (E08).
_HELD_OUT = {
    "chunk": """\
- The split is by chunk, so a document may have chunks on both sides. The figures after training
  are therefore a little better than on new documents.""",
    "document": "- The held-out chunks come from other documents of the same corpus.",
}


def model_card(record: Mapping[str, Any]) -> str:
    """Return the card of an adapted model: Markdown with YAML metadata in front.

    Args:
        record: the contents of ``record.json``, before writing or after reading.
    """
    config, corpus, perplexity = record["config"], record["corpus"], record["perplexity"]
    confidence = config["evaluation"]["confidence"]
    return f"""---
{metadata(record)}
---

# {_text(base_name(record))}, adapted to {_text(corpus_name(record))}

A masked language model: {_text(base_name(record))}, trained further to predict the masked tokens of
{corpus["documents"]:,} documents, {_text(corpus_name(record))}.

## Use

```python
from transformers import pipeline

fill_mask = pipeline("fill-mask", model="{config["output"]["push"] or "path/to/this/folder"}")
print(fill_mask(f"This is a great {{fill_mask.tokenizer.mask_token}}."))
```

## Figures

{_gained(record, confidence)}

{_table(("", "before", "after"), _figures(perplexity, confidence))}

Measured on {corpus["chunks_test"]:,} held-out chunks of the corpus, with the same masks before and
after. Perplexity is the exponential of the mean negative log-likelihood of a masked token; its
interval is a bootstrap interval over documents.

The most probable tokens for each mask:

{_table(("prompt", "mask", "before", "after"), _fills(**record["fill_mask"]))}

## How it was made

{_table(("", ""), _settings(record))}

With mlmref and the settings in `config.toml`:

```
mlmref run --config config.toml
```

Every figure of the run is in `record.json`.

## Limits

- The model predicts masked tokens; any other task needs further training.
- The model learned the errors and prejudices of the corpus, and may reveal text from it.
- Compare its perplexity only with perplexities of the same tokenizer, masking strategy and text.
{_HELD_OUT[config["split"]["by"]]}
"""


def _show(value: Any) -> str:
    figure = number(value)
    return "unknown" if math.isnan(figure) else f"{figure:,.2f}"


def _figures(perplexity: Mapping[str, Any], confidence: float) -> list[list[str]]:
    both = [perplexity["before"], perplexity["after"]]
    return [
        ["perplexity", *(_show(one["value"]) for one in both)],
        [
            f"{level(confidence)} interval",
            *(f"{_show(one['low'])} to {_show(one['high'])}" for one in both),
        ],
        ["masked accuracy", *(f"{one['accuracy']:.1%}" for one in both)],
        ["masked tokens", *(f"{one['targets']:,}" for one in both)],
    ]


def _gained(record: Mapping[str, Any], confidence: float) -> str:
    """Return the verdict, the ratio with its interval, and the warnings."""
    difference = record["perplexity"]["difference"]
    ratio, low, high = (number(difference[f"ratio{end}"]) for end in ("", "_low", "_high"))
    sentences = [
        f"**{verdict(ratio, low, high)}**",
        f"After adaptation, perplexity is {ratio:.1%} of that before "
        f"({level(confidence)} interval {low:.1%} to {high:.1%}, paired over documents).",
    ]
    return "\n".join([*sentences, *_warnings(record)])


def _warnings(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a paragraph for each warning; the oldest records lack these facts."""
    if worse := warning(record["perplexity"].get("better")):
        yield f"\n**Warning**: {worse}"
    if not record["model"].get("repeatable", True):
        yield f"\n**Warning**: {_text(base_name(record))} is not repeatable: {NOT_REPEATABLE}."


def _fills(before: Entries, after: Entries) -> list[list[str]]:
    """Return a row for each mask of each prompt."""
    masks = dict.fromkeys((one["prompt"], one["mask"]) for one in before)
    return [
        [_text(prompt), str(mask + 1), *(_answers(one, prompt, mask) for one in (before, after))]
        for prompt, mask in masks
    ]


def _answers(entries: Entries, prompt: str, mask: int) -> str:
    return ", ".join(
        f"{_text(one['token'])} ({one['score']:.1%})"
        for one in entries
        if (one["prompt"], one["mask"]) == (prompt, mask)
    )


def _settings(record: Mapping[str, Any]) -> list[list[str]]:
    config, corpus, model = record["config"], record["corpus"], record["model"]
    training, versions = config["training"], record["versions"]
    revision = f"revision {model['revision']}, " if model["revision"] else ""
    dropout = config["model"]["dropout"]
    rows = {
        "base model": f"{_text(base_name(record))} ({revision}SHA-256 {model['hash']})",
        "corpus": f"{_text(corpus_name(record))}, {corpus['documents']:,} documents, "
        f"{corpus['tokens']:,} tokens",
        "chunks": f"{corpus['chunks_train']:,} for training and {corpus['chunks_test']:,} held "
        f"out, of {config['chunks']['size']} tokens, split by {config['split']['by']}",
        "words": _plugin(record["plugins"]["words"]),
        "masking": _plugin(record["plugins"]["masking"])
        + _pairs(config["masking"]["corruption"] or {}),
        "backend": _plugin(record["plugins"]["backend"]),
        "training": f"{training['epochs']} epochs, {len(record['loss']):,} steps of "
        f"{training['accumulation']} x {training['batch_size']} chunks on each device",
        "optimizer": f"AdamW, learning rate {training['learning_rate']:g}, "
        f"{training['schedule']} schedule, {training['warmup_steps']} steps of warm-up, "
        f"weight decay {training['weight_decay']:g}, clipping {training['max_grad_norm']:g}",
        "precision": training["precision"],
        "dropout": "the checkpoint's" if dropout == "checkpoint" else f"{dropout:g}",
        "seed": f"{record['seed']}{_training_seed(training)}",
        "duration": f"{record['timings']['total_s']:,.0f} s on {versions['device']}",
        "versions": ", ".join(
            f"{name} {versions[name]}" for name in ("mlmref", "torch", "transformers", "python")
        ),
    }
    return [list(row) for row in rows.items()]


def _training_seed(training: Mapping[str, Any]) -> str:
    seed = training.get("seed")
    return "" if seed is None else f", and {seed} for training"


def _plugin(plugin: Mapping[str, Any]) -> str:
    made_by = f"{plugin['name']} ({plugin['distribution']} {plugin['version']})"
    return _text(made_by) + _pairs(plugin["options"])


def _pairs(options: Mapping[str, Any]) -> str:
    return "".join(f", {_text(f'{key} {value}')}" for key, value in options.items())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _text(text: str) -> str:
    """Return text as one line of Markdown, with its special characters escaped (PUB-010)."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())
    # These are special within a line; all others only at its start.
    return re.sub(r"[\\`*_[<&|~$:#]|(?<=www)\.", lambda found: f"&#{ord(found[0])};", line)
