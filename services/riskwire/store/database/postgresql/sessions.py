"""Sessions on PostgreSQL: their limits, their durability, and one writing transaction at a time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select

WRITER_LOCK = int.from_bytes(b"riskwire")
"""The advisory lock that every writing transaction holds."""
_CONNECT_S = 10
_WRITER_WAIT_S = 60
"""How long a transaction waits for the writer before it."""
_SUSPENDED_S = 60
"""After this time PostgreSQL ends a transaction whose process does nothing, so that its lock is free."""
_UNANSWERED_MS = 60_000
"""A connection counts as broken when the server's machine has not acknowledged data for this long."""
_SESSION = """
    SELECT set_config('idle_in_transaction_session_timeout', %s, false),
           set_config('lock_timeout', %s, false),
           set_config('default_transaction_read_only', %s, false),
           set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false)
"""


def create_postgresql_engine(url: URL, *, read_only: bool) -> Engine:
    """Returns an engine that has not connected yet.

    A transaction of a connection with the execution option `writes` takes the writer lock as it begins. So writers take
    turns as on SQLite, and what a transaction has looked up stays true until it ends.

    Raises:
        ImportError: psycopg is not installed.
    """
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    arguments = {
        "application_name": "riskwire",
        "connect_timeout": _CONNECT_S,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": _UNANSWERED_MS,
    }
    connect_arguments = {name: value for name, value in arguments.items() if name not in url.query}
    engine = create_engine(url, connect_args=connect_arguments, pool_pre_ping=True, pool_recycle=3_600)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        """Sets limits of a new session. A commit must reach the disk: the bus commits its position after the store."""
        connection.autocommit = True
        limits = (f"{_SUSPENDED_S}s", f"{_WRITER_WAIT_S}s", "on" if read_only else "off")
        connection.execute(_SESSION, limits)
        connection.autocommit = False

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", False):
            connection.execute(select(func.pg_advisory_xact_lock(WRITER_LOCK)))

    return engine


def snapshot_options(engine: Engine) -> dict[str, Any]:
    """Returns the execution options of a connection whose reads all see one state of the store."""
    if engine.dialect.name != "postgresql":
        return {}  # SQLite does so by itself
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
