"""Every metric, named once. Labels are bounded: stages, feeds, statuses; never targets."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

STAGE_RECORDS = Counter("riskwire_stage_records", "Records a stage has taken", ["stage"])
STAGE_SECONDS = Histogram("riskwire_stage_batch_seconds", "Time a stage took over one batch", ["stage"])
STAGE_PROGRESS = Gauge("riskwire_stage_progress_timestamp_seconds", "When a stage last looked for records", ["stage"])
DEAD_LETTERS = Counter("riskwire_dead_letters", "Records that could not be processed", ["stage"])
UNWRITTEN_LETTERS = Counter(
    "riskwire_dead_letters_unwritten", "Dead letters that their topic did not take: they stand in the log", ["stage"]
)
BACKPRESSURE_SECONDS = Counter("riskwire_backpressure_seconds", "Time spent waiting for room on a topic", ["topic"])
RESTORE_SECONDS = Histogram("riskwire_bus_restore_seconds", "Time a partition took to restore", ["group"])
STEPS_AGAIN = Counter("riskwire_bus_repeated_steps", "Steps on Kafka that failed and were tried again")
MISSED = Counter(
    "riskwire_bus_missed_records",
    "Records (Kafka: offsets, so markers of transactions too) deleted before a group had read them",
    ["group", "topic"],
)
TRIMMED = Counter("riskwire_bus_trimmed_records", "Processed records removed from the embedded bus", ["topic"])

FETCHES = Counter("riskwire_ingest_fetches", "Fetches by outcome", ["outcome"])
FETCHED_BYTES = Counter("riskwire_ingest_fetched_bytes", "Bytes of feed documents after decompression")
ARTICLES = Counter("riskwire_ingest_articles", "Articles published", ["kind"])
SHORTENED = Counter(
    "riskwire_ingest_shortened_articles", "Articles whose text was shortened: all of it was too large for a record"
)
SKIPPED = Counter("riskwire_ingest_skipped_entries", "Entries of documents that became no article", ["reason"])
FAULTY = Counter("riskwire_ingest_faulty_documents", "Documents that were read in part")

SENTENCES = Counter("riskwire_inference_sentences", "Sentences by how they were answered", ["how"])
INFERENCE_BATCH = Histogram(
    "riskwire_inference_batch_sentences",
    "Sentences in one run of the model",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
INFERENCE_SECONDS = Histogram("riskwire_inference_run_seconds", "Time of one run of the model")
INFERENCE_QUEUE = Gauge("riskwire_inference_queue_articles", "Articles waiting for the model")
ANALYSES = Counter("riskwire_inference_analyses", "Analyses by status", ["status"])
REPEATS = Counter("riskwire_inference_repeats", "Articles dropped because they had been read before")

HISTORY = Counter("riskwire_watchlist_history_signals", "Signals told of the past of targets that were new")
HISTORY_WAITING = Gauge(
    "riskwire_watchlist_history_waiting_seconds",
    "How long history has been waiting until a group has read what stood before a command; 0: it does not wait for it",
    ["group"],
)

LATE_SIGNALS = Counter("riskwire_alerting_late_signals", "Signals that came after their bucket had closed")
DROPPED_TARGETS = Counter("riskwire_alerting_dropped_targets", "Targets forgotten because there were too many")
TARGETS = Gauge("riskwire_alerting_targets", "Targets followed", ["partition"])
ALERTS = Counter("riskwire_alerting_alerts", "Alert records by status", ["status"])

NOTIFICATIONS = Counter("riskwire_notify_deliveries", "Deliveries by channel and outcome", ["channel", "outcome"])
NOTIFY_PENDING = Gauge("riskwire_notify_pending", "Deliveries that wait for a receiver")
STREAMS = Gauge("riskwire_web_streams", "Live streams open")
