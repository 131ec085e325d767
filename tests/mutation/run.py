"""Mutation testing: ``python tests/mutation/run.py FOLDER [MUTANT ...]``, as ``tox -e mutation``.

Copies what the tests need to a folder, lets mutmut mutate and test the copy, and reports. What is
mutated and by which tests it is tested stands in ``pyproject.toml``, under ``tool.mutmut``. Only
the code within functions is: the constants of a module are not.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

from report import Mutant, changes, judge, lines
from undecorated import undecorated

ROOT = Path(__file__).parents[2]
COPIED = ("mlmref", "spec", "tests")


def copy(folder):
    """Copy the package, without decorators where it is to be mutated, and what tests it."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    settings = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    for pattern in settings["only_mutate"]:
        for file in folder.glob(pattern):
            file.write_text(undecorated(file.read_text("utf-8")), "utf-8")


def mutants(names):
    """Read what mutmut found out in the current folder, of some mutants or of all."""
    # Late, since mutmut reads its settings from the current folder.
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files
    from mutmut.utils.format_utils import orig_function_and_class_names_from_key

    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        for key, code in data.exit_code_by_key.items():
            if names and not any(fnmatchcase(key, name) for name in names):
                continue
            function, owner = orig_function_and_class_names_from_key(key)
            status = status_by_exit_code[code]
            was, becomes = "", ""
            if status not in ("killed", "timeout"):
                was, becomes = changes(get_diff_for_mutant(key, path=path))
            yield Mutant(
                module=".".join(path.with_suffix("").parts),
                function=f"{owner}.{function}" if owner else function,
                was=was,
                becomes=becomes,
                status=status,
            )


def main(folder, *names):
    """Mutate, test and report; return the exit status."""
    folder = Path(folder).resolve() / "mutation"
    copy(folder)
    os.chdir(folder)
    # Processes, not threads, share the cores; the plugin is found before pytest's own path is set.
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder / "tests")}
    mutmut = Path(sys.executable).with_name("mutmut")  # as a module it would be imported twice
    subprocess.run([mutmut, "run", *names], check=True, env=os.environ | environment)
    known = tomllib.loads((ROOT / "tests/mutation/equivalent.toml").read_text("utf-8"))
    verdict = judge(mutants(names), known["equivalent"], whole=not names)
    sys.stdout.writelines(f"{line}\n" for line in lines(verdict))
    return 0 if verdict.passed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
