"""Loading a model and its tokenizer (spec/model.md)."""

import copy
import hashlib
import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.models import FAMILIES, VARIANTS, sweep, tiny_model, variant
from support.runs import save_model
from support.tokenizers import tokenizer
from transformers import AutoModelForMaskedLM, AutoTokenizer, RobertaForMaskedLM

from mlmref.base.errors import ModelError
from mlmref.model.checks import check_tokenizer
from mlmref.model.embedded import embedded_checkpoint
from mlmref.model.load import load_model, load_tokenizer
from mlmref.model.max_length import max_length
from mlmref.settings.config import ModelConfig


@pytest.mark.clause("MODEL-001")
@pytest.mark.clause("MODEL-005")
@pytest.mark.clause("MODEL-008")
def test_the_embedded_checkpoint_is_the_default_and_loads(monkeypatch):
    """4,416,698 parameters in float32, 30,522 tokens, and the hash of its file."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded = load_model(ModelConfig())
    assert sum(one.numel() for one in loaded.model.parameters()) == 4_416_698
    assert {one.dtype for one in loaded.model.parameters()} == {torch.float32}
    assert not loaded.model.training
    assert len(loaded.tokenizer) == 30_522
    assert loaded.max_length == 512
    weights = (embedded_checkpoint() / "model.safetensors").read_bytes()
    assert loaded.digest == hashlib.sha256(weights).hexdigest()
    assert str(loaded) == f"embedded (sha256 {loaded.digest[:12]})"
    assert loaded.revision is None


@pytest.mark.clause("MODEL-001")
def test_the_embedded_checkpoint_is_an_ordinary_one():
    """Transformers alone loads it, with no weight missing; it is stored in float16."""
    model, info = AutoModelForMaskedLM.from_pretrained(
        embedded_checkpoint(), output_loading_info=True
    )
    assert not info["missing_keys"]
    assert model.dtype == torch.float16
    assert AutoTokenizer.from_pretrained(embedded_checkpoint()).mask_token == "[MASK]"  # noqa: S105 - a token of text


@pytest.mark.clause("MODEL-002")
def test_a_pickle_is_never_opened(tmp_path):
    """Weights that would run code when unpickled are refused, and the code does not run."""
    folder = save_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    witness = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return (witness.touch, ())

    torch.save({"bert.weight": Bomb()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_model(ModelConfig(name=str(folder)))
    assert not witness.exists()


@pytest.fixture
def coded(tmp_path):
    """Make a model whose architecture is in a file beside its weights."""
    folder = save_model(tmp_path / "coded")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own-bert",
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForMaskedLM": "own.OwnModel"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(
        "from pathlib import Path\n"
        "from transformers import BertConfig, BertForMaskedLM\n"
        f"Path({str(tmp_path / 'ran')!r}).touch()\n"
        "class OwnConfig(BertConfig):\n    model_type = 'own-bert'\n"
        "class OwnModel(BertForMaskedLM):\n    config_class = OwnConfig\n"
    )
    return folder


@pytest.mark.clause("MODEL-003")
def test_code_beside_a_model_runs_only_when_allowed(coded, tmp_path, monkeypatch):
    """Refused with the flag that allows it; allowed, it loads."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    with pytest.raises(ModelError, match="not run unasked; .*--trust-remote-code"):
        load_model(ModelConfig(name=str(coded)))
    assert not (tmp_path / "ran").exists()
    loaded = load_model(ModelConfig(name=str(coded), trust_remote_code=True))
    assert (tmp_path / "ran").exists()
    assert type(loaded.model).__name__ == "OwnModel"


@pytest.mark.clause("MODEL-017")
@pytest.mark.parametrize("name", ["embedded", str(embedded_checkpoint())])
def test_a_revision_of_a_local_model_is_refused(name):
    """Both by the loader of models and by that of tokenizers."""
    for load in (load_model, load_tokenizer):
        with pytest.raises(ModelError) as raised:
            load(ModelConfig(name=name, revision="main"))
        assert str(raised.value) == (
            f"{name}: the revision 'main' would be ignored: the model is not on the hub; "
            "omit --revision"
        )


@pytest.mark.clause("MODEL-006")
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_a_dropout_rate_sets_every_dropout(rate):
    """Modules and configuration carry the rate; with 0 two training forwards are alike."""
    loaded = load_model(ModelConfig(dropout=rate))
    config = loaded.model.config
    assert config.hidden_dropout_prob == config.attention_probs_dropout_prob == rate
    rates = {one.p for one in loaded.model.modules() if isinstance(one, torch.nn.Dropout)}
    assert rates == {rate}
    tokens = torch.arange(1000, 1016)[None]
    with torch.no_grad():
        first, again = (loaded.model.train()(input_ids=tokens).logits for _ in range(2))
    assert torch.equal(first, again) is (rate == 0.0)


