"""TLS without SASL: the brokers know a client by its certificate, and let nobody else in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker
from certificates import STORE_PASSWORD
from cli import riskwire
from services_on_kafka import on_kafka, running_service, wait_until
from tls_broker import tls_broker, tls_settings

from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics, topic_differences
from riskwire.errors import BusError, SettingsError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def mutual(kafka_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that speaks TLS only and asks for a certificate of its own authority."""
    folder = tmp_path_factory.mktemp("mutual")
    own = {"ssl.certificate.location": folder / "tls" / "client.pem", "ssl.key.location": folder / "tls" / "client.key"}
    with tls_broker(
        folder, "SSL", {"ssl.client.auth": "required"}, {key: str(path) for key, path in own.items()}
    ) as broker:
        yield broker


def settings_for(broker: Broker, **changed: object) -> KafkaSettings:
    """The client that the broker knows."""
    return tls_settings(broker, **{"cert_file": "client.pem", "key_file": "client.key"} | changed)


async def test_a_step_goes_through_with_a_client_certificate_and_no_password(mutual: Broker) -> None:
    kafka, bus_settings = settings_for(mutual), BusSettings(url=mutual.url)
    await create_topics(bus_settings, kafka)
    assert await topic_differences(bus_settings, kafka) == []
    bus = await KafkaBus.open(bus_settings, kafka)
    try:
        async with bus.publisher("source") as publisher:
            await publisher.publish([Outgoing(Topic.ARTICLES, None, b"0", 0)], {"seen": b"0"})
        assert [message.value for message in await bus.read(Topic.ARTICLES, 0, 0, 10)] == [b"0"]
        assert await bus.publisher_state("source") == {"seen": b"0"}
    finally:
        await bus.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"cert_file": None, "key_file": None},
        {"cert_file": "impostor.pem", "key_file": "impostor.key"},
        {"ca_file": "stranger.pem"},
        {"security": "plaintext"},
    ],
    ids=["no certificate", "certificate of a stranger", "stranger as authority", "no TLS"],
)
async def test_who_is_not_known_is_not_let_in_and_told_where_to_look(mutual: Broker, changed: dict) -> None:
    began = time.monotonic()
    with pytest.raises(BusError, match=r"cert_file") as refused:
        await KafkaBus.open(BusSettings(url=mutual.url), settings_for(mutual, **changed))
    assert mutual.url in str(refused.value)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"key_file": "locked.key"}, "cannot be used"),
        ({"key_file": "impostor.key"}, "cannot be used"),
        ({"cert_file": "broker.p12"}, "cannot be used"),
        ({"cert_file": "nowhere.pem"}, r"kafka\.cert_file: there is no such file"),
    ],
    ids=["behind a passphrase", "key of another", "not PEM", "no file"],
)
async def test_a_certificate_that_cannot_be_used_is_an_error_and_never_a_question(
    mutual: Broker, changed: dict, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        await KafkaBus.open(BusSettings(url=mutual.url), settings_for(mutual, **changed))


def test_a_service_over_tls_logs_objects_only_and_none_of_its_secrets(mutual: Broker, tmp_path: Path) -> None:
    tls = mutual.folder / "tls"
    files = {"ca_file": tls / "ca.pem", "cert_file": tls / "client.pem", "key_file": tls / "client.key"}
    env = on_kafka(mutual, "tls-", security="ssl", partitions=1, session_timeout_s=2, **files)
    assert riskwire("topics", "create", env=env).returncode == 0
    with running_service("alert", env | {"RISKWIRE_LOG__LEVEL": "debug"}, tmp_path / "alert.log") as service:
        service.wait_until_ready()
        mutual.stop()
        try:
            wait_until(lambda: '"logger": "aiokafka' in service.log.read_text(), why=service.log_tail)
        finally:
            mutual.start()
        service.wait_until_ready()
        lines = service.log.read_text().splitlines()
    ours = [json.loads(line) for line in lines if not line.startswith("riskwire alert is at")]
    assert any(str(line.get("logger", "")).startswith("aiokafka") for line in ours)
    assert all({"event", "level", "timestamp"} <= set(line) for line in ours)
    assert not any(secret in "\n".join(lines) for secret in (STORE_PASSWORD, (tls / "client.key").read_text().splitlines()[1]))
