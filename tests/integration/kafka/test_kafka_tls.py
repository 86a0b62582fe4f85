"""TLS without SASL: brokers accept only clients with a certificate of their authority."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker
from cli import riskwire
from services_on_kafka import on_kafka, running_service, wait_until
from tls_broker import STORE_PASSWORD, tls_broker, tls_settings

from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics, topic_differences
from riskwire.errors import BusError, SettingsError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def mutual(kafka_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that accepts TLS only and requires a certificate of its authority."""
    folder = tmp_path_factory.mktemp("mutual")
    certificate = {
        "ssl.certificate.location": folder / "tls" / "client.pem",
        "ssl.key.location": folder / "tls" / "client.key",
    }
    with tls_broker(
        folder, "SSL", {"ssl.client.auth": "required"}, {key: str(path) for key, path in certificate.items()}
    ) as broker:
        yield broker


def settings_for(broker: Broker, **changed: object) -> KafkaSettings:
    """Returns the settings of a client with an accepted certificate, with changes."""
    return tls_settings(broker, **{"cert_file": "client.pem", "key_file": "client.key"} | changed)


async def test_a_step_is_committed_with_a_client_certificate_and_no_password(mutual: Broker) -> None:
    """Creating topics, publishing a record with state, and reading both work over TLS."""
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
    ids=["no certificate", "certificate of another authority", "another authority trusted", "no TLS"],
)
async def test_a_client_without_an_accepted_certificate_gets_an_error_that_names_the_settings(
    mutual: Broker, changed: dict
) -> None:
    """The broker requires a certificate of the authority `ca.pem`; `stranger.pem` and `impostor.pem` are of another.

    The error comes within 30 s, and names `cert_file` and the address of the broker.
    """
    started = time.monotonic()
    with pytest.raises(BusError, match=r"cert_file") as refused:
        await KafkaBus.open(BusSettings(url=mutual.url), settings_for(mutual, **changed))
    assert mutual.url in str(refused.value)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"key_file": "locked.key"}, "cannot be used"),
        ({"key_file": "impostor.key"}, "cannot be used"),
        ({"cert_file": "broker.p12"}, "cannot be used"),
        ({"cert_file": "nowhere.pem"}, r"kafka\.cert_file: there is no such file"),
    ],
    ids=["encrypted key", "key of another certificate", "not PEM", "no file"],
)
async def test_an_unusable_certificate_raises_settings_error_instead_of_asking_for_a_passphrase(
    mutual: Broker, changed: dict, message: str
) -> None:
    """The files are in the folder of the broker's certificates: `locked.key` is encrypted, `impostor.key` another's."""
    with pytest.raises(SettingsError, match=message):
        await KafkaBus.open(BusSettings(url=mutual.url), settings_for(mutual, **changed))


def test_a_service_over_tls_logs_only_json_objects_and_no_secret(mutual: Broker, tmp_path: Path) -> None:
    """The broker is away for a while, so that the Kafka client logs errors, at the level debug.

    Only the line with the address of the service is no JSON. Secrets are the key store's password and the private key.
    """
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
    entries = [json.loads(line) for line in lines if not line.startswith("riskwire alert is at")]
    assert any(str(entry.get("logger", "")).startswith("aiokafka") for entry in entries)
    assert all({"event", "level", "timestamp"} <= set(entry) for entry in entries)
    assert not any(
        secret in "\n".join(lines) for secret in (STORE_PASSWORD, (tls / "client.key").read_text().splitlines()[1])
    )
