"""Finish a run: move its folder into place, and publish it."""

from __future__ import annotations

import json
import shlex
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.disk import as_os_errors
from mlmref.base.errors import OutputError
from mlmref.base.progress import Reporter
from mlmref.base.quiet_libraries import quiet
from mlmref.base.ranks.consensus import by_main
from mlmref.results.report.page import write_last
from mlmref.results.result import Result
from mlmref.results.verdict import warning
from mlmref.runner.folder.checkpoints import Saves
from mlmref.runner.folder.folder import RunFolder, held
from mlmref.settings.config import CheckpointConfig, Config

if TYPE_CHECKING:
    from mlmref.runner.folder.resume import Found
    from mlmref.runner.log.logbook import Logbook
    from mlmref.runner.prepare import Plugins, Ready


def finished(found: Found, config: Config, reporter: Reporter) -> Result:
    """Return the result of a run that was finished before."""
    place = found.place
    assert place is not None and found.begun is not None  # noqa: S101, PT018 - it was found there
    reporter.note(f"{place}: the run is finished already")
    if config.output.push:
        reporter.warn(f"nothing is published; to do that: {_upload(config, place)}")

    def look() -> dict[str, Any]:
        assert found.begun is not None  # noqa: S101 - as above
        record: dict[str, Any] = json.loads((place / "record.json").read_text("utf-8"))
        own = CheckpointConfig(**record["config"]["checkpoints"])
        # Whoever finished it was ended before this, or is just about to do it.
        with suppress(OutputError, OSError), held(place):  # it may be nobody's to write to
            if found.begun.run:
                Saves(place, found.begun, own, reporter).clear(place)
        return record

    return Result(folder=place, record=by_main(look))


def finish(
    ready: Ready,
    plugins: Plugins,
    folder: RunFolder,
    log: Logbook,
    saves: Saves,
    reporter: Reporter,
) -> dict[str, Any]:
    """Put the whole run folder in its place; return the record."""
    export(ready, folder.building)
    record = log.write(ready, plugins, folder)
    if worse := warning(record["perplexity"]["better"]):
        reporter.warn(worse)
    with reporter.stage("report"):
        write_last(folder.building, folder.place, reporter.warn)
    saves.clear(folder.finish())
    return record


def export(ready: Ready, folder: Path) -> None:
    """Write model and tokenizer as Transformers alone loads them."""
    with quiet(), as_os_errors(folder):
        ready.loaded.model.save_pretrained(folder)
        ready.loaded.tokenizer.save_pretrained(folder)


def publish_all(config: Config, place: Path, reporter: Reporter) -> None:
    """Publish the finished run."""
    try:
        push(config, place, "The adapted model", reporter)
    except Exception:
        raise  # which says itself what to do (PUB-004)
    except BaseException as error:
        error.add_note(f"not published: the run is whole, go on with {_upload(config, place)}")
        raise


def _upload(config: Config, place: Path) -> str:
    private = ["--private"] * config.output.private
    return shlex.join(["hf", "upload", str(config.output.push), str(place), *private])


def publish_epoch(ready: Ready, epoch: int, reporter: Reporter) -> None:
    """Publish what there is after an epoch."""
    with tempfile.TemporaryDirectory() as folder:
        export(ready, Path(folder))
        try:
            push(ready.config, Path(folder), f"After epoch {epoch}", reporter)
        except OutputError as error:  # the next epoch may reach the hub again
            reporter.note(f"epoch {epoch}: {error.where}: {error.what}")


def push(config: Config, folder: Path, message: str, reporter: Reporter) -> None:
    """Publish a folder on the hub."""
    from mlmref.results.publish import publish

    assert config.output.push  # noqa: S101 - the callers ask for it
    with quiet(), reporter.stage("publish"):
        url = publish(folder, config.output.push, private=config.output.private, message=message)
    reporter.note(f"published: {url}")
