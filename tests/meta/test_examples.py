"""The examples of the specification run, and print what they show."""

import doctest
import re

import pytest
from support.specification import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = sorted(file for file in (ROOT / "spec").glob("*.md") if BLOCK.search(file.read_text()))


def run_examples(file, text):
    """Run a file's examples in their order, in one namespace; return what is wrong, by line."""
    names, wrong, path = {"__name__": "example"}, [], file.as_posix()
    for block in BLOCK.finditer(text):
        code, line = block[1], text.count("\n", 0, block.start(1))
        if code.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(code, names, file.name, path, line)
            runner = doctest.DocTestRunner(verbose=False)
            runner.run(test, out=wrong.append, clear_globs=False)
            names = test.globs
            continue
        try:
            # Lines that are empty in front of it, so that a traceback has the file's own.
            exec(compile("\n" * line + code, path, "exec"), names)  # noqa: S102 - our own
        except Exception as error:  # noqa: BLE001 - an example may fail in any way
            inner, at = error.__traceback__, line + 1
            while inner:
                at = inner.tb_lineno if inner.tb_frame.f_code.co_filename == path else at
                inner = inner.tb_next
            at = getattr(error, "lineno", None) or at
            wrong.append(f'File "{path}", line {at}: {type(error).__name__}: {error}')
    return wrong


@pytest.mark.clause("SPEC-011")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_examples_run(file):
    """Each Python block of the file runs after those before it and prints what stands there."""
    wrong = run_examples(file, file.read_text("utf-8"))
    assert not wrong, "\n".join(wrong)


@pytest.mark.clause("SPEC-011")
def test_each_block_is_an_example_in_a_form_that_is_run():
    """No file has code in a fence that is written in another way, and prompts begin a block."""
    for file in (ROOT / "spec").glob("*.md"):
        text = file.read_text("utf-8")
        fences = re.findall(r"^ *(?:```|~~~) *(?:python|py|pycon|python3)\b.*$", text, re.MULTILINE)
        assert set(fences) <= {"```python"}, file.name
        assert len(fences) == len(BLOCK.findall(text)), file.name
        for block in BLOCK.findall(text):
            assert block.startswith(">>>") == (">>>" in block), file.name


@pytest.mark.clause("SPEC-011")
@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("x = 1\nassert x == 2\n", 6, "AssertionError"),
        ("def f():\n    raise ValueError(3)\n\n\nf()\n", 6, "ValueError: 3"),
        ("x = = 1\n", 5, "SyntaxError"),
        (">>> 1 + 1\n3\n\n", 5, "Expected:\n    3\nGot:\n    2"),
        (">>> known\n1\n>>> unknown\n1\n\n", 7, "NameError"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(tmp_path, code, line, said):
    """A failed assertion, error, or output that differs is told with the line of the file."""
    text = f"```python\nknown = 1\n```\n```python\n{code}```\n"
    (wrong,) = run_examples(tmp_path / "x.md", text)
    assert f'x.md", line {line}' in wrong
    assert said in wrong
