"""Writes dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection, delete, select, tuple_

from riskwire.records import DeadLetter, to_ms
from riskwire.store import tables
from riskwire.store.changes import advance_counter, record_changes
from riskwire.store.upsert import chunks, insert_missing

_MAX_CHARACTERS = 10_000
"""Most characters kept of a dead letter's record, and of its error."""


def write_dead_letters(connection: Connection, dead_letters: Iterable[DeadLetter], keep: int) -> None:
    """Writes dead letters, keeps the newest `keep`, and counts all by stage. Cuts errors and records that are too long.

    A repeated dead letter is recognised only while it is kept. That is enough: only uncommitted records are repeated,
    and `keep` is at least the largest batch.
    """
    rows = {}
    for dead_letter in dead_letters:
        key = (dead_letter.stage, dead_letter.topic, dead_letter.partition, dead_letter.offset, to_ms(dead_letter.at))
        rows[key] = {
            "stage": dead_letter.stage,
            "topic": dead_letter.topic,
            "partition": dead_letter.partition,
            "offset": dead_letter.offset,
            "at_ms": to_ms(dead_letter.at),
            "error": dead_letter.error[:_MAX_CHARACTERS],
            "record": dead_letter.record[:_MAX_CHARACTERS],
            "encoding": dead_letter.encoding,
        }
    table = tables.dead_letters.c
    unique = (table.stage, table.topic, table.partition, table.offset, table.at_ms)
    stored: set[tuple[object, ...]] = set()
    for chunk in chunks(rows, 150):
        stored.update(map(tuple, connection.execute(select(*unique).where(tuple_(*unique).in_(chunk)))))
    new = {key: row for key, row in rows.items() if key not in stored}
    if not new:
        return
    names = ("stage", "topic", "partition", "offset", "at_ms")
    insert_missing(connection, tables.dead_letters, list(new.values()), keys=names)
    for stage, count in sorted(Counter(key[0] for key in new).items()):
        advance_counter(connection, tables.DEAD_LETTER_COUNTER + stage, count)
    newest_beyond_limit = select(table.n).order_by(table.n.desc()).offset(keep).limit(1)
    if (bound := connection.execute(newest_beyond_limit).scalar()) is not None:
        connection.execute(delete(tables.dead_letters).where(table.n <= bound))
    record_changes(connection, [("status", "")])
