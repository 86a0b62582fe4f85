"""`riskwire dead-letters …`: the command line of what could not be processed."""

from __future__ import annotations

from typing import Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, Json, run_to_end, settings_of

letters_app = typer.Typer(
    help="Records that could not be processed: look at them, put them back.", no_args_is_help=True
)
LetterPlace = Annotated[
    str,
    typer.Argument(
        metavar="PLACE",
        help="As `list` shows it, or where the record came from: `articles[3]@1712`.",
        show_default=False,
    ),
]


@letters_app.command("list")
def letters_list(
    stage: Annotated[str | None, typer.Option("--stage", help="Only those of a stage, for example `infer`.")] = None,
    json: Json = False,
    limit: Annotated[int, typer.Option("--limit", help="Only the newest N.", min=1, max=100_000)] = 20,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """The newest dead letters, newest last: place, stage, where each came from, and why."""
    from riskwire.cli.dead_letters import show_list as main

    run_to_end(main(settings_of(config, data=data), stage, limit, json))


@letters_app.command("show")
def letters_show(
    place: LetterPlace,
    json: Json = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """One dead letter with its whole record, as it was read."""
    from riskwire.cli.dead_letters import show as main

    run_to_end(main(settings_of(config, data=data), place, json))


@letters_app.command("replay")
def letters_replay(
    place: Annotated[str | None, typer.Argument(metavar="[PLACE]", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every letter (with --stage: of that stage).")] = False,
    stage: Annotated[str | None, typer.Option("--stage", help="With --all: only those of a stage.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what was replayed before, has been overtaken since, or is too old.")
    ] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Put records back where they came from, each once.

    A notification that was given up is delivered to whom it was owed (with --all only up to an age of
    notify.max_age_s); what a sink missed is written to the store.

    Ends with 1 where a letter could not be replayed, and says why.
    """
    from riskwire.cli.dead_letters import replay_letters as main

    run_to_end(main(settings_of(config, data=data), place, everything=every, stage=stage, again=again))
