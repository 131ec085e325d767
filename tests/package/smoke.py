"""Install the built wheel in a clean environment and use it from an empty folder.

Usage: python smoke.py FOLDER, where FOLDER/dist holds the wheel.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path

TEXT = "the film was good and the story was told well by people who know how to tell it\n"


def main(folder: Path) -> None:
    """Make the environment, install, and go through the commands."""
    home, empty = folder / "clean", folder / "empty"
    venv.create(home, with_pip=True, clear=True)
    empty.mkdir(exist_ok=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    command = home / "bin" / "mlmref"

    def do(*arguments: object) -> str:
        done = subprocess.run(
            [*map(str, arguments)], cwd=empty, check=True, text=True, stdout=subprocess.PIPE
        )
        return done.stdout

    do(home / "bin" / "python", "-m", "pip", "install", "-q", "--no-compile", wheel)
    if "pytest" in do(home / "bin" / "python", "-m", "pip", "list"):
        sys.exit("the wheel installs pytest, which only its extras may")
    do(command, "--help")
    listed = json.loads(do(command, "plugins", "--json"))
    if listed["broken"] or len(listed["strategies"]) < 2 or len(listed["backends"]) < 2:
        sys.exit(f"the installed plugins are not as they should be: {listed}")
    answers = json.loads(do(command, "fill", "embedded", "This is a great [MASK].", "--json"))
    tokens = [answer["token"] for answer in answers["answers"][0]["answers"]]
    if tokens != ["man", "time", "truth", "value", "degree"]:
        sys.exit(f"the embedded checkpoint answers {tokens}")
    (empty / "corpus.txt").write_text(TEXT * 200)
    run = [command, "run", "--corpus", "corpus.txt", "--output", "out", "--quiet"]
    do(*run, "--chunk-size", "32", "--batch-size", "8")
    record = json.loads((empty / "out" / "record.json").read_text())["perplexity"]
    if not record["after"]["value"] < record["before"]["value"]:
        sys.exit(f"perplexity did not fall: {record}")
    print(f"perplexity {record['before']['value']:.1f} -> {record['after']['value']:.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
