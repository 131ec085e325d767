"""Make the checkpoint that ships from two runs (clause MODEL-011); tiny-base/README.md says how.

``python tools/embedded/make.py prose TEXT OUT`` keeps the lines of a text that speak of people,
and ``... average GENERAL PROSE FOLDER`` averages the runs on the text and on these lines.

A model that was trained for long on one kind of text forgets what it could do on others. Runs that
began with the same weights, and were not carried too far apart, can be averaged, and the average is
better on both kinds (Wortsman et al. 2022, "Model soups", arXiv 2203.05482).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

SHARE = 0.25
"""The share of the run on prose in the average."""

PERSONAL = 0.02
"""The least share of the words below among those of a line of prose."""

_PEOPLE = frozenset(
    [
        "he",
        "she",
        "i",
        "his",
        "her",
        "they",
        "who",
        "we",
        "you",
        "was",
        "were",
        "had",
        "my",
        "me",
        "him",
        "them",
    ]
)
_WORD = re.compile(r"[a-z']+")

app = typer.Typer(add_completion=False, help="Make the checkpoint that ships from two runs.")


def speaks_of_people(line: str) -> bool:
    """Tell whether at least two words in a hundred are pronouns of persons, or was, were or had."""
    words = _WORD.findall(line.lower())
    return sum(word in _PEOPLE for word in words) >= PERSONAL * max(1, len(words))


@app.command()
def prose(
    text: Annotated[Path, typer.Argument(help="a text, a paragraph a line")],
    out: Annotated[Path, typer.Argument(help="the file to make")],
) -> None:
    """Keep the lines that speak of people.

    Raises:
        FileExistsError: the file is there already.
    """
    with text.open(encoding="utf-8") as lines, out.open("x", encoding="utf-8") as kept:
        kept.writelines(filter(speaks_of_people, lines))


@app.command()
def average(
    general: Annotated[Path, typer.Argument(help="the folder of the run on the whole text")],
    prose_: Annotated[Path, typer.Argument(metavar="PROSE", help="that of the run on prose")],
    folder: Annotated[Path, typer.Argument(help="the folder to make")],
) -> None:
    """Average the weights of two runs that began with the same, rounded to float16.

    Raises:
        FileExistsError: the folder is there already.
    """
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder.mkdir(parents=True)
    model, other = (
        AutoModelForMaskedLM.from_pretrained(place, dtype=torch.float32, local_files_only=True)
        for place in (general, prose_)
    )
    theirs = dict(other.named_parameters())
    with torch.no_grad():
        for name, value in model.named_parameters():  # each once, whatever is tied to it
            value.lerp_(theirs[name], SHARE)
    model.half().save_pretrained(folder)
    AutoTokenizer.from_pretrained(general, local_files_only=True).save_pretrained(folder)


if __name__ == "__main__":
    app()
