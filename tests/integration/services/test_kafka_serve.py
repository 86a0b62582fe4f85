"""`riskwire serve` on Kafka: the page and the API over the store that `sink` fills, and what is decided there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from broker import Broker
from cli import riskwire
from fictional import alert, signal
from kafka_reader import committed_records
from services_on_kafka import Service, on_kafka, publish, running_service, wait_for_exit, wait_until

from riskwire.bus import Outgoing
from riskwire.pipeline import Topic
from riskwire.settings import KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

PREFIX = "serve-"


def asked(service: Service, path: str, body: dict[str, Any] | None = None) -> Any:
    """What the API answers; of a page, its text."""
    request = Request(f"http://127.0.0.1:{service.port}{path}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=30) as answer:
        raw = answer.read()
        return json.loads(raw) if "json" in answer.headers["Content-Type"] else raw.decode()


def test_the_page_and_the_api_answer_over_the_store_that_the_sink_fills(
    kafka_broker: Broker, tmp_path: Path, tiny_bundle: Path
) -> None:
    env = on_kafka(kafka_broker, PREFIX, tiny_bundle, partitions=2, session_timeout_s=2)
    assert riskwire("topics", "create", env=env).returncode == 0
    told, record = signal("one"), alert()
    results = [
        Outgoing(Topic.SIGNALS, told.target, told.to_bytes()),
        Outgoing(Topic.ALERTS, record.target, record.to_bytes()),
    ]
    publish(kafka_broker, KafkaSettings(prefix=PREFIX), results)
    store = ("--data", tmp_path / "data")
    with (
        running_service("sink", env, tmp_path / "sink.log", *store) as sink,
        running_service("serve", env, tmp_path / "serve.log", *store) as serve,
    ):
        sink.wait_until_ready()
        serve.wait_until_ready()
        assert "<html" in asked(serve, "/").lower()
        wait_until(lambda: bool(asked(serve, "/api/v1/alerts")), why=serve.log_tail)
        status, ready = serve.readiness()
        assert (status, ready["ready"]) == (200, True)
        assert "kafka" in {stage["name"] for stage in ready["stages"]}
        shown = asked(serve, "/api/v1/status")
        assert shown["lag"]["sink-alerts"] == sum(shown["partitions"]["sink-alerts"]["alerts"].values())
        assert set(shown["partitions"]["sink-alerts"]["alerts"]) == {"0", "1"}
        assert shown["topics"]["alerts"] >= 1
        found = asked(serve, f"/api/v1/alerts/{record.id}")
        assert record.summary in json.dumps(found)

        acknowledged = {"kind": "acknowledge", "alert": record.id, "by": "anna", "comment": "known"}
        asked(serve, "/api/v1/commands", acknowledged)
        (command,) = [
            json.loads(one.value or b"{}") for one in committed_records(kafka_broker.client, f"{PREFIX}commands")
        ]
        assert (command["kind"], command["alert"], command["by"]) == ("acknowledge", record.id, "anna")
        wait_until(lambda: "known" in json.dumps(asked(serve, f"/api/v1/alerts/{record.id}")), why=serve.log_tail)

        for service in (serve, sink):
            service.process.terminate()
        assert [wait_for_exit(service.process) for service in (serve, sink)] == [0, 0]
