"""The Rust part of a tokenizer, and its errors in one line (clauses TOK-008 and TOK-024)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from mlmref.base.errors import CorpusError, MlmrefError, ModelError
from mlmref.plugin.arrays import Int64Array

if TYPE_CHECKING:
    import tokenizers
    from transformers import PreTrainedTokenizerBase

    from mlmref.data.corpus.corpus import Corpus

T = TypeVar("T")


def backend_of(tokenizer: PreTrainedTokenizerBase) -> tokenizers.Tokenizer:
    """Return a copy of the Rust tokenizer, without truncation and padding."""
    from tokenizers import Tokenizer

    try:
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    except Exception as error:
        raise ModelError(
            f"the tokenizer cannot be copied ({error})",
            where=tokenizer.name_or_path or None,
            hint="choose a tokenizer without parts written in Python",
        ) from error
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens
    return backend


def encoded(
    encode: Callable[[list[str]], T],
    texts: Sequence[str],
    refuse: Callable[[int, str], MlmrefError],
) -> T:
    """Return the encodings of texts, and turn any error of the tokenizer into one line (TOK-024).

    Args:
        encode: a tokenizer's call or ``encode_batch``.
        texts: the texts.
        refuse: returns the error for the index of the first text that fails, and the reason.
    """
    try:
        return encode(list(texts))
    except BaseException as error:
        if not of_the_tokenizer(error):
            raise
        index, reason = 0, error
    # The library does not say which text of a batch failed.
    for place, text in enumerate(texts):
        try:
            encode([text])
        except BaseException as error:
            if not of_the_tokenizer(error):
                raise
            index, reason = place, error
            break
    raise refuse(index, _in_words(reason)) from reason


def refusal(
    corpus: Corpus, numbers: Sequence[int] | Int64Array, hint: str
) -> Callable[[int, str], CorpusError]:
    """Return the function that makes the error for a document that cannot be encoded.

    Args:
        corpus: the documents.
        numbers: which of them are encoded.
        hint: the advice.
    """

    def refuse(index: int, reason: str) -> CorpusError:
        what = f"the tokenizer cannot encode it ({reason})"
        return CorpusError(what, where=corpus.place(numbers[index]), hint=hint)

    return refuse


def of_the_tokenizer(error: BaseException) -> bool:
    """Return whether the tokenizer raised an error; a panic of Rust is not an ``Exception``."""
    panic = type(error).__name__ == "PanicException"
    return panic or (isinstance(error, Exception) and not isinstance(error, MemoryError))


def _in_words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def check_template(backend: tokenizers.Tokenizer, name: str | None) -> None:
    """Raise a ModelError if a template has no id for one of its tokens.

    The library would panic at the first text. The error names the token.
    """
    processor = backend.post_processor
    state: Any = None if processor is None else json.loads(processor.__getstate__())
    for template in _templates(state):
        for part in template["single"]:
            token = part.get("SpecialToken", {}).get("id")
            if token is not None and token not in template["special_tokens"]:
                raise ModelError(
                    f"the post-processor of its tokenizer adds {token}, but has no id for it",
                    where=name,
                    hint="get the tokenizer again, or add the id in tokenizer.json at "
                    "post_processor.special_tokens",
                )


def _templates(state: Any) -> Iterator[dict[str, Any]]:
    if state and state["type"] == "TemplateProcessing":
        yield state
    for one in (state or {}).get("processors", ()):
        yield from _templates(one)
