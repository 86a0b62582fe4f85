"""From the versions of the store that there have been to the one of today; each step only adds."""

from __future__ import annotations

import orjson
from sqlalchemy import Connection, inspect, select, text, update

from riskwire.errors import StoreError
from riskwire.store import tables

KNOWN = range(1, tables.SCHEMA_VERSION)
"""Older versions that can be brought up to date."""


def migrate(connection: Connection, version: int | None) -> None:
    """Bring a store of a known version up to date, in this transaction; does nothing where it is.

    Raises:
        StoreError: what it holds cannot be read.
    """
    if version is None or version not in KNOWN:
        return  # another process was faster
    if version < 2:
        _add_column(connection, "commands", "target")
        tables.metadata.create_all(connection)
        for index in tables.commands.indexes:
            index.create(connection, checkfirst=True)
        _name_the_targets(connection)
    connection.execute(tables.schema.update().values(version=tables.SCHEMA_VERSION))


def _add_column(connection: Connection, table: str, column: str) -> None:
    there = {one["name"] for one in inspect(connection).get_columns(table)}
    if column not in there:
        kind = tables.metadata.tables[table].c[column].type.compile(connection.dialect)
        connection.execute(text(f'ALTER TABLE {table} ADD COLUMN "{column}" {kind}'))


def _name_the_targets(connection: Connection) -> None:
    command = tables.commands.c
    for row in connection.execute(select(command.id, command.body)).all():
        try:
            target = orjson.loads(row.body).get("target")
        except ValueError as error:
            raise StoreError("a command in the store cannot be read", where=f"commands {row.id}") from error
        if target:
            connection.execute(update(tables.commands).where(command.id == row.id).values(target=target))
