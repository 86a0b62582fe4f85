"""Every metric. The values of labels are bounded (stages, topics, outcomes); targets are never labels."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

STAGE_RECORDS = Counter("riskwire_stage_records", "Records that a stage has processed", ["stage"])
STAGE_SECONDS = Histogram("riskwire_stage_batch_seconds", "Seconds that a stage took for one batch", ["stage"])
STAGE_PROGRESS = Gauge(
    "riskwire_stage_progress_timestamp_seconds", "Unix time at which a stage last read its input", ["stage"]
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

SENTENCES = Counter(
    "riskwire_inference_sentences", "Sentences analysed, either computed or found in the cache", ["result"]
)
INFERENCE_BATCH = Histogram(
    "riskwire_inference_batch_sentences",
    "Sentences in one run of the model",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
INFERENCE_SECONDS = Histogram("riskwire_inference_run_seconds", "Seconds of one run of the model")
INFERENCE_QUEUE = Gauge("riskwire_inference_queue_articles", "Articles that wait for the model")
ANALYSES = Counter("riskwire_inference_analyses", "Analyses published", ["status"])
REPEATED_ARTICLES = Counter("riskwire_inference_repeats", "Articles dropped because they had been analysed before")

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
ALERTS = Counter("riskwire_alerting_alerts", "Alert records published", ["status"])

DELIVERIES = Counter("riskwire_notify_deliveries", "Deliveries of alerts", ["channel", "outcome"])
PENDING_DELIVERIES = Gauge("riskwire_notify_pending", "Deliveries that wait for a receiver")
OPEN_STREAMS = Gauge("riskwire_web_streams", "Open live streams")
OPEN_CONNECTIONS = Gauge("riskwire_web_connections", "Open connections to the web port")
CLOSED_CONNECTIONS = Counter(
    "riskwire_web_closed_connections", "Connections that riskwire ended: too many, or a missed deadline", ["reason"]
)
REFUSED_REQUESTS = Counter(
    "riskwire_web_refused_requests", "Requests that were refused before any work was done for them", ["reason"]
)
FAILED_REQUESTS = Counter("riskwire_web_failed_requests", "Requests answered with a fault of this process", ["status"])
