"""How far a stage is, and how that is shown (spec/progress.md)."""

import io
import itertools
import re
import time

import pytest
from rich.cells import cell_len
from rich.console import Console
from support.jobs import Booked, some_chunks, train
from support.processes import wait_until

from mlmref.base.progress import SILENT, of_a_library, reporter
from mlmref.base.progress.bars import Bars, Drawn, facts
from mlmref.base.progress.log_lines import Lines, ended, under_way
from mlmref.base.progress.meter import Meter, Nest, lasting
from mlmref.conformance.backends.toy_job import PlainLoop
from mlmref.plugin.contracts import Options

FACTS = {
    "loss": 3.9471,
    "learning_rate": 3.1e-4,
    "tokens_per_second": 18_903.4,
    "perplexity": 92.7,
}


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self):
        """Return the time."""
        return self.now


def meter(name="train", total=1_000, unit="steps", done=0, went=(), **known):
    """Return a meter of a stage that advanced: pairs of seconds and units."""
    clock = Clock()
    made = Meter(name, total, unit, done, clock)
    for seconds, amount in went:
        clock.now += seconds
        made.advance(amount, **known)
    return made, clock


@pytest.mark.clause("PROG-003")
def test_what_was_done_before_has_no_rate():
    """Taken up at step 900, two steps a second: half a minute is left of the last sixty."""
    told, _ = meter(done=900, went=[(0.5, 1)] * 40)
    assert (told.share, told.rate, told.overall) == (0.94, 2.0, 2.0)
    assert told.seconds_left == 30.0


@pytest.mark.clause("PROG-003")
def test_stages_inside_do_not_count():
    """An evaluation of a minute after ten steps leaves the rate of training as it was."""
    told, clock = meter(went=[(1.0, 1)] * 10)
    nest = Nest()
    with nest(told):
        with nest(Meter("evaluate", 5, "chunks", clock=clock)):
            clock.now += 30.0
            assert told.worked == 10.0, "while the other is at work"
            clock.now += 30.0
        assert nest.open == [told]
        clock.now += 1.0
        told.advance()
    assert (told.rate, told.overall, told.took) == (1.0, 1.0, 71.0)


@pytest.mark.clause("PROG-003")
def test_the_rate_is_of_the_last_half_minute():
    """A minute at one step a second, then half a minute at four: four a second."""
    told, _ = meter(went=[(1.0, 1)] * 60 + [(0.25, 1)] * 124)
    assert told.rate == pytest.approx(4.0)
    assert told.overall == pytest.approx(184 / 91)


@pytest.mark.parametrize(
    ("total", "went", "line"),
    [
        (1_000, [], "train: 0% (0 of 1,000 steps)"),
        (1_000, [(2.0, 420)], "train: 42% (420 of 1,000 steps), 210 steps/s, 0:03 left"),
        (None, [(2.0, 3)], "train: 3 steps, 0:02 elapsed, 1.50 steps/s"),
    ],
)
@pytest.mark.clause("PROG-001")
def test_a_line_tells_how_far_a_stage_is(total, went, line):
    """Share and amount, rate with its unit, and time left; what nobody knows is left out."""
    assert under_way(meter(total=total, went=went)[0]) == line


@pytest.mark.clause("PROG-001")
def test_bytes_are_told_in_megabytes():
    """Of 10^6 bytes, with their rate."""
    told, _ = meter("read", 33e6, "bytes", went=[(2.0, 11e6)])
    assert under_way(told) == "read: 33% (11 of 33 MB), 5.50 MB/s, 0:04 left"
    assert ended(told) == "read: done in 2.0 s, 5.50 MB/s"


