"""A real Prometheus scrapes `riskwire run` without a token, evaluates the rules, and sees a process that hangs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from broker import free_ports
from cli import environment, start_riskwire
from feeds.feed_server import FeedServer, serve_feeds
from prometheus_server import missing_prometheus, running_prometheus
from services_on_kafka import wait_until

from riskwire.pipeline import STAGES

TIMEOUT_S = 120.0
TOKEN = "a token of more than sixteen characters"


@pytest.fixture
def publisher() -> Iterator[FeedServer]:
    """A server of the feed "wire", with two items."""
    with serve_feeds() as publisher:
        publisher.publish("wire", 1, 2)
        yield publisher


@pytest.mark.needs_prometheus
def test_prometheus_reads_metrics_rules_and_a_process_that_hangs(
    publisher: FeedServer, tiny_bundle: Path, tmp_path: Path
) -> None:
    """The page needs a token, the probe port none. SIGSTOP simulates a hang: the scrape ends at its deadline."""
    missing = missing_prometheus()
    if missing is not None:
        pytest.skip(missing)
    feeds, (probe_port,) = tmp_path / "feeds.yaml", free_ports(1)
    feeds.write_text(yaml.safe_dump([{"id": "wire", "url": publisher.url("wire"), "every_s": 10}]))
    env = environment(
        RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle),
        RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS='["127.0.0.1"]',
        RISKWIRE_WEB__TOKEN=TOKEN,
        RISKWIRE_WEB__PROBE_PORT=str(probe_port),
    )
    process = start_riskwire("run", "--feeds", feeds, "--data", tmp_path / "data", "--port", "0", env=env)
    assert process.stderr is not None
    threading.Thread(target=process.stderr.read, daemon=True).start()
    try:
        with running_prometheus(tmp_path, [f"127.0.0.1:{probe_port}"]) as prometheus:

            def is_up() -> bool:
                return prometheus.values("up") == {"": 1.0}

            wait_until(is_up, TIMEOUT_S)
            wait_until(lambda: prometheus.values("sum(riskwire_ingest_articles_total)").get("", 0) >= 2, TIMEOUT_S)
            wait_until(lambda: prometheus.values("riskwire_ingest_feeds") == {"ok": 1.0}, TIMEOUT_S)
            wait_until(
                lambda: prometheus.values("riskwire_news_age_seconds_count").keys() >= {"infer", "sink-analyses"},
                TIMEOUT_S,
            )
            stages = {stage.name for stage in STAGES}
            wait_until(lambda: prometheus.values("riskwire_stage_lag_seconds").keys() >= stages, TIMEOUT_S)
            firing = 'ALERTS{alertstate="firing"}'
            wait_until(lambda: prometheus.values(firing) == {"RiskwireWatchdog": 1.0}, TIMEOUT_S)
            groups = prometheus.get("rules")["groups"]
            assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}

            process.send_signal(signal.SIGSTOP)
            try:
                wait_until(lambda: prometheus.values("up") == {"": 0.0}, TIMEOUT_S)
                (target,) = prometheus.get("targets")["activeTargets"]
                assert "deadline exceeded" in target["lastError"]
            finally:
                process.send_signal(signal.SIGCONT)
            wait_until(is_up, TIMEOUT_S)
    finally:
        process.terminate()
        assert process.wait(timeout=TIMEOUT_S) == 0
