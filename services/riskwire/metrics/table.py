"""The table of every metric, for deploy/METRICS.md."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import NamedTuple

from prometheus_client.metrics import MetricWrapperBase

from riskwire.metrics import alerting, inference, ingest, snapshot, stages, web
from riskwire.metrics.snapshot import SnapshotGauge

ROOMS: tuple[ModuleType, ...] = (stages, ingest, inference, alerting, web, snapshot)
"""The modules that define metrics, in the order of the table."""


class MetricRow(NamedTuple):
    """One metric as Prometheus shows it.

    Attributes:
        name: a histogram also has `_bucket`, `_sum` and `_count`.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


def metric_rows(modules: Iterable[ModuleType] = ROOMS) -> list[MetricRow]:
    """Returns every metric that riskwire defines, in the order of its definition."""
    return [row for module in modules for value in vars(module).values() if (row := _row(value)) is not None]


def metric_table() -> str:
    """Returns the table as Markdown."""
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{row.name}` | {row.type} | {', '.join(f'`{label}`' for label in row.labels)} | {row.meaning} |"
        for row in metric_rows()
    ]
    return "\n".join(lines) + "\n"


def _row(value: object) -> MetricRow | None:
    """Returns the row of a metric; None for any other value of a module."""
    if isinstance(value, SnapshotGauge):
        return MetricRow(value.name, "gauge", value.labels, value.documentation)
    if not isinstance(value, MetricWrapperBase):
        return None
    family = next(iter(value.describe()))
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    labels = value._labelnames
    return MetricRow(family.name + suffix, family.type, tuple(labels), family.documentation)
