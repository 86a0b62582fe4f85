"""`riskwire dead-letters …`: shows records that could not be processed, and replays them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, Json, run_to_end, settings_of
from riskwire.errors import SettingsError
from riskwire.settings import Settings

if TYPE_CHECKING:
    from riskwire.dead_letters.reading import StoredDeadLetter
    from riskwire.dead_letters.replay import Replay

_MAX_ERROR = 160
"""Characters of an error in the table."""

dead_letters_app = typer.Typer(
    help="Records that could not be processed: look at them, put them back.", no_args_is_help=True
)


@dead_letters_app.command("list")
def list_(
    stage: Annotated[str | None, typer.Option("--stage", help="Only those of a stage, for example `infer`.")] = None,
    json: Json = False,
    limit: Annotated[int, typer.Option("--limit", help="Only the newest N.", min=1, max=100_000)] = 20,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """List the newest dead letters, newest last: place, stage, source and error."""
    run_to_end(list_dead_letters(settings_of(config, data=data), stage, limit, json=json))


@dead_letters_app.command()
def show(
    place: Annotated[
        str,
        typer.Argument(
            metavar="PLACE",
            help="As `list` shows it, or the source of the record: `articles[3]@1712`.",
            show_default=False,
        ),
    ],
    json: Json = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Show one dead letter with its complete record, as it was read."""
    run_to_end(show_dead_letter(settings_of(config, data=data), place, json=json))


