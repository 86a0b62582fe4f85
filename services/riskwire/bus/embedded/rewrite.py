"""Rewrites the committed state and the records of a bus file that no process uses, for a repair."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from riskwire.bus.embedded import schema
from riskwire.bus.embedded.sqlite import closing_as_bus_error, transaction

RewriteState = Callable[[str, str, bytes], bytes | None]
"""Returns the new value of a key in the state of a group or publisher; None deletes it."""
RewriteRecord = Callable[[str, bytes], bytes]
"""Returns the new value of a record of a topic. Records are never deleted: positions count them."""


def rewrite(path: Path, state: RewriteState, record: RewriteRecord) -> int:
    """Applies functions to every value of the state and to every record, in one transaction.

    The caller holds the lock of the data directory.

    Returns:
        the number of values that changed.

    Raises:
        BusError: the file is not a bus of this riskwire, or it cannot be written. It is unchanged then.
    """
    schema.check(path)
    with closing_as_bus_error(path, schema.connect(path)) as connection, transaction(connection):
        return _rewrite_state(connection, state) + _rewrite_records(connection, record)


def _rewrite_state(connection: sqlite3.Connection, state: RewriteState) -> int:
    rows = connection.execute("SELECT s.owner, o.name, s.key FROM state s JOIN owners o ON o.id = s.owner").fetchall()
    changed = 0
    for owner, name, key in rows:
        (old,) = connection.execute("SELECT value FROM state WHERE owner = ? AND key = ?", (owner, key)).fetchone()
        new = state(name, key, old)
        if new is None:
            connection.execute("DELETE FROM state WHERE owner = ? AND key = ?", (owner, key))
        elif new != old:
            connection.execute("UPDATE state SET value = ? WHERE owner = ? AND key = ?", (new, owner, key))
        changed += new != old
    return changed


def _rewrite_records(connection: sqlite3.Connection, record: RewriteRecord) -> int:
    topics = dict(connection.execute("SELECT slot, topic FROM partitions"))
    changed = 0
    for (number,) in connection.execute("SELECT id FROM records").fetchall():
        (old,) = connection.execute("SELECT value FROM records WHERE id = ?", (number,)).fetchone()
        new = record(topics[number >> schema.OFFSET_BITS], old)
        if new != old:
            connection.execute("UPDATE records SET value = ? WHERE id = ?", (new, number))
            changed += 1
    return changed
