"""The alert stage: signals and marks in, trends and alerts out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from riskwire import metrics
from riskwire.alerting.book import Book, Outcome
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
        self._settings = settings
        self._article_partitions = article_partitions
        self._turn = asyncio.Lock()

    def open(self, partition: int, state: Mapping[str, bytes]) -> AlertTask:
        """Continue from a committed state."""
        return AlertTask(partition, Book(self._settings, self._article_partitions, state), self._turn)


class AlertTask:
    """Takes batches of one partition of `signals` into its book; partitions take turns: it is Python's work, and
    threads that fight for it only lose time."""

    def __init__(self, partition: int, book: Book, turn: asyncio.Lock) -> None:
        self._book = book
        self._turn = turn
        self._targets = metrics.TARGETS.labels(partition=str(partition))

    async def process(self, batch: Sequence[Message]) -> Step:
        """Take a batch; what can be decided after it is decided."""
        async with self._turn:
            return await asyncio.to_thread(self._process, batch)

    def _process(self, batch: Sequence[Message]) -> Step:
        step = Step()
        records: list[Signal | Mark] = []
        for message in batch:
            try:
                records.append(read_record(SIGNALS, message.value, message.where))
            except SchemaError as error:
                step.results.append(dead_letter(ALERT.name, message, error))
        for record in records:
            self._book.take(record)
        outcome = self._book.close()
        for alert in outcome.alerts:
            metrics.ALERTS.labels(status=alert.status).inc()
            log.info("alert", status=alert.status, target=alert.target, surprise=alert.surprise, id=alert.id)
        step.results.extend(_published(outcome))
        step.state = outcome.state
        self._targets.set(len(self._book.targets))
        return step


def _published(outcome: Outcome) -> list[Outgoing]:
    trends = [Outgoing(Topic.TRENDS, point.target, point.to_bytes()) for point in outcome.trends]
    alerts = [Outgoing(Topic.ALERTS, alert.target, alert.to_bytes()) for alert in outcome.alerts]
    return trends + alerts