@pytest.mark.clause("PROG-002")
def test_lines_and_rows_tell_the_facts():
    """Loss, learning rate, tokens a second and perplexity, with names as long as there is room."""
    told, _ = meter(went=[(2.0, 4)], **FACTS)
    known = "loss 3.947{0}learning rate 3.10e-04{0}18,903 tokens/s{0}perplexity 92.70"
    assert ended(told) == f"train: done in 2.0 s, 2.00 steps/s; {known.format(', ')}"
    assert facts(told, 79) == " " * 10 + known.format("  ")
    assert facts(told, 60).strip() == "loss 3.947  lr 3.10e-04  18,903 tok/s  ppl 92.70"
    assert facts(told, 52).strip() == "loss 3.95  lr 3e-04  18,903 t/s  ppl 92.7"
    assert facts(told, 35).strip() == "loss 3.95  lr 3e-04"


@pytest.mark.clause("PROG-004")
@pytest.mark.parametrize("width", range(5, 121, 5))
def test_rows_are_never_wider_than_the_terminal(width):
    """At any width, begun or not, finished or not, whatever is counted."""
    stages = itertools.product(
        ("train", "tokenize", "downstream"), (None, 3, 1e9), ("", "documents", "bytes")
    )
    for (name, total, unit), finished in itertools.product(stages, (False, True)):
        for went in ([], [(0.001, 2)], [(90_000.0, 2)]):
            told, _ = meter(name, total, unit, went=went, **FACTS)
            row = Drawn(width).row(told, finished=finished)
            assert cell_len(row.plain) <= width
            assert row.plain.startswith(name[:width])
            assert len(facts(told, width)) <= width


@pytest.mark.clause("PROG-004")
def test_rows_give_up_what_matters_least():
    """At 80 columns all of it, at 60 a shorter bar, at 40 no rate, at 20 no bar."""
    told, _ = meter(went=[(2.0, 420)])
    row = {width: Drawn(width - 1).row(told).plain for width in (80, 60, 40, 20)}
    assert row[80] == "train     " + "━" * 30 + "  42%  210 steps/s  0:03 left"
    assert row[60] == "train     " + "━" * 20 + "  42%  210 steps/s  0:03 left"
    assert row[40] == "train     " + "━" * 13 + "  42%  0:03 left"
    assert row[20] == "train      42%"
    assert Drawn(60, ascii_only=True, back=False).row(told).plain.count("=") == 8


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-:--"),
        (5, "0:05"),
        (83, "1:23"),
        (3_723, "1:02:03"),
        (43_200, "12:00:00"),
        (1e6, "11.6 days"),
    ],
)
@pytest.mark.clause("PROG-001")
def test_times_are_short(seconds, text):
    """Minutes and seconds, hours where there are any, days where there are many."""
    assert lasting(seconds) == text


def printed(every=10.0):
    """Return a reporter of lines, and what it prints to."""
    file = io.StringIO()
    return Lines(Console(file=file, width=80), every), file


@pytest.mark.clause("PROG-005")
def test_a_stage_that_does_not_move_is_heard_of():
    """Nothing advances, as while a model loads: a line an interval, and one at the end."""
    lines, file = printed(every=0.05)
    with lines.stage("load"):
        wait_until(lambda: file.getvalue().count("\n") >= 3)
    *going, end = file.getvalue().splitlines()
    assert all(re.fullmatch(r"load: \d+:\d\d elapsed", line) for line in going)
    assert re.fullmatch(r"load: done in [\d.]+ s", end)


@pytest.mark.clause("PROG-005")
def test_the_innermost_stage_is_heard_of():
    """A line is about what is at work, and an outer stage waits its turn."""
    lines, file = printed(every=0.1)
    with lines.stage("train", 2, "steps") as outer:
        outer.advance(loss=3.0)
        with lines.stage("evaluate", 4, "chunks") as inner:
            inner.advance(2)
            wait_until(lambda: "evaluate: 50% (2 of 4 chunks), " in file.getvalue())
        assert "train" not in file.getvalue()
        wait_until(lambda: "train: 50% (1 of 2 steps), " in file.getvalue())
    said = [line.split(",")[0] for line in file.getvalue().splitlines()]
    *inner, ended = said[: said.index("train: 50% (1 of 2 steps)")]
    assert set(inner) == {"evaluate: 50% (2 of 4 chunks)"}
    assert ended.startswith("evaluate: done in ")
    *outer, last = file.getvalue().splitlines()[len(inner) + 1 :]
    assert all(line.endswith(" left; loss 3.000") for line in outer)
    assert last.startswith("train: done in ")


