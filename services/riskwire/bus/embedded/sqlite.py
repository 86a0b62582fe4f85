"""SQLite for the embedded bus: transactions, error messages, and the size of the write-ahead log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from riskwire.errors import BusError

log = structlog.get_logger(__name__)

BUSY_S = 10.0
"""Longest wait for another process to finish its write."""
DAMAGED = ("this file is not a riskwire bus, or it is damaged", "Move it away, or give another directory with --data")

_CHECKPOINT_BYTES = 4_000_000
_CHECKPOINT_WAIT_MS = 100
_MESSAGES = {
    sqlite3.SQLITE_FULL: ("the disk is full; nothing of this step was written", "Free some space and start again"),
    sqlite3.SQLITE_READONLY: ("the bus cannot be written", "Make the directory writable, or give another with --data"),
    sqlite3.SQLITE_CANTOPEN: ("the bus cannot be opened", "Check the directory and its rights"),
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_BUSY: (f"another process has been writing for {BUSY_S:g} s", "Stop it"),
    sqlite3.SQLITE_IOERR: ("the disk failed", "Check the disk"),
}


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Runs the body as one write transaction: commits it at the end, rolls it back on an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolls back by itself when the disk is full
            connection.execute("ROLLBACK")
        raise


class WriteAheadLog:
    """Keeps the write-ahead log beside the file small.

    SQLite's default is a passive checkpoint after a commit. It may damage the file when another process commits at the
    same time (https://www.sqlite.org/wal.html#walresetbug, every version before 3.51.3). A truncating checkpoint blocks
    writers meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.with_name(path.name + "-wal")
        self._next_at = _CHECKPOINT_BYTES

    def keep_small(self, connection: sqlite3.Connection) -> None:
        """Copies the log into the file and empties it, once it has grown by 4 MB since the last attempt.

        Waits at most 100 ms for other processes; if they still use the log, it stays as it is. Errors are only logged,
        since commits are safe in the log.
        """
        try:
            if self._size() < self._next_at:
                return
            connection.execute(f"PRAGMA busy_timeout={_CHECKPOINT_WAIT_MS}")
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.execute(f"PRAGMA busy_timeout={int(BUSY_S * 1000)}")
        except (sqlite3.Error, OSError) as error:
            log.warning(
                "checkpoint failed: the write-ahead log of the bus stays long", file=str(self._file), error=str(error)
            )
        # After a failure, for example because of a reader or a full disk, do not retry at every step.
        self._next_at = self._size() + _CHECKPOINT_BYTES

    def _size(self) -> int:
        """Returns the size of the write-ahead log in bytes; 0 if there is none."""
        try:
            return self._file.stat().st_size
        except OSError:
            return 0


@contextmanager
def as_bus_error(path: Path) -> Iterator[None]:
    """Turns errors of SQLite and the file system into a `BusError` that names the file and a remedy."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code within an extended one
        problem, do = _MESSAGES.get(code, ("the bus failed", ""))
        raise BusError(problem, where=str(path), do=do) from error
    except OSError as error:
        raise BusError("the bus failed", where=str(path)) from error


@contextmanager
def closing_as_bus_error(path: Path, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Yields a connection and closes it at the end; errors of SQLite and the file system become `BusError`."""
    try:
        with as_bus_error(path):
            yield connection
    finally:
        connection.close()
