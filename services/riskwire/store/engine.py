"""Opens the database of the store: finds its URL, configures SQLite, checks the schema version, creates the tables."""

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
from riskwire.settings.permissions import make_private_directory
from riskwire.store import tables

BUSY_S = 15.0
"""How long a transaction waits while another process writes."""
_LAST_VERSION_OF_0_1 = 3
"""The schema version of the last stores that riskwire 0.1 wrote."""
_CREATION_LOCK = int.from_bytes(b"riskwire")
"""The PostgreSQL advisory lock that a process holds while it creates the tables."""


def store_url(settings: Settings) -> URL:
    """Returns the URL of the store: `store.url`, or `store.sqlite` in the data directory.

    Raises:
        SettingsError: `store.url` is not a URL of SQLite or PostgreSQL.
    """
    if settings.store.url is None:
        return URL.create("sqlite", database=str(settings.data / "store.sqlite"))
    try:
        url = make_url(settings.store.url)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        raise SettingsError("store.url: not a database URL", do="Write sqlite:///FILE or postgresql://…") from None
    if backend not in ("sqlite", "postgresql"):
        raise SettingsError("store.url: no such kind of store", value=backend, do="Use sqlite or postgresql.")
    return url


def check_store(settings: Settings) -> None:
    """Checks that an existing store can be used, without changing it. A missing store is accepted.

    Raises:
        StoreError: the database is not a store or cannot be read.
        StoreVersionError: another version of riskwire wrote the store.
        SettingsError: see `store_url`.
    """
    url = store_url(settings)
    file = _sqlite_file(url)
    if file is not None and not file.exists():
        return
    engine, where = _create_engine(url, read_only=True)
    try:
        with reported(where), engine.connect() as connection:
            _stored_version(connection, where)
    finally:
        engine.dispose()


def open_engine(settings: Settings, *, read_only: bool) -> Engine:
    """Returns an engine on the store. Creates an empty store unless `read_only`.

    Raises:
        StoreError: the store does not exist (read only), or the database is not a store.
        StoreVersionError: another version of riskwire wrote the store.
        SettingsError: see `store_url`.
    """
    url = store_url(settings)
    file = _sqlite_file(url)
    if file is not None:
        _require_file(file, read_only)
    engine, where = _create_engine(url, read_only=read_only)
    try:
        with reported(where):
            _check_or_create(engine, where, read_only)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _sqlite_file(url: URL) -> Path | None:
    is_file = url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:"
    return Path(url.database) if is_file and url.database else None


def _require_file(file: Path, read_only: bool) -> None:
    """Checks that the SQLite file exists, for reading; creates its directory, for writing.

    Raises:
        StoreError: there is no file to read, or the directory cannot be created.
    """
    if read_only:
        if not file.exists():
            raise StoreError("there is no store", where=str(file), do="Name the --data of `riskwire run` or `replay`.")
        return
    try:
        make_private_directory(file.parent)
    except OSError as error:
        raise StoreError("the data directory cannot be created", where=str(file.parent)) from error


def _create_engine(url: URL, *, read_only: bool) -> tuple[Engine, str]:
    """Returns an engine that has not connected yet, and how messages name the store (file, or URL without password).

    Raises:
        StoreError: the driver of the database is not installed, or the engine cannot be created.
    """
    where = str(_sqlite_file(url) or url.render_as_string(hide_password=True))
    sqlite = url.get_backend_name() == "sqlite"
    with reported(where):
        try:
            engine = create_engine(url, **({"connect_args": {"timeout": BUSY_S}} if sqlite else {}))
        except (NoSuchModuleError, ImportError) as error:
            raise StoreError("the driver is missing", where=where, do="Install riskwire[postgres].") from error
    if sqlite:
        _configure_sqlite(engine, read_only)
    return engine, where


def _configure_sqlite(engine: Engine, read_only: bool) -> None:
    """Registers listeners on the engine that configure each connection, and begin each transaction explicitly.

    sqlite3 itself would begin a transaction only before a write, so several reads could see different states. A
    transaction of a connection with the execution option `writes` takes the write lock as it begins.
    """

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        """Sets durability, cache and read-only mode of a new connection. Leaves transactions to SQLAlchemy."""
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
    """Checks the version of the store, and creates the tables of an empty one (in SQLite, with a write-ahead log).

    Args:
        where: the name of the store, for errors.

    Raises:
        StoreVersionError: written by another version of riskwire.
        StoreError: the store is empty and is only read.
    """
    with engine.connect() as connection:
        version = _stored_version(connection, where)
    if version is not None:
        return
    if read_only:
        raise StoreError("the store is empty", where=where, do="Start `riskwire run` or `replay` on it first.")
    if engine.dialect.name == "sqlite":
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode=WAL")
        finally:
            raw.close()
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        # SQLite allows one writer at a time. On PostgreSQL two processes would find no tables, and one would fail.
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_CREATION_LOCK)))
        if _stored_version(connection, where) is None:  # another process may have created the tables
            tables.metadata.create_all(connection)
            connection.execute(tables.schema.insert().values(version=tables.SCHEMA_VERSION))


def _stored_version(connection: Connection, where: str) -> int | None:
    """Returns the schema version of the store, or None for a database without tables.

    Raises:
        StoreError: the database is not a store.
        StoreVersionError: the store has another version than this riskwire.
    """
    names = inspect(connection).get_table_names()
    if not names:
        return None
    if tables.schema.name not in names:
        raise StoreError(
            "this database is not a riskwire store",
            value=sorted(names)[:5],
            where=where,
            do=f"Name {_another(connection)}.",
        )
    version = int(connection.execute(select(tables.schema.c.version)).scalar_one())
    if version > tables.SCHEMA_VERSION:
        raise StoreVersionError(
            f"the store was written by a newer riskwire (version {version}; this one reads {tables.SCHEMA_VERSION})",
            where=where,
            do=f"Upgrade riskwire, or name {_another(connection)}.",
        )
    if version < tables.SCHEMA_VERSION:
        writer = "riskwire 0.1" if version <= _LAST_VERSION_OF_0_1 else "an unreleased riskwire 0.2"
        raise StoreVersionError(
            f"the store was written by {writer} (version {version}; this one reads only {tables.SCHEMA_VERSION})",
            where=where,
            do=f"Name {_another(connection)}, or replay an archive into a new one; this one is left as it is.",
        )
    return version


def _another(connection: Connection) -> str:
    sqlite = connection.dialect.name == "sqlite"
    return "another directory with --data" if sqlite else "another database with store.url"


@contextmanager
def reported(where: str) -> Iterator[None]:
    """Raises an error of the database in the `with` block as a StoreError; other errors pass through.

    The error is a SchemaError if the database cannot store a value.

    Args:
        where: the name of the store, for the error.
    """
    try:
        yield
    except DataError as error:
        raise SchemaError("the database cannot store a value of this record", where=where) from error.orig
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        do = ""
        if "not a database" in str(cause):
            do = "Move the file away or name another directory with --data."
        elif "locked" in str(cause):
            do = "Another process holds the store: stop it or wait."
        raise StoreError("the store failed", where=where, do=do) from cause
