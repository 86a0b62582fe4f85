"""`riskwire dead-letters list|show|replay`: what could not be processed, why, and putting it back."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

from riskwire.bus import Bus
from riskwire.bus.state import update_state
from riskwire.cli.show import opened_bus, print_lines
from riskwire.cli.terminal import print_table, printable
from riskwire.dead_letters.letters import (
    PUBLISHER,
    Letter,
    Replay,
    beginnings,
    every,
    find,
    newest,
    overtaken,
    replay,
    replays,
)
from riskwire.dead_letters.redelivery import Errands, is_errand
from riskwire.errors import SchemaError, SettingsError
from riskwire.pipeline import Topic
from riskwire.settings import Settings

_ERROR_SHOWN = 160
_NOTE_EVERY_S = 5.0
"""Work done here that has waited this long is noted after the letter that is under way."""

_Note = Callable[[Sequence[Letter], Sequence[str]], Awaitable[Replay]]


async def show_list(settings: Settings, stage: str | None, limit: int, json: bool) -> int:
    """The newest letters, newest last."""
    async with opened_bus(settings) as bus:
        letters = await newest(bus, limit, _of(stage))
        replayed = replays(await bus.publisher_state(PUBLISHER))
    if json:
        print_lines([_plain(letter, replayed, whole=False) for letter in letters])
        return 0
    print_table(
        ("place", "at", "stage", "from", "replayed", "error"),
        [
            (
                letter.place,
                f"{letter.said.at:%Y-%m-%d %H:%M}",
                letter.said.stage,
                letter.source,
                replayed.get(letter.place, "")[:16].replace("T", " "),
                letter.said.error[:_ERROR_SHOWN],
            )
            for letter in letters
        ],
        empty="No dead letters." if stage is None else f"No dead letters of {stage}.",
        whole=("place",),
    )
    return 0


async def show(settings: Settings, place: str, json: bool) -> int:
    """One letter, with its whole record as it was read."""
    async with opened_bus(settings) as bus:
        letter = await find(bus, place)
        replayed = replays(await bus.publisher_state(PUBLISHER))
    if json:
        print_lines([_plain(letter, replayed, whole=True)])
        return 0
    said = letter.said
    rows = [
        ("place", f"{Topic.DEAD_LETTERS}[{letter.partition}]@{letter.offset}"),
        ("at", said.at.isoformat()),
        ("stage", said.stage),
        ("from", letter.source),
        ("key", said.key or ""),
        ("error", said.error),
        ("owed to", said.receiver or ""),
        ("replayed", replayed.get(letter.place, "")),
        ("record", f"{len(said.record)} characters, {said.encoding}{', cut' if said.cut else ''}"),
    ]
    for name, value in rows:
        if value:
            print(f"{name:<9} {printable(value)}")
    print()
    print(printable(_readable(letter), lines=True))
    return 0


def _readable(letter: Letter) -> str:
    """The record for a person: what was no text as far as it is some, with escapes for the rest."""
    try:
        return letter.payload().decode("utf-8", "backslashreplace")
    except ValueError:
        return letter.said.record


async def replay_letters(
    settings: Settings, place: str | None, *, everything: bool, stage: str | None, again: bool
) -> int:
    """Put letters back where they came from, or do the work of a sink or of notify; 1 where one could not be.

    Of several letters a notification older than `notify.max_age_s` is not sent, unless `again` asks for it.

    Raises:
        SettingsError: neither a place nor `--all`, or both; no letter is there.
    """
    if everything == (place is not None) or (stage is not None and not everything):
        raise SettingsError(
            "give the place of one letter, or --all (with --stage: all of a stage)",
            value=place,
            do="`riskwire dead-letters list` shows the places",
        )
    counts = {"replayed": 0, "before": 0, "refused": 0}
    async with opened_bus(settings) as bus, Errands(settings, old_too=again or not everything) as errands:
        begin = await beginnings(bus)
        pieces = every(bus, _of(stage)) if place is None else _one(await find(bus, place))
        async for letters in pieces:
            done = await _replay(bus, errands, letters, begin, again=again)
            _tell(done, counts)
    print(
        f"{counts['replayed']} replayed, {counts['before']} had been before"
        f"{' (--again replays them again)' if counts['before'] else ''}, {counts['refused']} could not be"
    )
    return 1 if counts["refused"] else 0


async def _replay(
    bus: Bus, errands: Errands, letters: Sequence[Letter], begin: Sequence[int], *, again: bool
) -> Replay:
    """Letters in one step; those whose work is done here before it can be noted, in further ones."""
    partitions = {str(topic): bus.partitions(topic) for topic in Topic}
    newer = await overtaken(bus, letters)

    async def note(some: Sequence[Letter], worked: Sequence[str]) -> Replay:
        def decide(state: Mapping[str, bytes]) -> Replay:
            now = datetime.now(UTC)
            return replay(some, state, partitions, newer, now, again=again, worked=worked, begin=begin)

        return await update_state(bus, PUBLISHER, decide)

    async def put_back(some: Sequence[Letter]) -> Replay:
        """Where the bus refuses one of several, each in a step of its own."""
        try:
            return await note(some, ())
        except SchemaError as error:
            if len(some) == 1:
                return Replay(refused=((some[0], str(error)),))
        total = Replay()
        for one in some:
            total = _sum(total, await put_back([one]))
        return total

    returned = [letter for letter in letters if not is_errand(letter)]
    total = await put_back(returned) if returned else Replay()
    if due := [letter for letter in letters if is_errand(letter)]:
        total = _sum(total, await _do(due, errands, note, replays(await bus.publisher_state(PUBLISHER)), again=again))
    return total


async def _do(
    letters: Sequence[Letter], errands: Errands, note: _Note, noted: Collection[str], *, again: bool
) -> Replay:
    """Do the work of letters, and note it every few seconds and at the end, also where it is cut short: to note reads
    all notes there are. What was not noted when the process was killed is done once more."""
    total, worked, since = Replay(), list[Letter](), time.monotonic()
    try:
        for letter in letters:
            if letter.place in noted and not again:
                total = _sum(total, Replay(before=(letter,)))
            elif (why := await errands.run(letter)) is not None:
                total = _sum(total, Replay(refused=((letter, why),)))
            else:
                worked.append(letter)
                if time.monotonic() - since > _NOTE_EVERY_S:
                    some, worked, since = worked, [], time.monotonic()
                    total = _sum(total, await note(some, [one.place for one in some]))
    finally:
        if worked:
            total = _sum(total, await note(worked, [one.place for one in worked]))
    return total


def _sum(one: Replay, other: Replay) -> Replay:
    return Replay(done=one.done + other.done, before=one.before + other.before, refused=one.refused + other.refused)


def _tell(done: Replay, counts: dict[str, int]) -> None:
    for letter in done.done:
        if letter.said.receiver is not None:
            print(f"{letter.place} delivered")
        elif is_errand(letter):
            print(f"{letter.place} written to the store")
        elif letter.is_article:
            print(f"{letter.place} published as an article")
        else:
            print(f"{letter.place} put back onto {printable(letter.said.topic)}[{letter.said.partition}]")
    for letter in done.before:
        print(f"{letter.place} had been replayed before")
    for letter, why in done.refused:
        print(f"{letter.place} not replayed: {printable(why)}", file=sys.stderr)
    counts["replayed"] += len(done.done)
    counts["before"] += len(done.before)
    counts["refused"] += len(done.refused)


async def _one(letter: Letter) -> AsyncIterator[list[Letter]]:
    yield [letter]


def _of(stage: str | None) -> Callable[[Letter], bool]:
    return lambda letter: stage is None or letter.said.stage == stage


def _plain(letter: Letter, replayed: Mapping[str, str], *, whole: bool) -> dict[str, object]:
    fields = {"place": letter.place, "from": letter.source, "replayed": replayed.get(letter.place)}
    said = letter.said.model_dump(mode="json")
    if not whole:
        said["size"] = len(said.pop("record"))
    return fields | said
