"""What ``tox -e audit`` makes of pip-audit's reports, and when it fails (SEC-011)."""

import json
import sys

import pytest
from audit import run


def package(name, *vulnerabilities, version="1.0", **more):
    """Return what a report says of a package."""
    return {"name": name, "version": version, "vulns": list(vulnerabilities)} | more


FLAW = {"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": "x"}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.clause("SEC-011")
def test_a_set_without_a_flaw_passes():
    """All that was wanted was looked up, however its name is spelt."""
    report = {"dependencies": [package("a"), package("b-c")]}
    assert run.verdict(report, ["a==1.0", "B_c==1.0"]) == (
        0,
        ["2 versions looked up, none with a known vulnerability"],
    )


@pytest.mark.clause("SEC-011")
def test_a_known_vulnerability_fails():
    """Each is named with where it is mended."""
    report = {"dependencies": [package("a", FLAW, FLAW | {"fix_versions": []}), package("b")]}
    assert run.verdict(report, ["a==1.0", "b==1.0"]) == (
        1,
        ["a 1.0: PYSEC-1, mended in 1.1", "a 1.0: PYSEC-1, mended in no version"],
    )


@pytest.mark.clause("SEC-011")
@pytest.mark.parametrize("second", [[], [SKIPPED], [package("b", version="0.9")]])
def test_what_was_not_looked_up_fails(second):
    """Left out, passed over, or looked up as another version than the tested one."""
    status, [line] = run.verdict({"dependencies": [package("a"), *second]}, ["a==1.0", "b==1.0"])
    assert status == 1
    assert line.startswith("not audited: 1 of the 2 versions in constraints.txt could not be")
    assert "(b==1.0)" in line


@pytest.mark.clause("SEC-011")
@pytest.mark.parametrize(
    ("prints", "status", "said"),
    [
        (json.dumps({"dependencies": [package("a")]}), 0, "1 versions looked up, none"),
        (json.dumps({"dependencies": []}), 1, "not audited: 1 of the 1 versions"),
        ("", 1, "not audited: pip-audit failed (no connection)"),
    ],
)
def test_the_command_fails_unless_pip_audit_has_answered(
    tmp_path, monkeypatch, capsys, prints, status, said
):
    """A stand-in for pip-audit that answers, that could look nothing up, and that fails."""
    (tmp_path / "pip_audit.py").write_text(
        f"import sys\nprint({prints!r})\nprint('no connection', file=sys.stderr)\n"
    )
    (tmp_path / "constraints.txt").write_text("# a comment\na==1.0\n\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["run.py"])
    assert run.main() == status
    assert capsys.readouterr().out.startswith(said)
