"""Steps of the embedded bus: run on the writer thread, retried until the topics have space."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from riskwire import metrics
from riskwire.bus.embedded import ledger
from riskwire.bus.embedded.connection import Connection
from riskwire.bus.embedded.file_state import FileState
from riskwire.bus.embedded.ledger import Applied, Full, Owner
from riskwire.bus.embedded.lock import stages_run
from riskwire.bus.embedded.schema import Layout
from riskwire.bus.embedded.sqlite import WriteAheadLog
from riskwire.bus.embedded.wakeups import Wakeup
from riskwire.bus.protocol import Outgoing
from riskwire.errors import FencedError
from riskwire.settings import BusSettings

log = structlog.get_logger(__name__)

_CHECK_READERS_S = 1.0
"""How often a waiting publisher checks that a process still runs the stages. New space wakes it at once."""
_LOG_AFTER_S = 30.0


class StepOwner(Protocol):
    """An assignment or a publisher: the owner of a step."""

    @property
    def owner(self) -> Owner: ...

    @property
    def revoked(self) -> bool: ...

    def revoke(self) -> None: ...


class Steps:
    """Commits the steps of every assignment and publisher of one bus."""

    def __init__(self, writer: Connection, layout: Layout, settings: BusSettings, file_state: FileState) -> None:
        """Needs a running event loop, whose tasks are woken after each step.

        Args:
            writer: the connection that writes the bus file, on its own thread.
            layout: the slot of each partition of each topic: its number in the file.
            file_state: holds the wakeups.
        """
        self._writer = writer
        self._layout = layout
        self._settings = settings
        self._file_state = file_state
        self._topics = {slot: topic for topic, slots in layout.slots.items() for slot in slots}
        self._write_ahead_log = WriteAheadLog(file_state.path)
        self._loop = asyncio.get_running_loop()

    async def take(
        self,
        client: StepOwner,
        position: int | None,
        results: Sequence[Outgoing],
        state: Mapping[str, bytes | None],
        is_read: Callable[[str], bool] | None = None,
    ) -> None:
        """Commits one atomic step; waits until its topics have space: at most `bus.backlog` unread records.

        Args:
            client: the assignment or publisher that takes the step. It is revoked if another has taken over.
            position: the offset of the next record to read; None for a publisher.
            results: the records to publish.
            state: the new value of each changed key; None deletes the key.
            is_read: whether a stage of this process reads a topic; only for a publisher. If no stage reads it, here
                or in the process that holds the data directory, no space will come: the step exceeds the bound.

        Raises:
            BusError: fenced, closed or failed; the step had no effect.
            SchemaError: a result does not fit its topic; the step had no effect.
        """
        results, state = tuple(results), dict(state)
        bound: int | None = self._settings.backlog
        space = _SpaceWait(client.owner.name)
        while True:
            self._file_state.check()
            if client.revoked:
                raise ledger.fenced(client.owner.name)
            # Before the attempt, so that space which comes during it is not missed.
            wakeups = {str(result.topic): self._file_state.space.subscribe(str(result.topic)) for result in results}
            try:
                outcome = await self._writer.run(self._attempt, client.owner, position, results, state, bound)
            except FencedError:
                client.revoke()
                raise
            if isinstance(outcome, Applied):
                return
            if (
                is_read is None
                or is_read(outcome.topic)
                or await asyncio.to_thread(stages_run, self._file_state.path.parent)
            ):
                await space.wait(outcome, wakeups[outcome.topic])
            else:
                log.warning("no process runs the stages: writing beyond bus.backlog", topic=outcome.topic)
                bound = None

    def _attempt(
        self,
        connection: sqlite3.Connection,
        owner: Owner,
        position: int | None,
        results: Sequence[Outgoing],
        state: Mapping[str, bytes | None],
        bound: int | None,
    ) -> Applied | Full:
        """Runs a step on the writer thread. Returns `Full`, and changes nothing, if a topic has no space.

        The thread itself notifies the event loop. So waiting tasks are woken even if the step's caller was cancelled.

        Args:
            bound: most unread records that a topic may hold after the step; None for no bound.
        """
        keep = self._settings.keep_processed
        outcome = ledger.step(connection, self._layout, owner, position, results, state, bound, keep)
        if isinstance(outcome, Applied):
            with suppress(RuntimeError):  # the event loop is closed: no task waits
                self._loop.call_soon_threadsafe(self._notify, outcome, None if position is None else owner.slot)
            self._write_ahead_log.keep_small(connection)
        return outcome

    def _notify(self, applied: Applied, moved: int | None) -> None:
        """Wakes the tasks that a committed step concerns: readers of its topics, and writers that wait for space.

        Also counts the records that the step trimmed in a metric.

        Args:
            moved: the slot (the number of a partition in the file) whose position moved; None for a publisher.
        """
        self._file_state.note_ends(applied.ends)
        if moved is not None:
            self._file_state.note_position_moved(self._topics[moved])
        for topic, count in applied.trimmed.items():
            metrics.TRIMMED_RECORDS.labels(topic=topic).inc(count)


class _SpaceWait:
    """The wait of one step for space: counts its seconds, and logs once when they are many."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waited = 0.0
        self._logged = False

    async def wait(self, full: Full, wakeup: Wakeup) -> None:
        """Waits until a group may have read on, for at most `_CHECK_READERS_S` (1 s); the caller then tries again.

        Adds the time to the metric of backpressure. Logs one warning when the waits of this step exceed 30 s in all.

        Args:
            full: the topic without space, its number of unread records and its slowest group.
            wakeup: comes when a group has read on.
        """
        started = time.perf_counter()
        try:
            await wakeup.wait(_CHECK_READERS_S)
        finally:
            passed = time.perf_counter() - started
            self._waited += passed
            metrics.BACKPRESSURE_SECONDS.labels(topic=full.topic).inc(passed)
        if self._waited > _LOG_AFTER_S and not self._logged:
            self._logged = True
            log.warning(
                "waiting for space", writer=self._name, topic=full.topic, unread=full.unread, slowest_group=full.group
            )
