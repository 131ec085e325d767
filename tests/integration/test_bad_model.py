"""Models that cannot be loaded or used: the very line, and nothing changed (RUN-001, RUN-002)."""

import pytest
from support.bad_inputs import RUN, check_refused

ADVICE = "read that code, and if you trust its author add --trust-remote-code"
AGAIN = "get the model again"
CHECKPOINT = "get the model again, or an earlier checkpoint of its training"
CONVERT = "only safetensors are read; convert the weights with save_pretrained first"
EMPTY = "string should have at least 1 character"
HUB = "check the name, and whether this machine reaches the hub"
LAYER = "bert.encoder.layer.0.output.dense.weight"
NO_FOLDER = "no such folder; check the path, or give a name on the hub"
PRETRAINED = "give a checkpoint that was pretrained with a masked-language-model head"

MODEL = {
    "missing model": ("--model ./nowhere", f"./nowhere: {NO_FOLDER}"),
    "folder without a model": (
        "--model ./nothing",
        "./nothing: there is no model in it, having no config.json; give a folder that "
        "save_pretrained wrote, or a finished run's",
    ),
    "file for a model": ("--model corpus.txt", f"corpus.txt: {NO_FOLDER}"),
    "device for a model": ("--model /dev/null", f"/dev/null: {NO_FOLDER}"),
    "model linked to itself": ("--model itself.txt", f"itself.txt: {NO_FOLDER}"),
    "no such user's model": (
        "--model '~nobody-is-called-so/m'",
        "~nobody-is-called-so/m: no such user; check the name",
    ),
    "name without a model": ("--model ''", f'--model: model.name = "": {EMPTY}'),
    "impossible name of a model": (
        "--model 'a b'",
        f"a b: cannot be loaded (Repo id must use alphanumeric chars, '-', '_' or '.'); {HUB}",
    ),
    "causal model": (
        "--model ./causal",
        "./causal: no masked language model: its architecture has no masked-language-model head",
    ),
    "model without a head's weights": (
        "--model ./classifier",
        "./classifier: no masked language model: it has no weights for cls.predictions.bias; "
        f"{PRETRAINED}",
    ),
    "model without a layer's weights": (
        "--model ./lacking",
        f"./lacking: no masked language model: it has no weights for {LAYER}; {PRETRAINED}",
    ),
    "tokenizer without a mask token": (
        "--model ./maskless",
        "maskless: the tokenizer has no mask token; choose a model that was trained with "
        "masks, such as BERT or RoBERTa",
    ),
    "no tokenizer": (
        "--model ./no-tokenizer",
        "./no-tokenizer: its tokenizer has no tokens but special ones; put the tokenizer's "
        "files beside the model's",
    ),
    "tokenizer of another model": (
        "--model ./too-few-rows",
        "./too-few-rows: the tokenizer has 295 tokens and the model 50 rows for them; if "
        "tokens were added, call model.resize_token_embeddings(len(tokenizer)) and "
        "model.save_pretrained; otherwise use the model's own tokenizer",
    ),
    "tokenizer that reads nothing": (
        "--model ./unlimited",
        "./unlimited: its tokenizer's model_max_length is 0; set it in tokenizer_config.json "
        "to the most tokens that the model reads",
    ),
    "pickled weights": (
        "--model ./pickled",
        "./pickled: cannot be loaded (Error no file named model.safetensors found in "
        'directory pickled.); only safetensors are read; convert it: python -c "from transformers '
        "import AutoModelForMaskedLM as M; M.from_pretrained('./pickled', "
        "use_safetensors=False).save_pretrained('./pickled')\"",
    ),
    "weights cut short": (
        "--model ./cut",
        f"./cut: its weights are damaged (incomplete metadata, file not fully covered); {AGAIN}",
    ),
    "no weights in the weights": (
        "--model ./noise",
        f"./noise: its weights are damaged (header too large); {AGAIN}",
    ),
    "empty weights": (
        "--model ./empty",
        f"./empty: its weights are damaged (header too small); {AGAIN}",
    ),
    "folder for the weights": (
        "--model ./folder",
        "folder/model.safetensors: cannot be read (Is a directory)",
    ),
    "weights of other sizes": (
        "--model ./sizes",
        "./sizes: its weights do not have the sizes that its config.json says; if tokens were "
        "added, call resize_token_embeddings of the whole model and save it again",
    ),
    "NaN in the weights": (
        "--model ./nan",
        f"./nan: its weights are damaged: there is NaN in {LAYER}; {CHECKPOINT}",
    ),
    "infinity in the weights": (
        "--model ./infinite",
        f"./infinite: its weights are damaged: there is infinity in {LAYER}; {CHECKPOINT}",
    ),
    "part of the weights missing": (
        "--model ./shards",
        f"./shards: cannot be loaded (No such file or directory: shards/part.safetensors); {AGAIN}",
    ),
    "no JSON for a configuration": (
        "--model ./config",
        f"./config: its config.json is damaged: no JSON object; {AGAIN}",
    ),
    "no JSON for a tokenizer": (
        "--model ./tokenizer",
        f"./tokenizer: its tokenizer.json is damaged: no JSON object; {AGAIN}",
    ),
    "unknown architecture": (
        "--model ./unknown",
        "./unknown: cannot be loaded (The checkpoint you are trying to load has model type "
        "`nonesuch` but Transformers does not recognize this architecture)",
    ),
    "heads that do not divide": (
        "--model ./heads",
        "./heads: cannot be loaded (The hidden size (32) is not a multiple of the number of "
        "attention heads (7))",
    ),
    "unknown activation": (
        "--model ./activation",
        "./activation: cannot be loaded (KeyError: 'nonesuch')",
    ),
    "an adapter": (
        "--model ./adapter",
        "./adapter: it holds an adapter, which is no whole model; merge the adapter into its "
        "model first",
    ),
    "remote code": (
        "--model ./coded",
        f"./coded: it brings code of its own, which is not run unasked; {ADVICE}",
    ),
    "weights by another name": (
        "--model ./named",
        f"./named: its config.json names weights.bin as its weights; {CONVERT}",
    ),
}


@pytest.mark.clause("RUN-001")
@pytest.mark.clause("RUN-002")
@pytest.mark.clause("CLI-003")
@pytest.mark.clause("MODEL-004")
@pytest.mark.clause("MODEL-010")
@pytest.mark.parametrize(("arguments", "expected"), MODEL.values(), ids=MODEL.keys())
def test_a_bad_model_gets_its_line_and_status_2(place, monkeypatch, arguments, expected):
    """Which model, what is wrong and what to do; no file is made or changed."""
    monkeypatch.chdir(place)
    check_refused(place, RUN + arguments, expected)
