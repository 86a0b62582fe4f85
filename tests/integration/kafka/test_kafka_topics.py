"""`riskwire topics create|check`, and the errors of a cluster that cannot be used."""

from __future__ import annotations

import itertools
import socket
import time
from pathlib import Path

import pytest
from broker import Broker, free_ports
from cli import environment, riskwire, start_riskwire
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)
from services_on_kafka import TIMEOUT_S

from riskwire.app.serving import run_service
from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.open import open_bus
from riskwire.cli.topics import check_topics, create_missing_topics
from riskwire.errors import BusError, SchemaError, SettingsError
from riskwire.pipeline import SERVICES, STAGES, Topic
from riskwire.settings import BusSettings, KafkaSettings, Settings

pytestmark = pytest.mark.needs_kafka

_NUMBERS = itertools.count()


@pytest.fixture
def env(kafka_broker: Broker) -> dict[str, str]:
    """The environment of a command, with a topic prefix that is not in use."""
    return environment(
        RISKWIRE_BUS__URL=kafka_broker.url,
        RISKWIRE_KAFKA__PREFIX=f"topics{next(_NUMBERS)}-",
        RISKWIRE_KAFKA__PARTITIONS="3",
    )


async def test_create_creates_every_topic_once_and_check_then_reports_no_difference(
    kafka_broker: Broker, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` returns exit code 1 while topics are missing: `Topic`, a changelog for each stage, and two more.

    `create` returns 0 both times, and creates nothing the second time.
    """
    prefix = env["RISKWIRE_KAFKA__PREFIX"]
    settings = Settings(bus=BusSettings(url=kafka_broker.url), kafka=KafkaSettings(prefix=prefix, partitions=3))
    assert await check_topics(settings) == 1
    missing = capsys.readouterr().err
    for name in (*Topic, *(f"{stage.name}-state" for stage in STAGES), "publishers-state", "layout"):
        assert f"{prefix}{name}: is missing" in missing
    assert await create_missing_topics(settings) == 0
    output = capsys.readouterr()
    assert f"created {prefix}articles" in output.out
    assert not output.err
    assert await create_missing_topics(settings) == 0
    assert capsys.readouterr().out == "Every topic exists.\n"
    assert await check_topics(settings) == 0
    assert capsys.readouterr().out == "Every topic is as it should be.\n"


def test_check_reports_exactly_the_differences(kafka_broker: Broker, env: dict[str, str]) -> None:
    """Another tool has added partitions to one topic, and changed the retention of another."""
    assert riskwire("topics", "create", env=env).returncode == 0
    prefix = env["RISKWIRE_KAFKA__PREFIX"]
    admin = AdminClient(kafka_broker.client)
    admin.create_partitions([NewPartitions(f"{prefix}signals", 5)])[f"{prefix}signals"].result()
    altered = ConfigResource(
        ResourceType.TOPIC,
        f"{prefix}articles",
        incremental_configs=[ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)],
    )
    admin.incremental_alter_configs([altered])[altered].result()
    check = riskwire("topics", "check", env=env)
    assert check.returncode == 1
    assert check.stderr.splitlines() == [
        f"{prefix}articles: retention.ms is 1000, not 604800000",
        f"{prefix}signals: has 5 partitions, of which 3 are in use; the others are neither written nor read",
    ]


def test_more_replicas_than_brokers_are_an_error(env: dict[str, str]) -> None:
    refused = riskwire("topics", "create", env=env | {"RISKWIRE_KAFKA__REPLICATION": "3"})
    assert refused.returncode == 2
    assert "InvalidReplicationFactor" in refused.stderr


@pytest.mark.parametrize("words", [["infer", "--port", "0"], ["status"]])
def test_missing_topics_are_named_with_the_command_that_creates_them(env: dict[str, str], words: list[str]) -> None:
    """A service and a command exit with 2 if no topic of their prefix exists."""
    refused = riskwire(*words, env=env)
    assert refused.returncode == 2
    assert f"topics are missing: {env['RISKWIRE_KAFKA__PREFIX']}articles," in refused.stderr
    assert "riskwire topics create" in refused.stderr


@pytest.mark.parametrize("name", SERVICES)
async def test_a_single_service_on_the_embedded_bus_is_an_error_that_names_riskwire_run(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded bus is the default. One process uses it alone, so `riskwire run` runs all stages in one."""
    monkeypatch.setattr("riskwire.app.serving.configure_logging", lambda settings: None)
    with pytest.raises(SettingsError, match="riskwire run"):
        await run_service(Settings(), name)


def test_a_refused_connection_is_reported_within_the_deadline() -> None:
    """Nothing listens on the port."""
    (port,) = free_ports(1)
    url = f"kafka://127.0.0.1:{port}"
    started = time.monotonic()
    refused = riskwire("status", env=environment(RISKWIRE_BUS__URL=url))
    assert refused.returncode == 2
    assert f"{url}: Kafka cannot be reached" in refused.stderr
    assert time.monotonic() - started < 30


async def test_a_broker_that_never_answers_is_reported_within_the_deadline() -> None:
    """The port accepts connections, and nothing reads from them."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"kafka://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BusError, match="cannot be reached"):
            await KafkaBus.open(BusSettings(url=url), KafkaSettings(deadline_s=2))


@pytest.mark.parametrize(
    "url", ["kafka://", "kafka://host", "kafka://host:0", "kafka://u:hunter2@host:9092", "pulsar://a:1"]
)
async def test_an_invalid_url_is_an_error_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        await open_bus(Settings(bus=BusSettings(url=url)))
    assert "bus.url" in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_a_missing_kafka_extra_is_an_error_that_names_the_command_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The extra `kafka` installs aiokafka, which is not found here."""
    monkeypatch.setattr("riskwire.bus.open.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r'pip install "riskwire\[kafka\]"'):
        await open_bus(Settings(bus=BusSettings(url="kafka://127.0.0.1:9092")))


async def test_a_record_larger_than_max_record_bytes_is_refused_and_a_smaller_one_published(
    kafka_broker: Broker, env: dict[str, str]
) -> None:
    """The limit includes the key and the overhead of a record, for which 2,000 bytes are left."""
    assert riskwire("topics", "create", env=env).returncode == 0
    kafka = KafkaSettings(prefix=env["RISKWIRE_KAFKA__PREFIX"])
    bus = await KafkaBus.open(BusSettings(url=kafka_broker.url), kafka)
    try:
        async with bus.publisher("large") as publisher:
            with pytest.raises(SchemaError, match="max_record_bytes"):
                await publisher.publish([Outgoing(Topic.TRENDS, "a", b"x" * kafka.max_record_bytes)], {})
            await publisher.publish([Outgoing(Topic.TRENDS, "a", b"x" * (kafka.max_record_bytes - 2_000), 0)], {})
        (message,) = await bus.read(Topic.TRENDS, 0, 0, 10)
        assert len(message.value) == kafka.max_record_bytes - 2_000
    finally:
        await bus.close()


@pytest.mark.slow
def test_a_service_exits_with_an_error_if_its_broker_stays_away(kafka_here: None, tmp_path: Path) -> None:
    """The broker is killed after the service has printed its address. The last line says why the service exits."""
    with Broker(tmp_path / "kafka").running() as broker:
        env = environment(
            RISKWIRE_BUS__URL=broker.url,
            RISKWIRE_KAFKA__PARTITIONS="2",
            RISKWIRE_KAFKA__STUCK_AFTER_S="6",
            RISKWIRE_KAFKA__DEADLINE_S="3",
        )
        assert riskwire("topics", "create", env=env).returncode == 0
        process = start_riskwire("alert", "--port", 0, env=env)
        try:
            assert process.stderr is not None
            assert any("riskwire alert is at" in line for line in process.stderr)
            broker.kill()
            _, stderr = process.communicate(timeout=TIMEOUT_S)
            assert process.returncode == 2
            reason = stderr.splitlines()[-1]
            assert reason.startswith("riskwire: ")
            # Which of the two depends on whether the service had joined its group when the broker was killed.
            assert broker.url in reason or "has not joined its group" in reason
        finally:
            process.kill()
