"""Finish a run: move its folder into place, and publish it."""

from __future__ import annotations

import shlex
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.disk import as_os_errors, replace
from mlmref.base.errors import OutputError
from mlmref.base.layout import SETTINGS
from mlmref.base.quiet_libraries import quiet
from mlmref.base.ranks.consensus import by_main
from mlmref.base.ranks.process import is_main
from mlmref.results.record import read_record
from mlmref.results.report.page import write_last
from mlmref.results.result import Result
from mlmref.results.verdict import warning
from mlmref.runner.context import RunContext
from mlmref.runner.folder.checkpoints import Saves
from mlmref.runner.folder.folder import RunFolder
from mlmref.runner.folder.lock import held
from mlmref.settings.config import CheckpointConfig, Config
from mlmref.settings.resolve import to_toml

if TYPE_CHECKING:
    from mlmref.runner.folder.resume import Found
    from mlmref.runner.log.logbook import Logbook
    from mlmref.runner.prepare import Ready


def finished(found: Found, context: RunContext) -> Result:
    """Return the result of a run that an earlier command finished."""
    place, reporter = found.place, context.reporter
    assert place is not None and found.begun is not None  # noqa: S101, PT018 - it was found there
    reporter.note(f"{place}: the run is already finished")
    if context.config.output.push:
        reporter.warn(f"nothing was published; to publish it: {_upload(context.config, place)}")

    def look() -> dict[str, Any]:
        assert found.begun is not None  # noqa: S101 - as above
        record = read_record(place)
        own = CheckpointConfig(**record["config"]["checkpoints"])
        # The process that finished the run was killed before this, or will do it next.
        with suppress(OutputError, OSError), held(place):  # the folder may be read-only
            if found.begun.run:
                Saves(place, found.begun, own, reporter).clear(place)
        return record

    return Result(folder=place, record=by_main(look))


def finish(ready: Ready, folder: RunFolder, log: Logbook, saves: Saves) -> dict[str, Any]:
    """Write model, record and report, and rename the run folder into its place.

    Returns:
        The record.
    """
    reporter = ready.context.reporter
    export(ready, folder.building)
    record = log.write(ready, folder)
    if worse := warning(record["perplexity"]["better"]):
        reporter.warn(worse)
    with reporter.stage("report"):
        write_last(folder.building, folder.place, reporter.warn)
    saves.clear(folder.finish())
    return record


def export(ready: Ready, folder: Path) -> None:
    """Write model and tokenizer so that Transformers can load them without mlmref."""
    with quiet(), as_os_errors(folder):
        ready.loaded.model.save_pretrained(folder)
        ready.loaded.tokenizer.save_pretrained(folder)


def write_settings(config: Config, folder: Path) -> None:
    """Write ``config.toml`` in the main process."""
    if is_main():
        replace(folder / SETTINGS, to_toml(config).encode())


def publish_all(context: RunContext, place: Path) -> None:
    """Publish the finished run."""
    try:
        push(context, place, "The adapted model")
    except Exception:
        raise  # its message says what to do (PUB-004)
    except BaseException as error:
        upload = _upload(context.config, place)
        error.add_note(f"not published, but the run is complete: publish it with {upload}")
        raise


def _upload(config: Config, place: Path) -> str:
    private = ["--private"] * config.output.private
    return shlex.join(["hf", "upload", str(config.output.push), str(place), *private])


def publish_epoch(ready: Ready, epoch: int) -> None:
    """Publish the model after an epoch."""
    with tempfile.TemporaryDirectory() as folder:
        export(ready, Path(folder))
        try:
            push(ready.context, Path(folder), f"After epoch {epoch}")
        except OutputError as error:  # the next epoch may reach the hub again
            ready.context.reporter.note(f"epoch {epoch}: {error.where}: {error.what}")


def push(context: RunContext, folder: Path, message: str) -> None:
    """Publish a folder on the hub."""
    from mlmref.results.publish import publish

    output = context.config.output
    assert output.push  # noqa: S101 - the callers check it
    with quiet(), context.reporter.stage("publish"):
        url = publish(folder, output.push, private=output.private, message=message)
    context.reporter.note(f"published: {url}")