@pytest.mark.clause("PROG-006")
def test_a_stage_that_failed_is_not_done():
    """Neither as a line, nor as a bar; and what is printed ends with the cursor shown."""
    lines, file = printed()
    with pytest.raises(KeyboardInterrupt), lines.stage("train", 4):
        raise KeyboardInterrupt
    assert file.getvalue() == ""
    file = io.StringIO()
    bars = Bars(Console(file=file, width=80, force_terminal=True, color_system=None))
    with pytest.raises(KeyboardInterrupt), bars.stage("train", 4, "steps", 1):
        raise KeyboardInterrupt
    text = file.getvalue()
    assert "25%" in text
    assert "100%" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.clause("PROG-001")
def test_rows_of_inner_stages_go_when_they_end():
    """The outer stage's row is what is left, and it is full."""
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system=None)
    bars = Bars(console)
    with bars.stage("train", 4, "steps") as stage:
        for _ in range(4):
            with bars.stage("evaluate", 2, "chunks"):
                bars.note("a note")
            stage.advance(1, loss=2.5)
    last = re.split(r"\x1b\[\d?[A-Z]", file.getvalue())[-1]
    assert "evaluate" not in last
    assert "100%" in file.getvalue()
    assert file.getvalue().count("a note") == 4


@pytest.mark.clause("PROG-005")
@pytest.mark.parametrize("variable", [{"TERM": "dumb"}, {"FORCE_COLOR": "1"}])
def test_who_cannot_move_the_cursor_gets_lines(monkeypatch, variable):
    """A dumb terminal, and a file that is to be in colour."""
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    file = io.StringIO()
    file.isatty = lambda: "TERM" in variable
    assert isinstance(reporter(Console(file=file), quiet=False), Lines)


@pytest.mark.clause("RUN-008")
def test_a_library_has_no_reporter_outside_a_notebook():
    """What is given is used, and else nobody is told."""
    lines, _ = printed()
    assert of_a_library(lines) is lines
    assert of_a_library(None) is SILENT


@pytest.mark.clause("PROG-002")
@pytest.mark.parametrize("backend", ["trainer", "accelerate"])
def test_the_tokens_of_a_step_are_those_of_all_its_chunks(backend):
    """21 chunks of 16 tokens, the last half empty, eight in a step, five in the last."""
    chunks = some_chunks(21, pad=True)
    booked = train(backend, chunks=chunks, batch_size=4, accumulation=2, epochs=2)
    tokens = [one.tokens for one in booked.reports]
    assert [sum(tokens[:3]), sum(tokens[3:])] == [21 * 16 - 8] * 2
    assert set(tokens) <= {128, 120, 80, 72}
    assert all(one.tokens_per_second == one.tokens / one.seconds > 0 for one in booked.reports)


@pytest.mark.clause("PROG-002")
def test_the_time_of_a_step_is_its_own(monkeypatch):
    """What is done after an epoch's last step is not part of the next one's time."""
    late = [0.0]
    clock = time.perf_counter
    monkeypatch.setattr("mlmref.training.job.time.perf_counter", lambda: clock() + late[0])
    booked = Booked(chunks=some_chunks(4), batch_size=2, epochs=2)
    booked.job.on_epoch = lambda _: late.append(late.pop() + 1e6)
    PlainLoop(Options()).train(booked.job)
    assert late == [2e6]
    assert max(one.seconds for one in booked.reports) < 1e6
