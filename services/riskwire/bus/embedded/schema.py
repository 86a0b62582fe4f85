"""The file of the embedded bus: tables, version, and connections.

The records of all partitions share one table. Its integer key holds the partition's slot and the offset in one number.
So an append, an ordered read and a trim each touch one range of one B-tree, without an index.
"""

from __future__ import annotations

import sqlite3
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from riskwire.bus.embedded.sqlite import BUSY_S, DAMAGED, as_bus_error, closing_as_bus_error, transaction
from riskwire.errors import BusError, BusVersionError
from riskwire.pipeline import TOPICS
from riskwire.settings.permissions import make_private_directory

log = structlog.get_logger(__name__)

VERSION = 3
"""riskwire 0.1 wrote version 1, and 0.2 before its release version 2; both are refused."""
APPLICATION_ID = int.from_bytes(b"rwbs", "big")
OFFSET_BITS = 40

_MAGIC = b"SQLite format 3\0"

_TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE partitions (
        slot INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        kept_from INTEGER NOT NULL DEFAULT 0,
        next_offset INTEGER NOT NULL DEFAULT 0,
        UNIQUE (topic, partition))""",
    "CREATE TABLE records (id INTEGER PRIMARY KEY, key TEXT, value BLOB NOT NULL, written_ms INTEGER NOT NULL)",
    # A group owns a position on each partition it reads; a publisher owns only its state and has slot 0.
    # AUTOINCREMENT: the id of a forgotten owner is never reused, so a stale owner cannot pass for a new one.
    """CREATE TABLE owners (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        slot INTEGER NOT NULL,
        position INTEGER NOT NULL DEFAULT 0,
        epoch INTEGER NOT NULL DEFAULT 0,
        UNIQUE (name, slot))""",
    "CREATE INDEX owners_by_slot ON owners (slot, position)",
    "CREATE TABLE state (owner INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (owner, key))",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The slot of each partition of each topic; fixed when the file is created."""

    slots: Mapping[str, tuple[int, ...]]

    def of(self, topic: str) -> tuple[int, ...]:
        """Returns the slots of a topic, by partition.

        Raises:
            BusError: there is no such topic.
        """
        try:
            return self.slots[topic]
        except KeyError:
            raise BusError(f"unknown topic; the topics are {', '.join(self.slots)}", value=str(topic)) from None


def check(path: Path) -> None:
    """Checks, without changing it, that a file is a bus this riskwire can use; a missing or empty file is accepted.

    Raises:
        BusVersionError: written by another version of riskwire.
        BusError: not a bus, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BusError("the bus cannot be read", where=str(path)) from error
    if not header:
        return
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise _not_a_bus(path)
    # The header first, so that a newer file is not even opened. Then SQLite, since the WAL may hold a newer version.
    version, application = struct.unpack(">i4xi", header[60:72])  # user_version, application_id of SQLite's header
    _check_same_version(path, version, application)
    with closing_as_bus_error(path, sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        _check_version(path, *_version(connection), empty=not _count_tables(connection))


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Returns a connection to the file, which is created if it is missing; transactions on it are begun explicitly.

    Args:
        read_only: statements that write raise an error.

    Raises:
        sqlite3.Error: see `as_bus_error`.
    """
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, cached_statements=256)
    try:
        connection.execute("PRAGMA synchronous=NORMAL")
        # Some builds overwrite deleted content with zeros. Published news needs no such protection.
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # see WriteAheadLog
        if read_only:
            connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def create(path: Path, partitions: int) -> tuple[sqlite3.Connection, Layout]:
    """Opens the file for writing; creates it and missing topics. An existing file keeps its number of partitions.

    Args:
        partitions: the number of partitions of each topic in a new file, except of topics that always have one.

    Returns:
        the connection, and the slot of each partition of each topic.

    Raises:
        BusError: as `check`, or the file cannot be created.
    """
    check(path)
    with as_bus_error(path):
        make_private_directory(path.parent)
        connection = connect(path)
        try:
            _prepare(connection, path)
            with transaction(connection):
                return connection, _lay_out(connection, path, partitions)
        except BaseException:
            connection.close()
            raise


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Sets the pragmas that must run outside a transaction; auto_vacuum has an effect only before the first table.

    Retries for up to `BUSY_S` while another process holds the file, then raises SQLite's error.

    Raises:
        BusError: the file system cannot hold a write-ahead log.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            break
        except sqlite3.OperationalError as error:  # the busy timeout does not cover a change of journal mode
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    if mode != "wal":
        raise BusError("this file system lacks the shared memory that SQLite needs", value=mode, where=str(path))