@pytest.mark.clause("MODEL-006")
def test_without_a_rate_the_checkpoints_stay():
    """'checkpoint' keeps what the configuration says."""
    assert load_model(ModelConfig()).model.config.hidden_dropout_prob == 0.1


@pytest.mark.clause("MODEL-007")
def test_the_maximum_is_the_smaller_of_tokenizer_and_positions(tmp_path):
    """BERT numbers all its rows, RoBERTa two fewer with padding at 1; a tokenizer may say less."""
    words = tokenizer("wordpiece")
    assert words.model_max_length == 32
    assert max_length(tiny_model("bert", max_position_embeddings=20), words) == 20
    assert max_length(tiny_model("bert", max_position_embeddings=64), words) == 32
    roberta = tiny_model("roberta", max_position_embeddings=20, pad_token_id=1)
    assert max_length(roberta, words) == 18
    saved = save_model(tmp_path / "r", "byte-bpe", RobertaForMaskedLM, pad_token_id=1)
    assert load_model(ModelConfig(name=str(saved))).max_length == 32
    roformer = tiny_model("roformer", max_position_embeddings=20)
    assert max_length(roformer, words) == 20
    assert max_length(tiny_model("bart", max_position_embeddings=20), words) == 20
    # The limit is the model's own: one token more and its forward fails.
    roberta(input_ids=torch.full((1, 18), 5))
    with pytest.raises((IndexError, RuntimeError)):
        roberta(input_ids=torch.full((1, 19), 5))


# Of 32 position embeddings, RoBERTa and its kin number those behind the padding's, which is 1.
BEHIND_PADDING = {
    *("camembert", "data2vec-text", "esm-absolute", "ibert", "ibert-quantized", "longformer"),
    *("luke", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
}
# Their positions are relative or rotary, so a longer row is read too; TAPAS counts within a cell.
READ_LONGER = {
    *("esm", "esmc", "eurobert", "eurobert-dynamic", "funnel", "gte", "jina_embeddings_v3"),
    *("modernbert", "modernvbert", "neomme", "nomic_bert", "tapas", "ultrabert", "ultravbert"),
}


@pytest.mark.clause("MODEL-007")
@pytest.mark.parametrize("family", sweep(*FAMILIES, *VARIANTS))
def test_the_limit_of_each_family_is_the_longest_row_that_it_reads(family):
    """At the limit its forward pass works; one token more fails, or is more than it states."""
    model = variant(family, max_position_embeddings=32).eval()
    words = copy.deepcopy(tokenizer("wordpiece"))
    words.model_max_length = int(1e30)
    most = max_length(model, words)
    assert most == (30 if family in BEHIND_PADDING else 32)
    ids = torch.full((1, most + 1), 5)
    with torch.no_grad():
        model(input_ids=ids[:, 1:])
        if family in READ_LONGER:
            model(input_ids=ids)
        else:
            with pytest.raises((IndexError, RuntimeError, ValueError)):
                model(input_ids=ids)


@pytest.mark.clause("MODEL-007")
def test_a_million_tokens_are_no_limit():
    """A limit below counts, of the tokenizer or the model; a million stands for none at all."""
    words, funnel = copy.deepcopy(tokenizer("wordpiece")), tiny_model("funnel")
    for stated, limit in [(999_999, 999_999), (10**6, 10**6), (int(1e30), 10**6), (1e30, 10**6)]:
        words.model_max_length = stated
        assert max_length(funnel, words) == limit
        assert max_length(tiny_model("bert", max_position_embeddings=20), words) == 20
    axial = {"axial_pos_embds": True, "axial_pos_shape": [4, 8], "axial_pos_embds_dim": [16, 16]}
    assert max_length(tiny_model("reformer", max_position_embeddings=32, **axial), words) == 32


@pytest.mark.clause("MODEL-004")
def test_an_embedding_of_another_kind_counts_its_rows(tmp_path):
    """I-BERT's can be quantized, and has rows for fewer tokens than the tokenizer has here."""
    model = tiny_model("ibert", vocab_size=9)
    with pytest.raises(ModelError, match="tokens and the model 9 rows for them"):
        check_tokenizer("m", model, tokenizer("wordpiece"))
    check_tokenizer("m", tiny_model("ibert", vocab_size=1_000), tokenizer("wordpiece"))
    check_tokenizer("m", tiny_model("perceiver", vocab_size=1_000), tokenizer("wordpiece"))


@pytest.mark.clause("MODEL-008")
def test_other_weights_have_another_hash(tmp_path):
    """The hash is of the weights."""
    first = load_model(ModelConfig(name=str(save_model(tmp_path / "a"))))
    other = load_model(ModelConfig(name=str(save_model(tmp_path / "b", hidden_size=16))))
    assert first.digest != other.digest


@pytest.mark.clause("MODEL-009")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("key", ["cls.predictions.bias", "bert.embeddings.LayerNorm.weight"])
def test_a_weight_that_is_no_number_is_named(tmp_path, value, key):
    """One value of one tensor, at any place of the model, is told at once with its name."""
    folder = save_model(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights[key][3] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError) as caught:
        load_model(ModelConfig(name=str(folder)))
    what = "NaN" if math.isnan(value) else "infinity"
    assert str(caught.value) == (
        f"{folder}: its weights are damaged: there is {what} in {key}; "
        "get the model again, or an earlier checkpoint of its training"
    )


@pytest.mark.clause("MODEL-010")
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_file_that_holds_no_json_object_is_named(tmp_path, content, file):
    """Empty, cut short, of another kind, binary, or nested without end."""
    folder = save_model(tmp_path / "model")
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_model(ModelConfig(name=str(folder)))
    assert str(caught.value) == (
        f"{folder}: its {file} is damaged: no JSON object; get the model again"
    )


@pytest.mark.clause("MODEL-010")
def test_an_adapter_is_not_passed_over(tmp_path):
    """A folder with an adapter beside a model would be read as the model alone."""
    folder = save_model(tmp_path / "model")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="it holds an adapter, which is no whole model; merge"):
        load_model(ModelConfig(name=str(folder)))


