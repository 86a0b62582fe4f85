"""The change sequence: what became newer, in one growing order, for readers that follow the store live."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, update

from riskwire.store import tables
from riskwire.store.rows import Change, ChangeKind
from riskwire.store.upsert import insert_missing, upsert

_COUNTER = "changes"


def record_changes(connection: Connection, things: Sequence[tuple[ChangeKind, str]]) -> None:
    """Give each thing the next numbers of the sequence, in this transaction."""
    if not things:
        return
    last = advance(connection, _COUNTER, len(things))
    first = last - len(things) + 1
    rows = [{"kind": kind, "key": key, "seq": first + place} for place, (kind, key) in enumerate(things)]
    upsert(connection, tables.changes, rows)


def advance(connection: Connection, name: str, by: int) -> int:
    """Move a named counter on and return its new value; the row lock puts transactions in its order."""
    insert_missing(connection, tables.numbers, [{"name": name, "value": 0}], keys=("name",))
    numbers = tables.numbers.c
    statement = update(tables.numbers).where(numbers.name == name).values(value=numbers.value + by)
    return int(connection.execute(statement.returning(numbers.value)).scalar_one())


def last_change(connection: Connection) -> int:
    """The newest number of the sequence; 0 for an empty store."""
    return int(connection.execute(select(func.coalesce(func.max(tables.changes.c.seq), 0))).scalar_one())


def changes_after(connection: Connection, seq: int, limit: int) -> list[Change]:
    """What has changed after a number of the sequence, each thing once, in order."""
    table = tables.changes.c
    query = select(table.seq, table.kind, table.key).where(table.seq > seq).order_by(table.seq).limit(limit)
    return [Change(seq=row.seq, kind=row.kind, key=row.key) for row in connection.execute(query)]
