"""Finds dead letters on their topic."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import structlog
from pydantic import TypeAdapter

from riskwire.bus import Bus, Message
from riskwire.errors import SchemaError, SettingsError
from riskwire.pipeline import TOPICS, Topic
from riskwire.records import DeadLetter, content_id, read_record

log = structlog.get_logger(__name__)

_CHUNK = 64
"""Records of one read."""
_MAX_CHUNK = 4_096
_DEAD_LETTER = TypeAdapter(DeadLetter)
_PLACE = re.compile(
    r"(?:(?P<topic>.+)\[(?P<topic_partition>\d{1,19})\]@|(?:(?P<partition>\d{1,19})@)?)(?P<offset>\d{1,19})"
)
"""`topic[partition]@offset`, `partition@offset` or `offset`. At most 19 digits, because `int` refuses thousands."""

Filter = Callable[["StoredDeadLetter"], bool]


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter, and its partition and offset on the topic `dead-letters`."""

    partition: int
    offset: int
    letter: DeadLetter

    @property
    def place(self) -> str:
        """Its name for users: the offset, or `partition@offset` on any partition but the first."""
        return f"{self.partition}@{self.offset}" if self.partition else str(self.offset)

    @property
    def source(self) -> str:
        """Topic, partition and offset from which its record was read."""
        return f"{self.letter.topic}[{self.letter.partition}]@{self.letter.offset}"

    @property
    def is_article(self) -> bool:
        """Whether its record is an article that ingest could not publish, so that no topic has it yet."""
        return self.letter.stage == "ingest" and self.letter.topic.startswith("feed:")

    @property
    def record_id(self) -> str:
        """An id that is equal for all dead letters of one record.

        It is the place from which the record was read. The offset of an article is the number of its item in one
        document, so its content is part of the id.
        """
        return f"{self.source}#{content_id(self.letter.record)}" if self.is_article else self.source

    def payload(self) -> bytes:
        """Returns the record as it was read.

        Raises:
            ValueError: its encoding is base64, and the record is not valid base64.
        """
        record = self.letter.record
        return record.encode() if self.letter.encoding == "text" else base64.b64decode(record, validate=True)


async def newest_dead_letters(bus: Bus, limit: int, matches: Filter = lambda _: True) -> list[StoredDeadLetter]:
    """Returns the newest dead letters that match, newest last. Reads backward, only as far as necessary.

    Args:
        limit: the most dead letters that are returned, over all partitions.
    """
    newest: list[StoredDeadLetter] = []
    for partition, end in enumerate(await bus.ends(Topic.DEAD_LETTERS)):
        first = await _first_offset(bus, partition, end)
        on_partition: list[StoredDeadLetter] = []
        high, size = end, limit + _CHUNK
        while high > first and len(on_partition) < limit:
            low = max(first, high - size)
            messages = await bus.read(Topic.DEAD_LETTERS, partition, low, high - low)
            on_partition = [stored for stored in _decode(messages, high) if matches(stored)] + on_partition
            high, size = low, min(2 * size, _MAX_CHUNK)
        newest += on_partition
    return sorted(newest, key=lambda stored: (stored.letter.at, stored.partition, stored.offset))[-limit:]


async def all_dead_letters(bus: Bus, matches: Filter = lambda _: True) -> AsyncIterator[list[StoredDeadLetter]]:
    """Yields all dead letters that match, in order and in chunks. Later ones than the call are left out."""
    for partition, end in enumerate(await bus.ends(Topic.DEAD_LETTERS)):
        start = 0
        while start < end and (messages := await bus.read(Topic.DEAD_LETTERS, partition, start, _CHUNK)):
            if chunk := [stored for stored in _decode(messages, end) if matches(stored)]:
                yield chunk
            start = messages[-1].offset + 1


