"""Stage `notify`: alert records out of the house.

Deliveries outlast the batch that brought them, so this stage has a loop of its own beside the batch loop;
its promise is the same: position, state and dead letters move as one atomic step. A record is read, decided, and owed
to its receivers in one step; each receiver is served in order by its own worker; what arrived or was given up leaves
the state in the next step. **At least once**: killed between an arrival and that step (a fraction of a second), the
delivery is made again, with the same `Idempotency-Key`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import stamina
import structlog
from pydantic import TypeAdapter

from riskwire import metrics
from riskwire.bus import Assignment, Bus, Message, Outgoing
from riskwire.errors import BusError, RiskwireError, SchemaError
from riskwire.notify.decision import Episodes
from riskwire.notify.outbox import Delivery, Outbox
from riskwire.notify.receiver import receivers_of
from riskwire.notify.retry import TryError, another_try
from riskwire.pipeline import NOTIFY
from riskwire.records import Alert, read_record
from riskwire.settings import NotifySettings
from riskwire.stage import MAX_REFUSED_IN_A_ROW, commit_with_dead_letters, dead_letter

log = structlog.get_logger(__name__)

_ALERT: Final = TypeAdapter(Alert)
_POSITION: Final = "position"
_BUSY_WAIT_S: Final = 0.1
"""Longest time between an arrival and its commit while deliveries are under way."""
_SMALL: Final = 1_000
"""An entry of state of at most so many bytes is never what a step is refused for."""


@dataclass(frozen=True, slots=True)
class _Settled:
    delivery: Delivery
    error: TryError | None


@dataclass(frozen=True, slots=True)
class _Part:
    """What one record, or all that is settled (no record), adds to a step."""

    position: int
    results: list[Outgoing]
    state: dict[str, bytes | None]
    message: Message | None = None
    owed: tuple[Delivery, ...] = ()


class Notify:
    """Where notifications go; makes no connection before the first record.

    Args:
        live: False logs everything and sends nothing (replay, demo).
        wall: the wall clock, in UTC.

    Raises:
        SettingsError: a receiver that cannot be used.
    """

    spec = NOTIFY

    def __init__(
        self, settings: NotifySettings, *, live: bool = True, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.settings = settings
        self.live = live
        self.wall = wall
        self.receivers = {receiver.way: receiver for receiver in receivers_of(settings)}
        self._limits = {way: asyncio.Semaphore(settings.concurrency) for way in self.receivers}
        self._pending: dict[int, int] = {}

    @property
    def pending(self) -> int:
        """Deliveries owed on the partitions held now; 0 when everything read has arrived or been given up.

        To know that all is done, look at the lag of the group first and at this second.
        """
        return sum(self._pending.values())

    def owes(self, partition: int, deliveries: int) -> None:
        """Take note of how much one partition owes."""
        self._pending[partition] = deliveries
        metrics.NOTIFY_PENDING.set(self.pending)

    async def deliver(self, delivery: Delivery) -> TryError | None:
        """Try until it arrives (None) or is given up (why)."""
        receiver, settings = self.receivers[delivery.way], self.settings
        alert = read_record(_ALERT, delivery.message.value, delivery.message.where)
        deadline = delivery.accepted_at + settings.give_up_after_s

        def verdict(error: Exception) -> bool | float:
            again = another_try(
                error, backoff_max_s=settings.backoff_max_s, remaining_s=deadline - self.wall().timestamp()
            )
            metrics.NOTIFICATIONS.labels(way=receiver.kind, outcome="failed_try").inc()
            return again

        try:
            async for attempt in stamina.retry_context(
                on=verdict,
                attempts=settings.attempts,
                timeout=None,
                wait_initial=settings.backoff_s,
                wait_max=settings.backoff_max_s,
                wait_jitter=settings.backoff_s / 2,
            ):
                with attempt:
                    async with self._limits[delivery.way]:
                        await receiver.attempt(alert, delivery.message.value)
        except TryError as error:
            return error
        return None

    async def close(self) -> None:
        """Let go of connections and threads."""
        for receiver in self.receivers.values():
            await receiver.close()


async def run_notify(bus: Bus, notify: Notify, *, batch: int, wait_s: float = 1.0) -> None:
    """Run the stage on every partition it is assigned, until the bus is closed; what is still owed stays in its state.

    Raises:
        RiskwireError: when the stage cannot go on.
    """
    try:
        async with asyncio.TaskGroup() as group:
            async for assignment in bus.assignments(NOTIFY.name, NOTIFY.reads):
                try:
                    state = await assignment.restore()
                except BusError:
                    if assignment.revoked:  # given to another while it was being restored
                        continue
                    raise
                partition = _Partition(notify, assignment, state)
                group.create_task(partition.run(batch, wait_s), name=f"{NOTIFY.name}-{assignment.partition}")
    finally:
        await notify.close()


class _Partition:
    """One partition: its outbox, and a worker for each receiver."""

    def __init__(self, notify: Notify, assignment: Assignment, state: Mapping[str, bytes]) -> None:
        settings = notify.settings
        self._notify = notify
        self._assignment = assignment
        self._position = int(state.get(_POSITION, b"0"))
        self._episodes = Episodes(
            state,
            min_severity=settings.min_severity,
            max_age_s=settings.max_age_s,
            remember=settings.remember,
            live=notify.live,
        )
        self._outbox = Outbox(
            state, topic=assignment.topic, partition=assignment.partition, max_pending=settings.max_pending
        )
        # The outbox bounds what waits in these.
        self._queues: dict[str, asyncio.Queue[Delivery]] = {way: asyncio.Queue() for way in notify.receivers}
        self._settled: list[_Settled] = []
        self._refused = 0
        """Records whose part of a step was refused since the last whose was not."""

    async def run(self, most: int, wait_s: float) -> None:
        self._notify.owes(self._assignment.partition, len(self._outbox))
        self._enqueue(self._outbox.owed())
        progress = metrics.STAGE_PROGRESS.labels(stage=NOTIFY.name)
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._serve(way), name=f"notify-{way}") for way in self._queues]
            try:
                while not self._assignment.revoked:
                    batch = await self._assignment.fetch(most, min(wait_s, _BUSY_WAIT_S) if self._outbox else wait_s)
                    progress.set_to_current_time()
                    if self._assignment.revoked:
                        break
                    if self._settled or batch:
                        await self._step(batch)
            except BusError:
                if not self._assignment.revoked:
                    raise
                # Closed or fenced while committing: nothing of the step has happened, its next owner makes it.
            finally:
                for worker in workers:
                    worker.cancel()
                self._notify.owes(self._assignment.partition, 0)

    async def _step(self, batch: Sequence[Message]) -> None:
        """Settle what is done, owe what is new, commit both, then let the workers at the new."""
        owed_before = len(self._outbox)
        settled, self._settled = self._settled, []
        parts = [self._settle(settled)] if settled else []
        parts += [self._accept(message) for message in batch]
        # Before the position moves: whoever waits for "no lag, then nothing pending" must not fall between the two.
        self._notify.owes(self._assignment.partition, max(owed_before, len(self._outbox)))
        try:
            await self._commit(parts)
        except SchemaError as error:
            log.warning("a step was refused, taking it record by record", stage=NOTIFY.name, error=str(error))
            parts = await self._commit_one_by_one(parts)
        else:
            self._refused = 0 if batch else self._refused
        metrics.STAGE_RECORDS.labels(stage=NOTIFY.name).inc(len(batch))
        self._notify.owes(self._assignment.partition, len(self._outbox))
        self._enqueue([delivery for part in parts for delivery in part.owed])

    async def _commit(self, parts: Sequence[_Part]) -> None:
        self._position = parts[-1].position
        state = {key: value for part in parts for key, value in part.state.items()}
        state[_POSITION] = str(self._position).encode()
        results = [result for part in parts for result in part.results]
        await commit_with_dead_letters(self._assignment, self._position, results, state)

    async def _commit_one_by_one(self, parts: Sequence[_Part]) -> list[_Part]:
        """As in `riskwire.stage.batch_loop`: dead letters go with the next part that is not refused, or at the end.

        Returns:
            the parts that were taken as they are.
        """
        taken: list[_Part] = []
        held: list[_Part] = []
        for part in parts:
            try:
                await self._commit([*held, part])
            except SchemaError as error:
                held.append(self._without_refused(part, error))
            else:
                taken.append(part)
                held = []
                self._refused = 0 if part.message is not None else self._refused
        if held:
            await self._commit(held)
        return taken

    def _without_refused(self, part: _Part, error: SchemaError) -> _Part:
        """What can be written in place of a part that was refused; what it owes is given up."""
        if part.message is None:
            log.warning("what was delivered cannot be noted: a restart sends it again", error=str(error))
        else:
            self._count_refused(part.message, error)
        letters = [
            self._given_up(delivery, TryError(f"it cannot be owed: {error}", where=delivery.way))
            for delivery in part.owed
        ]
        if part.message is not None and not letters:
            letters = [self._dead(part.message, error)]
        self._outbox.settle(part.owed)
        changes = part.state | self._outbox.take_changes()
        small = {key: value for key, value in changes.items() if len(key) + len(value or b"") <= _SMALL}
        return replace(part, results=[*part.results, *letters], state=small, owed=())

    def _count_refused(self, message: Message, error: SchemaError) -> None:
        self._refused += 1
        if self._refused >= MAX_REFUSED_IN_A_ROW:
            raise RiskwireError(
                f"{self._refused} alerts in a row were refused; {NOTIFY.name} stops so that none is lost",
                where=message.where,
                do="Mend what the error says and start again",
            ) from error

    def _settle(self, settled: Sequence[_Settled]) -> _Part:
        letters = [self._given_up(one.delivery, one.error) for one in settled if one.error is not None]
        self._outbox.settle(one.delivery for one in settled)
        return _Part(self._position, letters, self._outbox.take_changes())

    def _accept(self, message: Message) -> _Part:
        """Decide on one record: what is owed to receivers, and what goes to the dead letters at once."""
        owed, dead = self._decide(message)
        changes = self._episodes.take_changes() | self._outbox.take_changes()
        return _Part(message.offset + 1, dead, changes, message, tuple(owed))

    def _decide(self, message: Message) -> tuple[list[Delivery], list[Outgoing]]:
        try:
            alert = read_record(_ALERT, message.value, message.where)
        except SchemaError as error:
            return [], [self._dead(message, error)]
        now = self._notify.wall()
        decision = self._episodes.decide(alert, now)
        if decision.log and self._notify.settings.log:
            _write(alert, sent=decision.send)
        metrics.NOTIFICATIONS.labels(way="log", outcome="delivered" if decision.log else decision.why).inc()
        if not decision.send:
            if decision.log and self._notify.receivers:
                metrics.NOTIFICATIONS.labels(way="all", outcome=decision.why).inc()
            return [], []
        owed, refused = self._outbox.accept(message, list(self._notify.receivers), now.timestamp())
        limit = self._notify.settings.max_pending
        return owed, [
            self._given_up(delivery, TryError(f"{limit} notifications already wait for it", where=delivery.way))
            for delivery in refused
        ]

    def _dead(self, message: Message, error: SchemaError) -> Outgoing:
        log.error("record to dead letters", stage=NOTIFY.name, where=message.where, error=str(error))
        return dead_letter(NOTIFY.name, message, error)

    def _given_up(self, delivery: Delivery, error: TryError) -> Outgoing:
        receiver = self._notify.receivers.get(delivery.way)
        log.error(
            "notification given up, to dead letters",
            receiver=receiver.label if receiver else delivery.way,
            where=delivery.message.where,
            reason=str(error),
        )
        metrics.NOTIFICATIONS.labels(way=delivery.way.partition(":")[0], outcome="given_up").inc()
        return dead_letter(NOTIFY.name, delivery.message, error, receiver=delivery.way)

    def _enqueue(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.way in self._queues:
                self._queues[delivery.way].put_nowait(delivery)
            else:
                error = TryError("this receiver is no longer in the settings", where=delivery.way)
                self._settled.append(_Settled(delivery, error))

    async def _serve(self, way: str) -> None:
        """Serve one receiver, record after record, so that it hears of an episode in order."""
        queue, kind = self._queues[way], self._notify.receivers[way].kind
        while True:
            delivery = await queue.get()
            error = await self._notify.deliver(delivery)
            if error is None:
                metrics.NOTIFICATIONS.labels(way=kind, outcome="delivered").inc()
            self._settled.append(_Settled(delivery, error))


def _write(alert: Alert, *, sent: bool) -> None:
    write = log.info if alert.status == "resolved" else log.warning
    write(
        f"alert {alert.status}",
        severity=alert.severity,
        name=alert.name,
        target=alert.target,
        summary=alert.summary,
        stories=alert.stories,
        sources=alert.sources,
        surprise=round(alert.surprise, 1),
        at=f"{alert.at:%Y-%m-%dT%H:%M:%SZ}",
        alert=alert.id,
        sent=sent,
    )
