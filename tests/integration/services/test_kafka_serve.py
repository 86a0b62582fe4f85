"""`riskwire serve` on Kafka: the page and the API of the store that `sink` fills, and commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from broker import Broker
from fictional import alert, signal
from kafka_reader import committed_records
from services_on_kafka import Service, on_kafka_with_topics, publish, running_service, wait_for_exit, wait_until

from riskwire.bus import Outgoing
from riskwire.pipeline import Topic
from riskwire.settings import KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

PREFIX = "serve-"


def request(service: Service, path: str, body: dict[str, Any] | None = None) -> Any:
    """Returns the answer of the API as parsed JSON, or the text of a page.

    Args:
        body: sent as JSON with POST; without it the request is a GET.

    Raises:
        HTTPError: the service answers with an error.
    """
    call = Request(f"http://127.0.0.1:{service.port}{path}")
    if body is not None:
        call.data = json.dumps(body).encode()
        call.add_header("Content-Type", "application/json")
    with urlopen(call, timeout=30) as response:
        raw = response.read()
        return json.loads(raw) if "json" in response.headers["Content-Type"] else raw.decode()


def test_serve_answers_from_the_store_that_the_sink_fills(
    kafka_broker: Broker, tmp_path: Path, tiny_bundle: Path
) -> None:
    """The sink writes a signal and an alert to the store; `serve` shows the page, alerts, status and readiness from it.

    It takes a command (an acknowledgement), which reaches the alert through Kafka and the sink. Both exit with 0 on
    SIGTERM.
    """
    env = on_kafka_with_topics(kafka_broker, PREFIX, tiny_bundle, partitions=2, session_timeout_s=2)
    stored_signal, stored_alert = signal("one"), alert()
    records = [
        Outgoing(Topic.SIGNALS, stored_signal.target, stored_signal.to_bytes()),
        Outgoing(Topic.ALERTS, stored_alert.target, stored_alert.to_bytes()),
    ]
    publish(kafka_broker, KafkaSettings(prefix=PREFIX), records)
    store = ("--data", tmp_path / "data")
    with (
        running_service("sink", env, tmp_path / "sink.log", *store) as sink,
        running_service("serve", env, tmp_path / "serve.log", *store) as serve,
    ):
        sink.wait_until_ready()
        serve.wait_until_ready()
        assert "<html" in request(serve, "/").lower()
        wait_until(lambda: bool(request(serve, "/api/v1/alerts")), why=serve.log_tail)
        code, readiness = serve.readiness()
        assert (code, readiness["ready"]) == (200, True)
        assert "kafka" in {stage["name"] for stage in readiness["stages"]}
        status = request(serve, "/api/v1/status")
        assert status["lag"]["sink-alerts"] == sum(status["partitions"]["sink-alerts"]["alerts"].values())
        assert set(status["partitions"]["sink-alerts"]["alerts"]) == {"0", "1"}
        assert status["topics"]["alerts"] >= 1
        assert stored_alert.summary in json.dumps(request(serve, f"/api/v1/alerts/{stored_alert.id}"))

        acknowledged = {"kind": "acknowledge", "alert": stored_alert.id, "by": "anna", "comment": "known"}
        request(serve, "/api/v1/commands", acknowledged)
        (command,) = [
            json.loads(record.value or b"{}") for record in committed_records(kafka_broker.client, f"{PREFIX}commands")
        ]
        assert (command["kind"], command["alert"], command["by"]) == ("acknowledge", stored_alert.id, "anna")
        wait_until(
            lambda: "known" in json.dumps(request(serve, f"/api/v1/alerts/{stored_alert.id}")), why=serve.log_tail
        )

        for service in (serve, sink):
            service.process.terminate()
        assert [wait_for_exit(service.process) for service in (serve, sink)] == [0, 0]
