"""``mlmref fill``."""

from __future__ import annotations

from typing import Annotated

import typer

from mlmref.cli import completion, flags
from mlmref.cli.base import command, show
from mlmref.cli.errors import told


@command()
def fill(
    model: Annotated[
        str,
        typer.Argument(
            help="embedded, a folder, or a name on the hub", autocompletion=completion.models
        ),
    ],
    texts: Annotated[list[str], typer.Argument(help="texts with one or several masks")],
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = None,
    tokenizer: flags.Tokenizer = None,
    top_k: flags.TopK = None,
    candidate: flags.Candidate = None,
    as_json: flags.AsJson = False,
    debug: flags.Debug = False,
) -> None:
    """Fill the masks of a text; {mask} stands for the model's own mask token.

    Example: mlmref fill embedded "This is a great [MASK]."
    """
    given = {
        "model": model,
        "revision": revision,
        "trust_remote_code": trust_remote_code,
        "tokenizer": tokenizer,
    }
    with told(debug):
        from mlmref.conformance.by_name import refuse_ignored
        from mlmref.evaluation.fill_mask import fill as fill_
        from mlmref.model.load import load_model
        from mlmref.settings.resolve import resolve

        if candidate:
            refuse_ignored({"--top-k": top_k}, "--candidate ranks all candidates; omit one of both")
        loaded = load_model(resolve(flags=flags.settings(given)).model)
        answers = fill_(
            loaded.model,
            loaded.tokenizer,
            texts,
            top_k=top_k,
            candidates=candidate,
        )
        from mlmref.cli.show import show_fills

        show({"model": str(loaded), "answers": answers}, as_json, show_fills)
