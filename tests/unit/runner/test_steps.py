"""The steps of a run as functions (spec/python.md)."""

import doctest
import inspect
import sys

import numpy as np
import pytest
from support.processes import run
from support.runs import save_model
from support.tokenizers import tokenizer as small_tokenizer

import mlmref
from mlmref.base.errors import ConfigError, MlmrefError
from mlmref.plugin.batches import MaskedRows, Plan
from mlmref.plugin.contracts import StrategyEntry
from mlmref.settings.resolve import resolve

FUNCTIONS = [name for name in sorted(mlmref._HOMES) if inspect.isfunction(getattr(mlmref, name))]
REVIEWS = [f"A great film about the sea, number {n}." for n in range(400)]


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    """Write the file that the examples read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.txt").write_text("\n".join(REVIEWS), "utf-8")


@pytest.mark.clause("API-004")
def test_importing_mlmref_imports_no_large_library():
    """Its names are listed without importing NumPy, pydantic, torch, Transformers or datasets."""
    code = (
        "import sys, mlmref; dir(mlmref); "
        "print([one for one in ('numpy', 'pydantic', 'torch', 'transformers', 'datasets', "
        "'pyarrow', 'scipy') if one in sys.modules])"
    )
    done = run([sys.executable, "-c", code])
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.mark.clause("API-008")
@pytest.mark.parametrize("name", ["GroupTexts", *FUNCTIONS])
def test_the_examples_of_the_docstrings_run(name, reviews):
    """Each function has an example that prints what its docstring shows, without a network."""
    text, wrong = inspect.getdoc(getattr(mlmref, name)), []
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert test.examples
    doctest.DocTestRunner(verbose=False).run(test, out=wrong.append)
    assert not wrong, "".join(wrong)


@pytest.mark.clause("API-005")
@pytest.mark.clause("API-006")
@pytest.mark.parametrize("strategy", ["token", "whole-word"])
def test_the_steps_give_what_a_run_gives(strategy, reviews):
    """Chunks, split, masks of training and evaluation, and the perplexity of the held-out part."""
    from mlmref.model.load import load_tokenizer
    from mlmref.plugin.draws import EVALUATION_PASS
    from mlmref.runner.context import RunContext
    from mlmref.runner.text import masker_for, prepare_text

    given = {"corpus": "reviews.txt", "masking": strategy, "chunk_size": 16, "test_size": 30}
    config = resolve(
        {
            "corpus": {"name": "reviews.txt"},
            "masking": {"strategy": strategy},
            "chunks": {"size": 16},
            "split": {"test_size": 30},
        }
    )
    context = RunContext.of(config)
    text = prepare_text(context, *load_tokenizer(config.model))
    masker = masker_for(context, text)

    corpus = mlmref.load_corpus("reviews.txt")
    tokens = mlmref.tokenize(corpus, mlmref.load_tokenizer())
    chunks = mlmref.chunk(tokens, 16)
    parts = mlmref.split(chunks, test_size=30)
    assert corpus.fingerprint == text.corpus.fingerprint
    assert np.array_equal(parts.train.ids, text.split.train.ids)
    assert np.array_equal(parts.test.ids, text.split.test.ids)
    for epoch, pass_ in ((0, 0), (3, 3), (None, EVALUATION_PASS)):
        mine = mlmref.mask(parts.train, strategy, epoch=epoch)
        theirs = masker(text.split.train.gather(np.arange(len(text.split.train))), pass_)
        assert np.array_equal(mine.input_ids, theirs.input_ids)
        assert np.array_equal(mine.labels, theirs.labels)
    measured = mlmref.perplexity(mlmref.load_model(), mlmref.load_tokenizer(), parts.test, strategy)
    answer = mlmref.evaluate(**given)["perplexity"]
    for key in ("value", "low", "high", "nll", "targets", "accuracy"):
        assert getattr(measured, key) == answer[key], key


@pytest.mark.clause("API-005")
def test_a_strategy_of_ones_own_needs_no_package(reviews):
    """An entry is masked with, and measured with, without being installed."""

    class First:
        def propose(self, batch, draws):
            targets = ~batch.special
            targets[:, 4:] = False
            return Plan(targets=targets)

    entry = StrategyEntry(name="first", summary="the first tokens", build=lambda _: First())
    chunks = mlmref.chunk(mlmref.tokenize("reviews.txt"), 12)
    rows = mlmref.mask(chunks[:3], entry, corruption="100/0/0")
    assert mlmref.decode(rows, "embedded")[0].startswith("[CLS] [MASK] [MASK] [MASK] about")
    found = mlmref.perplexity(mlmref.load_model(), "embedded", chunks[:3], entry)
    assert found.targets == np.count_nonzero(rows.labels >= 0)


@pytest.mark.clause("API-005")
def test_rows_are_decoded_without_padding():
    """Chunks, rows and masked rows give a text each, the last one shorter."""
    chunks = mlmref.chunk(mlmref.tokenize(["A great film."]), 4, remainder="pad")
    expected = ["[CLS] a great film", ". [SEP]"]
    assert mlmref.decode(chunks, "embedded") == expected
    assert mlmref.decode(chunks.gather(np.arange(2)), "embedded") == expected
    rows = mlmref.mask(chunks, mlm_probability=1.0, corruption="100/0/0")
    assert mlmref.decode(rows, "embedded") == ["[CLS] [MASK] [MASK] [MASK]", "[MASK] [SEP]"]


@pytest.mark.clause("API-007")
def test_objects_are_shown_in_one_line(reviews):
    """What each station gives, as a notebook shows it."""
    corpus = mlmref.load_corpus("reviews.txt")
    tokens = mlmref.tokenize(corpus)
    chunks = mlmref.chunk(tokens, 12)
    parts = mlmref.split(chunks, test_size=3)
    rows = mlmref.mask(chunks)
    shown = [
        repr(corpus),
        repr(mlmref.load_corpus(["a", "", "b"])),
        repr(tokens),
        repr(chunks),
        repr(parts),
        repr(chunks.gather(np.arange(2))),
    ]
    assert shown == [
        "Corpus(400 documents from reviews.txt)",
        "Corpus(2 documents from texts in memory, 1 empty ones skipped)",
        "Tokens(4,839 tokens in 400 documents)",
        "Chunks(403 of 12 tokens, from 400 documents)",
        "Split(400 chunks to train on, 3 held out)",
        "ChunkRows(2 rows of 12 tokens)",
    ]
    assert isinstance(rows, MaskedRows)
    assert repr(rows).startswith("MaskedRows(403 rows of 12 tokens, ")


@pytest.mark.clause("API-007")
def test_a_result_and_an_evaluation_are_shown_in_one_line(tmp_path):
    """Their verdict, also if a perplexity is infinite or unknown; no record and no array."""
    from mlmref.evaluation.intervals import Documents
    from mlmref.evaluation.perplexity import Evaluation

    figures = {"before": {"value": 92.7}, "after": {"value": 49.501}}
    result = mlmref.Result(folder=tmp_path / "a", record={"perplexity": figures})
    place = str(tmp_path / "a")
    assert repr(result) == f"Result({place!r}, perplexity 92.70 before and 49.50 after)"
    figures |= {"before": {"value": "Infinity"}, "after": {"value": None}}
    assert repr(result) == f"Result({place!r}, perplexity infinite before and unknown after)"
    one = np.ones(3)
    documents = Documents(numbers=np.arange(3), nll=one, targets=one)
    evaluation = Evaluation(chunk_nll=one, chunk_targets=one, documents=documents, correct=1)
    assert repr(evaluation) == "Evaluation(perplexity 2.72 of 3 targets in 3 chunks of 3 documents)"


@pytest.mark.clause("API-003")
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: mlmref.load_corpus("a.txt", limits=3), "no argument 'limits'; did you mean limit"),
        (lambda: mlmref.load_corpus(["a"], limit=3), "limit would be ignored for texts in memory"),
        (lambda: mlmref.load_corpus(3), "mlmref.load_corpus: int is no corpus"),
        (lambda: mlmref.tokenize(["a"], 3), "tokenizer: int is not a tokenizer of Transformers"),
        (lambda: mlmref.tokenize(["a"], segmenter="tokeniser"), "did you mean tokenizer?"),
        (lambda: mlmref.chunk(mlmref.tokenize(["a"]), 1), "mlmref.chunk: chunks.size = 1: "),
        (lambda: mlmref.load_model("embedded", dropout=2), "argument dropout: model.dropout = 2"),
        (lambda: mlmref.load_model("embeded"), "embeded"),
        (lambda: mlmref.load_tokenizer("embedded", dropout=0.1), "no argument 'dropout'"),
        (lambda: mlmref.fill_mask("x", "embedded", "[MASK]"), "mlmref.load_model('x')"),
        (lambda: mlmref.fill_mask(3, "embedded", "[MASK]"), "int is not a model of Transformers"),
        (lambda: mlmref.mask(chunks(), "tokn"), "did you mean token?"),
        (lambda: mlmref.mask(chunks(), probability=1), "unknown key 'masking.options.probability'"),
        (lambda: mlmref.mask(chunks(), epoch=-1), "mlmref.mask: no epoch -1; count from 0"),
        (lambda: mlmref.mask(chunks(), corruption="80"), "give percentages as MASK/RANDOM/KEEP"),
        (lambda: mlmref.split(chunks(), test_size=9), "leave none of the 1 chunks"),
        (lambda: measured("one text"), "one text where several are needed"),
        (lambda: measured(chunks(), chunk_size=4, batch_size=0), "batch_size = 0"),
        (lambda: measured(["a"], chunk_size=1_000), "too long for a model that takes 512"),
    ],
)
def test_a_wrong_argument_is_one_line(call, said):
    """It says what is wrong and what to do, as the command line does."""
    with pytest.raises(MlmrefError) as error:
        call()
    assert said in str(error.value)


def chunks():
    """Return one chunk of six tokens."""
    return mlmref.chunk(mlmref.tokenize(["A great film."]), 6)


def measured(texts, **arguments):
    """Return the perplexity of the embedded checkpoint."""
    return mlmref.perplexity(mlmref.load_model(), "embedded", texts, **arguments)


@pytest.mark.clause("API-011")
def test_texts_a_corpus_a_dataset_and_chunks_are_measured_alike():
    """The same chunks give the same figures; only the interval knows the documents."""
    from datasets import Dataset

    texts = REVIEWS[:80]
    expected = measured(texts, chunk_size=32, batch_size=64)
    found = [
        measured(mlmref.load_corpus(texts), chunk_size=32, batch_size=3),
        measured(Dataset.from_dict({"text": texts}), chunk_size=32),
    ]
    pieces = mlmref.chunk(mlmref.tokenize(texts), 32, remainder="pad")
    found += [measured(pieces), measured(pieces.to_dataset())]
    for one in found:
        assert one.targets == expected.targets
        assert one.value == pytest.approx(expected.value, rel=1e-6)
    for one in found[:3]:
        assert (one.low, one.high) == pytest.approx((expected.low, expected.high), rel=1e-6)
    assert expected.low < expected.value < expected.high


@pytest.mark.clause("API-011")
def test_a_loop_over_single_targets_gives_the_same_perplexity():
    """The figure is the exponential of the summed losses over the targets, counted by hand."""
    import torch
    from torch.nn.functional import cross_entropy

    model, total, count = mlmref.load_model(), 0.0, 0
    pieces = mlmref.chunk(mlmref.tokenize(REVIEWS[:40]), 24)
    rows = mlmref.mask(pieces, "whole-word", epoch=None)
    with torch.no_grad():
        for ids, labels in zip(rows.input_ids, rows.labels, strict=True):
            logits = model(input_ids=torch.tensor(ids[None]).long()).logits[0]
            for at in np.flatnonzero(labels >= 0):
                total += float(cross_entropy(logits[at], torch.tensor(int(labels[at]))))
                count += 1
    found = mlmref.perplexity(model, "embedded", pieces, "whole-word")
    assert found.targets == count
    assert found.value == pytest.approx(np.exp(total / count), rel=1e-5)


@pytest.mark.clause("API-012")
def test_measuring_changes_neither_the_model_nor_the_generators():
    """A model in training mode with dropout stays in it; no generator moves, no data changes."""
    import random

    import torch

    model = mlmref.load_model(dropout=0.5).train()
    before = {key: one.clone() for key, one in model.state_dict().items()}
    settings = model.config.to_dict()
    states = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())  # noqa: NPY002
    dataset = mlmref.chunk(mlmref.tokenize(REVIEWS[:40]), 24).to_dataset()
    rows = dataset[:]
    first = mlmref.perplexity(model, "embedded", dataset)
    mlmref.fill_mask(model, mlmref.load_tokenizer(), "a [MASK].")
    assert mlmref.perplexity(model, "embedded", dataset) == first
    assert all(one.training for one in model.modules())
    assert all(torch.equal(before[key], one) for key, one in model.state_dict().items())
    assert model.config.to_dict() == settings
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])  # noqa: NPY002
    assert dataset[:] == rows


@pytest.mark.clause("API-011")
def test_another_checkpoint_is_measured_with_chunks_that_it_can_read(tmp_path):
    """A model of 40 positions gets chunks of at most its length; another tokenizer is refused."""
    model = mlmref.load_model(save_model(tmp_path / "small"))
    found = mlmref.perplexity(model, small_tokenizer("wordpiece"), REVIEWS[:20])
    assert found.chunks > 1
    assert found.targets > 0
    with pytest.raises(MlmrefError, match="the tokenizer has 30,522 tokens"):
        mlmref.perplexity(model, "embedded", REVIEWS[:20])


@pytest.mark.clause("API-003")
def test_words_that_are_needed_and_missing_are_named(tmp_path):
    """A strategy that needs words refuses a tokenizer without them."""
    tokens = mlmref.tokenize(REVIEWS[:20], small_tokenizer("wordless"))
    with pytest.raises(MlmrefError, match="its tokenizer finds no words"):
        mlmref.mask(mlmref.chunk(tokens, 8), "whole-word")
    with pytest.raises(ConfigError):
        mlmref.chunk(tokens, 8, remainder="keep")
