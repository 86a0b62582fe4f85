"""Idempotent inserts (INSERT … ON CONFLICT) for SQLite and PostgreSQL, and chunks of keys for queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ARRAY, ColumnElement, Connection, Table, bindparam, cast, func, insert, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from riskwire.store.database.postgresql.copying import copy_rows

_T = TypeVar("_T")

CHUNK = 400
"""Keys in one statement. SQLite before 3.32 allows 999 parameters, and a key has up to two."""

Row = Mapping[str, Any]


def chunks(items: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """Yields the items in lists of at most `size`."""
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
    """Inserts rows, or updates existing rows that differ. Returns the primary keys of the inserted and updated rows.

    Args:
        rows: all with the same columns; at most one per primary key.
        columns: the columns to update in an existing row; by default all that are not in the primary key.
        newer: returns, from the columns of a new row, the condition under which it replaces the existing row.
    """
    if not rows:
        return []
    keys = [column.name for column in table.primary_key]
    names = columns if columns is not None else [name for name in rows[0] if name not in keys]
    statement, values = _insert(connection, table, rows)
    new = statement.excluded
    differs = or_(*(table.c[name].is_distinct_from(new[name]) for name in names))
    statement = statement.on_conflict_do_update(
        index_elements=keys,
        set_={name: new[name] for name in names},
        where=differs if newer is None else differs & newer(new),
    )
    returning = statement.returning(*(table.c[key] for key in keys))
    return [tuple(row) for row in connection.execute(returning, values)]


def insert_missing(connection: Connection, table: Table, rows: Sequence[Row], keys: Sequence[str]) -> int:
    """Inserts the rows whose `keys` (unique together) do not exist yet. Returns the number of inserted rows."""
    if not rows:
        return 0
    statement, values = _insert(connection, table, rows)
    statement = statement.on_conflict_do_nothing(index_elements=list(keys))
    returning = statement.returning(*(table.c[key] for key in keys))
    return len(connection.execute(returning, values).all())


def insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts rows that do not exist yet."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        copy_rows(connection, table, rows)
    else:
        connection.execute(insert(table), list(rows))


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> tuple[Any, list[Row] | None]:
    """Returns a statement that inserts rows, and the values to execute it with.

    On PostgreSQL the statement holds the rows as one array a column. Its text is then the same for any number of rows,
    and short: psycopg would spend more time on parsing a statement with a parameter for each value than PostgreSQL on
    executing it (`tests/bench/stores/bench_sink.py`).
    """
    if connection.dialect.name != "postgresql":
        return sqlite.insert(table), list(rows)
    names = list(rows[0])
    arrays = [
        cast(bindparam(None, [row[name] for row in rows], unique=True), ARRAY(table.c[name].type)) for name in names
    ]
    unnested = func.unnest(*arrays).table_valued(*names).render_derived()
    return postgresql.insert(table).from_select(names, select(*(unnested.c[name] for name in names))), None
