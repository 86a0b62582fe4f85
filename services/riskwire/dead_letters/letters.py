"""Dead letters as they stand on their topic: finding them, and deciding what can be put back where it came from.

What was put back is noted in the state of the publisher `dead-letters`, in the same step that puts it back: so a letter
is not replayed twice, whoever asks and whatever is killed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import structlog
from pydantic import TypeAdapter

from riskwire.bus import Bus, Message, Outgoing
from riskwire.bus.state import StateUpdate
from riskwire.errors import SchemaError, SettingsError
from riskwire.pipeline import Topic
from riskwire.records import Article, DeadLetter, content_id, read_record

log = structlog.get_logger(__name__)

PUBLISHER = "dead-letters"
LAST_WORD = frozenset({Topic.COMMANDS, Topic.FEEDS})
"""Topics of which the newest record of a key is what counts: an older one put back would have the last word."""

_NOTE = "replayed:"
_CUT = "its record was too large to be kept whole"
_REFUSED_RECORD = ("SchemaError:", "TooLargeError:")
"""How the error of a letter begins where the record is at fault."""
_CHUNK = 64
_MOST_CHUNK = 4_096
_READER = TypeAdapter(DeadLetter)
_PLACE = re.compile(r"(?:(?P<topic>.+)\[(?P<there>\d{1,19})\]@|(?:(?P<partition>\d{1,19})@)?)(?P<offset>\d{1,19})")
"""As many digits as an offset can have: Python refuses to read numbers of thousands."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, and where on the topic it stands."""

    partition: int
    offset: int
    said: DeadLetter

    @property
    def place(self) -> str:
        """What names it: its offset; on another partition than the one there is by default, `partition@offset`."""
        return f"{self.partition}@{self.offset}" if self.partition else str(self.offset)

    @property
    def source(self) -> str:
        """Where its record was read."""
        return f"{self.said.topic}[{self.said.partition}]@{self.said.offset}"

    @property
    def is_article(self) -> bool:
        """Whether its record is an article that ingest could not publish: it has been on no topic yet."""
        return self.said.stage == "ingest" and self.said.topic.startswith("feed:")

    @property
    def names_record(self) -> str:
        """The same for all letters of one record. Items of a feed are counted anew in each document."""
        return f"{self.source}#{content_id(self.said.record)}" if self.is_article else self.source

    def payload(self) -> bytes:
        """The record as it was read.

        Raises:
            ValueError: the letter says base64 and it is not.
        """
        record = self.said.record
        return record.encode() if self.said.encoding == "text" else base64.b64decode(record, validate=True)


async def newest(bus: Bus, most: int, keep: Callable[[Letter], bool] = lambda _: True) -> list[Letter]:
    """The newest letters that are to be kept, newest last; reads back from the end no further than it must."""
    found: list[Letter] = []
    for partition, end in enumerate(await bus.ends(Topic.DEAD_LETTERS)):
        begin = await _beginning(bus, partition, end)
        here: list[Letter] = []
        high, size = end, most + _CHUNK
        while high > begin and len(here) < most:
            low = max(begin, high - size)
            messages = await bus.read(Topic.DEAD_LETTERS, partition, low, high - low)
            here = [letter for letter in _letters(messages, high) if keep(letter)] + here
            high, size = low, min(2 * size, _MOST_CHUNK)
        found += here
    return sorted(found, key=lambda letter: (letter.said.at, letter.partition, letter.offset))[-most:]


async def every(bus: Bus, keep: Callable[[Letter], bool] = lambda _: True) -> AsyncIterator[list[Letter]]:
    """All letters that stand there now, in order and in pieces; what comes meanwhile is left out."""
    for partition, end in enumerate(await bus.ends(Topic.DEAD_LETTERS)):
        start = 0
        while start < end and (messages := await bus.read(Topic.DEAD_LETTERS, partition, start, _CHUNK)):
            if kept := [letter for letter in _letters(messages, end) if keep(letter)]:
                yield kept
            start = messages[-1].offset + 1


async def find(bus: Bus, place: str) -> Letter:
    """The letter at a place of `dead-letters`, or the newest one whose record was read at a place of another topic.

    Raises:
        SettingsError: it is no place, or no letter is there.
    """
    match = _PLACE.fullmatch(place.strip())
    if match is None:
        raise SettingsError(
            "not the place of a dead letter",
            value=place,
            do="`riskwire dead-letters list` shows them; where the record came from will do too: `articles[3]@1712`",
        )
    if match["topic"] not in (None, Topic.DEAD_LETTERS):
        source = f"{match['topic']}[{int(match['there'])}]@{int(match['offset'])}"
        found = await newest(bus, 1, lambda letter: letter.source == source)
    else:
        partition, offset = int(match["there"] or match["partition"] or 0), int(match["offset"])
        ends = await bus.ends(Topic.DEAD_LETTERS)
        there = partition < len(ends) and offset < ends[partition]
        messages = await bus.read(Topic.DEAD_LETTERS, partition, offset, 1) if there else ()
        found = [letter for letter in _letters(messages, offset + 1) if letter.offset == offset]
    if not found:
        raise SettingsError("no dead letter is there", value=place, do="`riskwire dead-letters list` shows what is")
    return found[-1]


async def overtaken(bus: Bus, letters: Sequence[Letter]) -> dict[str, str]:
    """Where the newest record of a key is what counts: which newer one there is, by the place of each letter."""
    wanted = [letter for letter in letters if letter.said.topic in LAST_WORD and letter.said.key is not None]
    found: dict[str, str] = {}
    for topic, partition in {(letter.said.topic, letter.said.partition) for letter in wanted}:
        here = [letter for letter in wanted if (letter.said.topic, letter.said.partition) == (topic, partition)]
        if partition >= bus.partitions(topic):
            continue
        last: dict[str | None, Message] = {}
        start, end = min(letter.said.offset for letter in here), (await bus.ends(topic))[partition]
        while start < end and (messages := await bus.read(topic, partition, start, _MOST_CHUNK)):
            last |= {message.key: message for message in messages}
            start = messages[-1].offset + 1
        for letter in here:
            newer = last.get(letter.said.key)
            if newer is not None and newer.offset > letter.said.offset:
                found[letter.place] = newer.where
    return found


