"""The embedded bus in SQL: join, step, read, trim. Each function is one transaction and knows no event loop.

A step is one transaction over results, state and position. It first checks by `epoch` that no newer owner has taken
over. So a step is atomic whichever process is killed at whatever moment.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from riskwire.bus.embedded.schema import OFFSET_BITS, Layout
from riskwire.bus.embedded.sqlite import transaction
from riskwire.bus.protocol import WITHOUT_BACKPRESSURE, Lag, Message, Outgoing, partition_of
from riskwire.errors import BusError, FencedError, SchemaError

TRIM_CHUNK = 256
"""Records are trimmed in chunks of at least this many, so up to this many more than asked for are kept."""
_VACUUM_FROM_PAGES = 512
_VACUUM_PAGES = 128
_OFFSETS = (1 << OFFSET_BITS) - 1


@dataclass(frozen=True, slots=True)
class Owner:
    """A group on one partition, or a publisher (slot 0), at one epoch."""

    id: int
    name: str
    slot: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of a committed step: the new end offset of each slot written, and records trimmed by topic."""

    ends: dict[int, int] = field(default_factory=dict)
    trimmed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Full:
    """The outcome of a step that was not committed: a topic has no space; `group` is the slowest reader of it."""

    topic: str
    unread: int
    group: str


@dataclass(frozen=True, slots=True)
class FileSnapshot:
    """End offset of every slot, epoch of every owner, and the sum of all positions."""

    ends: dict[int, int]
    epochs: dict[int, int]
    positions: int


def join(connection: sqlite3.Connection, name: str, slots: Sequence[int]) -> list[Owner]:
    """Makes the caller the owner of the slots, by raising the epoch of each, and so fences the previous owners.

    A slot is the number of one partition of one topic in the file; slot 0 belongs to publishers. A new group starts at
    the oldest stored record of a partition.

    Args:
        name: the name of a group or of a publisher.

    Returns:
        the new owner of each slot, in the order of `slots`.
    """
    owners = []
    with transaction(connection):
        for slot in slots:
            connection.execute(
                """INSERT INTO owners (name, slot, position)
                   VALUES (?1, ?2, COALESCE((SELECT kept_from FROM partitions WHERE slot = ?2), 0))
                   ON CONFLICT DO NOTHING""",
                (name, slot),
            )
            row = connection.execute(
                "UPDATE owners SET epoch = epoch + 1 WHERE name = ? AND slot = ? RETURNING id, epoch", (name, slot)
            ).fetchall()
            owners.append(Owner(id=row[0][0], name=name, slot=slot, epoch=row[0][1]))
    return owners


def forget(connection: sqlite3.Connection, name: str) -> None:
    """Deletes the positions and the state of a group on every topic. A publisher of that name (slot 0) stays."""
    with transaction(connection):
        connection.execute(
            "DELETE FROM state WHERE owner IN (SELECT id FROM owners WHERE name = ? AND slot != 0)", (name,)
        )
        connection.execute("DELETE FROM owners WHERE name = ? AND slot != 0", (name,))


def restore(connection: sqlite3.Connection, owner: Owner) -> tuple[int, dict[str, bytes]]:
    """Returns the position (next offset to read) and the state (value by key) of the owner's last step, consistently.

    Raises:
        FencedError: a newer owner has taken over.
    """
    connection.execute("BEGIN")
    try:
        position = _position(connection, owner)
        state = dict(connection.execute("SELECT key, value FROM state WHERE owner = ?", (owner.id,)))
    finally:
        connection.execute("COMMIT")
    return position, state


def publisher_state(connection: sqlite3.Connection, publisher: str) -> dict[str, bytes]:
    """Returns the committed state of a publisher, value by key; empty if there is none. Publishers have slot 0."""
    return dict(
        connection.execute(
            "SELECT key, value FROM state JOIN owners ON owner = owners.id WHERE name = ? AND slot = 0", (publisher,)
        )
    )


