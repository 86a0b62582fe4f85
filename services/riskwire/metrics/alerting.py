"""Metrics of the watchlist, of targets and alerts, and of notifications."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from riskwire.metrics.snapshot import SnapshotGauge
from riskwire.metrics.stages import AGE_BUCKETS

WATCHED_TARGETS = 200
"""Targets of the watchlist that are shown one by one."""
OTHER_TARGETS = 20
"""Other targets that are shown: those with running alerts, then those with the largest surprise."""
_MAX_TARGETS = WATCHED_TARGETS + OTHER_TARGETS

HISTORY_SIGNALS = Counter(
    "riskwire_watchlist_history_signals", "Signals published as the history of newly watched targets"
)
HISTORY_WAITING = Gauge(
    "riskwire_watchlist_history_waiting_seconds",
    "Seconds that history has waited for a group to read the records before a command; 0 when it does not wait",
    ["group"],
)

LATE_SIGNALS = Counter("riskwire_alerting_late_signals", "Signals that arrived after their bucket had closed")
DROPPED_TARGETS = Counter("riskwire_alerting_dropped_targets", "Targets dropped because there were too many")
TARGETS = Gauge("riskwire_alerting_targets", "Targets followed", ["partition"])
ALERTS = Counter(
    "riskwire_alerting_alerts",
    "Alert records published; `type` is the newest event type, `none` for spikes and slides",
    ["kind", "tier", "status", "severity", "type"],
)
NEAR_MISSES = Counter(
    "riskwire_alerting_near_misses", "Stories that came near an alert and did not notify, by reason", ["reason"]
)
NOTIFICATIONS = Gauge(
    "riskwire_alerting_notifications",
    "Notifications on parties in the last 90 days of news, by kind and tier of the alert",
    ["partition", "rate"],
)
TARGET_MONTHS = Gauge(
    "riskwire_alerting_target_months",
    "Followed parties times months in the last 90 days of news, by which notifications are divided",
    ["partition"],
)
NOTIFICATION_BUDGET = Gauge(
    "riskwire_alerting_notification_budget",
    "Notifications per party and month that the budget of spikes and slides allows",
    ["rate"],
)

DELIVERIES = Counter("riskwire_notify_deliveries", "Deliveries of alerts", ["channel", "outcome"])
PENDING_DELIVERIES = Gauge("riskwire_notify_pending", "Deliveries that wait for a receiver")
FETCHED_TO_NOTIFIED = Histogram(
    "riskwire_notify_fetched_to_notified_seconds",
    "Seconds from the moment that the newest story of an alert was first seen until a receiver had the alert",
    ["channel"],
    buckets=AGE_BUCKETS,
)

BLIND_TARGETS = Gauge("riskwire_targets_blind", "Targets of the watchlist whose sources have all been silent")
LISTED_TARGETS = Gauge("riskwire_targets_listed", "Targets of the watchlist, whether they are shown one by one or not")
TARGET = SnapshotGauge(
    "riskwire_target_info",
    "1 for each target that is shown: watched ones first, then others with alerts or much surprise",
    ["target", "name", "kind", "watched"],
    limit=_MAX_TARGETS,
)
TARGET_SCORE = SnapshotGauge(
    "riskwire_target_score",
    "Mean sentiment of the stories of a target in the last 24 hours, from -1 to 1; none without stories",
    ["target"],
    limit=_MAX_TARGETS,
)
TARGET_ADVERSE = SnapshotGauge(
    "riskwire_target_adverse_ratio",
    "Share of the articles on a target in the last 24 hours that are adverse; none without articles",
    ["target"],
    limit=_MAX_TARGETS,
)
TARGET_STORIES = SnapshotGauge(
    "riskwire_target_stories", "Stories of a target in the last 24 hours", ["target"], limit=_MAX_TARGETS
)
TARGET_SURPRISE = SnapshotGauge(
    "riskwire_target_surprise", "Surprise of a target: -log10 of a chance", ["target"], limit=_MAX_TARGETS
)
TARGET_THRESHOLD = SnapshotGauge(
    "riskwire_target_surprise_threshold",
    "Surprise from which the window that is nearest to firing would notify",
    ["target"],
    limit=_MAX_TARGETS,
)
TARGET_NEWEST = SnapshotGauge(
    "riskwire_target_newest_info",
    "1 with the level and the event type of the newest article on a target; empty where the bundle predicts none",
    ["target", "level", "type"],
    limit=_MAX_TARGETS,
)
TARGET_NEWEST_AT = SnapshotGauge(
    "riskwire_target_newest_timestamp_seconds",
    "Unix time of the newest article on a target",
    ["target"],
    limit=_MAX_TARGETS,
)
