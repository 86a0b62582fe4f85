"""The lock of a data directory: one process at a time runs stages there. The lock ends with its process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from riskwire.errors import BusError, InUseError
from riskwire.settings.permissions import make_private_directory

_FILE = "lock"
_WAIT_S = 0.5


@contextmanager
def lock_data_dir(path: Path) -> Iterator[None]:
    """Holds the lock of a data directory while the body runs. Readers and publishers without stages need no lock.

    Creates the directory if it is missing, and writes the process id to the lock file.

    Raises:
        InUseError: another process holds it for longer than `_WAIT_S`; the message names the process.
        BusError: the directory cannot be created or written.
    """
    try:
        make_private_directory(path)
        lock = os.open(path / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BusError(
            "the data directory cannot be used", where=str(path), do="Make it writable, or give another with --data"
        ) from error
    try:
        _take(lock, path)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)  # the file stays: once removed, a third process could lock a new file of this name


def _take(lock: int, path: Path) -> None:
    """Locks the open lock file of a data directory for this process. Waits at most `_WAIT_S` for the lock.

    Args:
        lock: the file descriptor of the lock file.

    Raises:
        InUseError: another process holds the lock. The message names its process id.
    """
    deadline = time.monotonic() + _WAIT_S  # `stages_run` holds a shared lock for a moment
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            pid = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            raise InUseError(
                f"the stages of this data directory are run by another riskwire (process {pid})",
                where=str(path),
                do="Stop that process, or give another directory with --data",
            ) from None
        return


def stages_run(path: Path) -> bool:
    """Returns whether any process, including this one, holds the lock of the data directory.

    Finds out by taking a shared lock for a moment. Returns False if the lock file is missing or cannot be read.
    """
    try:
        lock = os.open(path / _FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
