"""deploy/METRICS.md lists every metric, and Prometheus' own checker finds nothing to complain about."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from riskwire import metrics
from riskwire.metrics.table import metric_rows, metric_table

METRICS_PAGE = Path(__file__).parents[3] / "deploy" / "METRICS.md"
START, END = "<!-- metrics -->\n", "<!-- end of metrics -->"

OF_LIBRARIES = ("python_", "process_", "stamina_")
"""Starts of the names of metrics that libraries add: the Prometheus client, and stamina once it retries."""


def test_the_page_lists_every_metric() -> None:
    """`python -c 'from riskwire.metrics.table import metric_table; print(metric_table())'` prints the table."""
    text = METRICS_PAGE.read_text(encoding="utf-8")
    assert START in text
    assert text.split(START)[1].split(END)[0] == metric_table()


def test_every_metric_of_this_process_is_in_the_table() -> None:
    listed = {re.sub("_(total|info)$", "", row.name) for row in metric_rows()}
    exposed = {family.name for family in REGISTRY.collect() if not family.name.startswith(OF_LIBRARIES)}
    assert {re.sub("_info$", "", name) for name in exposed} <= listed


@pytest.mark.parametrize("row", metric_rows(), ids=lambda row: row.name)
def test_a_metric_follows_the_naming_conventions(row) -> None:
    """Base units, `_total` for counters only, and a bounded kind of labels: nothing that an article contains."""
    assert row.name.startswith("riskwire_")
    assert row.name.endswith("_total") == (row.type == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent|count|sum|bucket)(_|$)", row.name)
    assert not {"article", "story", "url", "title", "source", "alert", "le"} & set(row.labels)
    assert row.meaning
    assert not row.meaning.endswith(".")


def test_no_series_tells_when_a_metric_was_created() -> None:
    metrics.STAGE_RECORDS.labels(stage="infer").inc()
    assert b"_created" not in metrics.exposition()


@pytest.mark.needs_prometheus
def test_promtool_finds_nothing_to_complain_about() -> None:
    """With values, because promtool checks only what is there."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not there (Debian: apt install prometheus)")
    for value in vars(metrics).values():
        if isinstance(value, metrics.SnapshotGauge):
            value.replace({tuple("x" for _ in value.labels): 1.0}, "of this test")
        elif getattr(value, "_labelnames", ()):
            value.labels(*("x" for _ in value._labelnames))
    try:
        answer = metrics.exposition()
        checked = subprocess.run([promtool, "check", "metrics"], input=answer, capture_output=True, check=False)
    finally:
        for value in vars(metrics).values():
            if isinstance(value, metrics.SnapshotGauge):
                value.replace({}, "of this test")
    assert (checked.stdout + checked.stderr).decode() == ""
    assert checked.returncode == 0
