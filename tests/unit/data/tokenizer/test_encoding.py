"""What tokenizers raise, and tokenizers whose words are found in the corpus."""

import json

import numpy as np
import pytest
from support.runs import save_model
from support.tokenizers import SPECIAL, tokenizer
from support.tokens import corpus_of, fresh_cache, rows_of
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

import mlmref
from mlmref.base.errors import CorpusError, ModelError
from mlmref.base.progress import Silent
from mlmref.data.tokenizer.encoding import encoded
from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.data.tokens.tokenize import tokenize
from mlmref.evaluation.fill_mask import fill
from mlmref.evaluation.prompts import PromptError
from mlmref.runner.context import RunContext
from mlmref.runner.text import prepare_text
from mlmref.settings.resolve import resolve

KMERS = [a + b for a in "ACGT" for b in "ACGT"]


def fast(model, pre_tokenizer=None, normalizer=None, **named):
    """Return a tokenizer of a model, with the special tokens that are named."""
    backend = Tokenizer(model)
    for part, value in (("pre_tokenizer", pre_tokenizer), ("normalizer", normalizer)):
        if value is not None:
            setattr(backend, part, value)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **{**SPECIAL, **named})


def word_level(words=KMERS, **options):
    """Return a tokenizer that raises for a word it does not know."""
    ids = {token: number for number, token in enumerate([*SPECIAL.values(), *words])}
    return fast(models.WordLevel(ids, unk_token="<none>"), pre_tokenizers.WhitespaceSplit(),  # noqa: S106
                **options)  # fmt: skip


def bpe(letters, pre_tokenizer=None, normalizer=None):
    """Return a BPE tokenizer of single letters, without an unknown token."""
    ids = {token: number for number, token in enumerate([*SPECIAL.values(), *letters])}
    return fast(models.BPE(ids, []), pre_tokenizer, normalizer, unk_token=None)


class Panic(BaseException):
    """Named as Rust's panics are in Python."""


Panic.__name__ = "PanicException"


@pytest.mark.clause("TOK-024")
@pytest.mark.parametrize("kind", [Panic, Exception, ValueError])
def test_the_text_that_fails_is_found(kind):
    """An error or a panic in a batch names the first text that raises it alone."""

    def encode(texts):
        if "bad" in texts:
            raise kind("no entry\n found")
        return texts

    assert encoded(encode, ["a", "b"], None) == ["a", "b"]
    with pytest.raises(CorpusError, match=r"2: no entry found"):
        encoded(encode, ["a", "b", "bad", "bad"], lambda at, why: CorpusError(f"{at}: {why}"))


@pytest.mark.clause("TOK-024")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_the_tokenizer_did_not_raise_goes_through(kind):
    """Ctrl-C during encoding is no error of a document."""

    def encode(_):
        raise kind

    with pytest.raises(kind):
        encoded(encode, ["a"], None)


@pytest.mark.clause("TOK-024")
@pytest.mark.parametrize("batch_size", [None, 1, 2])
def test_a_document_that_cannot_be_encoded_is_named(batch_size):
    """Its place in the user's files is named, in any batch."""
    corpus = corpus_of(["AC GT", "AA CC", "AC NN", "NN"])
    with fresh_cache(), pytest.raises(CorpusError) as raised:
        tokenize(corpus, word_level(), batch_size=batch_size)
    assert str(raised.value) == (
        f"{corpus.place(2)}: the tokenizer cannot encode it (WordLevel error: Missing "
        "[UNK] token from the vocabulary); remove it from the corpus, or choose a --model whose "
        "tokenizer can"
    )
    assert len(rows_of(tokenize(corpus_of(["AC GT", "AA CC"]), word_level()))) == 2


@pytest.mark.clause("TOK-024")
@pytest.mark.parametrize("within", [False, True])
def test_a_template_without_an_id_is_refused(within):
    """The library would panic at the first text; the token is named instead."""
    described = json.loads(tokenizer("wordpiece").backend_tokenizer.to_str())
    template = described["post_processor"]
    del template["special_tokens"]["[CLS]"]
    if within:
        described["post_processor"] = {"type": "Sequence", "processors": [template]}
    broken = Tokenizer.from_str(json.dumps(described))
    with pytest.raises(ModelError, match=r"adds \[CLS\], but has no id for it"):
        vocabulary_of(PreTrainedTokenizerFast(tokenizer_object=broken, **SPECIAL))


