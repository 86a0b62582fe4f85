"""The alert stage: signals and marks in, trends and alerts out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from riskwire import metrics
from riskwire.alerting.book import Book, BookStep
from riskwire.alerting.calibration import LimitTable
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
        """Reads the rules of event alerts, and the calibration of spikes and slides.

        Raises:
            SettingsError: the file of rules, or that of the calibration, cannot be used.
        """
        self._settings = settings
        self._article_partitions = article_partitions
        self._rules = load_rules(settings.rules)
        self._limits = LimitTable.from_settings(settings)
        self._lock = asyncio.Lock()
        self._told: set[str] = set()
        """The bundles of which `_tell_limits` has logged the thresholds."""

    def open(self, partition: int, state: Mapping[str, bytes]) -> AlertTask:
        """Returns a task that continues from the committed state."""
        book = Book(self._settings, self._article_partitions, state, self._rules, self._limits, partition)
        return AlertTask(partition, book, self._lock, self._tell_limits)

    def _tell_limits(self, bundle: str) -> None:
        """Logs where the thresholds of a bundle come from, once for all partitions."""
        if bundle in self._told:
            return
        self._told.add(bundle)
        limits = self._limits.of(bundle)
        if limits.calibrated:
            log.info("calibrated thresholds", bundle=bundle, notice=limits.spike.notice, page=limits.spike.page)
        else:
            log.warning(
                "thresholds from theory: no calibration for this bundle",
                bundle=bundle,
                calibrated=self._limits.bundle or None,
                do="Run riskwire calibrate, and set alerting.calibration to its file",
            )


class AlertTask:
    """Applies batches of one partition of `signals` to its book.

    Args:
        lock: held while a batch is processed. The work is pure Python, so that threads that run at the same time only
            compete for the interpreter.
        tell_limits: logs where the thresholds of a bundle come from.
    """

    def __init__(self, partition: int, book: Book, lock: asyncio.Lock, tell_limits: Callable[[str], None]) -> None:
        self._partition = str(partition)
        self._book = book
        self._bundle = ""
        """The bundle of the newest signal."""
        self._lock = lock
        self._tell_limits = tell_limits
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
            if isinstance(record, Signal):
                if not record.backfill:
                    step.seen.append(record.seen_at)
                if record.bundle != self._bundle:
                    self._bundle = record.bundle
                    self._tell_limits(record.bundle)
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
        if closed.rates_changed:
            self._report_rates()
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

    def _report_rates(self) -> None:
        """Sets the metrics of how often spikes, slides and events notified."""
        for rate in self._book.rates:
            metrics.NOTIFICATIONS.labels(partition=self._partition, rate=rate.name).set(rate.notifications)
            metrics.TARGET_MONTHS.labels(partition=self._partition).set(rate.target_months)
            if rate.expected is not None:
                metrics.NOTIFICATION_BUDGET.labels(rate=rate.name).set(rate.expected)


def _published(closed: BookStep) -> list[Outgoing]:
    """Returns trends, alerts and near misses of closed buckets as records to publish; the key of each is its target."""
    trends = [Outgoing(Topic.TRENDS, point.target, point.to_bytes()) for point in closed.trends]
    alerts = [Outgoing(Topic.ALERTS, alert.target, alert.to_bytes()) for alert in closed.alerts]
    near_misses = [Outgoing(Topic.NEAR_MISSES, miss.target, miss.to_bytes()) for miss in closed.near_misses]
    return trends + alerts + near_misses
