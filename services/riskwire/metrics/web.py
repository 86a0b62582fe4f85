"""Metrics of the web port, and of the labels of all metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

OPEN_STREAMS = Gauge("riskwire_web_streams", "Open live streams")
OPEN_CONNECTIONS = Gauge("riskwire_web_connections", "Open connections to the web port")
CLOSED_CONNECTIONS = Counter(
    "riskwire_web_closed_connections", "Connections that riskwire ended: too many, or a missed deadline", ["reason"]
)
REFUSED_REQUESTS = Counter(
    "riskwire_web_refused_requests", "Requests that were refused before any work was done for them", ["reason"]
)
FAILED_REQUESTS = Counter("riskwire_web_failed_requests", "Requests answered with a fault of this process", ["status"])
LABEL_VALUES = Gauge("riskwire_label_values", "Different values that a label has in this answer", ["label"])
