"""Run the notebook and keep its Chinese translation up to date; show both as pages of the site.

``python docs/notebooks.py`` runs the English notebook, saves its outputs, and copies code and
outputs into the Chinese one. The tests run the English notebook again and compare the outputs.

Each text of the Chinese notebook ends with a digest of the English text that it translates. After a
revision, ``python docs/notebooks.py --stamp`` writes the new digests and runs nothing;
``--stamp t09-text`` does so for the text with this id.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NOTEBOOK = HERE / "tutorial.ipynb"
CHINESE = HERE / "tutorial.zh.ipynb"

_STAMP = re.compile(r"\n+<!-- en: ([0-9a-f]{12}) -->\s*$")


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


def lags(english: dict[str, Any], chinese: dict[str, Any]) -> Iterator[str]:
    """Say in which ways the Chinese notebook is not the English one's translation."""
    ours, theirs = english["cells"], chinese["cells"]
    if _outline(ours) != _outline(theirs):
        yield "the cells differ: add or remove Chinese texts until the ids are the same"
        return
    for one, other in zip(ours, theirs, strict=True):
        if one["cell_type"] == "code":
            if one != other:
                yield f"{one['id']}: code or output differs; run python docs/notebooks.py"
            continue
        stamp = _STAMP.search("".join(other["source"]))
        if not stamp or stamp[1] != _digest(one):
            yield (
                f"{one['id']}: lags behind the English; revise it, then "
                f"python docs/notebooks.py --stamp {one['id']}"
            )


def with_code(english: dict[str, Any], chinese: dict[str, Any]) -> dict[str, Any]:
    """Return the Chinese notebook with the cells of code, and the outputs, of the English one.

    Raises:
        ValueError: the texts of the two notebooks have different ids.
    """
    texts = {one["id"]: one for one in chinese["cells"] if one["cell_type"] == "markdown"}
    wanted = [one["id"] for one in english["cells"] if one["cell_type"] == "markdown"]
    if [*texts] != wanted:
        differing = sorted(texts.keys() ^ set(wanted)) or "their order"
        raise ValueError(f"the texts of the Chinese notebook differ in {differing}")
    return {**english, "cells": [texts.get(one["id"], one) for one in english["cells"]]}


def stamped(
    english: dict[str, Any], chinese: dict[str, Any], ids: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the Chinese notebook with the digests of English texts written into it.

    Args:
        english: the English notebook.
        chinese: the Chinese notebook.
        ids: of the texts that were revised; all of them if none is named.

    Raises:
        ValueError: the texts of the notebooks differ, or no text has an id.
    """
    chinese = with_code(english, chinese)
    digests = {one["id"]: _digest(one) for one in english["cells"] if one["cell_type"] != "code"}
    if unknown := set(ids) - set(digests):
        raise ValueError(f"no text {sorted(unknown)} in the English notebook")
    cells = []
    for one in chinese["cells"]:
        cell = dict(one)
        if cell["id"] in (ids or digests) and cell["id"] in digests:
            text = _STAMP.sub("", "".join(cell["source"])).rstrip()
            cell["source"] = f"{text}\n\n<!-- en: {digests[cell['id']]} -->"
        cells.append(cell)
    return {**chinese, "cells": cells}


def _outline(cells: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["id"], one["cell_type"]) for one in cells]


def _digest(cell: dict[str, Any]) -> str:
    """Return the digest of a text; line breaks and blanks do not count."""
    words = " ".join("".join(cell["source"]).split())
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def read(file: Path) -> dict[str, Any]:
    """Return a notebook as its file holds it."""
    return json.loads(file.read_text("utf-8"))


def main(arguments: list[str]) -> int:
    """Run and save, or stamp; return the exit status."""
    import tempfile

    try:
        if arguments[:1] == ["--stamp"]:
            chinese = stamped(read(NOTEBOOK), read(CHINESE), arguments[1:])
        else:
            with tempfile.TemporaryDirectory() as place:
                NOTEBOOK.write_text(written(executed(NOTEBOOK, Path(place))), "utf-8")
            print(f"{NOTEBOOK} was run")
            chinese = with_code(read(NOTEBOOK), read(CHINESE))
    except ValueError as error:
        print(error)
        return 1
    CHINESE.write_text(written(chinese), "utf-8")
    wrong = [*lags(read(NOTEBOOK), chinese)]
    print("\n".join(wrong) or f"{CHINESE.name} is in step with {NOTEBOOK.name}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
