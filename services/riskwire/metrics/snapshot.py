"""Gauges whose series come and go, such as one for each feed on the list: each part is replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock

from prometheus_client import REGISTRY, CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

LEFT_OUT = Gauge(
    "riskwire_series_left_out", "Series that a metric does not show, because it has as many as it may", ["metric"]
)


class SnapshotGauge(Collector):
    """A gauge with a bounded number of series, which show the last state that was set.

    Attributes:
        name: the name of the metric.
        documentation: what it measures.
        labels: the names of its labels.
        limit: the most series shown.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        *,
        limit: int,
        registry: CollectorRegistry | None = REGISTRY,
    ) -> None:
        """Registers the metric, without series.

        Args:
            registry: where it is exposed; None for nowhere.
        """
        self.name = name
        self.documentation = documentation
        self.labels = tuple(labels)
        self.limit = limit
        self._parts: dict[str, dict[tuple[str, ...], float]] = {}
        self._lock = Lock()
        if registry is not None:
            registry.register(self)

    def replace(self, series: Mapping[tuple[str, ...], float], part: str = "") -> None:
        """Replaces the series of a part, and leaves the other parts.

        Args:
            series: the value by the values of the labels, the most important first: the last are left out when all
                parts together have more than `limit`.
            part: whose series these are, such as a partition.
        """
        with self._lock:
            self._parts.pop(part, None)
            if series:
                self._parts[part] = dict(series)
            total = len({values for part in self._parts.values() for values in part})
        LEFT_OUT.labels(metric=self.name).set(max(0, total - self.limit))

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yields the metric without series, so that registering needs no values."""
        yield GaugeMetricFamily(self.name, self.documentation, labels=self.labels)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yields the metric with at most `limit` series; each part gets an equal share, and what others leave.

        A series that several parts have is shown once, with the sum of their values.
        """
        family = GaugeMetricFamily(self.name, self.documentation, labels=self.labels)
        with self._lock:
            parts = [list(part.items()) for part in self._parts.values()]
        longest = max(map(len, parts), default=0)
        sums: dict[tuple[str, ...], float] = {}
        for values, value in (part[rank] for rank in range(longest) for part in parts if rank < len(part)):
            if values in sums or len(sums) < self.limit:
                sums[values] = sums.get(values, 0.0) + value
        for values, value in sums.items():
            family.add_metric(values, value)
        yield family
