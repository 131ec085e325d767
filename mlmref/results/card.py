"""Write the model card of a run folder (clauses PUB-007 to PUB-011, PUB-013 and PUB-014)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mlmref.model.trial import NOT_REPEATABLE
from mlmref.results.record import number
from mlmref.results.verdict import verdict, warning

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

Entries = Sequence[Mapping[str, Any]]

_EMBEDDED = "embedded"
# The format requires the name of a dataset on the hub; no such name contains a blank.
_LOCAL = "local file"
# A limit that depends on the split: by chunk, or by document (shared documents: E08).
_HELD_OUT = {
    "chunk": """\
- The split is by chunk, so a document may have chunks on both sides. The figures after training
  are therefore a little better than on new documents.""",
    "document": "- The held-out chunks come from other documents of the same corpus.",
}


def model_card(record: Mapping[str, Any]) -> str:
    """Return the card of an adapted model: Markdown with YAML metadata in front.

    Args:
        record: what ``record.json`` holds, as it was made or as it was read.
    """
    config, corpus, perplexity = record["config"], record["corpus"], record["perplexity"]
    confidence = config["evaluation"]["confidence"]
    return f"""---
{_metadata(record)}
---

# {_text(_base(record))}, adapted to {_text(_corpus(record))}

A masked language model: {_text(_base(record))}, trained further to predict the masked tokens of
{corpus["documents"]:,} documents, {_text(_corpus(record))}.

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


def _base(record: Mapping[str, Any]) -> str:
    """Name the base model: in full on the hub, else without its folder (PUB-011)."""
    name: str = record["model"]["name"]
    if name == _EMBEDDED:
        return "mlmref's embedded checkpoint"
    return name if record["model"]["revision"] else PurePath(name).name


def _corpus(record: Mapping[str, Any]) -> str:
    """Name the corpus, likewise."""
    name: str = record["corpus"]["name"]
    return name.removeprefix("hub:") if name.startswith("hub:") else PurePath(name).name


def _metadata(record: Mapping[str, Any]) -> str:
    """Return the YAML that the hub reads; only what is known (PUB-008)."""
    from huggingface_hub import ModelCardData

    config, name = record["config"], _in_yaml(record["corpus"]["name"])
    if name == "imdb":
        name = "hub:stanfordnlp/imdb"
    dataset, _, subset = name[4:].partition(":") if name.startswith("hub:") else ("", "", "")
    results = [_result(record, when, dataset, subset) for when in ("before", "after")]
    base = _in_yaml(record["model"]["name"]) if record["model"]["revision"] else None
    return ModelCardData(
        pipeline_tag="fill-mask",
        library_name="transformers",
        tags=["mlmref", "masked-lm", "domain-adaptation"],
        base_model=base,
        # Without it the hub guesses, from files that a run folder may not have (PUB-013).
        base_model_relation="finetune" if base else None,
        datasets=[dataset] if dataset else None,
        language="en" if dataset == "stanfordnlp/imdb" else None,
        license="apache-2.0" if record["model"]["name"] == _EMBEDDED else None,
        metrics=["perplexity"],
        model_name=config["output"]["push"] or _in_yaml(f"{_base(record)} on {_corpus(record)}"),
        eval_results=results,
    ).to_yaml()


def _in_yaml(text: str) -> str:
    """Spell out the one character that PyYAML writes and reads back as another (U+0085)."""
    return text.replace("\x85", r"\x85")


def _result(record: Mapping[str, Any], when: str, dataset: str, subset: str) -> EvalResult:
    """Return a perplexity as the hub reads it; a corpus that is not there has no split there."""
    from huggingface_hub import EvalResult

    figures, config = record["perplexity"][when], record["config"]
    return EvalResult(
        task_type="fill-mask",
        task_name="Masked language modelling",
        dataset_type=dataset or _LOCAL,
        dataset_name=_in_yaml(_corpus(record)),
        dataset_config=subset or None,
        dataset_split=config["corpus"]["split"] if dataset else None,
        metric_type="perplexity",
        metric_name=f"Perplexity {when} adaptation",
        metric_value=_figure(figures["value"]),
        metric_args={
            "interval": [_figure(figures["low"]), _figure(figures["high"])],
            "confidence": config["evaluation"]["confidence"],
            "masking": record["plugins"]["masking"]["name"],
        },
    )


def _figure(value: object) -> float | str:
    """Return a number that YAML and JSON both know, or else a word."""
    figure = number(value)
    return figure if math.isfinite(figure) else str(figure)


def _show(value: Any) -> str:
    figure = number(value)
    return "unknown" if math.isnan(figure) else f"{figure:,.2f}"


def _figures(perplexity: Mapping[str, Any], confidence: float) -> list[list[str]]:
    both = [perplexity["before"], perplexity["after"]]
    return [
        ["perplexity", *(_show(one["value"]) for one in both)],
        [
            f"{100 * confidence:g}% interval",
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
        f"({100 * confidence:g}% interval {low:.1%} to {high:.1%}, paired over documents).",
    ]
    return "\n".join([*sentences, *_warnings(record)])


def _warnings(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a paragraph for each warning; the first records lack the facts."""
    if worse := warning(record["perplexity"].get("better")):
        yield f"\n**Warning**: {worse}"
    if not record["model"].get("repeatable", True):
        yield f"\n**Warning**: {_text(_base(record))} is not repeatable: {NOT_REPEATABLE}."


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
        "base model": f"{_text(_base(record))} ({revision}SHA-256 {model['hash']})",
        "corpus": f"{_text(_corpus(record))}, {corpus['documents']:,} documents, "
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
    """Escape text so that it shows as it is, in one line (PUB-010)."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())
    # What has a meaning in the middle of a line; the rest only has one at its start.
    return re.sub(r"[\\`*_[<&|~$:#]|(?<=www)\.", lambda found: f"&#{ord(found[0])};", line)
