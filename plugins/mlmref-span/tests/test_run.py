"""A whole run with span masking."""

import json

import mlmref

TEXT = "Bromwell High is a cartoon comedy. It ran at the same time as other programmes.\n"


def test_a_run_with_spans(tmp_path):
    """A run trains, measures, and records the strategy's options and distribution."""
    (tmp_path / "corpus.txt").write_text(TEXT * 60, "utf-8")
    options = {"mlm_probability": 0.2, "max_length": 5}
    mlmref.run(
        mlmref.Config(
            corpus={"name": str(tmp_path / "corpus.txt")},
            masking={"strategy": "span", "options": options},
            chunks={"size": 32},
            training={"max_steps": 2},
            output={"folder": str(tmp_path / "out")},
        )
    )
    record = json.loads((tmp_path / "out" / "record.json").read_text("utf-8"))
    used = record["config"]["masking"]
    assert used["strategy"] == "span"
    assert used["options"].items() >= options.items()
    assert "mlmref-span" in json.dumps(record)
    assert record["perplexity"]["after"]["value"] > 1
