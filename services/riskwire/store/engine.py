"""Opening the store: the engine, what SQLite needs to be told, and whose database it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, NoSuchModuleError, SQLAlchemyError

from riskwire.errors import SchemaError, SettingsError, StoreError, StoreVersionError
from riskwire.settings import Settings
from riskwire.store import migration, tables

BUSY_S = 15.0
"""How long a transaction waits for another process that is writing."""
_TURN = int.from_bytes(b"riskwire")
"""The advisory lock of PostgreSQL that creating and migrating take."""


def store_url(settings: Settings) -> URL:
    """Where the store is: `store.url`, or `store.sqlite` in the data directory.

    Raises:
        SettingsError: not a database URL, or one of a kind that riskwire cannot open.
    """
    if settings.store.url is None:
        return URL.create("sqlite", database=str(settings.data / "store.sqlite"))
    try:
        url = make_url(settings.store.url)
        kind = url.get_backend_name()
    except (ArgumentError, ValueError):
        raise SettingsError("store.url: not a database URL", do="Write sqlite:///FILE or postgresql://…") from None
    if kind not in ("sqlite", "postgresql"):
        raise SettingsError("store.url: no such kind of store", value=kind, do="Use sqlite or postgresql.")
    return url


def open_engine(settings: Settings, *, read_only: bool) -> Engine:
    """An engine on a store of this version; creates an empty store unless `read_only`.

    Raises:
        StoreError: there is no store (read only), or what is there is not one.
        StoreVersionError: it was written by a newer riskwire.
    """
    url = store_url(settings)
    where = url.render_as_string(hide_password=True)
    sqlite = url.get_backend_name() == "sqlite"
    file = Path(url.database) if sqlite and url.database and url.database != ":memory:" else None
    if file is not None:
        where = str(file)
        _require_file(file, read_only)
    with reported(where):
        try:
            engine = create_engine(url, **({"connect_args": {"timeout": BUSY_S}} if sqlite else {}))
        except (NoSuchModuleError, ImportError) as error:
            raise StoreError("the driver is missing", where=where, do="Install riskwire[postgres].") from error
    if sqlite:
        _teach_sqlite(engine, read_only)
    try:
        with reported(where):
            _check_or_create(engine, where, read_only)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _require_file(file: Path, read_only: bool) -> None:
    if read_only:
        if not file.exists():
            raise StoreError("there is no store", where=str(file), do="Name the --data of `riskwire run` or `replay`.")
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError("the data directory cannot be made", where=str(file.parent)) from error


def _teach_sqlite(engine: Engine, read_only: bool) -> None:
    """SQLAlchemy begins transactions itself: sqlite3 would begin too late for reads and without the write lock."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        # The bus commits a position after the store has committed: only FULL keeps that order through a power cut.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA cache_size=-32000")
        if read_only:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _check_or_create(engine: Engine, where: str, read_only: bool) -> None:
    with engine.connect() as connection:
        version = _version(connection, where)
    if version == tables.SCHEMA_VERSION:
        return
    if version in migration.KNOWN:
        if not read_only:
            with engine.connect().execution_options(writes=True) as connection, connection.begin():
                _take_turns(connection)
                migration.migrate(connection, _version(connection, where))
        return  # what is added later is not needed to read what was there
    if version is not None:
        raise StoreVersionError(
            f"the store has version {version}, this riskwire knows {tables.SCHEMA_VERSION}",
            where=where,
            do="Update riskwire, or name another --data.",
        )
    if read_only:
        raise StoreError("the store is empty", where=where, do="Start `riskwire run` or `replay` on it first.")
    if engine.dialect.name == "sqlite":
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode=WAL")
        finally:
            raw.close()
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        _take_turns(connection)
        if _version(connection, where) is None:  # another process may have been faster
            tables.metadata.create_all(connection)
            connection.execute(tables.schema.insert().values(version=tables.SCHEMA_VERSION))


def _take_turns(connection: Connection) -> None:
    """Wait until no other process creates or migrates this store, and let none until this transaction ends. SQLite has
    one writer at a time anyway; PostgreSQL would let two find the old version, and fail one of them."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_TURN)))


def _version(connection: Connection, where: str) -> int | None:
    """The version of the store; None for an empty database."""
    names = inspect(connection).get_table_names()
    if not names:
        return None
    if tables.schema.name not in names:
        raise StoreError(
            "this database is not a riskwire store", value=sorted(names)[:5], where=where, do="Name another --data."
        )
    return int(connection.execute(select(tables.schema.c.version)).scalar_one())


@contextmanager
def reported(where: str) -> Iterator[None]:
    """Tell what the database complains about as a StoreError."""
    try:
        yield
    except DataError as error:
        raise SchemaError("a record that the database cannot hold", where=where) from error.orig
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        do = ""
        if "not a database" in str(cause):
            do = "Move the file away or name another --data."
        elif "locked" in str(cause):
            do = "Another process holds the store: stop it or wait."
        raise StoreError("the store failed", where=where, do=do) from cause
