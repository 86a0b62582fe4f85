"""A real Prometheus scrapes `riskwire run` without a token, evaluates the rules, and sees a process that hangs."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from broker import free_ports
from cli import environment, start_riskwire
from feeds.feed_server import FeedServer, serve_feeds
from services_on_kafka import wait_until

from riskwire.pipeline import STAGES

RULES = Path(__file__).parents[3] / "deploy" / "prometheus"
TIMEOUT_S = 120.0
TOKEN = "a token of more than sixteen characters"


class Prometheus:
    """The HTTP API of a running Prometheus."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **parameters: str) -> Any:
        """Returns `data` of an answer; None while it does not answer yet."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self._url}/{path}?{query}", timeout=10) as answer:
                return json.load(answer)["data"]
        except (urllib.error.URLError, OSError):
            return None

    def values(self, expression: str) -> dict[str, float]:
        """Returns the value of each series by its label `stage`, `state` or `alertname`, or by "" without one."""
        answer = self.get("query", query=expression) or {"result": []}
        return {
            next((row["metric"][label] for label in ("stage", "state", "alertname") if label in row["metric"]), ""): (
                float(row["value"][1])
            )
            for row in answer["result"]
        }


@contextmanager
def running_prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Runs Prometheus with the rules of deploy/prometheus and one target, which it scrapes each second."""
    (port,) = free_ports(1)
    sample = yaml.safe_load((RULES / "prometheus.yml").read_text(encoding="utf-8"))
    sample["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    sample["rule_files"] = [str(RULES / name) for name in sample["rule_files"]]
    sample["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    del sample["alerting"]
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(sample), encoding="utf-8")
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(["prometheus", *arguments], stdout=log, stderr=log)
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(timeout=TIMEOUT_S)


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
    """The page needs a token, the probe port none. SIGSTOP stands for a hang: the scrape ends at its deadline."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not there (Debian: apt install prometheus)")
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
        with running_prometheus(tmp_path, f"127.0.0.1:{probe_port}") as prometheus:

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
