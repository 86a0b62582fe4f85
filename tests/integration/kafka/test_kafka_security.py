"""SASL over TLS, with a private certificate authority, as in production."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker
from cli import environment, riskwire
from services_on_kafka import TIMEOUT_S
from tls_broker import tls_broker, tls_settings

from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics, topic_differences
from riskwire.errors import BusError, SettingsError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

USER, SECRET = "riskwire", "correct-horse-battery"


@pytest.fixture(scope="module")
def secured(kafka_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that accepts SASL_SSL only, with one SCRAM user."""
    login = "org.apache.kafka.common.security"
    properties = {
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            f'{login}.scram.ScramLoginModule required username="{USER}" password="{SECRET}";'
        ),
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": (
            f'{login}.plain.PlainLoginModule required user_{USER}="{SECRET}";'
        ),
    }
    client = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": USER, "sasl.password": SECRET}
    users = [
        word
        for mechanism in ("SCRAM-SHA-512", "SCRAM-SHA-256")
        for word in ("--add-scram", f"{mechanism}=[name={USER},password={SECRET}]")
    ]
    with tls_broker(tmp_path_factory.mktemp("secured"), "SASL_SSL", properties, client, users) as broker:
        yield broker


def settings_for(broker: Broker, **changed: object) -> KafkaSettings:
    """Returns the settings of the user that the broker knows, with changes."""
    user = {"security": "sasl_ssl", "username": USER, "password": SECRET}
    return tls_settings(broker, **user | changed)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
async def test_a_step_is_committed_over_tls_with_each_sasl_mechanism(secured: Broker, mechanism: str) -> None:
    """A publisher writes a record and its state, and a group with two partitions reads the record."""
    kafka, bus_settings = (
        settings_for(secured, mechanism=mechanism, prefix=f"{mechanism.lower()}-"),
        BusSettings(url=secured.url),
    )
    await create_topics(bus_settings, kafka)
    assert await topic_differences(bus_settings, kafka) == []
    bus = await KafkaBus.open(bus_settings, kafka)
    try:
        async with bus.publisher("source") as publisher:
            await publisher.publish([Outgoing(Topic.ARTICLES, None, b"0", 0)], {"seen": b"0"})
            assert await publisher.restore() == {"seen": b"0"}
        joined = bus.assignments("infer", Topic.ARTICLES)
        async with asyncio.timeout(TIMEOUT_S):
            assigned = {assignment.partition: assignment for assignment in [await anext(joined), await anext(joined)]}
            batch = await assigned[0].fetch(1, TIMEOUT_S)
        assert [message.value for message in batch] == [b"0"]
    finally:
        await bus.close()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"password": "wrong-secret-1"}, "refuses the user"),
        ({"username": "nobody"}, "refuses the user"),
        ({"ca_file": "stranger.pem"}, "cannot be reached"),
        ({"ca_file": None}, "cannot be reached"),
    ],
    ids=["password", "user", "authority", "system authorities"],
)
async def test_a_refused_client_gets_an_error_without_a_secret(
    secured: Broker, changed: dict[str, str | None], message: str
) -> None:
    """Each case changes a setting that the broker accepts: the login, or the authority that the client trusts."""
    with pytest.raises(BusError, match=message) as refused:
        await KafkaBus.open(BusSettings(url=secured.url), settings_for(secured, **changed))
    text = f"{refused.value}{refused.value.__cause__!r}"
    assert SECRET not in text
    assert "wrong-secret-1" not in text


def test_a_command_reads_the_password_from_a_file_and_never_prints_it(secured: Broker, tmp_path: Path) -> None:
    """Commands that succeed do not print the password, even at the log level debug, nor does one that is refused."""
    file = tmp_path / "password"
    file.write_text(SECRET + "\n")
    env = environment(
        RISKWIRE_BUS__URL=secured.url,
        RISKWIRE_KAFKA__SECURITY="sasl_ssl",
        RISKWIRE_KAFKA__USERNAME=USER,
        RISKWIRE_KAFKA__PASSWORD_FILE=str(file),
        RISKWIRE_KAFKA__CA_FILE=str(secured.folder / "tls" / "ca.pem"),
        RISKWIRE_KAFKA__PREFIX="cli-",
        RISKWIRE_KAFKA__PARTITIONS="1",
        RISKWIRE_LOG__LEVEL="debug",
    )
    commands = [riskwire(*words, env=env) for words in (["topics", "create"], ["config", "show"])]
    assert [command.returncode for command in commands] == [0, 0], commands
    assert SECRET not in "".join(command.stdout + command.stderr for command in commands)
    file.write_text("another-secret\n")
    refused = riskwire("status", env=env)
    assert refused.returncode == 2
    assert "refuses the user" in refused.stderr
    assert "another-secret" not in refused.stdout + refused.stderr


async def test_incomplete_security_settings_are_named_in_the_error(secured: Broker) -> None:
    bus = BusSettings(url=secured.url)
    with pytest.raises(SettingsError, match=r"kafka\.username and kafka\.password_file"):
        await KafkaBus.open(bus, KafkaSettings(security="sasl_ssl", username=USER))
    with pytest.raises(SettingsError, match=r"kafka\.ca_file: there is no such file"):
        await KafkaBus.open(bus, settings_for(secured, ca_file="/nowhere/ca.pem"))
