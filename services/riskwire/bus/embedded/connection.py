"""One thread with one SQLite connection, so that queries do not block the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from riskwire.bus.embedded.sqlite import as_bus_error
from riskwire.errors import BusError, lacks_thread

P = ParamSpec("P")
T = TypeVar("T")


class Connection:
    """A SQLite connection on its own thread; calls run in the order in which they are made."""

    def __init__(self, path: Path, name: str) -> None:
        """Prepares a thread; `open` starts it and opens the connection.

        Args:
            path: the file, for the messages of errors.
            name: the name of the thread.
        """
        self._path = path
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._connection: sqlite3.Connection | None = None

    async def open(self, opener: Callable[[], tuple[sqlite3.Connection, T]]) -> T:
        """Opens the connection on its thread.

        Args:
            opener: runs on the thread. Returns the connection and a value, which `open` returns.

        Raises:
            BusError: the file cannot be opened; the thread has ended.
        """

        def on_thread() -> T:
            with as_bus_error(self._path):
                self._connection, opened = opener()
            return opened

        try:
            return await self._run_on_thread(on_thread)
        except BaseException:
            await self.close()
            raise

    async def run(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **named: P.kwargs) -> T:
        """Runs `work(connection, …)` on the thread and returns its result.

        A cancelled call waits for work that has begun, then raises CancelledError. Work that has not begun never runs.

        Raises:
            BusError: SQLite failed, or the connection is closed.
        """

        def on_thread() -> T:
            """Calls `work` with the connection, on its thread. Errors of SQLite become a `BusError`."""
            if self._connection is None:
                raise BusError("the bus is closed", where=str(self._path))
            with as_bus_error(self._path):
                return work(self._connection, *args, **named)

        return await self._run_on_thread(on_thread)

    async def close(self) -> None:
        """Finishes the calls under way, closes the connection and ends the thread. A second call has no effect."""

        def on_thread() -> None:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

        try:
            await self._run_on_thread(on_thread)
        except BusError:
            return  # closed already
        self._executor.shutdown(wait=False)

    async def _run_on_thread(self, work: Callable[[], T]) -> T:
        """Runs `work` on the thread of the connection and returns its result.

        If the caller is cancelled, work that has started is finished first, so that no transaction is torn. Work that
        has not started is dropped.

        Raises:
            BusError: the connection is closed.
        """
        try:
            job = self._executor.submit(work)
        except RuntimeError as error:
            problem = "the bus has no thread" if lacks_thread(error) else "the bus is closed"
            raise BusError(problem, where=str(self._path)) from error
        waiter = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(waiter)
        except asyncio.CancelledError:
            if not job.cancel():
                await asyncio.wait([waiter])
            raise
