"""COPY of PostgreSQL, which SQLAlchemy does not know: the fastest way to pass rows to the server and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError


def columns_of(names: Sequence[str]) -> str:
    """Returns names of columns for a statement."""
    return ", ".join(f'"{name}"' for name in names)


def copy_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows, none of which may exist yet. All have the same columns.

    Raises:
        DBAPIError: a row exists, a value cannot be stored, or the connection is lost.
    """
    names = list(rows[0])
    with copying(connection, f"COPY {table.name} ({columns_of(names)}) FROM STDIN") as copied:
        for row in rows:
            copied.write_row([row[name] for name in names])


@contextmanager
def copying(connection: Connection, statement: str) -> Iterator[Any]:
    """Yields the `Copy` of psycopg for a COPY statement, within the transaction of the connection.

    Raises:
        DBAPIError: the statement failed, as SQLAlchemy raises it for other statements.
    """
    driver = connection.dialect.loaded_dbapi
    try:
        with connection.connection.driver_connection.cursor() as cursor, cursor.copy(statement) as copied:  # type: ignore[union-attr]
            yield copied
    except driver.Error as error:
        raise DBAPIError.instance(statement, None, error, driver.Error, dialect=connection.dialect) from error
