"""``mlmref fill``."""

from __future__ import annotations

from typing import Annotated

import typer

from mlmref.cli import completion, flags
from mlmref.cli.base import show
from mlmref.cli.command import Given, command


@command("model", "fill.top_k", omit=("model.name", "model.dropout"))
def fill(
    given: Given,
    model: Annotated[
        str,
        typer.Argument(
            help="embedded, a folder, or a name on the hub", autocompletion=completion.models
        ),
    ],
    texts: Annotated[list[str], typer.Argument(help="texts with one or several masks")],
    candidate: flags.Candidate = None,
    as_json: flags.AsJson = False,
) -> None:
    """Fill the masks of a text; {mask} is replaced by the model's mask token.

    Example: mlmref fill embedded "This is a great [MASK]."
    """
    from mlmref.cli.show import show_fills
    from mlmref.conformance.by_name import refuse_ignored
    from mlmref.evaluation.fill_mask import fill as fill_
    from mlmref.model.load import load_model

    config = given.config({"--model": ("model.name", model)})
    top_k = config.fill.top_k if "--top-k" in given.flags else None
    if candidate:
        refuse_ignored({"--top-k": top_k}, "--candidate ranks all candidates; omit one of both")
    loaded = load_model(config.model)
    answers = fill_(loaded.model, loaded.tokenizer, texts, top_k=top_k, candidates=candidate)
    show({"model": str(loaded), "answers": answers}, as_json, show_fills)
