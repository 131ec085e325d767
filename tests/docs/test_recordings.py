"""Recordings of a terminal (spec/docs.md)."""

import re
import sys
import xml.etree.ElementTree as ET

import pytest
import record
from support.processes import run

SVG = "{http://www.w3.org/2000/svg}"
MOST = 200_000

PROGRAM = """
import os, sys, time
print(os.get_terminal_size().columns, sys.stdout.isatty())
for share in (0, 50, 100):
    print(f"\\r\\x1b[32mdone {share:3} %\\x1b[0m", end="", flush=True)
    time.sleep(0.1)
print("\\n\\x1b[1m<b> & 中文 end\\x1b[0m\\x1b[44m!\\x1b[0m")
"""


def lines(svg, last=True):
    """Return the text of each line that is there where nothing moves, or at any time."""
    root = ET.fromstring(svg)  # noqa: S314 - our own
    style = root.find(f"{SVG}style").text
    gone = set(re.findall(r"#(r\d+)\{opacity:0;", style)) if last else set()
    rows = {}
    for text in root.iter(f"{SVG}text"):
        group = next((one.get("id") for one in root.iter(f"{SVG}g") if text in one), None)
        if group not in gone:
            rows.setdefault(float(text.get("y")), []).append(text.text)
    return [" ".join(rows[at]) for at in sorted(rows)]


def harmless(svg):
    """Tell whether a picture is small and asks nothing of anybody."""
    asks = re.search(r"url\(|href|<script|@import|@font-face|<image|<foreignObject", svg)
    return len(svg.encode()) < MOST and not asks


@pytest.mark.clause("DOC-008")
def test_a_recording_plays_what_the_command_showed(tmp_path):
    """A terminal of 100 columns, text and colours as they came, the last screen where it stands."""
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    command = [sys.executable, str(tmp_path / "program.py")]
    seen = [*record.screens(command, tmp_path)]
    svg = record.svg("program <x>", record.timeline(seen))
    assert lines(svg) == [
        "$ program <x>",
        "100 True",
        "done 100 %",
        "<b> & 中文 end !",
    ]
    assert "done  50 %" in " ".join(lines(svg, last=False))
    assert "done  50 %" not in " ".join(lines(svg))
    assert "prefers-reduced-motion" in svg
    assert harmless(svg)
    green = record._COLOURS["green"]
    assert re.search(rf'fill:{green}">done', svg)
    wide = re.search(r'textLength="([\d.]+)" style="font-weight:bold">&lt;b&gt;', svg)[1]
    assert float(wide) == pytest.approx(len("<b> & 中文 end") * 8.4 + 2 * 8.4, abs=0.1)


@pytest.mark.clause("DOC-008")
def test_a_command_that_fails_is_not_recorded(tmp_path):
    """An error, and no picture."""
    with pytest.raises(RuntimeError, match="ended with 3"):
        [*record.screens([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)]


@pytest.mark.clause("DOC-008")
def test_mlmref_is_recorded_by_the_command(tmp_path):
    """``python docs/record.py OUT.svg mlmref plugins`` as typed."""
    out = tmp_path / "out.svg"
    typed = [sys.executable, record.__file__, out, "mlmref", "plugins"]
    assert run(typed).returncode == 0
    shown = lines(out.read_text("utf-8"))
    assert shown[0] == "$ mlmref plugins"
    assert any("whole-word" in line for line in shown)


@pytest.mark.clause("DOC-008")
@pytest.mark.parametrize("name", record.PICTURES)
def test_the_pictures_that_are_kept(name):
    """Each is of the command that makes it again, small, and asks nothing of anybody."""
    svg = (record.IMAGES / name).read_text("utf-8")
    assert lines(svg)[0] == f"$ {record.PICTURES[name]}"
    assert harmless(svg)
