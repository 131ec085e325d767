"""Small tokenizers that see a text piece by piece, and some that nearly do."""

from functools import cache

import numpy as np
from support.tokenizers import SPECIAL, UNKNOWN, tokenizer
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast

from mlmref.data.tokenizer.encoding import backend_of
from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.data.words.of_tokenizer import OwnWords


def _bert(**options):
    return normalizers.BertNormalizer(**options)


def _around(backend):
    return ("[SEP]", backend.token_to_id("[SEP]")), ("[CLS]", backend.token_to_id("[CLS]"))


def _template(single, **more):
    def process(backend):
        ids = [(name, backend.token_to_id(name)) for name in SPECIAL.values()]
        return processors.TemplateProcessing(single=single, special_tokens=ids, **more)

    return process


def _normalizer(normalizer):
    def change(backend):
        backend.normalizer = normalizer

    return change


def _splits(splits):
    def change(backend):
        backend.pre_tokenizer = splits

    return change


def _post(make):
    def change(backend):
        backend.post_processor = make and make(backend)

    return change


def _add(content, **options):
    def change(backend):
        backend.add_tokens([AddedToken(content, **options)])

    return change


def _model(**options):
    def change(backend):
        for name, value in options.items():
            setattr(backend.model, name, value)

    return change


def _vocabulary(backend):
    pieces = {piece: id_ for piece, id_ in backend.get_vocab().items() if piece != UNKNOWN}
    backend.model = models.WordPiece(pieces, unk_token=UNKNOWN)


SEPARABLE = {
    "wordpiece": [],
    "wordpiece cased": [_normalizer(_bert(lowercase=False))],
    "wordpiece no normalizer": [_normalizer(None)],
    "wordpiece all on": [_normalizer(_bert(strip_accents=True))],
    "wordpiece accents": [_normalizer(_bert(strip_accents=False))],
    "wordpiece accents off, cased": [_normalizer(_bert(strip_accents=True, lowercase=False))],
    "wordpiece chinese": [_normalizer(_bert(handle_chinese_chars=False))],
    "wordpiece unclean": [_normalizer(_bert(clean_text=False))],
    "wordpiece nothing on": [
        _normalizer(
            _bert(
                clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False
            )
        )
    ],
    "wordpiece sequence": [_normalizer(normalizers.Sequence([_bert(lowercase=False), _bert()]))],
    "wordpiece bare": [_post(None)],
    "wordpiece bert": [_post(lambda backend: processors.BertProcessing(*_around(backend)))],
    "wordpiece roberta": [_post(lambda backend: processors.RobertaProcessing(*_around(backend)))],
    "wordpiece behind": [_post(_template("$A [SEP] [MASK]"))],
    "wordpiece before": [_post(_template("[CLS] [MASK] $0"))],
    "wordpiece added": [
        _add("film"),
        _add("n't", normalized=False),
        _add("电影", normalized=False),
        _add("Ça", special=True),
        _add("\u0301e", normalized=False),
        _add("<mask>", lstrip=True, normalized=False),
        _add("story", lstrip=True),
    ],
    "wordpiece special piece": [],
    "byte-bpe": [],
    "byte-bpe prefix": [_splits(pre_tokenizers.ByteLevel(add_prefix_space=True))],
    "byte-bpe bare": [_post(None)],
    "byte-bpe roberta": [_post(lambda backend: processors.RobertaProcessing(*_around(backend)))],
    "byte-bpe added": [
        _add("film"),
        _add("n't", normalized=False),
        _add("<mask>", lstrip=True, normalized=False),
        _add("story", lstrip=True),
    ],
    "byte-bpe added, prefix": [
        _splits(pre_tokenizers.ByteLevel(add_prefix_space=True)),
        _add("film"),
        _add("story", lstrip=True),
    ],
}
"""Changes to a family that leave it one that is tokenized by pieces."""

WHOLE = {
    "unigram": [],
    "unigram-unsplit": [],
    "wordless": [],
    "wordpiece normalizer": [_normalizer(normalizers.Lowercase())],
    "wordpiece replacing": [
        _normalizer(normalizers.Sequence([_bert(), normalizers.Replace(" b", "c")]))
    ],
    "wordpiece nothing split": [_splits(None)],
    "wordpiece split otherwise": [_splits(pre_tokenizers.Whitespace())],
    "wordpiece split further": [
        _splits(
            pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Digits()])
        )
    ],
    "wordpiece split at letters": [
        _splits(pre_tokenizers.Split(Regex("[a-z]+ [a-z]+"), "isolated"))
    ],
    "wordpiece twice": [_post(_template("[CLS] $A $A [SEP]"))],
    "wordpiece processors": [
        _post(lambda backend: processors.Sequence([processors.BertProcessing(*_around(backend))]))
    ],
    "wordpiece without unknown": [_vocabulary],
    "wordpiece added blank": [_add("a film", normalized=False)],
    "wordpiece added line": [_add("a\nfilm", normalized=False)],
    "wordpiece added normal blank": [_add("a film")],
    "wordpiece added of two words": [_add("b电")],
    "wordpiece added nothing": [_add("\u0007")],
    "wordpiece added strips": [_add("<mask>", rstrip=True, normalized=False)],
    "wordpiece added word": [_add("film", single_word=True)],
    "wordpiece added separator": [_add("x\ue000", normalized=False)],
    "byte-bpe normalizer": [_normalizer(normalizers.NFKC())],
    "byte-bpe plain": [_splits(pre_tokenizers.ByteLevel(use_regex=False))],
    "byte-bpe chance": [_model(dropout=1e-9)],
    "byte-bpe added strips": [_add("<mask>", rstrip=True, normalized=False)],
    "byte-bpe added blanks": [_add("  ")],
}
"""Changes to a family that make it one whose documents are tokenized whole."""


@cache
def separable(name):
    """Return the tokenizer of :data:`SEPARABLE` or :data:`WHOLE`; the same object each time."""
    backend = Tokenizer.from_str(tokenizer(name.split(" ")[0]).backend_tokenizer.to_str())
    for change in {**SEPARABLE, **WHOLE}[name]:
        change(backend)
    special = {"bos_token": "##s"} if name == "wordpiece special piece" else {}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL, **special)


def parts_of(chosen):
    """Return what ``tokenize`` makes of a tokenizer: backend, words, special."""
    vocabulary = vocabulary_of(chosen)
    backend = backend_of(chosen)
    special = np.zeros(vocabulary.size, dtype=np.bool_)
    special[vocabulary.special_ids] = True
    return backend, OwnWords(backend, vocabulary.size), special