def group_state(connection: sqlite3.Connection, group: str, slots: Sequence[int], prefix: str) -> dict[str, bytes]:
    """Returns the committed state of a group under keys that start with `prefix`, merged over all these slots.

    A slot is the number of one partition of one topic in the file. The slots of a topic are consecutive.
    """
    return dict(
        connection.execute(
            """SELECT key, value FROM state JOIN owners ON owner = owners.id
               WHERE name = ? AND slot BETWEEN ? AND ? AND substr(key, 1, ?) = ?""",
            (group, min(slots), max(slots), len(prefix), prefix),
        )
    )


def step(
    connection: sqlite3.Connection,
    layout: Layout,
    owner: Owner,
    position: int | None,
    results: Sequence[Outgoing],
    state: Mapping[str, bytes | None],
    backlog: int | None,
    keep: int,
) -> Applied | Full:
    """Publishes results, changes the state and moves the position atomically; does nothing if a topic has no space.

    Also trims: deletes old records that every group has read, in the partitions that the step wrote or read.

    Args:
        layout: the slot of each partition of each topic: its number in the file.
        owner: a group on one partition, or a publisher.
        position: the offset of the next record to read; None for a publisher.
        backlog: most unread records that a topic may hold after this step, except those in `WITHOUT_BACKPRESSURE`;
            None for no bound. A topic without unread records takes any step.
        keep: records kept per partition after every group has read them.

    Returns:
        the new ends and the numbers of trimmed records; or, if nothing was done, the topic without space.

    Raises:
        FencedError: a newer owner has taken over.
        SchemaError: a result or a state key cannot be stored.
        BusError: the position goes backward or beyond the end.
    """
    routed = [(_slot(layout, result), result) for result in results]
    with transaction(connection):
        committed = _position(connection, owner)
        if position is not None:
            _check_position(connection, owner, committed, position)
        if backlog is not None:
            bounded = (str(result.topic) for result in results if result.topic not in WITHOUT_BACKPRESSURE)
            for topic, new in Counter(bounded).items():
                full = _full(connection, layout, owner, topic, new, backlog)
                if full is not None:
                    return full
        ends = _append(connection, routed)
        _change_state(connection, owner, state)
        touched = dict.fromkeys(ends, len(results))
        if position is not None:
            connection.execute("UPDATE owners SET position = ? WHERE id = ?", (position, owner.id))
            touched[owner.slot] = position - committed
        trimmed = {slot: _trim(connection, slot, keep, grown) for slot, grown in touched.items()}
        if any(trimmed.values()):
            _vacuum(connection)
    return Applied(ends, _by_topic(layout, trimmed))


def _position(connection: sqlite3.Connection, owner: Owner) -> int:
    """Returns the committed position of an owner: the offset of the next record to read.

    Raises:
        FencedError: a newer owner has taken over.
    """
    row = connection.execute("SELECT epoch, position FROM owners WHERE id = ?", (owner.id,)).fetchone()
    if row is None or row[0] != owner.epoch:
        raise fenced(owner.name)
    return int(row[1])


def fenced(name: str) -> FencedError:
    """Returns the error for a step of a fenced owner."""
    return FencedError(f"{name} has been taken over by another worker; nothing of this step was written")


def _check_position(connection: sqlite3.Connection, owner: Owner, committed: int, position: int) -> None:
    (end,) = connection.execute("SELECT next_offset FROM partitions WHERE slot = ?", (owner.slot,)).fetchone()
    if not committed <= position <= end:
        raise BusError(f"{owner.name}: a position must be between {committed} (committed) and {end}", value=position)


