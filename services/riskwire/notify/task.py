"""The notify stage on one partition: it decides what is delivered, and keeps an outbox of pending deliveries.

A record is read, decided on and added to the outbox in one step, and then queued for its receivers (`dispatch/`).
The next step removes what arrived or was given up from the outbox.

Delivery is **at least once**: a process that is killed between an arrival and the next step (a fraction of a second)
delivers again after its restart, with the same `Idempotency-Key`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog
from pydantic import TypeAdapter

from riskwire import metrics
from riskwire.bus import Assignment, Message, Outgoing
from riskwire.errors import SchemaError
from riskwire.notify.alert_log import log_alert
from riskwire.notify.alertmanager import AlertmanagerUpkeep
from riskwire.notify.delivered import Delivered
from riskwire.notify.deliverer import Deliverer
from riskwire.notify.episodes import NotifiedEpisodes
from riskwire.notify.obedience import Obedience, Withdrawal
from riskwire.notify.outbox import Delivery, Outbox
from riskwire.notify.retry import AttemptError, StoppedError
from riskwire.notify.step_part import Attempted, StepPart
from riskwire.pipeline import NOTIFY, Topic
from riskwire.records import ALERTS, Alert, Decision, near_miss_of_alert, read_record
from riskwire.stage import Isolation, commit_with_dead_letters, dead_letter

log = structlog.get_logger(__name__)

_ALERT: Final = TypeAdapter(Alert)
_IDLE_WAIT_S: Final = 1.0
_BUSY_WAIT_S: Final = 0.1
"""The longest time between an arrival and its commit. It lets deliveries that end together share a step."""
_SMALL_ENTRY: Final = 1_000
"""Bytes. A state entry of at most this size is never the reason that a step is refused."""


class NotifyTask:
    """The work of the notify stage on one partition."""

    def __init__(self, deliverer: Deliverer, assignment: Assignment, state: Mapping[str, bytes]) -> None:
        """Restores the pending deliveries of a partition, and queues them for their receivers.

        A delivery is one alert record owed to one receiver. An event loop must be running.

        Args:
            deliverer: the receivers and settings that all partitions share.
            assignment: the partition; steps are committed through it.
            state: the committed state: the pending deliveries, the open episodes that were notified, and when the
                newest notifications arrived.
        """
        settings = deliverer.settings
        self._deliverer = deliverer
        self._assignment = assignment
        self._isolation = Isolation(NOTIFY.name)
        self._episodes = NotifiedEpisodes(
            state,
            receivers_of=deliverer.routing.receivers_of,
            min_severity=settings.min_severity,
            max_age_s=settings.max_age_s,
            remember=settings.remember,
            live=deliverer.live,
        )
        self._obedience = Obedience(
            state,
            topic=assignment.topic,
            partition=assignment.partition,
            remember=settings.remember,
            second_receivers=deliverer.routing.second,
            pass_on_after_s=settings.escalate_after_s,
        )
        self._outbox = Outbox(
            state, topic=assignment.topic, partition=assignment.partition, max_pending=settings.max_pending
        )
        self._delivered = Delivered(state)
        self._alertmanagers = AlertmanagerUpkeep(
            state,
            list(deliverer.receivers.values()),
            settings,
            live=deliverer.live,
            keeps_silences=assignment.partition == 0,
            wall=deliverer.wall,
        )
        self._digests = deliverer.digests(state) if assignment.partition == 0 else None
        self._digest_tasks = [asyncio.create_task(self._digests.run(), name="digests")] if self._digests else []
        self._attempted: list[Attempted] = []
        self._closed = False
        self._set_pending(self._pending)
        self._withdrawal = Withdrawal(self._obedience, self._outbox, self._alertmanagers, deliverer)

    def start_effects(self) -> Collection[asyncio.Task[Any]]:
        """Returns the tasks that deliver, one a receiver. All partitions share them, except those of Alertmanagers."""
        return [*self._deliverer.tasks, *self._alertmanagers.tasks, *self._digest_tasks]

    def max_wait_s(self) -> float:
        """Returns the most seconds until the next step: few while deliveries are pending, to commit arrivals soon."""
        return _BUSY_WAIT_S if self._pending else _IDLE_WAIT_S

    async def step(self, batch: Sequence[Message]) -> None:
        """Commits finished deliveries and new alert records in one step, then queues the new deliveries.

        Does nothing without either.

        Raises:
            Exception: the error that ended a worker.
        """
        for task in self.start_effects():
            if task.done():
                task.result()  # raises: such a task ends only when it fails
        withdrawn = self._withdraw()
        due = self._send_due()
        settled = self._alertmanagers.settle(self._delivered, self._deliverer.wall())
        planned = [part for part in (withdrawn, due) if part is not None]
        if self._attempted or settled or batch or planned or self._digests is not None:
            await self._take(batch, planned)

    async def close(self) -> None:
        """Stops the deliveries of this partition. Pending ones stay in the committed state."""
        self._closed = True
        self._deliverer.withdraw(self._assignment)
        await self._alertmanagers.close()
        for task in self._digest_tasks:
            task.cancel()
        await asyncio.gather(*self._digest_tasks, return_exceptions=True)
        self._set_pending(0)

    @property
    def _pending(self) -> int:
        """The number of pending deliveries."""
        return len(self._outbox) + self._alertmanagers.pending

    async def _take(self, batch: Sequence[Message], planned: Sequence[StepPart]) -> None:
        """Commits finished and planned deliveries and the records of a batch in one step, then queues new deliveries.

        A delivery is one alert record owed to one receiver. It is committed as pending before it is attempted. If the
        bus refuses the step, each part of it is committed separately, and a refused record becomes a dead letter. Only
        deliveries of parts that were committed unchanged are queued.
        """
        pending_before = self._pending
        attempted, self._attempted = self._attempted, []
        finished = self._finish_deliveries(attempted)
        parts = [finished] if finished.state or finished.results else []
        parts += planned
        parts += [self._accept(message) for message in batch]
        if not parts:
            return
        # Set before the position is committed: `Deliverer.pending` is read after the lag, and must not be 0 yet.
        self._set_pending(max(pending_before, self._pending))
        try:
            await self._commit(parts)
        except SchemaError as error:
            log.warning("step refused, taking it record by record", stage=NOTIFY.name, error=str(error))
            parts = await self._commit_each(parts)
        else:
            if batch:
                self._isolation.accepted()
        self._set_pending(self._pending)
        self._alertmanagers.publish()
        self._enqueue([delivery for part in parts for delivery in part.deliveries])

    async def _commit(self, parts: Sequence[StepPart]) -> None:
        """Commits parts of a step as one step: all results and state changes, in order, and the last part's position.

        Raises:
            SchemaError: the bus refuses the step; nothing was committed.
        """
        state = {key: value for part in parts for key, value in part.state.items()}
        results = [result for part in parts for result in part.results]
        with metrics.STAGE_COMMIT_SECONDS.labels(stage=NOTIFY.name).time():
            await commit_with_dead_letters(self._assignment, parts[-1].position, results, state)

    async def _commit_each(self, parts: Sequence[StepPart]) -> list[StepPart]:
        """Commits each part in a separate step. Returns the parts that were accepted unchanged.

        A part is the results and state that one alert record, or the finished deliveries, add to a step. What replaces
        a refused part (`_substitute`) is committed with the next accepted part, or at the end.

        Raises:
            RiskwireError: too many records in a row were refused, so the stage is at fault.
        """
        accepted: list[StepPart] = []

        async def take(part: StepPart, substitutes: Sequence[StepPart]) -> None:
            await self._commit([*substitutes, part])
            accepted.append(part)

        await self._isolation.take_each(
            parts,
            take=take,
            refuse=self._substitute,
            finish=self._commit,
            place=lambda part: None if part.message is None else part.message.where,
        )
        return accepted

    async def _substitute(self, part: StepPart, error: Exception) -> StepPart:
        """Returns what is committed in place of a refused part of a step: its deliveries are given up as dead letters.

        A part is the results and state that one record, or the finished deliveries, add. A record without deliveries
        becomes a dead letter itself. Only small entries of the state are committed, because the size may be why the
        part was refused.

        Args:
            error: why the bus refused the part; the reason in the dead letters.
        """
        if part.message is None:
            log.warning("finished deliveries cannot be recorded; a restart repeats them", error=str(error))
        dead_letters = [
            self._give_up(delivery, AttemptError(f"it cannot be stored as pending: {error}", where=delivery.receiver))
            for delivery in part.deliveries
        ]
        if part.message is not None and not dead_letters:
            dead_letters = [self._dead_letter(part.message, error)]
        self._outbox.remove(part.deliveries)
        changes = part.state | self._outbox.take_changes()
        small = {key: value for key, value in changes.items() if len(key) + len(value or b"") <= _SMALL_ENTRY}
        return replace(part, results=[*part.results, *dead_letters], state=small, deliveries=())

    def _finish_deliveries(self, attempted: Sequence[Attempted]) -> StepPart:
        """Removes attempted deliveries from the outbox. Returns the part of a step that commits this.

        Each delivery with an error is given up and becomes a dead letter. The read position stays.
        """
        dead_letters = [
            self._give_up(attempt.delivery, attempt.error) for attempt in attempted if attempt.error is not None
        ]
        for attempt in attempted:
            if attempt.error is None:
                alert = read_record(_ALERT, attempt.delivery.message.value, attempt.delivery.message.where)
                self._delivered.add(alert, self._deliverer.receivers[attempt.delivery.receiver].label, attempt.at)
        self._outbox.remove(attempt.delivery for attempt in attempted)
        self._obedience.forget_ended(self._outbox.alerts)
        changes = (
            self._obedience.take_changes()
            | self._outbox.take_changes()
            | self._delivered.take_changes()
            | self._alertmanagers.take_changes()
        )
        changes |= self._digests.take_changes() if self._digests else {}
        return StepPart(self._assignment.position or 0, dead_letters, changes)

    def _accept(self, message: Message) -> StepPart:
        """Returns the part of a step that one alert record adds: new deliveries, dead letters and changes of the state.

        The deliveries are added to the outbox. The position of the part is the offset after the record.
        """
        deliveries, dead_letters = self._decide(message)
        changes = self._episodes.take_changes() | self._obedience.take_changes() | self._outbox.take_changes()
        changes |= self._alertmanagers.take_changes()
        return StepPart(message.offset + 1, dead_letters, changes, message, tuple(deliveries))

    def _withdraw(self) -> StepPart | None:
        """Returns the part of a step that withdraws what is silenced, and queues what no queue has; None for neither.

        The read position stays.
        """
        attempted = {attempt.delivery for attempt in self._attempted}
        near_misses, unqueued = self._withdrawal.run(self._deliverer.wall(), attempted)
        changes = self._obedience.take_changes() | self._outbox.take_changes() | self._alertmanagers.take_changes()
        if not changes and not unqueued:
            return None
        return StepPart(self._assignment.position or 0, near_misses, changes, None, tuple(unqueued))

    def _send_due(self) -> StepPart | None:
        """Returns the part of a step that sends held records and passes unanswered pages on; None if nothing is due.

        Its deliveries are added to the outbox. The read position stays.
        """
        now = self._deliverer.wall()
        deliveries, dead_letters = [], []
        for due in self._obedience.take_due(now, set(self._withdrawal.attempted.values())):
            if self._deliverer.settings.log:
                log_alert(read_record(_ALERT, due.message.value, due.message.where), sent=bool(due.receivers))
            added, refused = self._add_deliveries(due.message, due.receivers, now.timestamp())
            deliveries += added
            dead_letters += refused
        changes = self._obedience.take_changes() | self._outbox.take_changes() | self._alertmanagers.take_changes()
        if not changes:
            return None
        return StepPart(self._assignment.position or 0, dead_letters, changes, None, tuple(deliveries))

    def _decide(self, message: Message) -> tuple[list[Delivery], list[Outgoing]]:
        """Decides whether an alert record is logged and sent, logs it, and adds its deliveries to the outbox.

        A record may be logged and not sent: an old one, or one of a replay.

        Returns:
            the deliveries that were added (one for each receiver), and further records: dead letters of a record that
            cannot be read and of deliveries to receivers that have too many pending ones, and a muted alert as a near
            miss.
        """
        try:
            record = read_record(ALERTS, message.value, message.where)
        except SchemaError as error:
            return [], [self._dead_letter(message, error)]
        if isinstance(record, Decision):
            self._alertmanagers.take_decision(record)
            if self._obedience.apply_decision(message, record):
                self._withdrawal.request()
                log.info("decision taken", decision=record.decision, alert=record.alert, by=record.by)
            return [], []
        now = self._deliverer.wall()
        decision = self._episodes.decide(record, now)
        would_be_sent = decision.outcome in ("sent", "unrouted")
        ruling = self._obedience.judge(message, record, decision.receivers, would_be_sent=would_be_sent, now=now)
        if ruling.withheld is not None:
            log.info("alert withheld", alert=record.id, status=record.status, name=record.name, reason=ruling.withheld)
            metrics.DELIVERIES.labels(channel="all", outcome=ruling.withheld).inc()
            miss = near_miss_of_alert(record, ruling.detail) if ruling.withheld == "muted" else None
            return [], [] if miss is None else [Outgoing(Topic.NEAR_MISSES, miss.target, miss.to_bytes())]
        if decision.log and self._deliverer.settings.log:
            log_alert(record, sent=decision.send)
        outcome = "delivered" if decision.log else decision.outcome
        metrics.DELIVERIES.labels(channel="log", outcome=outcome).inc()
        if not decision.send:
            if decision.log and self._deliverer.receivers:
                metrics.DELIVERIES.labels(channel="all", outcome=decision.outcome).inc()
            return [], []
        return self._add_deliveries(message, ruling.receivers, now.timestamp())

    def _add_deliveries(
        self, message: Message, receivers: Sequence[str], accepted_at: float
    ) -> tuple[list[Delivery], list[Outgoing]]:
        """Adds the deliveries of an alert record to the outbox, and takes it for the Alertmanagers among its receivers.

        Args:
            receivers: their names.
            accepted_at: the time of day, in epoch seconds.

        Returns:
            the deliveries that were added (one for each receiver), and dead letters of those to receivers that have too
            many pending ones.
        """
        other_receivers = self._alertmanagers.take(receivers, message, self._deliverer.wall())
        deliveries, refused = self._outbox.add(message, other_receivers, accepted_at)
        full = f"{self._deliverer.settings.max_pending} notifications already wait for it"
        return deliveries, [
            self._give_up(delivery, AttemptError(full, where=delivery.receiver)) for delivery in refused
        ]

    def _dead_letter(self, message: Message, error: Exception) -> Outgoing:
        log.error("record to dead letters", stage=NOTIFY.name, where=message.where, error=str(error))
        return dead_letter(NOTIFY.name, message, error)

    def _give_up(self, delivery: Delivery, error: AttemptError) -> Outgoing:
        """Logs and counts a delivery that will not be attempted again. Returns its dead letter, with the receiver.

        Args:
            error: why it is given up.
        """
        receiver = self._deliverer.receivers.get(delivery.receiver)
        log.error(
            "notification given up, to dead letters",
            receiver=receiver.label if receiver else delivery.receiver,
            where=delivery.message.where,
            reason=str(error),
        )
        channel = delivery.receiver.partition(":")[0]
        metrics.DELIVERIES.labels(channel=channel, outcome="given_up").inc()
        return dead_letter(NOTIFY.name, delivery.message, error, receiver=delivery.receiver)

    def _enqueue(self, deliveries: Sequence[Delivery]) -> None:
        """Queues deliveries for their receivers.

        A delivery to a receiver that is no longer in the settings is recorded as failed; the next step gives it up.
        """
        for delivery in deliveries:
            if delivery.receiver in self._deliverer.receivers:
                self._withdrawal.queued.add(delivery)
                self._deliverer.submit(delivery, self._delivered_or_given_up)
            else:
                error = AttemptError("this receiver is no longer in the settings", where=delivery.receiver)
                self._attempted.append(Attempted(delivery, error, self._deliverer.wall().timestamp()))

    def _delivered_or_given_up(self, delivery: Delivery, error: AttemptError | None) -> None:
        """Records the outcome of a delivery for the next step, which commits it. No step follows `close`."""
        if self._closed:
            return
        self._withdrawal.ended(delivery)
        if isinstance(error, StoppedError):
            self._withdrawal.request()
            return
        if error is None:
            channel = self._deliverer.receivers[delivery.receiver].channel
            metrics.DELIVERIES.labels(channel=channel, outcome="delivered").inc()
        self._attempted.append(Attempted(delivery, error, self._deliverer.wall().timestamp()))

    def _set_pending(self, deliveries: int) -> None:
        self._deliverer.set_pending(self._assignment.partition, deliveries)
