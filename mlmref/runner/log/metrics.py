"""The metrics of a run, ``metrics.jsonl``, and its ``record.json`` (clauses RUN-005 to RUN-007)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.disk import replace
from mlmref.base.layout import METRICS
from mlmref.base.progress.clock import Clock
from mlmref.base.ranks.process import is_main
from mlmref.results.record import (
    documents,
    dumps,
    events,
    numbers,
    peak_memory_mb,
    versions,
    write_record,
)
from mlmref.runner.log.provenance import corpus_used, model_used, plugins_used

if TYPE_CHECKING:
    from mlmref.evaluation.fill_mask import Filled
    from mlmref.evaluation.intervals import Documents
    from mlmref.evaluation.metrics import Measured
    from mlmref.runner.prepare import Ready


class Story:
    """The events of a run: ``metrics.jsonl`` has them at once, the record at the end.

    Args:
        folder: the run folder; only the main process writes.
        clock: times the stages.
        begun: the contents of ``metrics.jsonl`` at the checkpoint that is resumed.
        resumed: the steps at which the run was resumed.
    """

    def __init__(
        self, folder: Path, clock: Clock, begun: str = "", resumed: Sequence[int] = ()
    ) -> None:
        self._clock = clock
        self._resumed = list(resumed)
        self._perplexities: list[dict[str, Any]] = []
        self._held_out: list[Documents] = []
        self._fills: list[list[dict[str, Any]]] = []
        self._steps: list[dict[str, Any]] = []
        self._file = folder / METRICS
        if is_main():
            replace(self._file, begun.encode())
        self._metrics = (self._file if is_main() else Path(os.devnull)).open(
            "a", encoding="utf-8", buffering=1
        )
        for event in events(begun):
            self._remember(event)

    def _remember(self, event: dict[str, Any]) -> None:
        """Add an event of ``metrics.jsonl``."""
        match event.pop("event"):
            case "evaluation":
                self._perplexities.append(numbers(event))
            case "held_out":
                self._held_out.append(documents(numbers(event)))
            case "step":
                self._steps.append(numbers(event))
            case "fill_mask":
                self._fills.append(event["answers"])

    def lines(self) -> str:
        """Return the contents of ``metrics.jsonl`` so far."""
        self._metrics.flush()
        return self._file.read_text("utf-8")

    def measured(self, epoch: int, measured: Measured) -> None:
        """Add an evaluation: before training (epoch 0) or after an epoch."""
        self._perplexities.append({"epoch": epoch, **measured.summary})
        self._held_out.append(measured.documents)
        self._write("evaluation", self._perplexities[-1])
        columns = {
            "documents": measured.documents.numbers,
            "nll": measured.documents.nll,
            "targets": measured.documents.targets,
        }
        lists = {name: column.tolist() for name, column in columns.items()}
        self._write("held_out", {"epoch": epoch, **lists})

    def fills(self, answers: Sequence[Filled]) -> None:
        """Add the answers to the prompts, as one flat list, best first within a mask."""
        self._fills.append(
            [
                {"prompt": one.prompt, "mask": one.mask - 1, **asdict(answer)}
                for one in answers
                for answer in one.answers
            ]
        )
        self._write("fill_mask", {"answers": self._fills[-1]})

    def step(self, report: Mapping[str, Any]) -> None:
        """Add an optimizer step."""
        self._steps.append(dict(report))
        self._write("step", report)

    @property
    def last(self) -> Mapping[str, Any]:
        """The last evaluation, with its epoch."""
        return self._perplexities[-1]

    def so_far(self) -> str:
        """Return one line on the last evaluation."""
        last = self._perplexities[-1]
        when = f"after epoch {last['epoch']}" if last["epoch"] else "before"
        text = f"{when}: perplexity {last['value']:.2f} [{last['low']:.2f}, {last['high']:.2f}]"
        if not last["epoch"]:
            first = self._fills[-1][0]["prompt"] if self._fills[-1] else ""
            tokens = [one["token"] for one in self._fills[-1] if one["prompt"] == first]
            text += f"; {first!r}: {', '.join(tokens)}"
        return text

    def write(self, ready: Ready, folder: Path) -> dict[str, Any]:
        """Write ``record.json`` and the model card; return the record."""
        from mlmref.base.ranks.process import state
        from mlmref.evaluation.intervals import better, difference
        from mlmref.results.card import model_card

        before, *epochs = self._perplexities
        how = ready.config.evaluation, ready.config.seed
        gained = difference(self._held_out[0], self._held_out[-1], *how)
        earlier = better(self._held_out, *how)
        keys = ("step", "loss", "learning_rate", "grad_norm")
        record = {
            "perplexity": {
                "before": before,
                "after": epochs[-1],
                "epochs": epochs,
                "difference": gained.summary(),
                "better": earlier
                and {
                    "epoch": self._perplexities[earlier[0]]["epoch"],
                    "value": self._perplexities[earlier[0]]["value"],
                    "difference": earlier[1].summary(),
                },
            },
            "fill_mask": {"before": self._fills[0], "after": self._fills[-1]},
            "corpus": corpus_used(ready),
            "loss": [{key: step[key] for key in keys} for step in self._steps],
            "model": model_used(ready),
            "plugins": plugins_used(ready.context.plugins),
            "config": ready.config.model_dump(mode="json"),
            "seed": ready.config.seed,
            "resumed": self._resumed,
            "versions": versions(str(state().device)),
            "timings": self._clock.timings(),
            "peak_memory_mb": peak_memory_mb(),
        }
        self._metrics.close()
        write_record(folder, record)
        (folder / "README.md").write_text(model_card(record), "utf-8")
        return record

    def _write(self, event: str, values: Mapping[str, Any]) -> None:
        self._metrics.write(dumps({"event": event, **values}) + "\n")
