"""The notebook as a page of the site, and run: ``python docs/notebooks.py`` runs it and keeps it.

Its outputs are kept with it, so that a reader sees them anywhere; the tests run it again and hold
what comes out against them.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NOTEBOOK = HERE / "tutorial.ipynb"


def as_page(app: Any, page: str, source: list[str]) -> None:
    """Turn a notebook into Markdown; Sphinx's ``source-read``."""
    if source[0].startswith("{"):
        source[0] = markdown(json.loads(source[0]))


def markdown(notebook: dict[str, Any]) -> str:
    """Return a notebook's cells and what they printed or show."""
    return "\n".join(part for cell in notebook["cells"] for part in _cell(cell))


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield f"{text}\n"
        return
    yield _fenced("python", text)
    for output in cell["outputs"]:
        shown = output.get("data", {})
        if "text/html" in shown:
            yield f"\n{''.join(shown['text/html'])}\n"
        elif "image/svg+xml" in shown:
            yield f"\n{''.join(shown['image/svg+xml'])}\n"
        else:
            yield _fenced("text", "".join(output.get("text") or shown.get("text/plain", "")))


def _fenced(kind: str, text: str) -> str:
    """Return a block of code, whatever fences stand in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{kind}\n{text.rstrip()}\n{fence}\n"


def executed(file: Path, folder: Path) -> dict[str, Any]:
    """Run a notebook and return it with what came out, without what differs between machines.

    Args:
        file: the notebook, which is left as it is.
        folder: where it runs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(file, as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute()
    for cell in notebook.cells:
        cell.metadata.clear()  # when it ran
        cell.pop("execution_count", None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = _joined(cell.outputs)
            for output in cell.outputs:
                output.pop("execution_count", None)
                if output.output_type == "execute_result":
                    output.output_type = "display_data"  # the one of the two that has no number
                    if len(output.data) > 1:  # what stands for a picture, with its address
                        output.data.pop("text/plain", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    }
    return json.loads(json.dumps(notebook))


def _joined(outputs: list[Any]) -> list[Any]:
    """Join what was printed in pieces, which depend on the clock; no warnings and no live bars."""
    kept: list[Any] = []
    for output in outputs:
        stream = output.get("name")
        if stream == "stdout" and kept and kept[-1].get("name") == stream:
            kept[-1].text += output.text
        elif stream != "stderr" and output.output_type != "display_data":
            kept.append(output)
    return kept


def printed(notebook: dict[str, Any]) -> list[str]:
    """Return what each cell of code printed; empty for one that did not."""
    return [
        "".join("".join(one["text"]) for one in cell["outputs"] if one.get("name") == "stdout")
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def written(notebook: dict[str, Any]) -> str:
    """Return a notebook as its file holds it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        NOTEBOOK.write_text(written(executed(NOTEBOOK, Path(place))), "utf-8")
    sys.stdout.write(f"{NOTEBOOK} was run\n")
