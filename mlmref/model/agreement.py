"""Compare the loaded tokenizer with tokenizer.json (clauses TOK-021 to TOK-023).

Transformers takes the normalizer and the pre-tokenizer of some classes from the class, and ignores
those in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import ModelError
from mlmref.data.tokenizer.encoding import check_template, of_the_tokenizer
from mlmref.model.source import Source
from mlmref.settings.config import ModelConfig

if TYPE_CHECKING:
    import tokenizers
    from transformers import PreTrainedTokenizerBase

    from mlmref.base.progress import Reporter
    from mlmref.data.corpus.corpus import Corpus

_FILE = "tokenizer.json"
_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_DOCUMENTS, _CHARACTERS = 100, 1_000  # the first documents that are compared, characters of each
_SHOWN = 60  # characters of each side of the example

_PROBES = (
    "The film was great, and the story isn't new.",
    "NASA and McDonald's met John SMITH at iPhone-Con.",
    "Müller naïve café Ça déçoit straße Łódź cafe\u0301",
    "12345 3.14 1,000 2026-11-29 007 x86_64 v2",
    "  two  blanks,\ta tab,\nlines\n\nand a\u00a0hard\u3000blank ",
    "don't we'll I'm they've `` quoted '' \"quoted\" \u201cquoted\u201d \u2018so\u2019 ...",
    "e-mail: a.b@c.org, https://x.org/y?z=1&q=2 #tag <b>bold</b> {x} [y] (z) $5 50% a/b_c~d",
    "\ufb01lm \u2460 \u00bd \uff26\uff35\uff2c\uff2c x\u00b2 \u2122 \u2026 \u2013 \u2014 \u00e6",
    "这部电影非常好看。映画を見た。영화를 봤다.",
    "Отличный фильм. Ёлка. Ελληνικά. مرحبا بالعالم. नमस्ते दुनिया. ภาพยนตร์",
    "😀 👍🏽 zero\u200bwidth soft\u00adhyphen \u202bmarks\u202c \x07bell",
    "ACGTNNNNacgt MKVLAAGIV C1=CC=CC=C1 def f(x):\n    return x+1",
)
"""Texts that tokenizers treat differently: case, accents, digits, blanks, punctuation, scripts."""


def load_tokenizer_of(config: ModelConfig, source: Source) -> PreTrainedTokenizerBase:
    """Return the tokenizer that the settings choose.

    Args:
        config: the settings of the model.
        source: where it is.

    Raises:
        ModelError: the tokenizer in the file and the one that Transformers builds differ
            (TOK-021), or the file of the setting does not exist (TOK-022).
    """
    import transformers

    common: Any = {"revision": source.revision, "trust_remote_code": config.trust_remote_code}
    tokenizer: PreTrainedTokenizerBase = transformers.AutoTokenizer.from_pretrained(
        source.place, **common
    )
    if config.tokenizer == "loaded" or not tokenizer.is_fast:
        return tokenizer
    file = _file(config.name, source)
    if config.tokenizer == "file":
        return _of_the_file(config.name, source, tokenizer, file)
    if file is not None:
        _compare(config, tokenizer, file, _PROBES)
    return tokenizer


def compare_documents(
    config: ModelConfig,
    source: Source,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    reporter: Reporter,
) -> None:
    """Compare both tokenizers on the first documents of a corpus.

    A difference without an example in the text is a warning.

    Raises:
        ModelError: they give different tokens (TOK-021).
    """
    file = _file(config.name, source) if config.tokenizer == "checked" else None
    if file is None:
        return
    texts = [text[:_CHARACTERS] for text in corpus.dataset[:_DOCUMENTS]["text"]]
    _compare(config, tokenizer, file, texts)
    backend: Any = tokenizer.backend_tokenizer
    for part in ("normalizer", "pre_tokenizer"):
        if _described(getattr(backend, part)) != _described(getattr(file, part)):
            reporter.warn(
                f"{config.name}: its {_FILE} and the tokenizer that Transformers builds have "
                f"different {part.replace('_', '-')}s; the first {len(texts):,} documents have the "
                "same tokens with both; choose one with --tokenizer file or --tokenizer loaded"
            )


def _described(part: Any) -> Any:
    try:
        return None if part is None else part.__getstate__()
    except Exception:  # noqa: BLE001 - a part in Python has no description
        return part


def _file(name: str, source: Source) -> tokenizers.Tokenizer | None:
    """Return the tokenizer of tokenizer.json; ``None`` if the model has no such file."""
    from huggingface_hub import try_to_load_from_cache

    path: Any = Path(source.place) / _FILE
    if not Path(source.place).is_dir():  # loading has put it into the hub's cache
        path = try_to_load_from_cache(source.place, _FILE, revision=source.revision)
        if not isinstance(path, str):
            return None
    path = Path(path)
    if not path.exists():
        return None
    state = path.stat()
    try:
        file = _read(str(path), state.st_mtime_ns, state.st_size)
    except Exception as error:
        raise ModelError(
            f"its {_FILE} cannot be read ({' '.join(str(error).split())[:200]})",
            where=name,
            hint="get the model again, or use the tokenizer that Transformers builds: "
            "--tokenizer loaded",
        ) from error
    check_template(file, name)
    return file


@lru_cache(maxsize=1)
def _read(path: str, *_: int) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer

    file = Tokenizer.from_file(path)
    file.no_truncation()
    file.no_padding()
    return file


def _of_the_file(
    name: str,
    source: Source,
    loaded: PreTrainedTokenizerBase,
    file: tokenizers.Tokenizer | None,
) -> PreTrainedTokenizerBase:
    """Return the tokenizer of the file, with names and limits of the loaded one."""
    import transformers

    if file is None:
        raise ModelError(f"it has no {_FILE}", where=name, hint="use --tokenizer loaded instead")
    # A class may name tokens that the file lacks; Transformers would add them as new tokens.
    named = {f"{role}_token": str(getattr(loaded, f"{role}_token")) for role in _ROLES}
    given: dict[str, Any] = {
        "revision": source.revision,
        "model_max_length": loaded.model_max_length,
        "model_input_names": loaded.model_input_names,
        **{role: token for role, token in named.items() if file.token_to_id(token) is not None},
    }
    tokenizer: PreTrainedTokenizerBase = transformers.PreTrainedTokenizerFast.from_pretrained(
        source.place, **given
    )
    backend: Any = tokenizer.backend_tokenizer
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        setattr(backend, part, getattr(file, part))
    return tokenizer


def _compare(
    config: ModelConfig,
    tokenizer: PreTrainedTokenizerBase,
    file: tokenizers.Tokenizer,
    texts: Sequence[str],
) -> None:
    """Raise a ModelError with an example if a tokenizer gives other tokens than the file."""
    loaded = _plain(tokenizer)
    if loaded is None:
        return
    file.encode_special_tokens = loaded.encode_special_tokens
    both = (file, loaded)
    for text, *sides in zip(texts, *(_ids(one, texts) for one in both), strict=True):
        if sides[0] == sides[1]:
            continue
        example = text
        for word in text.split():  # the shortest example
            parts = [_ids(one, [word])[0] for one in both]
            if parts[0] != parts[1]:
                example, sides = word, parts
                break
        filed, built = (_spelled(one, side) for one, side in zip(both, sides, strict=True))
        raise ModelError(
            f"its {_FILE} and the tokenizer that Transformers builds differ: for "
            f"{_cut(example)!r} the file gives {filed}, and Transformers gives {built}",
            where=config.name,
            hint="choose one with --tokenizer file or --tokenizer loaded",
        )


def _plain(tokenizer: PreTrainedTokenizerBase) -> tokenizers.Tokenizer | None:
    """Return a copy of the Rust tokenizer; ``None`` if it has parts written in Python."""
    from mlmref.data.tokenizer.encoding import backend_of

    try:
        return backend_of(tokenizer)
    except ModelError:
        return None


def _ids(backend: tokenizers.Tokenizer, texts: Sequence[str]) -> list[list[int] | None]:
    """Return the ids of each text, or ``None`` for a text that raises an error."""
    try:
        return [one.ids for one in backend.encode_batch(list(texts))]
    except BaseException as error:
        if not of_the_tokenizer(error):
            raise
        if len(texts) == 1:
            return [None]
    return [_ids(backend, [text])[0] for text in texts]


def _spelled(backend: tokenizers.Tokenizer, ids: list[int] | None) -> str:
    if ids is None:
        return "an error"
    return _cut(" ".join(backend.id_to_token(one) or "?" for one in ids))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
