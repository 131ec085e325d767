"""Write the reference of Python in docs/reference from docstrings: ``python docs/api.py``.

A page has places such as ``<!-- api: mlmref run evaluate -->`` and ``<!-- /api -->``: a module and
names in it, or the module alone for all its public names.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

FOLDER = Path(__file__).resolve().parent / "reference"
PLACE = re.compile(r"(<!-- api: (\S+)((?: \S+)*) -->\n).*?(<!-- /api -->)", re.DOTALL)
SECTIONS = ("Args", "Attributes", "Settings", "Returns", "Yields", "Raises")
WIDE = 88


def pages() -> list[Path]:
    """Return the pages that have a place for the reference."""
    return [file for file in sorted(FOLDER.glob("*.md")) if PLACE.search(file.read_text("utf-8"))]


def written(page: str) -> str:
    """Return a page with the reference in its places."""

    def fill(place: re.Match[str]) -> str:
        return f"{place[1]}\n{reference(place[2], place[3].split())}\n{place[4]}"

    return PLACE.sub(fill, page)


def reference(module: str, names: list[str]) -> str:
    """Return the reference of names in a module; of all public ones if none are given."""
    home = import_module(module)
    shown = names or list(_documented(home))
    blocks = [] if names else [_text(inspect.getdoc(home) or "")]
    for name in shown:
        blocks += _one(f"{module}.{name}", getattr(home, name), _documented(home).get(name))
    return "\n\n".join(blocks) + "\n"


def _documented(module: Any) -> dict[str, str | None]:
    """Return the public names that a module defines, in order, and the docstrings of values."""
    if not getattr(module, "__file__", None):
        return {}
    found: dict[str, str | None] = {}
    body = ast.parse(Path(module.__file__).read_text("utf-8")).body
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = None
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(target, ast.Name) and told:
                found[target.id] = str(after.value.value)  # type: ignore[attr-defined]
    return {name: told for name, told in found.items() if not name.startswith("_")}


def _one(path: str, thing: Any, told: str | None) -> Iterator[str]:
    """Yield the blocks of a function, a class or a value."""
    yield f"### `{path}`"
    if inspect.isclass(thing):
        yield from _class(path, thing)
    elif inspect.isfunction(thing):
        yield _call(path, thing)
        yield _text(inspect.getdoc(thing) or "")
    else:
        yield _text(inspect.cleandoc(told or type(thing).__doc__ or ""))


def _class(path: str, kind: type) -> Iterator[str]:
    protocol = getattr(kind, "_is_protocol", False)
    if not protocol and not issubclass(kind, BaseModel):
        yield _call(path, kind)
    yield _text(inspect.cleandoc(kind.__doc__ or ""))
    for name, member in vars(kind).items():
        inner = member.fget if isinstance(member, property) else member
        inner = getattr(inner, "__func__", inner)
        if name.startswith("_") or not inspect.isfunction(inner) or not inner.__doc__:
            continue
        yield f"#### `{path.rpartition('.')[2]}.{name}`"
        if not isinstance(member, property):
            yield _call(f"{path.rpartition('.')[2]}.{name}", inner, method=True)
        yield _text(inspect.getdoc(inner) or "")


def _call(path: str, thing: Any, *, method: bool = False) -> str:
    """Return the signature as a block of code."""
    signature = inspect.signature(thing)
    parameters = list(signature.parameters.values())[1 if method else 0 :]
    parts: list[str] = []
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        parts.append(_parameter(one))
    given = signature.return_annotation
    returns = "" if given is signature.empty or inspect.isclass(thing) else f" -> {_type(given)}"
    line = f"{path}({', '.join(parts)}){returns}"
    if len(line) > WIDE:
        line = "\n".join([f"{path}(", *(f"    {part}," for part in parts), f"){returns}"])
    return f"```python\n{line}\n```"


def _parameter(one: inspect.Parameter) -> str:
    stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    typed = "" if one.annotation is one.empty else f": {_type(one.annotation)}"
    if one.default is one.empty:
        return f"{stars}{one.name}{typed}"
    shown = repr(one.default)
    value = "..." if shown.startswith("<") else shown
    return f"{one.name}{typed} = {value}" if typed else f"{one.name}={value}"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _text(docstring: str) -> str:
    """Return a docstring as Markdown."""
    blocks: list[str] = []
    for part in re.split(r"\n\n+", docstring.strip()):
        head, _, rest = part.partition("\n")
        if head.rstrip(":") in SECTIONS and head.endswith(":") and rest:
            blocks.append(f"**{head.rstrip(':')}**")
            blocks.append(_items(textwrap.dedent(rest)))
        elif part.startswith(">>>"):
            blocks.append(f"```python\n{part}\n```")
        elif part.startswith("    ") and blocks and blocks[-1].endswith("::"):
            blocks[-1] = blocks[-1].removesuffix(":")
            blocks.append(f"```python\n{textwrap.dedent(part)}\n```")
        elif part.startswith("    ") and blocks[-1].endswith("\n```"):  # code goes on
            code = blocks[-1].removesuffix("\n```")
            blocks[-1] = f"{code}\n\n{textwrap.dedent(part)}\n```"
        elif part.startswith("    ") and blocks:
            blocks.append(_items(textwrap.dedent(part)))
        else:
            blocks.append(_inline(" ".join(part.split("\n"))))
    return "\n\n".join(blocks)


def _items(text: str) -> str:
    """Return the entries of a section as a list, or its text if it has no entries."""
    entries = re.split(r"\n(?=\S)", text)
    named = [re.match(r"(\*{0,2}[\w., ]+): (.*)", one, re.DOTALL) for one in entries]
    if not all(named):
        return _inline(" ".join(text.split()))
    found = (one for one in named if one)
    return "\n".join(f"- `{one[1]}`: {_inline(' '.join(one[2].split()))}" for one in found)


def _inline(text: str) -> str:
    """Return the text with Markdown's code marks, and references as code."""
    text = re.sub(r":\w+:`~[\w.]*?(\w+)`", r"`\1`", text)
    text = re.sub(r":\w+:`([\w.]+)`", r"`\1`", text)
    return text.replace("``", "`")


if __name__ == "__main__":
    for file in pages():
        file.write_text(written(file.read_text("utf-8")), "utf-8")
