"""A model is tried before the work begins, and a lack of memory names a setting (spec/model.md)."""

import math

import pytest
import torch
from support.models import FAMILIES, VARIANTS, sweep, tiny_model, variant
from support.runs import save_corpus, save_model
from support.tokenizers import tokenizer

from mlmref import run
from mlmref.base.errors import ConfigError, MlmrefError, ModelError, in_a_line, memory_for
from mlmref.evaluation.fill_mask import fill
from mlmref.model.load import LoadedModel
from mlmref.model.loss import MaskedLMObjective
from mlmref.model.max_length import max_length
from mlmref.model.trial import try_model
from mlmref.runner.loop import _less_memory
from mlmref.settings.config import Config
from mlmref.settings.resolve import resolve

AXIAL = {
    "axial_pos_embds": True,
    "axial_pos_shape": [4, 8],
    "axial_pos_embds_dim": [16, 16],
    "max_position_embeddings": 32,
}


def loaded(model, most=32):
    """Return a model as it is loaded."""
    words = tokenizer("wordpiece")
    return LoadedModel(
        model=model.eval(), tokenizer=words, name="m", revision=None, digest="", max_length=most
    )


def tried(model, size, *, train=True, most=32):
    """Try a model at a chunk size; returns the warnings."""
    config, warnings = Config(model={"name": "m"}, chunks={"size": size}), []
    objective = try_model(config, loaded(model, most), warnings.append, train=train)
    assert isinstance(objective, MaskedLMObjective)
    assert objective.repeatable is not bool(warnings)
    return warnings


@pytest.mark.clause("MODEL-013")
@pytest.mark.clause("MODEL-014")
@pytest.mark.parametrize("family", sweep(*FAMILIES, *VARIANTS))
def test_each_family_passes_the_trial_at_its_limit(family):
    """At the longest chunks that it reads; Reformer's training is reported as not repeatable."""
    model = variant(family)
    words = tokenizer("wordpiece")
    most = max_length(model, words)
    assert tried(model, most, most=most) == (
        [
            "m: its layers seed torch's random numbers themselves during training, so two runs "
            "with the same configuration and seed can differ"
        ]
        if family.startswith("reformer")
        else []
    )


@pytest.mark.clause("MODEL-013")
def test_a_length_that_only_training_refuses_is_refused_at_once():
    """Axial positions train at their product alone, and evaluate at any length up to it."""
    model = tiny_model("reformer", **AXIAL)
    with pytest.raises(ModelError) as caught:
        tried(model, 24)
    assert str(caught.value).startswith(
        "m: the model fails on chunks of 24 tokens (ValueError: If training, make sure that "
        "config.axial_pos_shape factors: (4, 8) multiply to sequence length"
    )
    assert str(caught.value).endswith("; use --chunk-size 32")
    assert tried(model, 32)
    assert tried(model, 24, train=False) == []


@pytest.mark.clause("MODEL-013")
def test_a_model_that_cannot_read_short_rows_is_tried_at_the_chunk_size():
    """Nyströmformer with 16 landmarks reads rows of 32 tokens, and the trial names that size."""
    model = tiny_model(
        "nystromformer", segment_means_seq_len=32, num_landmarks=16, max_position_embeddings=32
    )
    assert tried(model, 32) == []
    with pytest.raises(ModelError, match=r"m: the model fails on chunks of 30 .*--chunk-size 32$"):
        tried(model, 30)


@pytest.mark.clause("MODEL-013")
def test_a_prompt_that_the_model_cannot_read_says_its_length():
    """Nyströmformer with 16 landmarks reads 32 tokens, and no short prompt."""
    words = tokenizer("wordpiece")
    sizes = {"segment_means_seq_len": 32, "num_landmarks": 16, "max_position_embeddings": 32}
    model = tiny_model("nystromformer", vocab_size=len(words), **sizes)
    with pytest.raises(ModelError) as caught:
        fill(model, words, ["{mask}"])
    assert str(caught.value).startswith("the model fails on a prompt of 3 tokens (RuntimeError: ")
    assert str(caught.value).endswith("; use a prompt of another length, or another model")
    assert fill(model, words, ["{mask}" + "!" * 29])


@pytest.mark.clause("MODEL-013")
@pytest.mark.parametrize("train", [True, False])
def test_a_model_without_a_language_says_which_setting_it_needs(train):
    """X-MOD names its languages, in a run, an evaluation and a prompt; with one it is tried."""
    model = tiny_model("xmod", languages=["en", "de"], default_language=None)
    ends = "; set default_language in its config.json, to one of en, de"
    with pytest.raises(ModelError) as caught:
        tried(model, 16, train=train)
    assert str(caught.value).startswith("m: the model fails on chunks of 16 tokens (ValueError: ")
    assert str(caught.value).endswith(ends)
    with pytest.raises(ModelError) as caught:
        fill(model, tokenizer("wordpiece"), ["{mask}"])
    assert "the model fails on a prompt of 3 tokens (ValueError: " in str(caught.value)
    assert str(caught.value).endswith(ends)
    model.set_default_language("de")
    assert tried(model, 16, train=train) == []


