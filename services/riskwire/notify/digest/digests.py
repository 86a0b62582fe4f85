"""Delivers the digests. The task of the first partition does, so that each receiver gets one.

A digest is read from the log when it is due: from where the last one that arrived ended to the present end. So one that
does not arrive is not lost: the next one covers its period as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from pydantic import TypeAdapter

from riskwire.bus import Bus
from riskwire.errors import BusError, SchemaError
from riskwire.notify.digest.content import DigestContent
from riskwire.notify.digest.schedule import DigestSchedule
from riskwire.notify.notification import PreparedNotification
from riskwire.notify.retry import AttemptError
from riskwire.pipeline import Topic
from riskwire.records import ALERTS, Alert, Decision, NearMiss, content_id, read_record
from riskwire.stage.state import KeyedState

log = structlog.get_logger(__name__)

LOOK_S: Final = 30.0
"""Seconds between two looks at the clock."""
_CHUNK: Final = 1_000
_PREFIX: Final = "digest:"
_NEAR_MISS: Final = TypeAdapter(NearMiss)
_TOPICS: Final = (Topic.ALERTS, Topic.NEAR_MISSES)

Send = Callable[[str, PreparedNotification], Awaitable[AttemptError | None]]
"""Attempts to deliver a notification to the receiver of a name until it arrives (None) or is given up."""


@dataclass(frozen=True, slots=True)
class _Covered:
    """What the last digest of a receiver covered.

    Attributes:
        until: when it was due, in epoch seconds.
        offsets: where the next one starts, by topic and partition.
        mutes: the mutes in force there: their end in epoch seconds, by key.
    """

    until: float
    offsets: dict[str, list[int]]
    mutes: dict[str, float]


class Digests:
    """The digests of all receivers, and the state that says what they have covered."""

    def __init__(
        self,
        state: Mapping[str, bytes],
        schedules: Mapping[str, DigestSchedule],
        bus: Bus,
        send: Send,
        wall: Callable[[], datetime],
    ) -> None:
        """Restores what the digests have covered.

        Args:
            state: the committed state of the stage.
            schedules: when digests are due, by the name of the receiver.
            wall: returns the time of day.
        """
        self._schedules = schedules
        self._bus = bus
        self._send = send
        self._wall = wall
        self._covered = KeyedState.of_dataclass(_PREFIX, state, _Covered)

    async def run(self) -> None:
        """Delivers each digest when it is due, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for receiver, schedule in self._schedules.items():
                group.create_task(self._follow(receiver, schedule), name=f"digest-{receiver}")

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call."""
        return self._covered.take_changes()

    async def _follow(self, receiver: str, schedule: DigestSchedule) -> None:
        """Delivers the digests of one receiver. One is never made of the time before the receiver was set up."""
        while True:
            try:
                await self.deliver_due(receiver, schedule)
            except BusError as error:
                log.warning("digest cannot be read, trying again", error=str(error))
            await asyncio.sleep(LOOK_S)

    async def deliver_due(self, receiver: str, schedule: DigestSchedule) -> None:
        """Delivers a digest if one is due.

        Raises:
            BusError: the log cannot be read.
        """
        due = schedule.last_due(self._wall())
        covered = self._covered.get(receiver)
        if covered is None:
            content, offsets = DigestContent(), {topic.value: await self._bus.ends(topic) for topic in _TOPICS}
            self._covered.set(receiver, _Covered(due.timestamp(), offsets, {}))
            return
        if due.timestamp() <= covered.until:
            return
        content = DigestContent(dict(covered.mutes))
        offsets, mutes = await self._read(content, covered)
        since = datetime.fromtimestamp(covered.until, schedule.zone)
        text = content.text(schedule.rhythm, since, due, schedule.zone)
        key = content_id("digest", receiver, due.isoformat())
        error = await self._send(receiver, PreparedNotification((), key, b"", text, "info"))
        if error is None:
            self._covered.set(receiver, _Covered(due.timestamp(), offsets, mutes))
            log.info("digest delivered", receiver=receiver, due=due.isoformat())
        else:
            log.error("digest given up, the next one covers its period", receiver=receiver, reason=str(error))
            moment = self._wall() + timedelta(seconds=LOOK_S)
            next_due = schedule.last_due(moment + timedelta(days=1 if schedule.weekday is None else 7))
            await asyncio.sleep(max(0.0, (next_due - moment).total_seconds()))

    async def _read(self, content: DigestContent, covered: _Covered) -> tuple[dict[str, list[int]], dict[str, float]]:
        """Reads the records since the last digest. Returns where the next one starts, and the mutes in force there."""
        offsets = {topic.value: await self._bus.ends(topic) for topic in _TOPICS}
        mutes = dict(covered.mutes)
        for partition, end in enumerate(offsets[Topic.ALERTS]):
            alerts = await self._records(Topic.ALERTS, partition, covered, end, ALERTS)
            mutes = content.take_partition(alerts)
        for partition, end in enumerate(offsets[Topic.NEAR_MISSES]):
            content.take_near_misses(await self._records(Topic.NEAR_MISSES, partition, covered, end, _NEAR_MISS))
        return offsets, mutes

    async def _records(self, topic: Topic, partition: int, covered: _Covered, end: int, form: TypeAdapter[Any]) -> Any:
        """Returns the readable records of a partition up to an end; they are decoded off the event loop."""
        starts = covered.offsets.get(topic.value, [])
        start = starts[partition] if partition < len(starts) else 0
        records: list[Alert | Decision | NearMiss] = []
        while start < end:
            messages = await self._bus.read(topic, partition, start, min(_CHUNK, end - start))
            if not messages:
                break
            start = messages[-1].offset + 1
            messages_before_end = [message for message in messages if message.offset < end]
            records += await asyncio.to_thread(_decoded, messages_before_end, form)
        return records


def _decoded(messages: Any, form: TypeAdapter[Any]) -> list[Any]:
    """Returns the records that can be read; the stages make dead letters of the others."""
    records = []
    for message in messages:
        try:
            records.append(read_record(form, message.value, message.where))
        except SchemaError:
            continue
    return records