def small(tokens):
    """Return a tiny model for a tokenizer."""
    return BertForMaskedLM(
        BertConfig(
            vocab_size=len(tokens), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
            intermediate_size=8, max_position_embeddings=32, pad_token_id=tokens.pad_token_id,
        )
    ).eval()  # fmt: skip


@pytest.mark.clause("TOK-024")
def test_a_prompt_that_cannot_be_encoded_is_refused():
    """So is a candidate; both are named."""
    tokens = word_level(model_max_length=32)
    with pytest.raises(PromptError, match=r"'film \{mask\}': the tokenizer cannot encode it"):
        fill(small(tokens), tokens, ["film {mask}"])
    with pytest.raises(PromptError, match=r"cannot encode candidate 'NN' there"):
        fill(small(tokens), tokens, ["AC {mask}"], candidates=["AA", "NN"])


@pytest.mark.clause("FILL-015")
def test_answers_by_default_are_no_more_than_there_are():
    """Three ordinary tokens are three answers, and five where there are more."""
    few, many = word_level(["A", "C", "G"]), word_level()
    assert len(fill(small(few), few, ["A {mask}"])[0].answers) == 3
    assert len(fill(small(many), many, ["AC {mask}"])[0].answers) == 5


@pytest.mark.clause("FILL-017")
@pytest.mark.parametrize("family", ["wordpiece", "byte-bpe", "unigram"])
def test_a_mask_is_a_mask_where_special_tokens_are_split(family):
    """The answers are those of the tokenizer that does not split special tokens."""
    described = tokenizer(family).backend_tokenizer.to_str()
    both = [
        PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer.from_str(described), split_special_tokens=split,
            model_max_length=32, **SPECIAL,
        )
        for split in (False, True)
    ]  # fmt: skip
    model = small(both[0])
    plain, split = (fill(model, one, ["This is a {mask}."]) for one in both)
    assert split == plain
    assert both[1].split_special_tokens


def settings(place, tokens, text, *sets):
    """Save a tiny model with a tokenizer and a corpus; return a configuration to run on them."""
    save_model(place / "model", vocab_size=len(tokens))
    for file in (place / "model").glob("token*"):
        file.unlink()
    tokens.save_pretrained(place / "model")
    (place / "text.txt").write_text(text, "utf-8")
    return resolve(
        sets=[
            f"model.name={place / 'model'}", f"corpus.name={place / 'text.txt'}",
            f"output.folder={place / 'run'}", "chunks.size=16", "training.batch_size=4",
            "training.max_steps=1", *sets,
        ]
    )  # fmt: skip


@pytest.mark.clause("FILL-016")
def test_a_default_prompt_that_cannot_be_encoded_is_not_asked(tmp_path):
    """The run is measured all the same, and asks what it is given."""
    tokens = word_level(model_max_length=32)
    config = settings(tmp_path, tokens, "AC GT AA CC GG\n" * 60)
    made = mlmref.run(config)
    assert made.record["fill_mask"] == {"before": [], "after": []}
    assert made.record["perplexity"]["after"]["value"] > 1
    assert made._repr_html_()
    model = f"model.name={tmp_path / 'model'}"
    bad = resolve(sets=[model, "chunks.size=16", 'fill.prompts=["film {mask}"]'])
    with pytest.raises(PromptError, match="film"):
        mlmref.run(bad.model_copy(update={"corpus": config.corpus}))


RUSSIAN = ["отличный фильм и игра", "мы любим эту историю"]
CHINESE = ["这部电影非常好看", "我们都喜欢这个故事"]
LETTERS = sorted({letter for text in [*RUSSIAN, *CHINESE] for letter in text if letter != " "})
LATIN = pre_tokenizers.Split(Regex("[a-z]+"), "isolated")


