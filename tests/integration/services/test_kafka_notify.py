"""`riskwire notify` on Kafka: every alert reaches its receiver at least once, with one idempotency key."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from broker import Broker
from cli import lines, riskwire
from fictional import alert
from services_on_kafka import PATIENCE_S, ended, on_kafka, publish, running, until
from webhooks import Receiver, receiving

from riskwire.bus import Outgoing
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.notify.text import idempotency_key
from riskwire.pipeline import Topic
from riskwire.records import Alert
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


def notifying(broker: Broker, prefix: str, receiver: Receiver, **notify: object) -> dict[str, str]:
    env = on_kafka(broker, prefix, partitions=2, session_timeout_s=2)
    assert riskwire("topics", "create", env=env).returncode == 0
    env["RISKWIRE_NOTIFY__WEBHOOKS"] = f'["{receiver.url}"]'
    return env | {f"RISKWIRE_NOTIFY__{key.upper()}": str(value) for key, value in notify.items()}


def fired(broker: Broker, prefix: str, *ids: str) -> list[Alert]:
    """Alerts of now, on their topic."""
    records = [alert(id=one, target=f"entity:{one}", at=datetime.now(UTC)) for one in ids]
    sent = [Outgoing(Topic.ALERTS, record.target, record.to_bytes()) for record in records]
    publish(broker, KafkaSettings(prefix=prefix, partitions=2), sent)
    return [Alert.model_validate_json(one.value) for one in sent]


def until_read(broker: Broker, prefix: str) -> None:
    async def wait() -> None:
        bus = await KafkaBus.open(BusSettings(url=broker.url), KafkaSettings(prefix=prefix, partitions=2))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await wait_until_drained(bus, ["notify"])
        finally:
            await bus.close()

    asyncio.run(wait())


def test_an_alert_whose_delivery_was_cut_by_a_kill_comes_again_with_the_same_key(
    kafka_broker: Broker, receiver: Receiver, tmp_path: Path
) -> None:
    env = notifying(kafka_broker, "notify-", receiver, timeout_s=60)
    receiver.open.clear()
    with running("notify", env, tmp_path / "first.log") as first:
        records = fired(kafka_broker, "notify-", "aa", "bb")
        keys = {idempotency_key(record) for record in records}
        cut = receiver.until(bool)
        first.process.kill()
    assert cut[0].key in keys
    receiver.open.set()
    with running("notify", env, tmp_path / "second.log") as second:
        after = receiver.until(lambda got: {one.key for one in got[len(cut) :]} == keys)
        until_read(kafka_broker, "notify-")
        second.until_ready()
        second.process.terminate()
        assert ended(second.process) == 0
    bodies = {record.to_bytes() for record in records}
    assert {one.body for one in after} == bodies, "what is sent is the record, byte for byte, each time"
    count = len(receiver.got)
    with running("notify", env, tmp_path / "third.log"):
        (more,) = fired(kafka_broker, "notify-", "cc")
        receiver.until(lambda got: idempotency_key(more) in {one.key for one in got})
        until_read(kafka_broker, "notify-")
    assert [one.key for one in receiver.got[count:]] == [idempotency_key(more)], "what has arrived is not sent again"


def test_a_notification_that_was_given_up_is_a_dead_letter_and_replay_delivers_it_once(
    kafka_broker: Broker, receiver: Receiver, tmp_path: Path
) -> None:
    env = notifying(kafka_broker, "given-up-", receiver, attempts=1)
    receiver.status = 500
    with running("notify", env, tmp_path / "notify.log") as service:
        (record,) = fired(kafka_broker, "given-up-", "aa")
        receiver.until(lambda got: len(got) == 1)
        until_read(kafka_broker, "given-up-")
        service.until_ready()
        until(lambda: bool(lines("dead-letters", "list", env=env)), why=service.said)
    (letter,) = lines("dead-letters", "list", env=env)
    assert "answered 500" in letter["error"]
    assert "secret" not in str(letter), "whom it was owed to is told without the address"

    still = riskwire("dead-letters", "replay", "--all", env=env)
    assert still.returncode == 1
    assert f"{letter['place']} not replayed" in still.stderr
    elsewhere = riskwire("dead-letters", "replay", "--all", env=env | {"RISKWIRE_NOTIFY__WEBHOOKS": "[]"})
    assert elsewhere.returncode == 1
    assert "the receiver it was owed to is not in the settings" in elsewhere.stderr

    receiver.status = 200
    tries = len(receiver.got)
    for said in ("delivered", "had been replayed before"):
        done = riskwire("dead-letters", "replay", letter["place"], env=env)
        assert done.returncode == 0, done.stderr
        assert f"{letter['place']} {said}" in done.stdout
    (arrived,) = receiver.got[tries:]
    assert (arrived.key, arrived.body) == (idempotency_key(record), record.to_bytes())
