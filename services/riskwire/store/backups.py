"""Copies a store into files and back: a database file of SQLite, or the rows of each table of PostgreSQL.

The copy is one state of the store, while sinks write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import zstandard
from sqlalchemy import Connection, Engine, Table, func, select, text

from riskwire.errors import StoreError
from riskwire.settings import Settings
from riskwire.store import tables
from riskwire.store.database.engine import create_tables, existing_store, new_store, reported
from riskwire.store.database.postgresql.copying import columns_of, copying
from riskwire.store.database.postgresql.partitions import make_partitions
from riskwire.store.database.postgresql.sessions import snapshot_options
from riskwire.store.database.schema_version import stored_version, usable_version
from riskwire.store.database.sqlite import sqlite_file

SQLITE_FILE = "store.sqlite"
_DAY_MS = 86_400_000


def copy_database(source: Path, target: Path) -> None:
    """Copies an SQLite database that other processes may be writing. The copy is one state of it, in one file.

    Raises:
        sqlite3.Error or OSError: it cannot be read, or the copy cannot be written.
    """
    with closing(sqlite3.connect(source, timeout=15)) as reader, closing(sqlite3.connect(target)) as writer:
        reader.backup(writer)
    target.chmod(0o600)


def backup_store(settings: Settings, folder: Path) -> dict[str, int]:
    """Copies a store into files of a folder, and returns the number of rows of each table.

    Raises:
        StoreError: there is no store, or it cannot be read, or the copy cannot be written.
        StoreVersionError: another version of riskwire wrote the store.
        SettingsError: `store.url` is not a URL of SQLite or PostgreSQL.
    """
    with existing_store(settings) as (engine, where):
        if engine is None:
            raise StoreError("there is no store", where=where, do="Name the --data of `riskwire run` or `replay`.")
        with reported(where), _snapshot(engine) as connection:
            if usable_version(connection, where) is None:
                raise StoreError("the store is empty", where=where)
        file = sqlite_file(engine.url)
        try:
            if file is None:
                with reported(where), _snapshot(engine) as connection:
                    for table in _tables():
                        _copy_out(connection, table, folder)
                    return _counts(connection)
            copy_database(file, folder / SQLITE_FILE)
        except (sqlite3.Error, OSError) as error:
            raise StoreError("the store cannot be copied", where=where) from error
    with closing(sqlite3.connect(folder / SQLITE_FILE)) as copy:
        return {
            str(table.name): copy.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]  # noqa: S608
            for table in _tables()
        }


def restore_store(settings: Settings, folder: Path) -> dict[str, int]:
    """Fills an empty or missing store from the files of a backup, and returns the number of rows of each table.

    Raises:
        StoreError: the store is not empty, the backup is of another kind of database, or either cannot be used.
        SettingsError: `store.url` is not a URL of SQLite or PostgreSQL.
    """
    of_sqlite = (folder / SQLITE_FILE).exists()
    with existing_store(settings, read_only=False) as (engine, where):
        if engine is not None and _holds_rows(engine, where):
            raise StoreError("there is a store already", where=where, do="Name an empty one; none is overwritten.")
        if of_sqlite != (engine is None or engine.dialect.name == "sqlite"):
            kind = "SQLite" if of_sqlite else "PostgreSQL"
            raise StoreError(f"the backup is of a store on {kind}, and this is none", where=where)
    if of_sqlite:
        return _restore_sqlite(settings, folder / SQLITE_FILE)
    with (
        new_store(settings) as (engine, where),
        reported(where),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        if stored_version(connection, where) is None:
            create_tables(connection)
        try:
            for table in _tables():
                _copy_in(connection, table, folder)
        except (OSError, zstandard.ZstdError) as error:
            raise StoreError("the backup cannot be read", where=str(folder)) from error
        return _counts(connection)


def _restore_sqlite(settings: Settings, copy: Path) -> dict[str, int]:
    """Copies the database to its place; an empty store that is there is replaced."""
    with new_store(settings) as (engine, where):
        file = sqlite_file(engine.url)
        assert file is not None
    part = file.with_name(f"{file.name}.part")
    try:
        copy_database(copy, part)
        for ending in ("-wal", "-shm"):
            file.with_name(file.name + ending).unlink(missing_ok=True)
        part.replace(file)
    except (sqlite3.Error, OSError) as error:
        raise StoreError("the store cannot be restored", where=where) from error
    finally:
        part.unlink(missing_ok=True)
    with existing_store(settings) as (restored, where), reported(where):
        assert restored is not None
        with restored.connect() as connection:
            usable_version(connection, where)
            return _counts(connection)


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """Yields a connection whose reads all see one state of the store."""
    with engine.connect().execution_options(**snapshot_options(engine)) as connection:
        yield connection


def _tables() -> list[Table]:
    """Returns the tables of a store without that of its version."""
    return [table for table in tables.metadata.sorted_tables if table is not tables.schema]


def _counts(connection: Connection) -> dict[str, int]:
    return {
        str(table.name): connection.execute(select(func.count()).select_from(table)).scalar_one() for table in _tables()
    }


def _holds_rows(engine: Engine, where: str) -> bool:
    """Returns whether a database holds anything but an empty store of this version."""
    with reported(where), engine.connect() as connection:
        return usable_version(connection, where) is not None and any(_counts(connection).values())


def _copy_out(connection: Connection, table: Table, folder: Path) -> None:
    """Writes the rows of a table as PostgreSQL's text format, compressed."""
    columns = columns_of([column.name for column in table.columns])
    with (
        _file(folder, table).open("wb") as file,
        zstandard.ZstdCompressor().stream_writer(file) as compressed,
        copying(connection, f"COPY (SELECT {columns} FROM {table.name}) TO STDOUT") as copied,  # noqa: S608
    ):
        for part in copied:
            compressed.write(part)


def _copy_in(connection: Connection, table: Table, folder: Path) -> None:
    """Reads the rows of a table into a table without partitions, and from there, in order of time, into their own."""
    columns = columns_of([column.name for column in table.columns])
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE restored ON COMMIT DROP AS TABLE {table.name} WITH NO DATA")
    with (
        _file(folder, table).open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as decompressed,
        copying(connection, f"COPY restored ({columns}) FROM STDIN") as copied,
    ):
        while part := decompressed.read(1 << 20):
            copied.write(part)
    if column := tables.PARTITIONED.get(table.name):
        days = connection.execute(text(f"SELECT DISTINCT {column} / {_DAY_MS} FROM restored")).scalars()  # noqa: S608
        make_partitions(connection, table, [day * _DAY_MS for day in days])
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM restored")  # noqa: S608
    connection.exec_driver_sql("DROP TABLE restored")
    key = table.autoincrement_column
    if key is not None:
        sequence = f"pg_get_serial_sequence('{table.name}', '{key.name}')"
        connection.exec_driver_sql(
            f"SELECT setval({sequence}, coalesce(max({key.name}), 0) + 1, false) FROM {table.name}"  # noqa: S608
        )


def _file(folder: Path, table: Table) -> Path:
    return folder / f"{table.name}.copy.zst"
