"""The SQLite database of the store: its file, durability, and one transaction for each read and write."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

BUSY_S = 15.0
"""How long a transaction waits while another process writes."""
PAGE_CACHE_KB = 8_000
"""Page cache of one connection, enough for a transaction. It is read again after one of another connection. With 32 MB
each, five connections made a process grow by 10 KB an article, for the first ten thousand articles and more."""


def sqlite_file(url: URL) -> Path | None:
    """Returns the file of an SQLite database; None for one in memory or on PostgreSQL."""
    is_file = url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:"
    return Path(url.database) if is_file and url.database else None


def use_write_ahead_log(engine: Engine) -> None:
    """Lets readers and one writer work at the same time. The database remembers it."""
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        raw.close()


def create_sqlite_engine(url: URL, *, read_only: bool) -> Engine:
    """Returns an engine that has not connected yet. It begins each transaction explicitly.

    sqlite3 itself would begin a transaction only before a write, so several reads could see different states. A
    transaction of a connection with the execution option `writes` takes the write lock as it begins.
    """
    engine = create_engine(url, connect_args={"timeout": BUSY_S})

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        """Sets durability, cache and read-only mode of a new connection. Leaves transactions to SQLAlchemy."""
        connection.isolation_level = None
        # The bus commits a position after the store has committed: only FULL keeps that order through a power cut.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA cache_size=-{PAGE_CACHE_KB}")
        if read_only:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
