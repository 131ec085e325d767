"""The flags that are not settings, and how Typer gets a flag from a setting."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlmref.cli import completion

if TYPE_CHECKING:
    from mlmref.settings.setting import Flag

RARE = "rare"
"""Marks a flag that only ``--help-all`` shows, in the commands that have it."""

RUN, COLLATOR = "Run", "A data collator"


def is_rare(parameter: inspect.Parameter) -> bool:
    """Whether only ``--help-all`` shows a flag."""
    return RARE in getattr(parameter.annotation, "__metadata__", ())


def _flag(
    text: str, *names: str, panel: str | None = None, to: completion.Completer | None = None
) -> Any:
    return typer.Option(
        *names, help=text, rich_help_panel=panel, show_default=False, autocompletion=to
    )


def _parameter(name: str, annotation: Any, default: object = None) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def of_setting(flag: Flag, name: str) -> inspect.Parameter:
    """Return the parameter of a setting; its value is ``None`` if the flag is not given."""
    option = _flag(flag.help, flag.name, panel=flag.panel, to=completion.of_setting(flag))
    rare = (RARE,) if flag.rare else ()
    return _parameter(name, Annotated[flag.kind | None, option, *rare])


def _help_all(context: typer.Context, value: bool) -> None:
    if value and not context.resilient_parsing:
        context.meta[ALL] = True
        typer.echo(context.get_help(), color=context.color)
        raise typer.Exit


ALL = "mlmref.help_all"
"""The key in a command's context that is set if its help shows every flag."""

# --- every command, and every command that resolves a configuration --------------------------

Debug = Annotated[bool, _flag("show the traceback of an error", "--debug", panel=RUN), RARE]
HelpAll = Annotated[
    bool,
    typer.Option(
        "--help-all",
        help="Show every flag and exit.",
        is_eager=True,
        callback=_help_all,
        show_default=False,
    ),
]
Preset = Annotated[
    str | None,
    _flag("tiny, tutorial-trainer or tutorial-accelerate", panel=RUN, to=completion.presets),
]
ConfigFile = Annotated[Path | None, _flag("a TOML file of settings", "--config", panel=RUN)]
Sets = Annotated[
    list[str] | None,
    _flag(
        "any setting: SECTION.KEY=VALUE; repeatable", "--set", panel=RUN, to=completion.assignments
    ),
]

EVERYWHERE = {"debug": _parameter("debug", Debug, False)}
HELP_ALL = {"help_all": _parameter("help_all", HelpAll, False)}
SOURCES = {
    name: _parameter(name, one)
    for name, one in (("preset", Preset), ("config", ConfigFile), ("set_", Sets))
}

# --- several commands -------------------------------------------------------------------------

NoPlugin = Annotated[
    list[str] | None,
    _flag("disable a plugin; repeatable", panel=RUN, to=completion.plugins),
    RARE,
]
AsJson = Annotated[bool, _flag("print JSON", "--json", panel=RUN)]
Quiet = Annotated[bool, _flag("show no progress", "--quiet", "-q", panel=RUN)]

# --- run --------------------------------------------------------------------------------------

Resume = Annotated[
    str | None,
    _flag("resume an unfinished run: its folder, or auto", panel=RUN, to=completion.resumable),
]
PrintConfig = Annotated[bool, _flag("print the settings and stop", "--print-config", panel=RUN)]

# --- evaluate, preview ------------------------------------------------------------------------

Metric = Annotated[
    str,
    _flag(
        "perplexity, pseudo-perplexity (word-l2r) or pseudo-perplexity-original",
        to=completion.words("perplexity", "pseudo-perplexity", "pseudo-perplexity-original"),
    ),
]
Sample = Annotated[int | None, typer.Option(help="chunks for a pseudo-perplexity", min=1)]
Maskings = Annotated[
    list[str] | None,
    _flag(
        "a masking strategy; see mlmref plugins; repeatable, to compare",
        "--masking",
        to=completion.entries("strategies"),
    ),
]
ShownChunks = Annotated[int, typer.Option("--chunks", help="chunks to show", min=1)]
FirstChunk = Annotated[int, typer.Option("--first", help="first training chunk to show", min=1)]
# The last pass belongs to the evaluation.
Pass = Annotated[
    int, typer.Option("--pass", help="show the masks of epoch N", min=1, max=2**32 - 1)
]
Unit = Annotated[
    str | None,
    _flag("words, or tokens as in the vocabulary", "--as", to=completion.words("words", "tokens")),
]
Html = Annotated[Path | None, _flag("write a page to this new file, print nothing", "--html")]

# --- check ------------------------------------------------------------------------------------

PluginOption = Annotated[
    list[str] | None, _flag("an option of the plugin: KEY=VALUE; repeatable", "--option")
]
Collator = Annotated[
    str | None, _flag("check a data collator instead: MODULE:NAME", panel=COLLATOR)
]
CollatorArgument = Annotated[
    list[str] | None, _flag("an argument of its class: KEY=VALUE; repeatable", panel=COLLATOR)
]
Column = Annotated[
    list[str] | None,
    _flag(
        "a column it needs: labels, word_ids or offset_mapping; repeatable",
        panel=COLLATOR,
        to=completion.words("labels", "word_ids", "offset_mapping"),
    ),
]
Rate = Annotated[
    str | None,
    _flag(
        "the meaning of its mlm_probability: token, word or share",
        panel=COLLATOR,
        to=completion.words("token", "word", "share"),
    ),
]
WholeWords = Annotated[bool, _flag("it masks whole words", "--whole-words", panel=COLLATOR)]

# --- fill, report, verify ---------------------------------------------------------------------

Candidate = Annotated[list[str] | None, _flag("rank this word or phrase; repeatable")]
ReportHtml = Annotated[Path | None, _flag("write the page to this new file", "--html")]
Only = Annotated[list[str] | None, _flag("a step, such as T09; repeatable", to=completion.steps)]
Require = Annotated[
    list[str] | None,
    _flag("hub or gpu: fail if it is missing; repeatable", to=completion.words("hub", "gpu")),
]
OnCpu = Annotated[bool, _flag("train DistilBERT on the CPU too; takes many hours", "--cpu")]
