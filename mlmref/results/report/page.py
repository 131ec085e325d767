"""The page of one run, or of several side by side (spec/report.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace as changed
from pathlib import Path

from mlmref.base import disk
from mlmref.base.errors import OutputError
from mlmref.base.layout import KEPT
from mlmref.results.pages import check_place, render, write_new
from mlmref.results.report import charts, explorer, figures
from mlmref.results.report import sections as shown
from mlmref.results.report.learned import LEAST, learnt
from mlmref.results.report.read import read
from mlmref.results.report.saved_run import SavedRun

PAGE = "report.html"
"""The name of the page in a run folder."""

MOST = 12
"""The most runs side by side."""

_MARK = b'<meta name="generator" content="mlmref">'
_TOML = 10_000  # the most characters of the settings file that are shown
_SIZE = 2_000_000  # the most bytes of a page (REP-004)


def page(runs: Sequence[SavedRun]) -> str:
    """Return the page of a run, or of several side by side.

    Raises:
        OutputError: a file of a run is damaged, or there are more runs than :data:`MOST`.
    """
    if len(runs) > MOST:
        raise OutputError(
            f"{len(runs)} runs do not fit on a page", where="report", hint=f"give at most {MOST}"
        )
    from jinja2 import UndefinedError

    try:
        if len(runs) > 1:
            return _several(runs)
        chunks = explorer.explorer(runs[0])
        kept, text = len(chunks), _one(runs[0], chunks, len(chunks))
        while len(text.encode()) >= _SIZE and chunks:
            chunks = chunks[: len(chunks) // 2]
            text = _one(runs[0], chunks, kept)
        return text
    except (ValueError, LookupError, TypeError, AttributeError, UndefinedError) as error:
        # read() has converted the values of all files but report.json.
        files = (run.folder / KEPT if run.kept else run.folder for run in runs)
        raise OutputError(f"it is damaged ({error})", where=", ".join(map(str, files))) from error


def _one(run: SavedRun, chunks: Sequence[explorer.Chunk], kept: int) -> str:
    found = learnt(run.held_out) if run.held_out is not None else None
    fills, fills_note = shown.fills([run])
    settings, settings_note = shown.settings(run.config)
    return render(
        "report.html",
        run=run,
        f=figures,
        charts=charts,
        curves=[figures.perplexity([run]), figures.loss([run]), figures.learning_rate([run])],
        lengths=figures.lengths(run),
        fills=fills,
        fills_note=fills_note,
        learnt=found,
        least=LEAST,
        chunks=chunks,
        chunks_kept=kept,
        signs=explorer.SIGNS,
        settings=settings,
        settings_note=settings_note,
        plugins=shown.plugins(run),
        command=shown.again(run),
        toml=shown.cut(run.toml, _TOML),
        cut=shown.cut,
    )


def _several(runs: Sequence[SavedRun]) -> str:
    names = [run.name for run in runs]
    if len(set(names)) < len(names):  # folders of one name in different places
        runs = [changed(run, name=str(run.folder)) for run in runs]
    fills, fills_note = shown.fills(runs)
    return render(
        "runs.html",
        runs=runs,
        f=figures,
        charts=charts,
        curves=[figures.perplexity(runs), figures.loss(runs), figures.learning_rate(runs)],
        fills=fills,
        fills_note=fills_note,
        differing=shown.differing(runs),
        cut=shown.cut,
    )


def write_pages(folders: Sequence[Path], html: Path | None) -> Path:
    """Write the page of a run, or of several side by side; return its path.

    Args:
        folders: run folders.
        html: a new file; ``None`` overwrites the page in the folder of a single run.

    Raises:
        OutputError: a folder has no run, or the page cannot be written.
    """
    if html is not None:
        check_place(html, "--html")
        write_new(page([read(folder) for folder in folders]), html, "--html")
        return html
    if len(folders) > 1:
        raise OutputError(
            "a page of several runs needs a file of its own",
            where="report",
            hint="give a new file with --html",
        )
    return write_again(folders[0])


def write_last(building: Path, place: Path, warn: Callable[[str], None]) -> None:
    """Write the page of a run before its folder is renamed (REP-001, REP-002).

    Args:
        building: the run folder before renaming.
        place: the run folder after renaming.
        warn: called with one line if the page cannot be written, which does not fail the run.
    """
    file = building / PAGE
    try:
        run = changed(read(building), folder=place, name=place.name)
        file.write_text(page([run]), "utf-8")
    except Exception as error:  # noqa: BLE001 - of any kind: the run must not fail
        with suppress(OSError):
            file.unlink(missing_ok=True)
        warn(f"{PAGE} was not written ({error}); the run is complete; try: mlmref report {place}")


def write_again(folder: Path) -> Path:
    """Write a run's page into its folder, over the one that mlmref wrote there (REP-016).

    Raises:
        OutputError: the folder has no run, another file has the page's name, or writing fails.
    """
    run = read(folder)
    file = run.folder / PAGE
    if file.is_symlink() or (file.exists() and not _is_ours(file)):
        raise OutputError(
            "not a page of mlmref; nothing was changed",
            where=str(file),
            hint="give another file with --html",
        )
    content = page([run]).encode()
    try:
        disk.replace(file, content)
    except OSError as error:
        with suppress(OSError):
            file.with_name(f".{file.name}.part").unlink()
        raise OutputError(
            f"it cannot be written ({error.strerror})",
            where=str(file),
            hint="give another file with --html",
        ) from error
    return file


def _is_ours(file: Path) -> bool:
    with suppress(OSError), file.open("rb") as opened:
        return _MARK in opened.read(4_096)
    return False
