"""Metrics of the model and the infer stage."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, Info

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
TOKENS = Counter("riskwire_inference_tokens", "Tokens that the model has read: of texts, and of padding", ["kind"])
DEVICE = Info("riskwire_inference_device", "Device, provider and precision that the model runs with, and its bundle")
