"""Notices database files that vanish under a running process.

SQLite goes on writing into a file that was deleted or replaced. Everything written after that is lost when the process
ends, and until then nothing shows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

import structlog

from riskwire.errors import BusError
from riskwire.web import StageState

log = structlog.get_logger(__name__)

CHECK_INTERVAL_S = 2.0
_UNKNOWN = (-1, -1)
"""The identity of a file that cannot be asked for."""


class DataFiles:
    """The database files of a process, as they were when it opened them."""

    def __init__(self, paths: Collection[Path]) -> None:
        """Notes which files there are; a path without a file is not watched."""
        self._identities = {path: identity for path in paths if (identity := _identity(path)) is not None}

    def problem(self) -> str:
        """Returns which file was deleted or replaced, for a person; empty if all are as they were."""
        for path, identity in self._identities.items():
            now = _identity(path)
            if now not in (identity, _UNKNOWN):
                return f"{path} was {'deleted' if now is None else 'replaced'} while riskwire uses it"
        return ""

    def states(self) -> tuple[StageState, ...]:
        """Returns the readiness of the files: one state that is not ok after one has vanished, else none."""
        problem = self.problem()
        return (StageState(name="data", ok=False, detail=problem),) if problem else ()

    async def watch(self) -> None:
        """Checks the files every `CHECK_INTERVAL_S` seconds, until cancelled.

        Raises:
            BusError: a file was deleted or replaced. The process must end, since what it writes now is lost.
        """
        while True:
            if problem := await asyncio.to_thread(self.problem):
                error = BusError(
                    problem,
                    do="Put back a backup and start again; without one, a new start begins with empty data",
                )
                log.error("giving up", error=str(error))
                raise error
            await asyncio.sleep(CHECK_INTERVAL_S)


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns device and number of a file, or None if it does not exist.

    Any other failure, such as a file system that does not answer, says nothing about the file. It is not reported here.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return _UNKNOWN
    return (status.st_dev, status.st_ino)
