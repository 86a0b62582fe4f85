"""Taking steps: on the writer thread, again until there is room, and telling who waits what came of it."""

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
from riskwire.bus.embedded.file_state import Watch
from riskwire.bus.embedded.ledger import Applied, Full, Owner
from riskwire.bus.embedded.lock import stages_run
from riskwire.bus.embedded.schema import Layout
from riskwire.bus.embedded.sqlite import WriteAheadLog
from riskwire.bus.embedded.wakeups import Bell
from riskwire.bus.protocol import Outgoing
from riskwire.errors import FencedError
from riskwire.settings import BusSettings

log = structlog.get_logger(__name__)

_ASK_AGAIN_S = 1.0
"""How often a waiting publisher looks whether anybody still runs the stages; room itself rings a bell."""
_TELL_AFTER_S = 30.0


class Client(Protocol):
    """An assignment or a publisher, as a step sees it."""

    @property
    def owner(self) -> Owner: ...

    @property
    def revoked(self) -> bool: ...

    def revoke(self) -> None: ...


class Steps:
    """Takes the steps of every assignment and publisher of one bus."""

    def __init__(self, writer: Connection, layout: Layout, settings: BusSettings, watch: Watch) -> None:
        self._writer = writer
        self._layout = layout
        self._settings = settings
        self._watch = watch
        self._topics = {slot: topic for topic, slots in layout.slots.items() for slot in slots}
        self._write_ahead_log = WriteAheadLog(watch.path)
        self._loop = asyncio.get_running_loop()

    async def take(
        self,
        client: Client,
        position: int | None,
        results: Sequence[Outgoing],
        state: Mapping[str, bytes | None],
        is_read: Callable[[str], bool] | None = None,
    ) -> None:
        """One atomic step, once there is room for it.

        Args:
            position: None for a publisher.
            is_read: whether this process reads a topic. Given by a publisher: where nobody does, here or in a
                process that holds the data directory, nobody makes room, and it writes beyond the bound.

        Raises:
            BusError: fenced, closed or failed; nothing of the step has happened.
            SchemaError: a result cannot stand on its topic; nothing of the step has happened.
        """
        results, state = tuple(results), dict(state)
        bound: int | None = self._settings.backlog
        waiting = _Waiting(client.owner.name)
        while True:
            self._watch.check()
            if client.revoked:
                raise ledger.fenced(client.owner.name)
            bells = {str(result.topic): self._watch.room.listen(str(result.topic)) for result in results}
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
                or await asyncio.to_thread(stages_run, self._watch.path.parent)
            ):
                await waiting.for_room(outcome, bells[outcome.topic])
            else:
                log.warning("nobody runs the stages: writing beyond bus.backlog", topic=outcome.topic)
                bound = None

    async def _stages_run(self) -> bool:
        return await asyncio.to_thread(stages_run, self._watch.path.parent)

    def _attempt(
        self,
        connection: sqlite3.Connection,
        owner: Owner,
        position: int | None,
        results: Sequence[Outgoing],
        state: Mapping[str, bytes | None],
        bound: int | None,
    ) -> Applied | Full:
        """On the writer thread. It tells the loop by itself, so that who waits hears of a step whose taker is gone."""
        keep = self._settings.keep_processed
        outcome = ledger.step(connection, self._layout, owner, position, results, state, bound, keep)
        if isinstance(outcome, Applied):
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._tell, outcome, None if position is None else owner.slot)
            self._write_ahead_log.keep_small(connection)
        return outcome

    def _tell(self, applied: Applied, moved: int | None) -> None:
        self._watch.records_came(applied.ends)
        if moved is not None:
            self._watch.group_moved(self._topics[moved])
        for topic, count in applied.trimmed.items():
            metrics.TRIMMED.labels(topic=topic).inc(count)


class _Waiting:
    """How long a step has waited for room, and whether that has been said."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waited = 0.0
        self._told = False

    async def for_room(self, full: Full, bell: Bell) -> None:
        started = time.perf_counter()
        try:
            await bell.wait(_ASK_AGAIN_S)
        finally:
            passed = time.perf_counter() - started
            self._waited += passed
            metrics.BACKPRESSURE_SECONDS.labels(topic=full.topic).inc(passed)
        if self._waited > _TELL_AFTER_S and not self._told:
            self._told = True
            log.warning(
                "waiting for room", waits=self._name, topic=full.topic, unread=full.unread, slowest_group=full.group
            )
