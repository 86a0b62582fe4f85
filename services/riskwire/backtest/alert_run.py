"""Runs the alert stage alone on the signals of an archive, repeatedly with different settings and rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from riskwire.alerting.book import Book
from riskwire.alerting.calibration import LimitTable
from riskwire.alerting.events import EventRules
from riskwire.records import Alert, Mark, NearMiss, Signal, TrendPoint
from riskwire.settings import AlertingSettings

BATCH = 256
"""Records between two steps of the book. The results do not depend on it."""


@dataclass(slots=True)
class AlertRun:
    """What the alert stage made of the signals of an archive.

    Attributes:
        signals: the signals that it read.
    """

    alerts: list[Alert] = field(default_factory=list)
    trends: list[TrendPoint] = field(default_factory=list)
    near_misses: list[NearMiss] = field(default_factory=list)
    signals: int = 0

    @property
    def notifications(self) -> list[Alert]:
        """The alerts that are pushed to people: fires and escalations of the tiers page and notice, by time."""
        pushed = [alert for alert in self.alerts if is_notification(alert)]
        return sorted(pushed, key=lambda alert: (alert.at, alert.target, alert.id))


def run_alerting(
    records: Iterable[Signal | Mark],
    settings: AlertingSettings,
    rules: EventRules | None = None,
    limits: LimitTable | None = None,
) -> AlertRun:
    """Returns what the alert stage makes of signals and marks, in event time.

    Args:
        records: in the order in which the infer stage published them, of one partition.
        rules: the rules of event alerts; None for those that the settings name.
        limits: the thresholds of spikes and slides; None for those of the calibration that the settings name.
    """
    run = AlertRun()
    book = Book(settings, 1, {}, rules, limits)
    waiting = iter(records)
    while batch := list(islice(waiting, BATCH)):
        for record in batch:
            run.signals += isinstance(record, Signal)
            book.take(record)
        step = book.close()
        run.alerts += step.alerts
        run.trends += step.trends
        run.near_misses += step.near_misses
    return run


def is_notification(alert: Alert) -> bool:
    """Returns whether an alert record is pushed to people: a fire or an escalation, of the tier page or notice."""
    return alert.status != "resolved" and alert.tier != "digest"
