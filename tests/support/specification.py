"""The specification as data: its clauses, who cites them, what the kit checks, and the table."""

import ast
import importlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mlmref.plugin import kinds

ROOT = Path(__file__).parents[2]
KINDS = tuple(kind.plural for kind in kinds.KINDS)
"""What the conformance kit has checks for; a clause names its kind in a line ``Kit: KIND``."""
AWAY = ("gpu", "hub", "browser")
"""Marks of tests that need what most machines do not have."""

_CLAUSE = re.compile(r"^### ([A-Z]+-\d{3}) (.+)$", re.MULTILINE)
_ID = r"[A-Z]+-\d{3}"
_BEGIN, _END = "<!-- proof: written by tox -e spec -->\n", "<!-- end of proof -->\n"
_BY_KIT = re.compile(r"(\w+\.)*parametrize_\w+_checks\(")
_RETIRED = re.compile(rf"^- ({_ID}): \S", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Clause:
    """A clause: ``body`` is all that stands under its heading, ``kinds`` its ``Kit:`` lines."""

    id: str
    title: str
    body: str
    file: str

    @property
    def kinds(self):
        """Return the kinds of plugin that the kit has to check the clause for."""
        return re.findall(r"^Kit: (.+)$", self.body, re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A test function, what it cites, and what it needs that most machines lack.

    ``by_kit`` is of those whose cases a decorator of the kit makes; each case cites its clause.
    """

    file: str
    name: str
    fact: str | None
    clauses: tuple[str, ...]
    away: frozenset[str]
    by_kit: bool


@dataclass(frozen=True, kw_only=True)
class Kit:
    """The kit for one kind: each check's clause, and the check that rejects each mutant."""

    checks: dict[str, str]
    rejected_by: tuple[str, ...]

    def count(self, clause):
        """Return how many checks and how many mutants a clause has."""
        mutants = Counter(self.checks.get(name) for name in self.rejected_by)
        return list(self.checks.values()).count(clause), mutants[clause]


def read_clauses(root=ROOT):
    """Return the clauses of ``spec/``, file by file, in the order in which they stand there."""
    found = []
    for file in sorted((root / "spec").glob("*.md")):
        _, *parts = _CLAUSE.split(file.read_text("utf-8"))
        found += [
            Clause(id=id_, title=title, body=body.split("\n## ")[0].strip(), file=file.name)
            for id_, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
        ]
    return found


def read_citations(root=ROOT):
    """Return the test functions of ``tests/`` as their source says, whatever can run here."""
    found = []
    for file in sorted((root / "tests").rglob("test_*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        of_file = [
            mark
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
            for mark in (node.value.elts if isinstance(node.value, ast.List) else [node.value])
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = [*of_file, *node.decorator_list]
                found.append(
                    Citation(
                        file=file.relative_to(root / "tests").as_posix(),
                        name=node.name,
                        fact=ast.get_docstring(node),
                        clauses=tuple(_cited(marks)),
                        away=frozenset(a for a in AWAY if any(_is_mark(m, a) for m in marks)),
                        by_kit=any(_BY_KIT.match(ast.unparse(mark)) for mark in marks),
                    )
                )
    return found


def _is_mark(node, name):
    return isinstance(node, ast.Attribute) and ast.unparse(node).endswith(f"mark.{name}")


def _cited(marks):
    """Find what marks cite, those of single cases within ``parametrize`` among them."""
    for node in (part for mark in marks for part in ast.walk(mark)):
        if isinstance(node, ast.Call) and _is_mark(node.func, "clause"):
            yield from (one.value for one in node.args if isinstance(one, ast.Constant))


def load_kit():
    """Return the kit of each kind; the kit's own Python is asked, not its source."""
    kits = {}
    for kind in KINDS:
        if not (ROOT / "tests" / "conformance" / "mutants" / f"{kind}.py").exists():
            continue  # a kit that is not whole yet; from its mutants on it is held to all of this
        checks = importlib.import_module(f"mlmref.conformance.{kind}").KIT.checks
        mutants = importlib.import_module(f"conformance.mutants.{kind}").MUTANTS
        kits[kind] = Kit(
            checks={check.name: check.clause for check in checks},
            rejected_by=tuple(mutant.rejected_by for mutant in mutants),
        )
    return kits


def disagreements(clauses, readme, kits):
    """Tell in which ways the specification disagrees with itself and with the kit.

    Args:
        clauses: the clauses.
        readme: the text of spec/README.md, which has the table and the retired identifiers.
        kits: the kit of each kind.
    """
    live, retired = Counter(one.id for one in clauses), set(_RETIRED.findall(readme))
    for id_ in sorted(live):
        if live[id_] > 1:
            yield f"{id_} stands for {live[id_]} clauses"
        if id_ in retired:
            yield f"{id_} is retired and may not come back"
    for id_ in sorted(_in_table(readme) - live.keys() - retired):
        yield f"{id_} is gone from spec/ and not among the retired identifiers"
    kinds = {(one.id, kind) for one in clauses for kind in one.kinds}
    for id_, kind in sorted(kinds):
        if kind not in KINDS:
            yield f"{id_} has a line 'Kit: {kind}', and there is no such kit"
        if kind not in kits:
            continue
        checks, mutants = kits[kind].count(id_)
        if not checks:
            yield f"{id_} is a clause about {kind} that no check of the kit is of"
        elif not mutants:
            yield f"{id_} is a clause about {kind} whose checks reject no mutant"
    for kind, kit in kits.items():
        for name, id_ in kit.checks.items():
            if (id_, kind) not in kinds:
                yield f"{name} of the kit for {kind} is of {id_}, which has no line 'Kit: {kind}'"
        for name in sorted(set(kit.rejected_by) - kit.checks.keys()):
            yield f"a mutant among {kind} names a check {name} that there is not"


def _parts(readme):
    before, begin, rest = readme.partition(_BEGIN)
    table, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"spec/README.md has no {_BEGIN.strip()} and {_END.strip()}")
    return before + begin, table, end + after


def _in_table(readme):
    return set(re.findall(rf"^\| \[({_ID})\]", _parts(readme)[1], re.MULTILINE))


def table(clauses, citations, kits):
    """Write the table of clauses and their proof; nothing in it depends on run or machine."""
    lines = ["| clause | | proved by |", "|---|---|---|"]
    for clause in clauses:
        citing = [one for one in citations if clause.id in one.clauses]
        files = Counter(re.sub(r"test_|\.py$", "", one.file) for one in citing)
        proofs = [f"{file} {count}" for file, count in sorted(files.items())]
        if citing and all(one.away for one in citing):
            away = sorted(set().union(*(one.away for one in citing)))
            proofs = [f"not proved here ({', '.join(away)})"]
        for kind in clause.kinds:
            checks, mutants = kits[kind].count(clause.id) if kind in kits else (0, 0)
            proofs.append(f"kit for {kind}: {checks} checks, {mutants} mutants")
        lines.append(f"| [{clause.id}]({clause.file}) | {clause.title} | {', '.join(proofs)} |")
    return "\n".join(["", *lines, "", ""])


def with_table(readme, new):
    """Return the text of spec/README.md with another table."""
    before, _, after = _parts(readme)
    return before + new + after
