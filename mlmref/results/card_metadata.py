"""The YAML metadata of a model card (clauses PUB-008, PUB-011, PUB-013 and PUB-014)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mlmref.results.record import number

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_EMBEDDED = "embedded"
# The format requires the name of a dataset on the hub; no such name contains a blank.
_LOCAL = "local file"


def base_name(record: Mapping[str, Any]) -> str:
    """Return the name of the base model; without its folder if it is a local one (PUB-011)."""
    name: str = record["model"]["name"]
    if name == _EMBEDDED:
        return "mlmref's embedded checkpoint"
    return name if record["model"]["revision"] else PurePath(name).name


def corpus_name(record: Mapping[str, Any]) -> str:
    """Return the name of the corpus; without its folder if it is a local one (PUB-011)."""
    name: str = record["corpus"]["name"]
    return name.removeprefix("hub:") if name.startswith("hub:") else PurePath(name).name


def metadata(record: Mapping[str, Any]) -> str:
    """Return the YAML that the hub reads; it states known facts only (PUB-008)."""
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
        # Without it, the hub guesses from files that a run folder may lack (PUB-013).
        base_model_relation="finetune" if base else None,
        datasets=[dataset] if dataset else None,
        language="en" if dataset == "stanfordnlp/imdb" else None,
        license="apache-2.0" if record["model"]["name"] == _EMBEDDED else None,
        metrics=["perplexity"],
        model_name=config["output"]["push"]
        or _in_yaml(f"{base_name(record)} on {corpus_name(record)}"),
        eval_results=results,
    ).to_yaml()


def _in_yaml(text: str) -> str:
    """Escape U+0085, which PyYAML writes but reads back as another character."""
    return text.replace("\x85", r"\x85")


def _result(record: Mapping[str, Any], when: str, dataset: str, subset: str) -> EvalResult:
    """Return a perplexity as the hub reads it; a local corpus has no split on the hub."""
    from huggingface_hub import EvalResult

    figures, config = record["perplexity"][when], record["config"]
    return EvalResult(
        task_type="fill-mask",
        task_name="Masked language modelling",
        dataset_type=dataset or _LOCAL,
        dataset_name=_in_yaml(corpus_name(record)),
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
    """Return a number, or a text if it is NaN or infinite, which JSON does not allow."""
    figure = number(value)
    return figure if math.isfinite(figure) else str(figure)
