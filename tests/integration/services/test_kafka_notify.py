"""`riskwire notify` on Kafka: every alert reaches its receiver at least once, with one idempotency key."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from broker import Broker
from cli import json_lines, riskwire
from fictional import alert
from services_on_kafka import TIMEOUT_S, on_kafka_with_topics, publish, running_service, wait_for_exit, wait_until
from webhooks import WebhookServer, running_webhook_server

from riskwire.bus import Outgoing
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.notify.text import idempotency_key
from riskwire.pipeline import Topic
from riskwire.records import Alert
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]


@pytest.fixture
def webhooks():
    with running_webhook_server() as server:
        yield server


def notify_environment(broker: Broker, prefix: str, webhooks: WebhookServer, **notify: object) -> dict[str, str]:
    """Creates the topics, and returns the environment of a notify service that delivers to a server.

    Args:
        notify: settings of the section `notify`, such as `attempts`.
    """
    env = on_kafka_with_topics(broker, prefix, partitions=2, session_timeout_s=2)
    env["RISKWIRE_NOTIFY__WEBHOOKS"] = f'["{webhooks.url}"]'
    return env | {f"RISKWIRE_NOTIFY__{key.upper()}": str(value) for key, value in notify.items()}


def publish_alerts(broker: Broker, prefix: str, *ids: str) -> list[Alert]:
    """Publishes an alert with the present time for each id, and returns them as their readers decode them."""
    alerts = [alert(id=alert_id, target=f"entity:{alert_id}", at=datetime.now(UTC)) for alert_id in ids]
    outgoing = [Outgoing(Topic.ALERTS, record.target, record.to_bytes()) for record in alerts]
    publish(broker, KafkaSettings(prefix=prefix, partitions=2), outgoing)
    return [Alert.model_validate_json(record.value) for record in outgoing]


def wait_until_read(broker: Broker, prefix: str) -> None:
    """Waits until notify has read every alert; raises TimeoutError after `TIMEOUT_S`."""

    async def wait() -> None:
        bus = await KafkaBus.open(BusSettings(url=broker.url), KafkaSettings(prefix=prefix, partitions=2))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await wait_until_drained(bus, ["notify"])
        finally:
            await bus.close()

    asyncio.run(wait())


def test_a_delivery_interrupted_by_a_kill_is_repeated_with_the_same_idempotency_key(
    kafka_broker: Broker, webhooks: WebhookServer, tmp_path: Path
) -> None:
    """The webhook does not answer while `open` is cleared; notify is killed when a request has arrived.

    The next service repeats all deliveries that were not answered, and a third one none of those that were.
    """
    env = notify_environment(kafka_broker, "notify-", webhooks, timeout_s=60)
    webhooks.open.clear()
    with running_service("notify", env, tmp_path / "first.log") as first:
        records = publish_alerts(kafka_broker, "notify-", "aa", "bb")
        keys = {idempotency_key(record) for record in records}
        interrupted = webhooks.wait_until(bool)
        first.process.kill()
    assert interrupted[0].key in keys
    webhooks.open.set()
    with running_service("notify", env, tmp_path / "second.log") as second:
        requests = webhooks.wait_until(
            lambda requests: {request.key for request in requests[len(interrupted) :]} == keys
        )
        wait_until_read(kafka_broker, "notify-")
        second.wait_until_ready()
        second.process.terminate()
        assert wait_for_exit(second.process) == 0
    bodies = {record.to_bytes() for record in records}
    assert {request.body for request in requests} == bodies, "every request contains the unchanged record"
    count = len(webhooks.requests)
    with running_service("notify", env, tmp_path / "third.log"):
        (third,) = publish_alerts(kafka_broker, "notify-", "cc")
        webhooks.wait_until(lambda requests: idempotency_key(third) in {request.key for request in requests})
        wait_until_read(kafka_broker, "notify-")
    keys_after_restart = [request.key for request in webhooks.requests[count:]]
    assert keys_after_restart == [idempotency_key(third)], "deliveries that arrived are not repeated"


def test_a_notification_that_was_given_up_is_delivered_once_by_a_replay_of_its_dead_letter(
    kafka_broker: Broker, webhooks: WebhookServer, tmp_path: Path
) -> None:
    """With `attempts=1` a notification is given up, and becomes a dead letter, when the webhook answers 500 once.

    A replay fails while the webhook still answers 500, or is not in the settings. Later the first replay delivers the
    record, and the second says that this was done.
    """
    env = notify_environment(kafka_broker, "given-up-", webhooks, attempts=1)
    webhooks.status = 500
    with running_service("notify", env, tmp_path / "notify.log") as service:
        (record,) = publish_alerts(kafka_broker, "given-up-", "aa")
        webhooks.wait_until(lambda requests: len(requests) == 1)
        wait_until_read(kafka_broker, "given-up-")
        service.wait_until_ready()
        wait_until(lambda: bool(json_lines("dead-letters", "list", env=env)), why=service.log_tail)
    (letter,) = json_lines("dead-letters", "list", env=env)
    assert "answered 500" in letter["error"]
    assert "secret" not in str(letter), "the receiver is named without its URL"

    failed = riskwire("dead-letters", "replay", "--all", env=env)
    assert failed.returncode == 1
    assert f"{letter['place']} not replayed" in failed.stderr
    without_receiver = riskwire("dead-letters", "replay", "--all", env=env | {"RISKWIRE_NOTIFY__WEBHOOKS": "[]"})
    assert without_receiver.returncode == 1
    assert "its receiver is not in the settings" in without_receiver.stderr

    webhooks.status = 200
    requests_before = len(webhooks.requests)
    for outcome in ("delivered", "was replayed before"):
        replay = riskwire("dead-letters", "replay", letter["place"], env=env)
        assert replay.returncode == 0, replay.stderr
        assert f"{letter['place']} {outcome}" in replay.stdout
    (request,) = webhooks.requests[requests_before:]
    assert (request.key, request.body) == (idempotency_key(record), record.to_bytes())