def _lay_out(connection: sqlite3.Connection, path: Path, partitions: int) -> Layout:
    """Creates the tables of a new bus file, and the partitions of topics that the file does not have yet.

    Args:
        partitions: the number of partitions of a topic in a new file. An existing file keeps its own; a difference is
            logged.

    Returns:
        the slot of each partition of each topic. A slot is the number of one partition of one topic in the file.

    Raises:
        BusVersionError: written by another version of riskwire.
        BusError: the file is not a bus.
    """
    version, application = _version(connection)
    _check_version(path, version, application, empty=not _count_tables(connection))
    if version == 0:
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('partitions', ?)", (partitions,))
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
    row = connection.execute("SELECT value FROM meta WHERE name = 'partitions'").fetchone()
    if row is None:
        raise _not_a_bus(path)
    stored = int(row[0])
    if stored != partitions:
        log.warning(
            "bus.partitions differs from the bus file, which keeps its own number",
            stored=stored,
            configured=partitions,
            file=str(path),
        )
    connection.executemany(
        "INSERT OR IGNORE INTO partitions (topic, partition) VALUES (?, ?)",
        ((str(topic), p) for topic, spec in TOPICS.items() for p in range(spec.partitions(stored))),
    )
    slots: dict[str, list[int]] = {}
    for slot, topic in connection.execute("SELECT slot, topic FROM partitions ORDER BY topic, partition"):
        slots.setdefault(topic, []).append(slot)
    return Layout({topic: tuple(of_topic) for topic, of_topic in slots.items()})


def _version(connection: sqlite3.Connection) -> tuple[int, int]:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    return version, application


def _count_tables(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    return int(count)


def _check_version(path: Path, version: int, application: int, *, empty: bool) -> None:
    """Refuses a file that is no bus, or a bus of another version. A new, empty file passes.

    Args:
        version: the number in the header of the file; `application` likewise the id of the application that wrote it.
        empty: the file has no tables.

    Raises:
        BusVersionError: written by another version of riskwire.
        BusError: the file is not a bus.
    """
    _check_same_version(path, version, application)
    fresh = empty and version == 0 and application == 0
    if application != APPLICATION_ID and not fresh:
        raise _not_a_bus(path)


def _check_same_version(path: Path, version: int, application: int) -> None:
    """Refuses a bus file of another version; `application` is the application id in the file's header.

    Raises:
        BusVersionError: a bus of an older or a newer riskwire. A file that is no bus passes.
    """
    if application != APPLICATION_ID or version == VERSION:
        return
    if version > VERSION:
        raise BusVersionError(
            f"the bus was written by a newer riskwire (version {version}; this one knows up to {VERSION})",
            where=str(path),
            do="Upgrade riskwire, or give another directory with --data",
        )
    raise BusVersionError(
        f"the bus was written by riskwire 0.1 or an unreleased 0.2 (version {version}; this one reads only {VERSION})",
        where=str(path),
        do="Give another directory with --data, or replay an archive into a new one; this one is left as it is",
    )


def _not_a_bus(path: Path) -> BusError:
    problem, do = DAMAGED
    return BusError(problem, where=str(path), do=do)
