"""Opens the database of the store: finds its URL, checks the version of its schema, creates the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError

from riskwire.errors import SchemaError, SettingsError, StoreError, StoreUnavailableError
from riskwire.settings import Settings
from riskwire.settings.permissions import make_private_directory
from riskwire.store import tables
from riskwire.store.database.postgresql.sessions import create_postgresql_engine
from riskwire.store.database.schema_version import usable_version
from riskwire.store.database.sqlite import create_sqlite_engine, sqlite_file, use_write_ahead_log

_AWAY = ("08", "53", "57P", "55P03", "40001", "40P01", "25P03")
"""The beginnings of SQLSTATE codes of PostgreSQL after which the same transaction may succeed later.

Lost connection, no resources or full disk, server stops or starts, lock not available, serialisation failure, deadlock,
suspended for too long.
"""


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
    password = settings.store.password
    if password is not None and backend == "postgresql" and url.password is None:
        url = url.set(password=password.get_secret_value())
    return url


def check_store(settings: Settings) -> None:
    """Checks that an existing store can be used, without changing it. A missing store is accepted.

    Raises:
        StoreError: the database is not a store or cannot be read.
        StoreVersionError: another version of riskwire wrote the store.
        SettingsError: see `store_url`.
    """
    with existing_store(settings) as (engine, where):
        if engine is not None:
            with reported(where), engine.connect() as connection:
                usable_version(connection, where)


@contextmanager
def existing_store(settings: Settings, *, read_only: bool = True) -> Iterator[tuple[Engine | None, str]]:
    """Yields an engine on a database that may be no store, and how messages name it; None for a missing SQLite file.

    Raises:
        StoreError: the driver of the database is not installed.
        SettingsError: see `store_url`.
    """
    url = store_url(settings)
    file = sqlite_file(url)
    if file is not None and not _is_there(file):
        yield None, str(file)
        return
    engine, where = _create_engine(url, read_only=read_only)
    try:
        yield engine, where
    finally:
        engine.dispose()


@contextmanager
def new_store(settings: Settings) -> Iterator[tuple[Engine, str]]:
    """Yields an engine on a database that may be empty or missing, to be written, and how messages name it.

    Raises:
        StoreError: the directory of an SQLite file cannot be created, or the database cannot be reached.
        SettingsError: see `store_url`.
    """
    url = store_url(settings)
    file = sqlite_file(url)
    if file is not None:
        _require_file(file, read_only=False)
    engine, where = _create_engine(url, read_only=False)
    try:
        if file is not None and not _is_there(file):
            with reported(where):
                use_write_ahead_log(engine)
        yield engine, where
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
    file = sqlite_file(url)
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


def _require_file(file: Path, read_only: bool) -> None:
    """Checks that the SQLite file exists, for reading; creates its directory, for writing.

    Raises:
        StoreError: there is no file to read, or the directory cannot be created.
    """
    if read_only:
        if not _is_there(file):
            raise StoreError("there is no store", where=str(file), do="Name the --data of `riskwire run` or `replay`.")
        return
    try:
        make_private_directory(file.parent)
    except OSError as error:
        raise StoreError("the data directory cannot be created", where=str(file.parent)) from error


def _is_there(file: Path) -> bool:
    """Returns whether there is a file.

    Raises:
        StoreError: its directory may not be entered.
    """
    try:
        return file.exists()
    except OSError as error:
        raise StoreError("the data directory cannot be entered", where=str(file.parent)) from error


def _create_engine(url: URL, *, read_only: bool) -> tuple[Engine, str]:
    """Returns an engine that has not connected yet, and how messages name the store (file, or URL without password).

    Raises:
        StoreError: the driver of the database is not installed, or the engine cannot be created.
    """
    where = str(sqlite_file(url) or url.render_as_string(hide_password=True))
    with reported(where):
        try:
            if url.get_backend_name() == "sqlite":
                return create_sqlite_engine(url, read_only=read_only), where
            return create_postgresql_engine(url, read_only=read_only), where
        except (NoSuchModuleError, ImportError) as error:
            raise StoreError("the driver is missing", where=where, do="Install riskwire[postgres].") from error


def _check_or_create(engine: Engine, where: str, read_only: bool) -> None:
    """Checks the version of the store, and creates the tables of an empty one (in SQLite, with a write-ahead log).

    Args:
        where: the name of the store, for errors.

    Raises:
        StoreVersionError: written by another version of riskwire.
        StoreError: the store is empty and is only read.
    """
    with engine.connect() as connection:
        version = usable_version(connection, where)
    if version is not None:
        return
    if read_only:
        raise StoreError("the store is empty", where=where, do="Start `riskwire run` or `replay` on it first.")
    if engine.dialect.name == "sqlite":
        use_write_ahead_log(engine)
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if usable_version(connection, where) is None:  # another process may have created the tables
            create_tables(connection)


def create_tables(connection: Connection) -> None:
    """Creates the tables of the present schema in an empty database."""
    tables.metadata.create_all(connection)
    connection.execute(tables.schema.insert().values(version_num=str(tables.SCHEMA_VERSION)))


@contextmanager
def reported(where: str) -> Iterator[None]:
    """Raises an error of the database in the `with` block as a StoreError; other errors pass through.

    The error is a SchemaError if the database cannot store a value, and a StoreUnavailableError if the same may
    succeed later.

    Args:
        where: the name of the store, for the error.
    """
    try:
        yield
    except DataError as error:
        raise SchemaError("the database cannot store a value of this record", where=where) from error.orig
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        if problem := _passing_problem(error, cause):
            description, do = problem
            raise StoreUnavailableError(description, where=where, do=do) from cause
        do = "Move the file away or name another directory with --data." if "not a database" in str(cause) else ""
        raise StoreError("the store failed", where=where, do=do) from cause


def _passing_problem(error: SQLAlchemyError, cause: Any) -> tuple[str, str] | None:
    """Returns what is wrong and what to do, if the same transaction may succeed later; otherwise None."""
    state = getattr(cause, "sqlstate", None)
    lost = isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, OperationalError))
    problem = None
    if isinstance(cause, sqlite3.Error):
        if "locked" in str(cause):
            problem = "the store is in use", "Another process holds the store: stop it or wait."
        elif "disk is full" in str(cause):
            problem = "the disk is full", "Free space; nothing is lost."
    elif state == "53100":
        problem = "the disk of PostgreSQL is full", "Free space on the server; nothing is lost."
    elif state is None and lost:
        problem = "PostgreSQL cannot be reached", "Start it, or check store.url and the network."
    elif state is not None and any(state.startswith(beginning) for beginning in _AWAY):
        problem = f"PostgreSQL refused for now (SQLSTATE {state})", "Nothing is lost; see the log of PostgreSQL."
    return problem