@dead_letters_app.command()
def replay(
    place: Annotated[str | None, typer.Argument(metavar="[PLACE]", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter (with --stage: of that stage).")] = False,
    stage: Annotated[str | None, typer.Option("--stage", help="With --all: only those of a stage.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that were replayed before, were replaced, or are too old.")
    ] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Put records back onto their topics, each once.

    A notification that was given up is delivered to its receiver (with --all only up to an age of
    notify.max_age_s). A record that a sink could not write is written to the store.

    Exits with 1 if a dead letter could not be replayed, and prints why.
    """
    settings = settings_of(config, data=data)
    run_to_end(replay_dead_letters(settings, place, every=every, stage=stage, again=again))


async def list_dead_letters(settings: Settings, stage: str | None, limit: int, *, json: bool) -> int:
    """Prints the newest dead letters (records that a stage could not process), newest last. Returns exit code 0.

    The column `replayed` has the time at which the record was put back or delivered again; it is empty if it was not.

    Args:
        stage: only the dead letters of this stage; None for all.
        limit: the most dead letters.
        json: prints JSON lines rather than a table.
    """
    from riskwire.cli.data import open_existing_bus
    from riskwire.cli.terminal import print_json_lines, print_table, time_text
    from riskwire.dead_letters.reading import newest_dead_letters
    from riskwire.dead_letters.replay import PUBLISHER, replay_times

    async with open_existing_bus(settings) as bus:
        dead_letters = await newest_dead_letters(bus, limit, _of_stage(stage))
        replayed = replay_times(await bus.publisher_state(PUBLISHER))
    if json:
        print_json_lines([_json_fields(stored, replayed, with_record=False) for stored in dead_letters])
        return 0
    print_table(
        ("place", f"at, {settings.zone}", "stage", "from", f"replayed, {settings.zone}", "error"),
        [
            (
                stored.place,
                time_text(stored.letter.at, settings.zone),
                stored.letter.stage,
                stored.source,
                time_text(_replayed_at(replayed, stored.place), settings.zone),
                stored.letter.error[:_MAX_ERROR],
            )
            for stored in dead_letters
        ],
        empty="No dead letters." if stage is None else f"No dead letters of {stage}.",
        uncut=("place",),
    )
    return 0


def _replayed_at(replayed: Mapping[str, str], place: str) -> datetime | None:
    """Returns when the dead letter at a place was replayed, or None if it was not."""
    return datetime.fromisoformat(replayed[place]) if place in replayed else None


async def show_dead_letter(settings: Settings, place: str, *, json: bool) -> int:
    """Prints a dead letter (a record that a stage could not process) with its full record. Returns exit code 0.

    Args:
        place: where it is: `dead-letters[partition]@offset`, `partition@offset`, `offset`, or the place on another
            topic from which the record was read.

    Raises:
        SettingsError: the place is invalid, or has no dead letter.
    """
    from riskwire.cli.data import open_existing_bus
    from riskwire.cli.terminal import print_json_lines, printable
    from riskwire.dead_letters.reading import find_dead_letter
    from riskwire.dead_letters.replay import PUBLISHER, replay_times
    from riskwire.pipeline import Topic

    async with open_existing_bus(settings) as bus:
        stored = await find_dead_letter(bus, place)
        replayed = replay_times(await bus.publisher_state(PUBLISHER))
    if json:
        print_json_lines([_json_fields(stored, replayed, with_record=True)])
        return 0
    letter = stored.letter
    rows = [
        ("place", f"{Topic.DEAD_LETTERS}[{stored.partition}]@{stored.offset}"),
        ("at", letter.at.isoformat()),
        ("stage", letter.stage),
        ("from", stored.source),
        ("key", letter.key or ""),
        ("error", letter.error),
        ("receiver", letter.receiver or ""),
        ("replayed", replayed.get(stored.place, "")),
        ("record", f"{len(letter.record)} characters, {letter.encoding}{', cut' if letter.cut else ''}"),
    ]
    for name, value in rows:
        if value:
            print(f"{name:<9} {printable(value)}")
    print()
    print(printable(_record_text(stored), lines=True))
    return 0


async def replay_dead_letters(
    settings: Settings, place: str | None, *, every: bool, stage: str | None, again: bool
) -> int:
    """Puts records back onto their topics, or repeats the work of a sink or of notify. Prints each result.

    Args:
        place: where the dead letter is, or where its record was read; None with `every`.
        every: replays all dead letters, or all of `stage`. Notifications older than `notify.max_age_s` are then
            delivered only with `again`.
        stage: with `every`, only the dead letters of this stage; None for all.
        again: replays also those that were replayed before, or whose record a newer one has replaced.

    Returns:
        1 if a dead letter could not be replayed, else 0.

    Raises:
        SettingsError: neither a place nor `--all` is given, or both are; or the place has no dead letter.
    """
    from riskwire.cli.data import open_existing_bus
    from riskwire.dead_letters.reading import all_dead_letters, find_dead_letter, first_offsets
    from riskwire.dead_letters.redelivery import Redelivery
    from riskwire.dead_letters.replayer import Replayer

    if every == (place is not None) or (stage is not None and not every):
        raise SettingsError(
            "give the place of one dead letter, or --all (with --stage: all of a stage)",
            value=place,
            do="`riskwire dead-letters list` shows the places",
        )
    replayed = replayed_before = refused = 0
    async with open_existing_bus(settings) as bus, Redelivery(settings, deliver_old=again or not every) as redelivery:
        replayer = Replayer(bus, redelivery, await first_offsets(bus), again=again)
        chunks = all_dead_letters(bus, _of_stage(stage)) if place is None else _one(await find_dead_letter(bus, place))
        async for dead_letters in chunks:
            result = await replayer.replay(dead_letters)
            _print_replay(result)
            replayed += len(result.replayed)
            replayed_before += len(result.replayed_before)
            refused += len(result.refused)
    print(
        f"{replayed} replayed, {replayed_before} replayed before"
        f"{' (--again replays them again)' if replayed_before else ''}, {refused} not replayed"
    )
    return 1 if refused else 0


def _print_replay(replay: Replay) -> None:
    """Prints the outcome of a replay for each dead letter. Those that were not replayed go to standard error."""
    from riskwire.cli.terminal import printable
    from riskwire.dead_letters.redelivery import needs_redelivery

    for stored in replay.replayed:
        if stored.letter.receiver is not None:
            print(f"{stored.place} delivered")
        elif needs_redelivery(stored):
            print(f"{stored.place} written to the store")
        elif stored.is_article:
            print(f"{stored.place} published as an article")
        else:
            print(f"{stored.place} put back onto {printable(stored.letter.topic)}[{stored.letter.partition}]")
    for stored in replay.replayed_before:
        print(f"{stored.place} was replayed before")
    for stored, obstacle in replay.refused:
        print(f"{stored.place} not replayed: {printable(obstacle)}", file=sys.stderr)


async def _one(stored: StoredDeadLetter) -> AsyncIterator[list[StoredDeadLetter]]:
    yield [stored]


def _of_stage(stage: str | None) -> Callable[[StoredDeadLetter], bool]:
    return lambda stored: stage is None or stored.letter.stage == stage


def _record_text(stored: StoredDeadLetter) -> str:
    """Returns the record as text, with escapes for bytes that are not UTF-8. Returns invalid base64 as it is."""
    try:
        return stored.payload().decode("utf-8", "backslashreplace")
    except ValueError:
        return stored.letter.record


def _json_fields(stored: StoredDeadLetter, replayed: Mapping[str, str], *, with_record: bool) -> dict[str, object]:
    """Returns a dead letter as `dead-letters list --json` and `show --json` print it.

    Args:
        replayed: the time at which each dead letter was replayed, by its place. Null is printed for one that was not.
        with_record: whether to add the record; otherwise only its size in characters.
    """
    fields = stored.letter.model_dump(mode="json")
    if not with_record:
        fields["size"] = len(fields.pop("record"))
    return {"place": stored.place, "from": stored.source, "replayed": replayed.get(stored.place)} | fields
