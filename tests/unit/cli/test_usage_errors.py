"""Errors of usage are one line like all others (RUN-001)."""

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from mlmref import __version__
from mlmref import cli as whole
from mlmref.cli.errors import Commands, closest_options

app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command()
def count(number: Annotated[int | None, typer.Option()] = None, loud: bool = False):
    """Count."""
    if number == 7:
        raise typer.Exit(1)
    if number == 8:
        raise ZeroDivisionError
    typer.echo(f"counted {number}")


@app.command("to-name")
def to_name(name: str):
    """Take a name."""
    typer.echo(name)


LINES = {
    "countt": "no such command 'countt'*; see mlmref --help",
    "count --nmber 3": "no such option: --nmber*; see mlmref count --help",
    "count --number": "option '--number' requires an argument; see mlmref* --help",
    "count --number many": "invalid value for '--number': *integer*; see mlmref count --help",
    "count --loud=very": "option '--loud' does not take a value; see mlmref* --help",
    "count 3": "got unexpected extra argument(s) (3); see mlmref count --help",
    "to-name": "missing argument '*'; see mlmref to-name --help",
}


@pytest.mark.clause("RUN-001")
@pytest.mark.clause("CLI-003")
@pytest.mark.parametrize(("arguments", "expected"), LINES.items())
def test_a_wrong_command_line_is_one_line(arguments, expected):
    """What is wrong, and where to read how it should be; status 2, and nothing is printed."""
    done = CliRunner().invoke(app, arguments.split(), prog_name="mlmref")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    begin, *rest = expected.split("*")
    assert done.stderr.startswith(f"mlmref: {begin}")
    assert done.stderr.removesuffix("\n").endswith(rest[-1] if rest else begin)


@pytest.mark.clause("CLI-003")
@pytest.mark.parametrize(
    ("arguments", "status", "printed"),
    [
        ("count", 0, "counted None\n"),
        ("count --number 3", 0, "counted 3\n"),
        ("count --number 7", 1, ""),
        ("to-name x", 0, "x\n"),
    ],
)
def test_a_right_command_line_goes_through(arguments, status, printed):
    """A command's own status and output."""
    done = CliRunner().invoke(app, arguments.split(), prog_name="mlmref")
    assert (done.exit_code, done.stdout) == (status, printed)


@pytest.mark.clause("CLI-003")
def test_help_and_faults_stay_what_they_are():
    """--help is success, no arguments are help, and an exception of a command passes."""
    assert "Count." in CliRunner().invoke(app, ["count", "--help"], prog_name="mlmref").stdout
    nothing = CliRunner().invoke(app, [], prog_name="mlmref")
    assert nothing.exit_code == 2
    assert "to-name" in nothing.output
    fault = CliRunner().invoke(app, ["count", "--number", "8"], prog_name="mlmref")
    assert isinstance(fault.exception, ZeroDivisionError)


@pytest.mark.clause("CLI-006")
@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("run --lr 1", "--learning-rate"),
        ("run --bs 1", "--batch-size"),
        ("run --epoch 1", "--epochs"),
        ("run --batch 1", "--batch-size"),
        ("run --steps 1", "--max-steps or --warmup-steps"),
        ("run --num_train_epochs 1", "--epochs"),
        ("run --max-seq-length 1", "--chunk-size"),
        ("run --train-file x", "--corpus"),
        ("run --max-grad-norm 1", "--set training.max_grad_norm=VALUE"),
        ("run --resamples 1", "--set evaluation.resamples=VALUE"),
        ("inspect --column x", "--text-column"),
        ("--versoin", "--version"),
    ],
)
def test_an_unknown_option_names_what_was_meant(arguments, meant):
    """In one line, with status 2."""
    done = CliRunner().invoke(whole.app, arguments.split(), prog_name="mlmref")
    option = next(one for one in arguments.split() if one.startswith("-"))
    command = "mlmref" if arguments.startswith("-") else f"mlmref {arguments.split()[0]}"
    assert done.exit_code == 2
    assert done.stderr == (
        f"mlmref: no such option: {option} (did you mean {meant}?); see {command} --help\n"
    )


@pytest.mark.clause("CLI-006")
def test_what_is_like_nothing_names_nothing():
    """Neither an option of another command nor a far one."""
    assert closest_options("--nonsense", ["--epochs", "--model"]) == []
    assert closest_options("--lr", ["--model"]) == []


@pytest.mark.clause("CLI-007")
def test_the_version_is_printed():
    """Name and version in a line."""
    done = CliRunner().invoke(whole.app, ["--version"], prog_name="mlmref")
    assert (done.exit_code, done.stdout) == (0, f"mlmref {__version__}\n")
