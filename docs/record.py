"""Record what a command shows in a terminal, as an SVG that plays it: ``python docs/record.py``.

Alone it makes the pictures of ``docs/images`` again, from real runs, and ``python docs/record.py
OUT.svg COMMAND...`` that of another command. Needs ``pip install pyte``, and a system with
pseudo-terminals. The picture asks nothing of anybody, shows the last screen where nothing moves,
and moves for nobody who asks for less motion.
"""

import os
import pty
import select
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rich.cells import cell_len

COLUMNS, ROWS = 100, 70
SECONDS, HELD = 8.0, 6.0
"""How long a recording plays, whatever the command took, and how long its last screen stays."""
FRAMES = 40

PICTURES = {
    "run.svg": "mlmref run",
    "preview.svg": "mlmref preview --masking token --masking whole-word --first 4 --chunks 1",
}
IMAGES = Path(__file__).resolve().parent / "images"

_WIDE, _HIGH, _EDGE = 8.4, 18.0, 16.0  # of a cell, and around all of them, in pixels
_TEXT, _GROUND = "#d8dee9", "#1e222a"
_COLOURS = {
    "black": "#3b4252",
    "red": "#ff7b85",
    "green": "#a3d977",
    "brown": "#f0c674",
    "blue": "#7cb7ff",
    "magenta": "#d7a1f9",
    "cyan": "#7fdbca",
    "white": "#d8dee9",
}

Row = tuple[tuple[str, str], ...]
"""A line of a screen: texts, each with its style in CSS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A line of the screen, and from when to when it is there, as shares of the recording."""

    at: int
    row: Row
    begin: float
    end: float


def screens(command: list[str], folder: Path) -> Iterator[tuple[float, list[Row]]]:
    """Run a command in a terminal of its own, and give its screen whenever it has changed.

    Args:
        command: the program and its arguments.
        folder: where it runs.

    Raises:
        RuntimeError: it failed; a recording of that is not wanted.
    """
    import pyte

    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    _set_size(theirs)
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    env |= {"MLMREF_CACHE": str(folder / ".cache")}  # as for somebody who has just installed it
    env.pop("NO_COLOR", None)
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - the command that is to be recorded
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=env
    )
    os.close(theirs)
    try:
        while True:
            ready, _, _ = select.select([ours], [], [], 0.2)
            read = b""
            if ready:
                try:
                    read = os.read(ours, 65536)
                except OSError:  # nobody has the other end any more
                    break
                stream.feed(read)
                yield time.monotonic() - began, [_row(screen, at) for at in range(ROWS)]
            if not read and process.poll() is not None:
                break
        if process.wait():
            raise RuntimeError(f"{shlex.join(command)} ended with {process.returncode}")
    finally:
        os.close(ours)
        process.kill()


def _set_size(terminal: int) -> None:
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))


def _row(screen: Any, at: int) -> Row:
    """Return a line of the screen, neighbours of one style together, without blanks at its end."""
    cells = [screen.buffer[at][column] for column in range(COLUMNS)]
    while cells and cells[-1].data == " " and cells[-1].bg == "default" and not cells[-1].reverse:
        cells.pop()
    joined: list[tuple[str, str]] = []
    for cell in cells:
        style = _style(cell)
        if joined and joined[-1][1] == style:
            joined[-1] = (joined[-1][0] + cell.data, style)
        else:
            joined.append((cell.data, style))
    return tuple(joined)


def _style(cell: Any) -> str:
    ground, text = _colour(cell.bg, ""), _colour(cell.fg, "")
    if cell.reverse:
        ground, text = text or _TEXT, ground or _GROUND
    parts = [f"fill:{text}"] if text else []
    parts += ["font-weight:bold"] * cell.bold + ["font-style:italic"] * cell.italics
    parts += ["text-decoration:underline"] * cell.underscore
    return ";".join([*parts, *([f"ground:{ground}"] if ground else [])])


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    known = _COLOURS.get(name.removeprefix("bright"))
    return known or f"#{name}"