async def find_dead_letter(bus: Bus, place: str) -> StoredDeadLetter:
    """Returns the dead letter at a place.

    Args:
        place: a place on `dead-letters`: `offset` (on partition 0), `partition@offset` or `dead-letters[1]@offset`. Or
            the place on another topic from which the record was read, `topic[partition]@offset`; then the newest dead
            letter of that record is returned.

    Raises:
        SettingsError: the place is invalid, or has no dead letter.
    """
    match = _PLACE.fullmatch(place.strip())
    if match is None:
        raise SettingsError(
            "not the place of a dead letter",
            value=place,
            do="`riskwire dead-letters list` shows the places; the source of the record works as well: "
            "`articles[3]@1712`",
        )
    if match["topic"] not in (None, Topic.DEAD_LETTERS):
        source = f"{match['topic']}[{int(match['topic_partition'])}]@{int(match['offset'])}"
        matching = await newest_dead_letters(bus, 1, lambda stored: stored.source == source)
    else:
        partition, offset = int(match["topic_partition"] or match["partition"] or 0), int(match["offset"])
        ends = await bus.ends(Topic.DEAD_LETTERS)
        exists = partition < len(ends) and offset < ends[partition]
        messages = await bus.read(Topic.DEAD_LETTERS, partition, offset, 1) if exists else ()
        matching = [stored for stored in _decode(messages, offset + 1) if stored.offset == offset]
    if not matching:
        raise SettingsError(
            "there is no dead letter at this place", value=place, do="`riskwire dead-letters list` shows the places"
        )
    return matching[-1]


async def newer_records(bus: Bus, dead_letters: Sequence[StoredDeadLetter]) -> dict[str, str]:
    """Finds newer records with the keys of dead letters, on the compacted topics, where the newest record counts.

    Dead letters without a key, of other topics, or of a partition that does not exist any more have no newer record.

    Returns:
        The place of the newer record, by the place of the dead letter.
    """
    relevant = [
        stored for stored in dead_letters if stored.letter.key is not None and is_compacted(stored.letter.topic)
    ]
    newer: dict[str, str] = {}
    for topic, partition in {(stored.letter.topic, stored.letter.partition) for stored in relevant}:
        if partition >= bus.partitions(topic):
            continue
        same_source = [
            stored for stored in relevant if (stored.letter.topic, stored.letter.partition) == (topic, partition)
        ]
        newest: dict[str | None, Message] = {}
        start, end = min(stored.letter.offset for stored in same_source), (await bus.ends(topic))[partition]
        while start < end and (messages := await bus.read(topic, partition, start, _MAX_CHUNK)):
            newest |= {message.key: message for message in messages}
            start = messages[-1].offset + 1
        for stored in same_source:
            message = newest.get(stored.letter.key)
            if message is not None and message.offset > stored.letter.offset:
                newer[stored.place] = message.where
    return newer


def is_compacted(topic: str) -> bool:
    """Returns whether only the newest record of each key counts on a topic."""
    return topic in TOPICS and TOPICS[Topic(topic)].compacted


async def first_offsets(bus: Bus) -> list[int]:
    """Returns the offset of the first record that each partition of `dead-letters` still has."""
    ends = await bus.ends(Topic.DEAD_LETTERS)
    return [await _first_offset(bus, partition, end) for partition, end in enumerate(ends)]


async def _first_offset(bus: Bus, partition: int, end: int) -> int:
    first = await bus.read(Topic.DEAD_LETTERS, partition, 0, 1) if end else ()
    return first[0].offset if first else end


def _decode(messages: Sequence[Message], end: int) -> list[StoredDeadLetter]:
    """Returns the dead letters before an offset. Records that cannot be read are logged and left out."""
    dead_letters = []
    for message in messages:
        if message.offset < end:
            try:
                letter = read_record(_DEAD_LETTER, message.value, message.where)
            except SchemaError as error:
                log.warning("unreadable dead letter left out", where=message.where, error=str(error))
                continue
            dead_letters.append(StoredDeadLetter(message.partition, message.offset, letter))
    return dead_letters
