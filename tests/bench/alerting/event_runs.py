"""Event alerts alone on signals: the event rules decide as in the alert stage, without windows, spikes and trends."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby

from riskwire.alerting.events import EventRules, EventWatch
from riskwire.alerting.target_story import TargetStory
from riskwire.records import Alert, Signal, to_ms
from riskwire.settings import AlertingSettings

_DAY_MS = 86_400_000


def sorted_for_events(signals: Iterable[Signal], settings: AlertingSettings) -> list[tuple[int, Signal]]:
    """Returns signals in the order in which the alert stage decides on them, each with the end of its bucket in ms."""
    bucket_ms = settings.bucket_s * 1000
    ends = [((to_ms(signal.seen_at) // bucket_ms + 1) * bucket_ms, signal) for signal in signals if not signal.backfill]
    return sorted(
        ends,
        key=lambda entry: (entry[0], entry[1].target, entry[1].seen_at, entry[1].article, entry[1].version),
    )


def event_alerts(signals: Iterable[tuple[int, Signal]], settings: AlertingSettings, rules: EventRules) -> list[Alert]:
    """Returns the event alerts on signals of `sorted_for_events`; all but the counts of stories are those of the stage.

    A reprint counts here as a separate story, since no window knows the earlier ones.
    """
    watch = EventWatch(settings, rules, {})
    alerts: list[Alert] = []
    due_ms, swept_ms = sys.maxsize, 0
    for (end_ms, target), group in groupby(signals, key=lambda entry: (entry[0], entry[1].target)):
        start_ms = end_ms - settings.bucket_s * 1000
        if due_ms <= start_ms:
            for at_ms, name in sorted(watch.due()):
                if at_ms <= start_ms:
                    alerts.append(watch.resolve(name, at_ms, blind=False))
            due_ms = min([at_ms for at_ms, _ in watch.due()], default=sys.maxsize)
        if end_ms // _DAY_MS > swept_ms:
            swept_ms = end_ms // _DAY_MS
            watch.forget(swept_ms * _DAY_MS)
        for _, signal in group:
            if watch.concerns(signal):
                watch.consider(signal, TargetStory(signal.story, start_ms, start_ms, 0), end_ms)
        new, _ = watch.close(target, end_ms)
        alerts += new
        if new:
            due_ms = min(due_ms, min([at_ms for at_ms, _ in watch.due()], default=sys.maxsize))
    return alerts