def _slot(layout: Layout, result: Outgoing) -> int:
    """Returns the slot of the partition that a result goes to: the given partition, or that of its key.

    A slot is the number of one partition of one topic in the file.

    Raises:
        SchemaError: the topic is unknown, or the partition or the key is invalid.
    """
    slots = layout.slots.get(result.topic)
    if slots is None:
        raise SchemaError("a result for an unknown topic", value=str(result.topic))
    try:
        if result.partition is not None:
            if not 0 <= result.partition < len(slots):
                raise SchemaError(f"{result.topic} has partitions 0 to {len(slots) - 1}", value=result.partition)
            if result.key is not None:
                result.key.encode()  # only to check that it is valid Unicode
            return slots[result.partition]
        if result.key is None:
            raise SchemaError("a result needs a key or a partition", where=str(result.topic))
        return slots[partition_of(result.key, len(slots))]
    except UnicodeEncodeError as error:
        raise SchemaError("a key must be valid Unicode", value=result.key, where=str(result.topic)) from error


def _full(
    connection: sqlite3.Connection, layout: Layout, owner: Owner, topic: str, new: int, backlog: int
) -> Full | None:
    """Returns the topic's shortage if a step must wait for space on it, else None.

    Unread records are counted, per partition, for the group that has read least. A topic that no group reads has none.
    A stage never waits for a topic that its own group reads, since it would wait for itself.

    Args:
        new: records that the step would write to the topic.
        backlog: the most unread records of the topic after the step. A topic without unread records takes any step.
    """
    first, last = min(layout.of(topic)), max(layout.of(topic))
    (unread,) = connection.execute(
        """SELECT COALESCE(SUM(p.next_offset - o.slowest), 0) FROM partitions p
           JOIN (SELECT slot, MIN(position) AS slowest FROM owners WHERE slot BETWEEN ?1 AND ?2 GROUP BY slot) o
           USING (slot)""",
        (first, last),
    ).fetchone()
    if unread == 0 or unread + new <= backlog:
        return None
    groups = connection.execute(
        """SELECT o.name FROM owners o JOIN partitions p USING (slot) WHERE slot BETWEEN ? AND ?
           GROUP BY o.name ORDER BY SUM(p.next_offset - o.position) DESC""",
        (first, last),
    ).fetchall()
    if owner.slot and any(name == owner.name for (name,) in groups):
        return None
    return Full(topic, int(unread), groups[0][0])


def _append(connection: sqlite3.Connection, routed: Sequence[tuple[int, Outgoing]]) -> dict[int, int]:
    """Inserts results at the ends of their partitions; a record's id joins slot and offset. Returns new ends by slot.

    Args:
        routed: each result with the slot of its partition (the number of a partition in the file).
    """
    ends: dict[int, int] = {}
    now_ms = time.time_ns() // 1_000_000
    rows = []
    for slot, result in routed:
        end = ends.get(slot)
        if end is None:
            (end,) = connection.execute("SELECT next_offset FROM partitions WHERE slot = ?", (slot,)).fetchone()
        rows.append((slot << OFFSET_BITS | end, result.key, result.value, now_ms))
        ends[slot] = end + 1
    connection.executemany("INSERT INTO records (id, key, value, written_ms) VALUES (?, ?, ?, ?)", rows)
    connection.executemany(
        "UPDATE partitions SET next_offset = ? WHERE slot = ?", [(end, slot) for slot, end in ends.items()]
    )
    return ends


def _change_state(connection: sqlite3.Connection, owner: Owner, state: Mapping[str, bytes | None]) -> None:
    """Writes the changed keys of an owner's state; None deletes a key.

    Raises:
        SchemaError: a key is not valid Unicode.
    """
    try:
        connection.executemany(
            """INSERT INTO state (owner, key, value) VALUES (?, ?, ?)
               ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value""",
            [(owner.id, key, value) for key, value in state.items() if value is not None],
        )
        connection.executemany(
            "DELETE FROM state WHERE owner = ? AND key = ?",
            [(owner.id, key) for key, value in state.items() if value is None],
        )
    except UnicodeEncodeError as error:
        raise SchemaError("a state key must be valid Unicode", value=error.object, where=owner.name) from error


