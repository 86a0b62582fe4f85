"""Metrics of the stages, the bus and the process."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram, Info

from riskwire import __version__
from riskwire.errors import RiskwireError
from riskwire.metrics.snapshot import SnapshotGauge

AGE_BUCKETS = (1, 2.5, 5, 10, 15, 20, 30, 45, 60, 120, 300, 900, 3_600, 21_600)
"""Seconds. The error budget of the rules allows a minute from fetched to processed."""
_COUNT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024)
_MAX_LAG_SERIES = 2_000

BUILD = Info("riskwire_build", "Version of riskwire and of Python")
BUILD.info({"version": __version__, "python": platform.python_version()})
MEASURED = Gauge(
    "riskwire_measured_timestamp_seconds",
    "Unix time at which figures that are read from the bus or the store were last read",
    ["figures"],
)

STAGE_RECORDS = Counter("riskwire_stage_records", "Records that a stage has processed", ["stage"])
STAGE_RESULTS = Counter("riskwire_stage_results", "Records that a batch stage has published", ["stage", "topic"])
STAGE_BATCH = Histogram(
    "riskwire_stage_batch_records", "Records in one batch of a stage", ["stage"], buckets=_COUNT_BUCKETS
)
STAGE_SECONDS = Histogram(
    "riskwire_stage_batch_seconds", "Seconds that a stage took to decide on one batch, without its commit", ["stage"]
)
STAGE_COMMIT_SECONDS = Histogram(
    "riskwire_stage_commit_seconds",
    "Seconds to commit one step of a stage: results, state and position, including the wait for space",
    ["stage"],
)
STAGE_ERRORS = Counter(
    "riskwire_stage_errors",
    "Errors that a stage met, of a batch, a dead letter or the stage, by class (`riskwire/errors.py`)",
    ["stage", "kind"],
)
STAGE_PROGRESS = Gauge(
    "riskwire_stage_progress_timestamp_seconds", "Unix time at which a stage last read its input", ["stage"]
)
STAGE_LAG_RECORDS = SnapshotGauge(
    "riskwire_stage_lag_records",
    "Records of a partition that a stage has not read; every process of a stage shows the same",
    ["stage", "partition"],
    limit=_MAX_LAG_SERIES,
)
STAGE_LAG_SECONDS = SnapshotGauge(
    "riskwire_stage_lag_seconds",
    "Seconds since the oldest record of a partition that a stage has not read was published; 0 without one",
    ["stage", "partition"],
    limit=_MAX_LAG_SERIES,
)
NEWS_AGE = Histogram(
    "riskwire_news_age_seconds",
    "Seconds from the moment that news was first seen until a stage has committed it; without backfill",
    ["stage"],
    buckets=AGE_BUCKETS,
)
DEAD_LETTERS = Counter("riskwire_dead_letters", "Records that became dead letters", ["stage"])
UNWRITTEN_DEAD_LETTERS = Counter(
    "riskwire_dead_letters_unwritten", "Dead letters that could not be published and were only logged", ["stage"]
)
BACKPRESSURE_SECONDS = Counter(
    "riskwire_backpressure_seconds",
    "Seconds that publishers waited because a topic had too many unread records",
    ["topic"],
)
RESTORE_SECONDS = Histogram(
    "riskwire_bus_restore_seconds", "Seconds to restore the state of an assigned partition", ["group"]
)
REPEATED_STEPS = Counter("riskwire_bus_repeated_steps", "Steps on Kafka that failed and were repeated")
MISSED_RECORDS = Counter(
    "riskwire_bus_missed_records",
    "Records that were deleted before a group had read them (on Kafka: offsets, including transaction markers)",
    ["group", "topic"],
)
TRIMMED_RECORDS = Counter("riskwire_bus_trimmed_records", "Processed records deleted from the embedded bus", ["topic"])


def show_stage(stage: str, topic: str) -> None:
    """Shows the counters of a stage from 0 on: Prometheus cannot tell that a series began with the first error.

    Args:
        topic: the topic that the stage reads.
    """
    for counter in (STAGE_RECORDS, DEAD_LETTERS, UNWRITTEN_DEAD_LETTERS):
        counter.labels(stage=stage)
    MISSED_RECORDS.labels(group=stage, topic=topic)


def count_error(stage: str, error: BaseException) -> None:
    """Counts an error that a stage met, by its kind: a class of `errors.py`, or what the operating system refused.

    Errors of other classes have the kind `unexpected`, so that the number of kinds is bounded.
    """
    known = isinstance(error, RiskwireError | OSError | MemoryError)
    kind = next(
        (base.__name__ for base in type(error).__mro__ if base.__module__ in ("riskwire.errors", "builtins")), ""
    )
    STAGE_ERRORS.labels(stage=stage, kind=kind if known else "unexpected").inc()


def observe_ages(stage: str, seen: Iterable[datetime]) -> None:
    """Records how old news is now that a stage has committed it.

    Args:
        seen: when each piece of news was first seen.
    """
    age, now = NEWS_AGE.labels(stage=stage), time.time()
    for seen_at in seen:
        age.observe(max(0.0, now - seen_at.timestamp()))
