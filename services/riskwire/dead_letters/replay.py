"""Decides which dead letters are replayed: whose records are put back onto the topics they came from. Pure.

A replay is recorded in the state of the publisher `dead-letters`, in the step that puts the record back. So a dead
letter is replayed once, however many processes replay and whatever is killed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from riskwire.bus import Outgoing
from riskwire.bus.state import StateUpdate
from riskwire.dead_letters.reading import StoredDeadLetter, is_compacted
from riskwire.pipeline import Topic
from riskwire.records import Article

PUBLISHER = "dead-letters"
"""The publisher whose state says what was replayed."""

CUT = "its record was too large to be kept whole"
NOT_BASE64 = "its record is not valid base64"
_PREFIX = "replayed:"
_REFUSED_RECORD = ("SchemaError:", "TooLargeError:")
"""How the error of a dead letter begins when its record is the cause."""


@dataclass(frozen=True, slots=True)
class Replay(StateUpdate):
    """Dead letters that are replayed, those replayed before, and those that cannot be, with the obstacle."""

    replayed: tuple[StoredDeadLetter, ...] = ()
    replayed_before: tuple[StoredDeadLetter, ...] = ()
    refused: tuple[tuple[StoredDeadLetter, str], ...] = ()


def replay_times(state: Mapping[str, bytes]) -> dict[str, str]:
    """Returns when each dead letter was replayed: the time (ISO 8601) by its place, `offset` or `partition@offset`.

    Args:
        state: the state of the publisher `dead-letters`, which holds a note of each replay.
    """
    return {place: note["at"] for place, note in _notes(state).items()}


def _notes(state: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    return {key.removeprefix(_PREFIX): orjson.loads(value) for key, value in state.items() if key.startswith(_PREFIX)}


def decide_replay(
    dead_letters: Sequence[StoredDeadLetter],
    state: Mapping[str, bytes],
    partitions: Mapping[str, int],
    newer: Mapping[str, str],
    now: datetime,
    *,
    again: bool = False,
    redelivered: Collection[str] = (),
    first_offsets: Sequence[int] = (),
) -> Replay:
    """Decides which dead letters are replayed, and returns the step that replays them and notes it in the state.

    A record goes back onto its topic and partition with its key. An article that ingest could not publish goes onto
    `articles`. A record goes back once, even when several groups that read its topic each wrote a dead letter of it.

    Args:
        state: the state of the publisher `dead-letters`: a note of each replay so far.
        partitions: the number of partitions of every topic.
        newer: the place of a newer record with the same key, by the place of the dead letter. A record that has one is
            refused, because it would replace the newer one.
        again: replays also what was replayed before, and records with a newer record of their key.
        redelivered: the places of dead letters that were redelivered already; they are only noted as replayed.
        first_offsets: the first offset that each partition of `dead-letters` still has; notes of older dead letters
            are removed from the state.

    Returns:
        the records to publish and the changed state, with the dead letters that are replayed, those that were replayed
        before (or have the same record as another), and those refused, with the reason.
    """
    notes = _notes(state)
    put_back_before = {note["from"] for note in notes.values()}
    results: list[Outgoing] = []
    changes: dict[str, bytes | None] = {_PREFIX + place: None for place in notes if _is_deleted(place, first_offsets)}
    replayed: list[StoredDeadLetter] = []
    replayed_before: list[StoredDeadLetter] = []
    refused: list[tuple[StoredDeadLetter, str]] = []
    for stored in dead_letters:
        record_id = "" if stored.place in redelivered else stored.record_id
        if record_id:
            # `again` does not repeat a record within one call: two dead letters may have the same record.
            repeated = record_id in {earlier.record_id for earlier in replayed}
            if repeated or ((stored.place in notes or record_id in put_back_before) and not again):
                replayed_before.append(stored)
                continue
            obstacle = replay_obstacle(stored, partitions)
            if obstacle is None and stored.place in newer and not again:
                place = newer[stored.place]
                obstacle = f"there is a newer record of {stored.letter.key}, {place}; --again puts it back anyway"
            if obstacle is not None:
                refused.append((stored, obstacle))
                continue
            results.append(_record_of(stored))
        replayed.append(stored)
        note = {"at": now.isoformat(timespec="seconds"), "from": record_id}
        changes[_PREFIX + stored.place] = orjson.dumps(note)
    return Replay(
        results, changes, replayed=tuple(replayed), replayed_before=tuple(replayed_before), refused=tuple(refused)
    )


def replay_obstacle(stored: StoredDeadLetter, partitions: Mapping[str, int]) -> str | None:
    """Returns why the record of a dead letter cannot be put back, or None.

    Args:
        partitions: the number of partitions of every topic.
    """
    if stored.is_article:
        return next(_article_obstacles(stored), None)
    return next(_obstacles(stored, partitions.get(stored.letter.topic, 0)), None)


def _record_of(stored: StoredDeadLetter) -> Outgoing:
    """Returns the record of a dead letter, to be put back onto its topic.

    An article goes to the partition of its id, any other record to the partition that it came from.
    """
    letter = stored.letter
    if stored.is_article:
        return Outgoing(Topic.ARTICLES, Article.model_validate_json(stored.payload()).id, stored.payload())
    return Outgoing(letter.topic, letter.key, stored.payload(), letter.partition)


def _article_obstacles(stored: StoredDeadLetter) -> Iterator[str]:
    """Yields the reasons why an article of a dead letter cannot be published; none if it can."""
    if stored.letter.cut:
        yield CUT
    try:
        Article.model_validate_json(stored.payload())
    except ValueError:
        yield "its record is not an article"


def _obstacles(stored: StoredDeadLetter, partitions: int) -> Iterator[str]:
    """Yields the reasons why a dead letter cannot be put back onto the topic that it came from; none if it can.

    Args:
        partitions: the number of partitions of that topic now; 0 if there is no such topic.
    """
    letter = stored.letter
    if letter.topic.startswith("archive:"):
        yield f"it is line {letter.offset} of an archive: correct the file and replay the archive"
    if letter.topic == Topic.DEAD_LETTERS or not partitions:
        yield f"there is no topic {letter.topic} to put it back onto"
    if letter.receiver is not None or (letter.stage == "notify" and not letter.error.startswith(_REFUSED_RECORD)):
        yield "it is a notification that was given up, and does not name its receiver"
    if letter.cut:
        yield CUT
    if letter.partition >= partitions:
        yield f"{letter.topic} has partitions 0 to {partitions - 1} now, and it came from {letter.partition}"
    if is_compacted(letter.topic) and letter.key is None:
        yield f"its key was not kept, and on {letter.topic} the key says what a record is about"
    try:
        stored.payload()
    except ValueError:
        yield NOT_BASE64


def _is_deleted(place: str, first_offsets: Sequence[int]) -> bool:
    """Returns whether the dead letter at a place has been deleted from its topic.

    Args:
        place: `offset` on partition 0, else `partition@offset`.
        first_offsets: the first offset that each partition still has; nothing is known of further partitions.
    """
    partition, _, offset = place.rpartition("@")
    return int(partition or 0) < len(first_offsets) and int(offset) < first_offsets[int(partition or 0)]
