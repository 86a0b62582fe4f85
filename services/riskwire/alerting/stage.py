"""The alert stage: signals and marks in, trends and alerts out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from riskwire import metrics
from riskwire.alerting.book import Book, BookStep
from riskwire.alerting.events import load_rules
from riskwire.bus import Message, Outgoing
from riskwire.errors import SchemaError
from riskwire.pipeline import ALERT, Topic
from riskwire.records import SIGNALS, Mark, Signal, read_record
from riskwire.settings import AlertingSettings
from riskwire.stage import Step, dead_letter

log = structlog.get_logger(__name__)


class AlertStage:
    """Follows the targets of each partition of `signals`."""

    spec = ALERT

    def __init__(self, settings: AlertingSettings, article_partitions: int) -> None:
        """Reads the rules of event alerts.

        Raises:
            SettingsError: the file of rules cannot be used.
        """
        self._settings = settings
        self._article_partitions = article_partitions
        self._rules = load_rules(settings.rules)
        self._lock = asyncio.Lock()

    def open(self, partition: int, state: Mapping[str, bytes]) -> AlertTask:
        """Returns a task that continues from the committed state."""
        book = Book(self._settings, self._article_partitions, state, self._rules)
        return AlertTask(partition, book, self._lock)


class AlertTask:
    """Applies batches of one partition of `signals` to its book.

    Args:
        lock: held while a batch is processed. The work is pure Python, so that threads that run at the same time only
            compete for the interpreter.
    """

    def __init__(self, partition: int, book: Book, lock: asyncio.Lock) -> None:
        self._book = book
        self._lock = lock
        self._log = log.bind()
        self._targets = metrics.TARGETS.labels(partition=str(partition))

    async def process(self, batch: Sequence[Message]) -> Step:
        """Takes a batch and decides everything that can be decided after it."""
        async with self._lock:
            return await asyncio.to_thread(self._process, batch)

    def _process(self, batch: Sequence[Message]) -> Step:
        """Applies a batch of signals and marks to the book, which is the alerting state of the partition.

        Returns:
            a step with trends, alerts, the dead letters of records that cannot be read, and the changes of the state.
        """
        step = Step()
        records: list[Signal | Mark] = []
        for message in batch:
            try:
                records.append(read_record(SIGNALS, message.value, message.where))
            except SchemaError as error:
                step.results.append(dead_letter(ALERT.name, message, error))
        for record in records:
            self._book.take(record)
            if isinstance(record, Signal) and not record.backfill:
                step.seen.append(record.seen_at)
        closed = self._book.close()
        self._report(closed)
        step.results.extend(_published(closed))
        step.state = closed.state
        return step

    def _report(self, closed: BookStep) -> None:
        """Adds what a step decided to the metrics, and logs each alert; at level `debug`, also each near miss."""
        metrics.LATE_SIGNALS.inc(closed.late_signals)
        metrics.DROPPED_TARGETS.inc(closed.dropped_targets)
        self._targets.set(len(self._book.targets))
        for alert in closed.alerts:
            metrics.ALERTS.labels(
                kind=alert.kind,
                tier=alert.tier,
                status=alert.status,
                severity=alert.severity,
                type=alert.events[0] if alert.events else "none",
            ).inc()
            log.info(
                "alert",
                kind=alert.kind,
                tier=alert.tier,
                status=alert.status,
                target=alert.target,
                surprise=alert.surprise,
                id=alert.id,
                stories=[evidence.story for evidence in alert.evidence],
            )
        for miss in closed.near_misses:
            metrics.NEAR_MISSES.labels(reason=miss.reason).inc()
            self._log.debug(
                "near miss", article=miss.article, version=miss.version, target=miss.target, reason=miss.reason
            )


def _published(closed: BookStep) -> list[Outgoing]:
    """Returns trends, alerts and near misses of closed buckets as records to publish; the key of each is its target."""
    trends = [Outgoing(Topic.TRENDS, point.target, point.to_bytes()) for point in closed.trends]
    alerts = [Outgoing(Topic.ALERTS, alert.target, alert.to_bytes()) for alert in closed.alerts]
    near_misses = [Outgoing(Topic.NEAR_MISSES, miss.target, miss.to_bytes()) for miss in closed.near_misses]
    return trends + alerts + near_misses
