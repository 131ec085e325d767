"""``python -m mlmref_salient``: make a background, and list salient tokens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from mlmref.plugin import ConfigError, MlmrefError

if TYPE_CHECKING:
    from mlmref.model.load import LoadedModel
    from mlmref.plugin import Int64Array

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
out, err = Console(highlight=False), Console(stderr=True, highlight=False)

Model = Annotated[
    str, typer.Option(help="model with the tokenizer: embedded, a folder, a name on the hub")
]
TextColumn = Annotated[str, typer.Option(help="column with the text")]
Limit = Annotated[int | None, typer.Option(min=1, help="use only the first N documents or words")]


@app.command()
def background(
    place: Annotated[Path, typer.Argument(metavar="FILE", help="file to write, .json")],
    corpus: Annotated[str | None, typer.Option(help="count this corpus, as in mlmref run")] = None,
    language: Annotated[
        str | None, typer.Option(help="or use wordfreq's words of a language, such as en")
    ] = None,
    model: Model = "embedded",
    text_column: TextColumn = "text",
    limit: Limit = None,
) -> None:
    """Count the tokens of a text, or of a language's words, for masking.options.background.

    Example: python -m mlmref_salient background english.json --language en
    """
    from mlmref.data.tokenizer.vocabulary import vocabulary_of
    from mlmref_salient.background import count_words, listed_words, write_background

    if (corpus is None) == (language is None):
        raise ConfigError("give either --corpus or --language")
    if place.exists():
        raise ConfigError("already exists; nothing was changed", where=str(place))
    loaded = _load(model)
    vocabulary = vocabulary_of(loaded.tokenizer)
    if language is None:
        source = str(corpus)
        counts = _count(source, text_column, limit, loaded)
    else:
        source = f"wordfreq {language}"
        counts = count_words(listed_words(language, limit), loaded.tokenizer, vocabulary)
    write_background(place, model=model, source=source, vocabulary=vocabulary, counts=counts)
    seen = f"{int((counts > 0).sum()):,} of {vocabulary.size:,} token ids"
    out.print(f"{place}: {seen} are in {source}", markup=False, soft_wrap=True)


@app.command()
def words(
    corpus: Annotated[str, typer.Option(help="corpus, as in mlmref run")] = "imdb",
    background: Annotated[str | None, typer.Option(help="background file")] = None,
    model: Model = "embedded",
    text_column: TextColumn = "text",
    limit: Limit = None,
    count: Annotated[int, typer.Option(min=1, help="number of tokens to show")] = 20,
) -> None:
    """List the tokens of a corpus with the largest weights; of equal weights, frequent ones first.

    Example: python -m mlmref_salient words --corpus imdb --background english.json
    """
    from mlmref.data.tokenizer.vocabulary import vocabulary_of
    from mlmref_salient import UNIT, SalientOptions, weigh
    from mlmref_salient.background import read_background

    try:
        told = read_background(background) if background else None
        loaded = _load(model)
        counts = _count(corpus, text_column, limit, loaded)
        vocabulary = replace(vocabulary_of(loaded.tokenizer), counts=counts)
        weights = weigh(vocabulary, told, SalientOptions().smoothing, most=64.0)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    order = np.lexsort((-counts, -weights))
    order = order[np.isin(order, vocabulary.ordinary_ids) & (counts[order] > 0)][:count]
    table = Table("token", "weight", "times", box=None)
    for one in order.tolist():
        token = str(loaded.tokenizer.convert_ids_to_tokens(one))
        table.add_row(token, f"{weights[one] / UNIT:.1f}", f"{counts[one]:,}")
    out.print(table)


def _load(model: str) -> LoadedModel:
    from mlmref.model.load import load_model
    from mlmref.settings.config import ModelConfig

    return load_model(ModelConfig(name=model))


def _count(corpus: str, text_column: str, limit: int | None, loaded: LoadedModel) -> Int64Array:
    """Return the count of each token in a whole corpus, int64 ``[size]``."""
    from mlmref.base.quiet_libraries import quiet
    from mlmref.data.chunks import chunk
    from mlmref.data.corpus.load import load_corpus
    from mlmref.data.tokens.tokenize import tokenize
    from mlmref.settings.config import ChunkConfig, CorpusConfig

    config = CorpusConfig(name=corpus, text_column=text_column, limit=limit)
    with quiet():
        tokens = tokenize(load_corpus(config), loaded.tokenizer)
    return chunk(tokens, ChunkConfig(remainder="pad")).counts()


def main() -> None:
    """Run the command line; an error that a user can fix is one line and exit status 2."""
    try:
        app(prog_name="python -m mlmref_salient")
    except MlmrefError as error:
        err.print(f"mlmref_salient: {error}", markup=False, soft_wrap=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