def timeline(recorded: list[tuple[float, list[Row]]]) -> list[Shown]:
    """Return the lines of a recording with their times, of evenly spaced screens and the last."""
    *_, (whole, last) = recorded
    kept: dict[int, list[Row]] = {}
    for when, screen in recorded:
        kept[min(int(when / whole * FRAMES), FRAMES - 1)] = screen  # the latest of each interval
    kept[FRAMES] = last
    playing = SECONDS / (SECONDS + HELD)
    times = sorted(kept)
    shown = []
    for at in range(ROWS):
        begin, row = 0.0, kept[times[0]][at]
        for time_ in times[1:]:
            new, now = kept[time_][at], playing * time_ / FRAMES
            if new != row:
                shown.append(Shown(at=at, row=row, begin=begin, end=now))
                begin, row = now, new
        shown.append(Shown(at=at, row=row, begin=begin, end=1.0))
    return [one for one in shown if one.row]


def svg(typed: str, shown: list[Shown]) -> str:
    """Return the picture of a recording, with the command as typed above it."""
    lines = 1 + max((one.at for one in shown), default=0) + 1
    width, height = COLUMNS * _WIDE + 2 * _EDGE, lines * _HIGH + 2 * _EDGE
    whole = SECONDS + HELD
    styles, drawn = [], []
    for one in shown:
        lasting, first = one.end == 1.0, one.begin == 0.0
        name = f"r{len(drawn)}"
        if not (lasting and first):
            begin, end = f"{one.begin:.2%}", f"{one.end:.2%}"
            steps = f"0%{{opacity:{int(first)}}}"
            steps += f"{begin}{{opacity:1}}" if not first else ""
            steps += f"{end}{{opacity:0}}" if not lasting else ""
            styles.append(
                f"@keyframes {name}{{{steps}}}#{name}{{opacity:{int(lasting)};"
                f"animation:{name} {whole:g}s step-end infinite}}"
            )
        drawn.append(f'<g id="{name}">{_drawn(one.row, one.at + 1)}</g>')
    prompt = _drawn((("$ ", f"fill:{_COLOURS['green']}"), (typed, "font-weight:bold")), 0)
    still = "@media (prefers-reduced-motion:reduce){g{animation:none!important}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">'
        f"<title>{escape(typed)}</title>"
        "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',"
        f"monospace;fill:{_TEXT};white-space:pre}}{''.join(styles)}{still}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{_GROUND}"/>'
        f"{prompt}{''.join(drawn)}</svg>\n"
    )


def _drawn(row: Row, at: int) -> str:
    """Return a line as SVG: each text at its cell and as wide as its cells, whatever the font."""
    out, column = "", 0
    for text, style in row:
        x, y = _EDGE + column * _WIDE, _EDGE + at * _HIGH
        style, _, ground = style.partition("ground:")
        wide = cell_len(text) * _WIDE
        column += cell_len(text)
        if ground:
            out += (
                f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{_HIGH:g}" fill="{ground}"/>'
            )
        if text.strip():
            begin = x + (len(text) - len(text.lstrip())) * _WIDE
            bare = text.strip()
            out += (
                f'<text x="{begin:.1f}" y="{y + 13:g}" textLength="{cell_len(bare) * _WIDE:.1f}"'
                + (f' style="{style.rstrip(";")}"' if style else "")
                + f">{escape(bare)}</text>"
            )
    return out


def record(typed: str, file: Path) -> None:
    """Record a command as it is typed, in an empty folder, into a file that may be there."""
    program, *rest = shlex.split(typed)
    beside = Path(sys.executable).with_name(program)
    command = [str(beside) if beside.exists() else program, *rest]
    if program == "mlmref":  # this Python's, whatever is first on the path
        command = [sys.executable, "-m", "mlmref", *rest]
    with tempfile.TemporaryDirectory() as folder:
        recorded = [*screens(command, Path(folder))]
    file.write_text(svg(typed, timeline(recorded)), "utf-8")
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB, {len(recorded)} screens")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        record(shlex.join(sys.argv[2:]), Path(sys.argv[1]))
    else:
        for name, typed_ in PICTURES.items():
            record(typed_, IMAGES / name)
