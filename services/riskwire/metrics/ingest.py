"""Metrics of polling feeds, and of the clock of news."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from riskwire.metrics.snapshot import SnapshotGauge

_MAX_FEEDS = 500

FETCHES = Counter("riskwire_ingest_fetches", "Fetches of feeds", ["outcome"])
FETCHED_BYTES = Counter("riskwire_ingest_fetched_bytes", "Bytes of feed documents after decompression")
ARTICLES = Counter("riskwire_ingest_articles", "Articles published", ["kind"])
SHORTENED_ARTICLES = Counter(
    "riskwire_ingest_shortened_articles", "Articles whose text was shortened because it exceeded the size of a record"
)
SKIPPED_ENTRIES = Counter("riskwire_ingest_skipped_entries", "Entries of documents that became no article", ["reason"])
UNKNOWN_DATES = Counter(
    "riskwire_ingest_unknown_dates",
    "New items whose time of publication is unknown, so that the time at which they were first seen counts",
    ["reason"],
)
BACKFILL_ITEMS = Counter("riskwire_ingest_backfill_items", "New items that are backfill, because their date is old")
CLOCK_OFFSET = Gauge(
    "riskwire_clock_offset_seconds", "Wall clock minus the time of news; far from 0 after a jump of the wall clock"
)
UNDATABLE_FEEDS = Gauge(
    "riskwire_ingest_feeds_unreadable_dates", "Feeds of which at least half the dates cannot be read", ["partition"]
)
LATE_FEEDS = Gauge(
    "riskwire_ingest_feeds_all_backfill", "Feeds whose new items all come out as backfill", ["partition"]
)
FAULTY_DOCUMENTS = Counter("riskwire_ingest_faulty_documents", "Documents that could be read only in part")
REPAIRED_DOCUMENTS = Counter(
    "riskwire_ingest_repaired_documents", "Documents with wrong bytes or markup that were repaired and read"
)
FEEDS = SnapshotGauge(
    "riskwire_ingest_feeds",
    "Feeds that this process polls, by state (as `riskwire feeds list` names it)",
    ["state"],
    limit=100,
)
FEED_SUCCESS = SnapshotGauge(
    "riskwire_ingest_feed_last_success_timestamp_seconds",
    "Unix time at which a feed last answered as expected, with or without news; 0 for never",
    ["feed"],
    limit=_MAX_FEEDS,
)
PUBLICATION_AGE = Histogram(
    "riskwire_ingest_publication_age_seconds",
    "Seconds from the publication of an item, as its publisher dates it, until it was first seen; without backfill",
    buckets=(15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 21_600),
)
