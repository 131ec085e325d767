"""A whole run with span masking, as a user starts it."""

import json
import subprocess
import sys

TEXT = "Bromwell High is a cartoon comedy. It ran at the same time as other programmes.\n"


def test_a_run_with_spans(tmp_path):
    """``mlmref run --masking span`` trains, measures, and records whose strategy it used."""
    (tmp_path / "corpus.txt").write_text(TEXT * 60, "utf-8")
    command = [sys.executable, "-m", "mlmref", "run", "--model", "embedded"]
    command += ["--corpus", "corpus.txt", "--masking", "span", "--mlm-probability", "0.2"]
    command += ["--set", "masking.options.max_length=5", "--chunk-size", "32"]
    command += ["--max-steps", "2", "--output", "out", "--quiet"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "record.json").read_text("utf-8"))
    asked = record["config"]["masking"]
    assert asked["strategy"] == "span"
    assert asked["options"]["mlm_probability"] == 0.2
    assert asked["options"]["max_length"] == 5
    assert "mlmref-span" in json.dumps(record)
    assert record["perplexity"]["after"]["value"] > 1
