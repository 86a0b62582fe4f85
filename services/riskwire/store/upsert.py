"""INSERT … ON CONFLICT as SQLite and PostgreSQL both have it, and queries by many keys at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, or_
from sqlalchemy.dialects import postgresql, sqlite

_T = TypeVar("_T")

CHUNK = 400
"""Keys in one statement: SQLite before 3.32 allows 999 parameters, and a key has up to two."""

Row = Mapping[str, Any]


def chunks(items: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """The items, `size` at a time."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    *,
    columns: Sequence[str] | None = None,
    newer: Callable[[Any], ColumnElement[bool]] | None = None,
) -> list[tuple[Any, ...]]:
    """Insert rows, or update those that are there and differ; returns the primary keys of what changed.

    Args:
        rows: at most one for each primary key.
        columns: what to update of a row that is there; by default all that is not key.
        newer: given the columns of the offered row, when it may replace the one that is there.
    """
    if not rows:
        return []
    keys = [column.name for column in table.primary_key]
    names = columns if columns is not None else [name for name in rows[0] if name not in keys]
    statement = _insert(connection, table)
    offered = statement.excluded
    differs = or_(*(table.c[name].is_distinct_from(offered[name]) for name in names))
    statement = statement.on_conflict_do_update(
        index_elements=keys,
        set_={name: offered[name] for name in names},
        where=differs if newer is None else differs & newer(offered),
    )
    changed: list[tuple[Any, ...]] = []
    returning = statement.returning(*(table.c[key] for key in keys))
    changed.extend(tuple(row) for row in connection.execute(returning, list(rows)))
    return changed


def insert_missing(connection: Connection, table: Table, rows: Sequence[Row], keys: Sequence[str]) -> int:
    """Insert the rows whose `keys` (unique together) are not there; returns how many were not."""
    if not rows:
        return 0
    statement = _insert(connection, table).on_conflict_do_nothing(index_elements=list(keys))
    returning = statement.returning(*(table.c[key] for key in keys))
    return len(connection.execute(returning, list(rows)).all())


def _insert(connection: Connection, table: Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
