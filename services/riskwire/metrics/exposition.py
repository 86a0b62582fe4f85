"""The answer of `/metrics`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from prometheus_client import REGISTRY, Metric, generate_latest
from prometheus_client.registry import Collector

from riskwire.metrics.web import LABEL_VALUES

_OF_THE_FORMAT = frozenset({"le", "quantile"})
"""Labels that histograms and summaries have by themselves."""


class _Families(Collector):
    """Metrics that have been collected."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition() -> bytes:
    """Returns every metric in the text format of Prometheus, with the number of values that each label has.

    It reads only what this process has in memory, so it does not wait for the bus, the store or a stage.
    """
    families = list(REGISTRY.collect())
    for label, count in label_values(families).items():
        LABEL_VALUES.labels(label=label).set(count)
    counted = [family for family in families if family.name != "riskwire_label_values"]
    return generate_latest(_Families([*counted, *LABEL_VALUES.collect()]))


def label_values(families: Iterable[Metric]) -> dict[str, int]:
    """Returns the number of different values that each label has."""
    values: dict[str, set[str]] = defaultdict(set)
    for family in families:
        for sample in family.samples:
            for label, value in sample.labels.items():
                if label not in _OF_THE_FORMAT:
                    values[label].add(value)
    return {label: len(known) for label, known in sorted(values.items())}