@pytest.mark.clause("MODEL-010")
def test_weights_of_other_sizes_are_named(tmp_path):
    """A configuration that was exchanged for another's."""
    folder = save_model(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 32}))
    with pytest.raises(ModelError, match="its weights do not have the sizes that its config.json"):
        load_model(ModelConfig(name=str(folder)))


@pytest.mark.clause("MODEL-004")
@pytest.mark.parametrize("limit", [0, -3, "many"])
def test_a_tokenizer_with_an_impossible_limit_is_refused(tmp_path, limit):
    """A tokenizer that says that no token can be read is not asked to."""
    folder = save_model(tmp_path / "model")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": limit}))
    with pytest.raises(ModelError, match=f"its tokenizer's model_max_length is {limit!r}; set it"):
        load_model(ModelConfig(name=str(folder)))


@pytest.mark.clause("MODEL-004")
def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    """In a file of settings no shell replaces it."""
    save_model(tmp_path / "model")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_model(ModelConfig(name="~/model")).name == "~/model"
    with pytest.raises(ModelError, match="no such user; check the name"):
        load_model(ModelConfig(name="~nobody-is-called-so/model"))


@pytest.mark.clause("MODEL-012")
@pytest.mark.clause("MODEL-007")
@pytest.mark.parametrize("kind", ["embedded", "bert", "roberta"])
def test_a_tokenizer_alone_is_the_models(kind, tmp_path):
    """The same tokenizer and maximum length as with the weights, and after they are gone."""
    name = "embedded"
    if kind != "embedded":
        made = {"bert": {}, "roberta": {"kind": RobertaForMaskedLM, "max_position_embeddings": 30}}
        name = str(save_model(tmp_path / "model", **made[kind]))
    loaded = load_model(ModelConfig(name=name))
    if kind != "embedded":
        (tmp_path / "model" / "model.safetensors").unlink()
    alone, most = load_tokenizer(ModelConfig(name=name))
    assert most == loaded.max_length == {"embedded": 512, "bert": 32, "roberta": 26}[kind]
    assert alone.backend_tokenizer.to_str() == loaded.tokenizer.backend_tokenizer.to_str()


@pytest.mark.clause("MODEL-012")
def test_a_tokenizer_alone_is_refused_as_with_its_model(tmp_path, coded, monkeypatch):
    """Too few rows, no head, a damaged file, no folder, code: each in the same words."""
    folders = [save_model(tmp_path / name) for name in ("rows", "head", "damaged")]
    changes = [{"vocab_size": 9}, {"model_type": "vit"}, None]
    for folder, change in zip(folders, changes, strict=True):
        told = json.loads((folder / "config.json").read_text())
        text = "{" if change is None else json.dumps(told | change)
        (folder / "config.json").write_text(text)
    said = []
    for folder in (*folders, tmp_path / "nowhere", coded):
        with pytest.raises(ModelError) as alone:
            load_tokenizer(ModelConfig(name=str(folder)))
        said.append(str(alone.value))
    assert "rows for them; if tokens were added" in said[0]
    for folder, line in zip([*folders[1:], tmp_path / "nowhere", coded], said[1:], strict=True):
        with pytest.raises(ModelError) as whole:
            load_model(ModelConfig(name=str(folder)))
        assert str(whole.value) == line
    assert not (tmp_path / "ran").exists()
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    assert load_tokenizer(ModelConfig(name=str(coded), trust_remote_code=True))[1] == 32
    assert (tmp_path / "ran").exists()