def _trim(connection: sqlite3.Connection, slot: int, keep: int, grown: int) -> int:
    """Deletes records that every group has read, except the newest `keep` such records; returns how many it deleted.

    Fewer than `TRIM_CHUNK` stay for later. One call deletes at most 4 chunks plus 2 * `grown`: it is short.

    Args:
        grown: records that the step wrote to the slot or read from it.
    """
    kept_from, read_to = connection.execute(
        """SELECT kept_from, COALESCE((SELECT MIN(position) FROM owners o WHERE o.slot = p.slot), next_offset)
           FROM partitions p WHERE slot = ?""",
        (slot,),
    ).fetchone()
    due = read_to - keep - kept_from
    if due < TRIM_CHUNK:
        return 0
    new_from = kept_from + min(due, 4 * TRIM_CHUNK + 2 * grown)
    low, high = slot << OFFSET_BITS | kept_from, slot << OFFSET_BITS | new_from
    connection.execute("DELETE FROM records WHERE id >= ? AND id < ?", (low, high))
    connection.execute("UPDATE partitions SET kept_from = ? WHERE slot = ?", (new_from, slot))
    return int(new_from - kept_from)


def _vacuum(connection: sqlite3.Connection) -> None:
    """Gives up to 128 free pages back to the file system, if over 512 pages and over a quarter of the file are free."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if free > _VACUUM_FROM_PAGES and free * 4 > pages:
        for _ in range(_VACUUM_PAGES):  # page by page: sqlite3 runs only the first step of a larger number
            connection.execute("PRAGMA incremental_vacuum(1)")


def _by_topic(layout: Layout, trimmed: Mapping[int, int]) -> dict[str, int]:
    """Sums the trimmed records of slots by topic. Topics without any are absent."""
    return {
        topic: total for topic, slots in layout.slots.items() if (total := sum(trimmed.get(slot, 0) for slot in slots))
    }


def fetch(
    connection: sqlite3.Connection, topic: str, partition: int, slot: int, start: int, most: int
) -> list[Message]:
    """Returns records of a partition from offset `start` on, in order, at most `most`.

    Args:
        slot: the number of this partition of this topic in the file.
    """
    rows = connection.execute(
        "SELECT id, key, value, written_ms FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (slot << OFFSET_BITS | start, (slot + 1) << OFFSET_BITS, most),
    )
    return [Message(topic, partition, number & _OFFSETS, key, value, ms / 1_000) for number, key, value, ms in rows]


def snapshot(connection: sqlite3.Connection) -> FileSnapshot:
    """Returns the end offsets, epochs and positions of the file, which show that any process committed or joined."""
    connection.execute("BEGIN")
    try:
        ends = dict(connection.execute("SELECT slot, next_offset FROM partitions"))
        owners = connection.execute("SELECT id, epoch, position FROM owners").fetchall()
    finally:
        connection.execute("COMMIT")
    return FileSnapshot(ends, {owner: epoch for owner, epoch, _ in owners}, sum(position for *_, position in owners))


def data_version(connection: sqlite3.Connection) -> int:
    """Returns a number that changes when another connection has written."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def records(connection: sqlite3.Connection) -> dict[str, int]:
    """Returns how many records were ever published, by topic."""
    return dict(connection.execute("SELECT topic, SUM(next_offset) FROM partitions GROUP BY topic"))


def ends(connection: sqlite3.Connection, topic: str) -> list[int]:
    """Returns the end offset of each partition of a topic."""
    rows = connection.execute("SELECT next_offset FROM partitions WHERE topic = ? ORDER BY partition", (topic,))
    return [int(end) for (end,) in rows]


def lag(connection: sqlite3.Connection) -> list[Lag]:
    """Returns the lag of every group on each partition that it reads, in records, all of one moment."""
    rows = connection.execute(
        """SELECT o.name, p.topic, p.partition, p.next_offset - o.position, o.position
           FROM owners o JOIN partitions p USING (slot) ORDER BY o.name, p.topic, p.partition"""
    )
    return [Lag(*row) for row in rows]