async def beginnings(bus: Bus) -> list[int]:
    """The first offset that each partition of `dead-letters` still holds: notes on what stood before are of no use."""
    return [await _beginning(bus, partition, end) for partition, end in enumerate(await bus.ends(Topic.DEAD_LETTERS))]


def replays(state: Mapping[str, bytes]) -> dict[str, str]:
    """When each letter was replayed, by place, from the state of the publisher."""
    return {place: note["at"] for place, note in _notes(state).items()}


def _notes(state: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    return {key.removeprefix(_NOTE): orjson.loads(value) for key, value in state.items() if key.startswith(_NOTE)}


@dataclass(frozen=True, slots=True)
class Replay(StateUpdate):
    """Letters that are put back, those that had been before, and those that cannot be, with the reason."""

    done: tuple[Letter, ...] = ()
    before: tuple[Letter, ...] = ()
    refused: tuple[tuple[Letter, str], ...] = ()


def replay(
    letters: Sequence[Letter],
    state: Mapping[str, bytes],
    partitions: Mapping[str, int],
    newer: Mapping[str, str],
    now: datetime,
    *,
    again: bool = False,
    worked: Collection[str] = (),
    begin: Sequence[int] = (),
) -> Replay:
    """Decide on letters: each record back onto the topic and partition it came from, with its key, once (several groups
    that read one topic may each have a letter of it); an article that ingest could not publish onto `articles`.

    Args:
        state: of the publisher `dead-letters`.
        partitions: of every topic.
        newer: what `overtaken` found.
        again: put back also what was replayed before or has been overtaken.
        worked: places of letters whose work has just been done: they are noted only.
        begin: what `beginnings` found; older notes are dropped.
    """
    noted = _notes(state)
    returned = {note["from"] for note in noted.values()}
    results: list[Outgoing] = []
    notes: dict[str, bytes | None] = {_NOTE + place: None for place in noted if _is_gone(place, begin)}
    done: list[Letter] = []
    before: list[Letter] = []
    refused: list[tuple[Letter, str]] = []
    for letter in letters:
        source = "" if letter.place in worked else letter.names_record
        if source:
            twin = source in {one.names_record for one in done}  # also `again` puts a record back once
            if twin or ((letter.place in noted or source in returned) and not again):
                before.append(letter)
                continue
            why = why_not(letter, partitions)
            if why is None and letter.place in newer and not again:
                why = f"a newer record of {letter.said.key} has come since, {newer[letter.place]}; --again puts it back"
            if why is not None:
                refused.append((letter, why))
                continue
            results.append(_returned(letter))
        done.append(letter)
        notes[_NOTE + letter.place] = orjson.dumps({"at": now.isoformat(timespec="seconds"), "from": source})
    return Replay(results, notes, done=tuple(done), before=tuple(before), refused=tuple(refused))


def why_not(letter: Letter, partitions: Mapping[str, int]) -> str | None:
    """Why the record of a letter cannot be put back, or None."""
    if letter.is_article:
        return next(_article_obstacles(letter), None)
    return next(_obstacles(letter, partitions.get(letter.said.topic, 0)), None)


def _returned(letter: Letter) -> Outgoing:
    said = letter.said
    if letter.is_article:
        return Outgoing(Topic.ARTICLES, Article.model_validate_json(letter.payload()).id, letter.payload())
    return Outgoing(said.topic, said.key, letter.payload(), said.partition)


def _article_obstacles(letter: Letter) -> Iterator[str]:
    if letter.said.cut:
        yield _CUT
    try:
        Article.model_validate_json(letter.payload())
    except ValueError:
        yield "its record is not an article"


def _obstacles(letter: Letter, count: int) -> Iterator[str]:
    said = letter.said
    if said.topic.startswith("archive:"):
        yield f"it is line {said.offset} of an archive: mend the file and replay that"
    if said.topic == Topic.DEAD_LETTERS or not count:
        yield f"there is no topic {said.topic} to put it back onto"
    if said.receiver is not None or (said.stage == "notify" and not said.error.startswith(_REFUSED_RECORD)):
        yield "it is a notification that was given up, and does not say to whom it was owed"
    if said.cut:
        yield _CUT
    if said.partition >= count:
        yield f"{said.topic} has partitions 0 to {count - 1} now, and it came from {said.partition}"
    if said.topic in LAST_WORD and said.key is None:
        yield f"its key was not kept, and on {said.topic} the key says what a record is about"
    try:
        letter.payload()
    except ValueError:
        yield "its record is not the base64 that it says it is"


def _is_gone(place: str, begin: Sequence[int]) -> bool:
    partition, _, offset = place.rpartition("@")
    return int(partition or 0) < len(begin) and int(offset) < begin[int(partition or 0)]


async def _beginning(bus: Bus, partition: int, end: int) -> int:
    first = await bus.read(Topic.DEAD_LETTERS, partition, 0, 1) if end else ()
    return first[0].offset if first else end


def _letters(messages: Sequence[Message], end: int) -> list[Letter]:
    found = []
    for message in messages:
        if message.offset < end:
            try:
                said = read_record(_READER, message.value, message.where)
            except SchemaError as error:
                log.warning("unreadable dead letter left out", where=message.where, error=str(error))
                continue
            found.append(Letter(message.partition, message.offset, said))
    return found
