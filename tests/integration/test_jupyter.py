"""A run in a notebook, with a real kernel (spec/progress.md)."""

import json
import re

import nbformat
import pytest
from nbclient import NotebookClient
from support.runs import save_corpus, save_model

CELL = """
import sys
import mlmref
from mlmref.settings.resolve import resolve

result = mlmref.run(resolve(sets={sets}))
assert "ipywidgets" not in sys.modules
"""


@pytest.mark.clause("PROG-002")
@pytest.mark.clause("PROG-007")
def test_a_run_in_a_notebook_shows_one_live_bar(tmp_path, monkeypatch):
    """One output, drawn anew: bars while it works, and at the end a line a stage."""
    save_model(tmp_path / "model")
    save_corpus(tmp_path / "<b>.txt")
    sets = [f"model.name={tmp_path}/model", f"corpus.name={tmp_path}/<b>.txt", "chunks.size=16"]
    sets += [f"output.folder={tmp_path}/out", "training.epochs=2"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.format(sets=sets))])
    updates = []
    client = NotebookClient(book, timeout=120, kernel_name="python3")
    show = client.process_message
    monkeypatch.setattr(
        client,
        "process_message",
        lambda message, *rest: (updates.append(message), show(message, *rest))[1],
    )
    client.execute()
    (output,) = [one for one in book.cells[0].outputs if one.output_type == "display_data"]
    assert len(book.cells[0].outputs) == 1, "and nothing printed beside it"
    end = output.data["text/html"]
    (last,) = re.findall(
        r"<div>train: done in [\d.]+ s, [\d.,]+ steps/s; loss [\d.]+, learning rate [\d.e-]+, "
        r"[\d,]+ tokens/s, perplexity ([\d.]+)</div>",
        end,
    )
    record = json.loads((tmp_path / "out" / "record.json").read_bytes())
    assert last == f"{record['perplexity']['after']['value']:.2f}"
    assert "<progress" not in end
    assert "&lt;b&gt;.txt" in end
    assert "<b>" not in end
    assert "train: done in" in output.data["text/plain"]
    drawn = [one for one in updates if "display_data" in one["msg_type"]]
    bars = [one["content"]["data"]["text/html"] for one in drawn]
    assert any('<progress max="1" aria-label="start">' in one for one in bars)
    assert any(re.search(r'<progress max="1" value="[\d.]+" aria-label="train">', x) for x in bars)
