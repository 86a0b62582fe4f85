"""The change sequence: numbers every change of an alert, trend or target, for readers that follow the store live."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, update

from riskwire.store import tables
from riskwire.store.rows import Change, ChangeKind
from riskwire.store.upsert import insert_missing, upsert

_COUNTER = "changes"


def record_changes(connection: Connection, changed: Sequence[tuple[ChangeKind, str]]) -> None:
    """Gives each changed (kind, key) the next number of the change sequence, which live pages follow.

    The new number replaces the earlier one of the same (kind, key), so the table has only the newest change of each.
    """
    if not changed:
        return
    last = advance_counter(connection, _COUNTER, len(changed))
    first = last - len(changed) + 1
    rows = [{"kind": kind, "key": key, "seq": first + index} for index, (kind, key) in enumerate(changed)]
    upsert(connection, tables.changes, rows)


def advance_counter(connection: Connection, name: str, by: int) -> int:
    """Increases a named counter, from 0 if it is new, and returns its new value.

    The lock of its row makes other transactions that increase it wait until this one ends.
    """
    insert_missing(connection, tables.counters, [{"name": name, "value": 0}], keys=("name",))
    counter = tables.counters.c
    statement = update(tables.counters).where(counter.name == name).values(value=counter.value + by)
    return int(connection.execute(statement.returning(counter.value)).scalar_one())


def last_change(connection: Connection) -> int:
    """Returns the newest number of the sequence, or 0 for an empty store."""
    return int(connection.execute(select(func.coalesce(func.max(tables.changes.c.seq), 0))).scalar_one())


def changes_after(connection: Connection, seq: int, limit: int) -> list[Change]:
    """Returns the changes with numbers above `seq`, in order, at most `limit`; only the newest of each (kind, key)."""
    table = tables.changes.c
    query = select(table.seq, table.kind, table.key).where(table.seq > seq).order_by(table.seq).limit(limit)
    return [Change(seq=row.seq, kind=row.kind, key=row.key) for row in connection.execute(query)]
