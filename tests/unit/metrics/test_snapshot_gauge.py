"""Gauges with changing series: they show the last state, of all parts, and never more series than their limit."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from riskwire.metrics import LEFT_OUT, SnapshotGauge
from riskwire.metrics.exposition import label_values


def gauge(limit: int = 10) -> SnapshotGauge:
    return SnapshotGauge("riskwire_example", "An example", ["feed"], limit=limit, registry=CollectorRegistry())


def series(metric: SnapshotGauge) -> dict[str, float]:
    """Returns the value by label of what is exposed."""
    return {sample.labels["feed"]: sample.value for family in metric.collect() for sample in family.samples}


def test_a_new_state_replaces_the_old_one_of_the_same_part() -> None:
    metric = gauge()
    metric.replace({("a",): 1, ("b",): 2}, "0")
    metric.replace({("c",): 3}, "1")
    metric.replace({("b",): 5}, "0")
    assert series(metric) == {"b": 5, "c": 3}


def test_a_part_that_is_given_up_leaves_no_series() -> None:
    metric = gauge()
    metric.replace({("a",): 1}, "0")
    metric.replace({}, "0")
    assert series(metric) == {}


def test_equal_series_of_several_parts_are_added() -> None:
    metric = gauge()
    metric.replace({("ok",): 3}, "0")
    metric.replace({("ok",): 4, ("failing",): 1}, "1")
    assert series(metric) == {"ok": 7, "failing": 1}


def test_beyond_the_limit_the_last_series_of_each_part_are_left_out_and_counted() -> None:
    metric = gauge(limit=3)
    metric.replace({("a",): 1, ("b",): 2, ("c",): 3}, "0")
    metric.replace({("d",): 4, ("e",): 5}, "1")
    assert series(metric) == {"a": 1, "d": 4, "b": 2}
    assert LEFT_OUT.labels(metric="riskwire_example")._value.get() == 2


def test_the_values_of_a_label_are_counted_over_all_metrics_without_buckets() -> None:
    metric = gauge()
    metric.replace({("a",): 1, ("b",): 2})
    assert label_values([*metric.collect(), *metric.collect()]) == {"feed": 2}
