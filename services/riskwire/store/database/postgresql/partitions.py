"""Partitions of tables by month on PostgreSQL: made when the first row of a month comes, dropped by retention.

The primary key of such a table contains its time (`tables.PARTITIONED`). Each write looks up the rows that it may
replace by their identity alone, in the index of every partition, while it holds the writer lock (decision 35).
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import OperationalError

from riskwire.store.months import month_of, month_start
from riskwire.store.tables import PARTITIONED

_DROP_WAIT = "2s"
"""How long retention waits for readers of a table before it deletes rows instead of dropping a partition."""


def make_partitions(connection: Connection, table: Table, times_ms: Iterable[int]) -> None:
    """Creates the partitions of a table that hold these times, unless they exist. On SQLite there are none.

    A new partition is attached rather than created in place, which does not wait for readers of the table.

    Args:
        times_ms: times of rows that are about to be written, in milliseconds since 1970.
    """
    if connection.dialect.name != "postgresql":
        return
    months = sorted({month_of(time) for time in times_ms})
    if not months:
        return
    names = [_name(table, month) for month in months]
    lookup = text(
        "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE to_regclass(quote_ident(name)) IS NULL"
    )
    missing = set(connection.execute(lookup, {"names": names}).scalars())
    for month in months:
        name = _name(table, month)
        if name in missing:
            connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL)")
            connection.exec_driver_sql(
                f"ALTER TABLE {table.name} ATTACH PARTITION {name} "
                f"FOR VALUES FROM ({month_start(month)}) TO ({month_start(month + 1)})"
            )


def drop_partitions(connection: Connection, cutoff: int) -> None:
    """Drops the partitions that end at `cutoff` (milliseconds since 1970) or before. On SQLite there are none.

    Dropping waits until no transaction reads the table. If that takes too long, nothing is dropped.
    """
    if connection.dialect.name != "postgresql":
        return
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_DROP_WAIT}'")
        for table in PARTITIONED:
            for name in _partitions(connection, table):
                if month_start(_month(name) + 1) <= cutoff:
                    connection.exec_driver_sql(f"DROP TABLE {name}")
    except OperationalError as error:
        savepoint.rollback()
        if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
            raise
        return
    savepoint.commit()


def _partitions(connection: Connection, table: str) -> list[str]:
    query = text(
        "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
        "WHERE inhparent = to_regclass(:table) ORDER BY child.relname"
    )
    return list(connection.execute(query, {"table": table}).scalars())


def _name(table: Table, month: int) -> str:
    return f"{table.name}_{month // 12:04d}_{month % 12 + 1:02d}"


def _month(name: str) -> int:
    _, year, month = name.rsplit("_", 2)
    return int(year) * 12 + int(month) - 1
