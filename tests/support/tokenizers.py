"""Small fast tokenizers of every family, trained here on a built-in text."""

from functools import cache

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

FAMILIES = ("wordpiece", "byte-bpe", "unigram")
"""Families whose pre-tokenizer tells words."""

UNKNOWN = "[UNK]"
SPECIAL = {
    "unk_token": UNKNOWN,
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "mask_token": "[MASK]",
}

TEXT = [
    "Bromwell High is a cartoon comedy. It isn't shown at the same time as other programmes.",
    "This is a great film, and the actors' performances were unforgettable!",
    "Unbelievably long films: unwatchable, uninspired, overacted and underwritten (sadly).",
    "The story of the homeless woman was told beautifully; the music, however, was dreadful.",
    "Ça déçoit: naïve, clichéd, and 10/10 people asked for their money back in 1999.",
    "这部电影非常好看，演员的表演很出色。我们都喜欢这个故事。",
    "Отличный фильм, прекрасная игра актёров.",
    "Watch it again, rewatch it, overwatch it: watching, watched, watcher, watchable.",
]


def _wrap(backend):
    cls, sep = backend.token_to_id("[CLS]"), backend.token_to_id("[SEP]")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=32, **SPECIAL)


def _train(backend, trainer, size, **options):
    backend.train_from_iterator(
        TEXT,
        trainer(
            vocab_size=size,
            special_tokens=list(SPECIAL.values()),
            show_progress=False,
            **options,
        ),
    )
    return sorted(set(backend.get_vocab()) - set(SPECIAL.values()))


def _wordpiece():
    def blank(model):
        backend = Tokenizer(model)
        backend.normalizer = normalizers.BertNormalizer(lowercase=True)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return backend

    # The WordPiece trainer breaks ties as its hash tables fall, so no two runs would test the
    # same tokenizer; BPE's pieces do as well, each as a beginning and as a continuation.
    pieces = _train(blank(models.BPE()), trainers.BpeTrainer, 150)
    vocabulary = [*SPECIAL.values(), *pieces, *(f"##{piece}" for piece in pieces)]
    ids = {piece: number for number, piece in enumerate(vocabulary)}
    backend = blank(models.WordPiece(ids, unk_token=UNKNOWN))
    backend.add_special_tokens(list(SPECIAL.values()))
    backend.decoder = decoders.WordPiece()
    return _wrap(backend)


def _byte_bpe():
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    _train(backend, trainers.BpeTrainer, 350, initial_alphabet=sorted(alphabet))
    return _wrap(backend)


def _unigram(pre_tokenizer, trained_on=None):
    def blank(model, pre_tokenizer):
        backend = Tokenizer(model)
        backend.normalizer = normalizers.NFKC()
        backend.pre_tokenizer = pre_tokenizer
        return backend

    # The trained scores differ a little from run to run; with equal ones the fewest pieces win.
    learner = blank(models.Unigram(), trained_on or pre_tokenizer)
    pieces = _train(learner, trainers.UnigramTrainer, 200, unk_token=UNKNOWN)
    vocabulary = [(piece, -1.0) for piece in [*SPECIAL.values(), *pieces]]
    backend = blank(models.Unigram(vocabulary, unk_id=0), pre_tokenizer)
    backend.add_special_tokens(list(SPECIAL.values()))
    backend.decoder = decoders.Metaspace()
    return _wrap(backend)


@cache
def tokenizer(family):
    """Return the family's tokenizer; the same object each time.

    Besides :data:`FAMILIES` there are ``unigram-unsplit``, which marks words in its pieces alone
    (``▁film``), and two that tell no words: ``unigram-crossing``, whose pieces run from one word
    into the next (``▁is▁a▁``), and ``wordless``, which marks nothing.
    """
    split, whole = pre_tokenizers.Metaspace(), pre_tokenizers.Metaspace(split=False)
    make = {
        "wordpiece": _wordpiece,
        "byte-bpe": _byte_bpe,
        "unigram": lambda: _unigram(split),
        "unigram-unsplit": lambda: _unigram(whole, trained_on=split),
        "unigram-crossing": lambda: _unigram(whole),
        "wordless": lambda: _unigram(None),
    }
    return make[family]()