@pytest.mark.clause("TOK-007")
@pytest.mark.parametrize(
    ("chosen", "texts", "told"),
    [
        (bpe(LETTERS, pre_tokenizers.Whitespace()), RUSSIAN, True),
        (bpe(LETTERS, pre_tokenizers.Whitespace()), CHINESE, True),
        (bpe(LETTERS, pre_tokenizers.BertPreTokenizer()), RUSSIAN, True),
        (bpe([*LETTERS, " "]), RUSSIAN, False),
        (bpe([*LETTERS, " "], LATIN), RUSSIAN, False),
        (bpe([*LETTERS, " "], LATIN), CHINESE, False),
        (bpe([*"abcdefg ", " "], LATIN), ["a bad cab", "be a cafe"], True),
        (bpe([*"abc0123 "], pre_tokenizers.Digits()), ["a bc 12 cab bb a", "cab a c"], False),
        (bpe([*"abc,"], pre_tokenizers.CharDelimiterSplit(",")), ["ab,c,a", "a,b"], True),
        (bpe([*"abc, "], pre_tokenizers.CharDelimiterSplit(",")), ["a b c,c a b"], False),
        (
            bpe([*LETTERS, "|"], pre_tokenizers.CharDelimiterSplit("|"),
                normalizers.Replace(" ", "|")),
            RUSSIAN, True,
        ),
        (bpe(LETTERS, pre_tokenizers.Punctuation()), CHINESE, False),
        (word_level(), ["AC GT", "AA"], True),
    ],
)  # fmt: skip
def test_words_are_looked_for_in_the_corpus(chosen, texts, told):
    """By the places where the pre-tokenizer divides the documents, whatever the vocabulary."""
    assert tokenize(corpus_of(texts), chosen).has_words is told


@pytest.mark.clause("TOK-007")
@pytest.mark.parametrize("added", ["ab", "film", " ", "▁x▁y"])
def test_an_added_token_makes_no_words(added):
    """A tokenizer without words has none with an added token, and one with words keeps them."""
    for family, told in (("wordless", False), ("wordpiece", True), ("unigram-unsplit", True)):
        backend = Tokenizer.from_str(tokenizer(family).backend_tokenizer.to_str())
        backend.add_tokens([AddedToken(added, normalized=False)])
        chosen = PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL)
        assert tokenize(corpus_of(["ab cd film", "it is a film"]), chosen).has_words is told


@pytest.mark.clause("TOK-007")
def test_words_of_a_corpus_without_unknown_token_are_its_words():
    """Each Russian word is one, with its letters as pieces."""
    chosen = bpe(LETTERS, pre_tokenizers.Whitespace())
    [(ids, starts)] = rows_of(tokenize(corpus_of([RUSSIAN[0]]), chosen))
    lengths = np.diff(np.flatnonzero([*starts, True]))
    assert lengths.tolist() == [len(word) for word in RUSSIAN[0].split()]
    assert len(ids) == sum(lengths)


@pytest.mark.clause("BACK-034")
@pytest.mark.clause("TOK-025")
def test_a_run_records_null_for_a_step_without_targets(tmp_path):
    """Record and metrics hold null, the report leaves the point out, and the run ends well."""
    tokens = tokenizer("wordpiece")
    text = ("a film and the story\n" + "\u200b\n") * 60
    sets = ["training.max_steps=4", "training.batch_size=1", "masking.options.mlm_probability=0.05",
            "evaluation.resamples=100"]  # fmt: skip
    made = mlmref.run(settings(tmp_path, tokens, text, *sets))
    losses = [one["loss"] for one in made.record["loss"]]
    written = json.loads((made.folder / "record.json").read_text())
    assert [one["loss"] for one in written["loss"]] == losses
    assert None in losses
    assert all(loss is None or loss > 1 for loss in losses)
    events = [json.loads(line) for line in (made.folder / "metrics.jsonl").open()]
    steps = [event for event in events if event["event"] == "step"]
    assert [(one["loss"], one["targets"] > 0) for one in steps] == [
        (loss, loss is not None) for loss in losses
    ]
    assert "NaN" not in (made.folder / "report.html").read_text("utf-8")
    assert made._repr_html_()


@pytest.mark.clause("TOK-026")
def test_a_run_warns_of_lost_characters(tmp_path):
    """Half of a genome in lower case is gone, and the run says how much."""
    genes = bpe([*"ACGT"], pre_tokenizers.WhitespaceSplit())
    config = settings(tmp_path, genes, "ACGT acgt\nAACC ggtt\n" * 60)
    heard = []
    reporter = Silent()
    reporter.warn = heard.append
    tokens = PreTrainedTokenizerFast.from_pretrained(tmp_path / "model")
    with fresh_cache():
        prepare_text(RunContext.of(config, reporter=reporter), tokens, 32)
    assert heard == [
        f"480 of 960 characters (50.00%) are in no token of {tmp_path / 'model'}: "
        "mlmref inspect shows which"
    ]