@pytest.mark.clause("MODEL-013")
def test_a_model_that_never_works_says_so():
    """A layer that raises at every length, in the backward pass alone."""
    model = tiny_model("bert")

    class Fails(torch.autograd.Function):
        """The identity, without a derivative."""

        @staticmethod
        def forward(_context, hidden):
            """Return what is given."""
            return hidden.clone()

        @staticmethod
        def backward(_context, _gradient):
            """Raise."""
            raise NotImplementedError

    model.bert.embeddings.register_forward_hook(lambda _m, _i, output: Fails.apply(output))
    with pytest.raises(ModelError) as caught:
        tried(model, 16)
    assert str(caught.value) == (
        "m: the model fails on chunks of 16 tokens (NotImplementedError); choose another model"
    )
    assert tried(model, 16, train=False) == []


@pytest.mark.clause("MODEL-013")
@pytest.mark.clause("CHUNK-008")
def test_chunks_that_are_too_long_are_refused_before_the_trial():
    """With the limit, and without a forward pass."""
    model = tiny_model("bert")
    model.register_forward_hook(lambda *_: pytest.fail("not reached"))
    with pytest.raises(ConfigError, match="use --chunk-size 32 or less"):
        tried(model, 33)


@pytest.mark.clause("MODEL-013")
@pytest.mark.clause("MODEL-004")
def test_perceiver_is_refused_in_one_line():
    """It answers as many places as it has positions, whatever it reads."""
    with pytest.raises(ModelError, match=r"answers \[2, 16\] tokens with \[2, 64\] places"):
        tried(tiny_model("perceiver"), 16)


LACKS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
]


@pytest.mark.clause("MODEL-015")
@pytest.mark.parametrize("lack", LACKS, ids=lambda one: str(one)[:30] or "MemoryError")
def test_a_lack_of_memory_names_the_setting(lack):
    """Python's, a GPU's and a CPU's; in the trial, in a prompt, and wherever it is not known."""
    model = tiny_model("bert", vocab_size=len(tokenizer("wordpiece")))

    def fails(*_):
        raise lack

    model.register_forward_hook(fails)
    with pytest.raises(MlmrefError) as caught:
        tried(model, 16)
    assert str(caught.value) == "m: out of memory; use a smaller --chunk-size, or a smaller model"
    with pytest.raises(MlmrefError) as caught:
        fill(model, tokenizer("wordpiece"), ["{mask}"])
    assert str(caught.value) == (
        "out of memory on a prompt of 3 tokens; use a shorter prompt, or a smaller model"
    )
    assert in_a_line(lack) == (
        "out of memory; use a smaller model, or a part of the corpus (--limit)",
        2,
    )


@pytest.mark.clause("MODEL-015")
@pytest.mark.parametrize("lack", LACKS[1:3], ids=["gpu", "cpu"])
def test_a_training_that_runs_out_of_memory_names_its_flags(tmp_path, monkeypatch, lack):
    """A step of the run, and not the trial: not the backend's author is to be told."""
    forward = MaskedLMObjective.forward

    def fails(self, *arguments, weight, **options):
        if weight != 1.0:  # which is the trial's
            raise lack
        return forward(self, *arguments, weight=weight, **options)

    monkeypatch.setattr(MaskedLMObjective, "forward", fails)
    sets = [
        f"model.name={save_model(tmp_path / 'model')}",
        f"corpus.name={save_corpus(tmp_path / 'corpus.txt')}",
        f"output.folder={tmp_path / 'out'}",
        "chunks.size=16",
        "training.batch_size=8",
    ]
    with pytest.raises(MlmrefError) as caught:
        run(resolve(sets=sets))
    assert str(caught.value) == "training: out of memory; use --batch-size 4 --accumulation 2"


@pytest.mark.clause("MODEL-015")
@pytest.mark.parametrize(
    ("size", "accumulation", "hint"),
    [
        (64, 1, "use --batch-size 32 --accumulation 2"),
        (6, 2, "use --batch-size 3 --accumulation 4"),
        (9, 1, "use --batch-size 3 --accumulation 3"),
        (1, 4, "use a smaller --chunk-size, or a smaller model"),
    ],
)
def test_a_training_step_is_halved(size, accumulation, hint):
    """Half the batch and twice the accumulation, or a divisor: the same step, unless it is 1."""
    training = Config(training={"batch_size": size, "accumulation": accumulation}).training
    assert _less_memory(training) == hint


@pytest.mark.clause("MODEL-015")
def test_other_errors_pass():
    """An error of another kind stays as it is."""
    with pytest.raises(RuntimeError, match="out of order"), memory_for("use less"):
        raise RuntimeError("out of order")


@pytest.mark.clause("MODEL-018")
@pytest.mark.parametrize(
    ("family", "batch_size", "expected"),
    [
        # 12 bytes for each logit: 0.15 x 2**20 x 64 targets by 64 tokens, or all positions.
        ("mobilebert", 2**20 * 2, 12 * 64 * math.ceil(0.15 * 2**20 * 64)),
        ("mobilebert", 2**16, None),
        ("xlm", 2**20, None),
        ("bert", 2**20 * 2, None),
    ],
)
def test_a_step_with_many_logits_is_reported(family, batch_size, expected):
    """In GB, and only if the head cannot be computed in blocks."""
    config = Config(model={"name": "m"}, chunks={"size": 32}, training={"batch_size": batch_size})
    warnings = []
    try_model(config, loaded(tiny_model(family), 32), warnings.append, train=True)
    if expected is None:
        assert warnings == []
    else:
        (warning,) = warnings
        assert f"needs about {expected / 1e9:.0f} GB for logits" in warning
        assert "--batch-size" in warning
