"""Write the list of packages into docs/architecture.md: ``python docs/architecture.py``."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PLACE = re.compile(r"(<!-- modules -->\n).*?(<!-- /modules -->)", re.DOTALL)


def layers() -> list[str]:
    """Return the packages from the top layer to the bottom, as pyproject.toml declares them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [contract] = [
        one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers"
    ]
    return [name.strip() for layer in contract["layers"] for name in layer.split("|")]


def summary(file: Path) -> str:
    """Return the first line of a module's docstring, without the clauses at its end."""
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return re.sub(r" \([^()]*\)\.?$", "", text.split("\n")[0]).rstrip(".").replace("``", "`")


def listed() -> Iterator[str]:
    """Yield the lines of the list: each package, and each module or package in it."""
    for name in layers():
        package = ROOT / "mlmref" / name
        yield f"### {name}\n\n{summary(package / '__init__.py')}.\n"
        yield "| module | contents |\n|---|---|"
        for one in sorted(package.iterdir()):
            file = one / "__init__.py" if one.is_dir() else one
            if file.suffix == ".py" and file.exists() and one.name != "__init__.py":
                yield f"| `{one.stem}` | {summary(file)} |"
        yield ""


def written(page: str) -> str:
    """Return the page with the list between its two comments."""
    lines = "\n".join(listed())
    return PLACE.sub(lambda found: f"{found[1]}\n{lines}{found[2]}", page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
