"""`riskwire topics`, and what is said where a cluster is not as it must be."""

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
from riskwire.bus.kafka.topics import GROUPS
from riskwire.bus.open import open_bus
from riskwire.cli.topics import check_topics, create_missing_topics
from riskwire.errors import BusError, SchemaError, SettingsError
from riskwire.pipeline import SERVICES, Topic
from riskwire.settings import BusSettings, KafkaSettings, Settings

pytestmark = pytest.mark.needs_kafka

_NUMBERS = itertools.count()


@pytest.fixture
def env(kafka_broker: Broker) -> dict[str, str]:
    """An empty corner of the cluster."""
    return environment(
        RISKWIRE_BUS__URL=kafka_broker.url,
        RISKWIRE_KAFKA__PREFIX=f"topics{next(_NUMBERS)}-",
        RISKWIRE_KAFKA__PARTITIONS="3",
    )


async def test_create_makes_every_topic_once_and_check_finds_nothing(
    kafka_broker: Broker, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = env["RISKWIRE_KAFKA__PREFIX"]
    settings = Settings(bus=BusSettings(url=kafka_broker.url), kafka=KafkaSettings(prefix=prefix, partitions=3))
    assert await check_topics(settings) == 1
    missing = capsys.readouterr().err
    for name in (*Topic, *(f"{group}-state" for group in GROUPS), "publishers-state", "layout"):
        assert f"{prefix}{name}: is missing" in missing
    assert await create_missing_topics(settings) == 0
    told = capsys.readouterr()
    assert f"created {prefix}articles" in told.out
    assert not told.err
    assert await create_missing_topics(settings) == 0
    assert capsys.readouterr().out == "Every topic exists.\n"
    assert await check_topics(settings) == 0
    assert capsys.readouterr().out == "Every topic is as it should be.\n"


def test_check_says_exactly_what_differs(kafka_broker: Broker, env: dict[str, str]) -> None:
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


def test_more_copies_than_brokers_is_said(env: dict[str, str]) -> None:
    refused = riskwire("topics", "create", env=env | {"RISKWIRE_KAFKA__REPLICATION": "3"})
    assert refused.returncode == 2
    assert "InvalidReplicationFactor" in refused.stderr


@pytest.mark.parametrize("words", [["infer", "--port", "0"], ["status"]])
def test_missing_topics_are_named_and_what_to_do(env: dict[str, str], words: list[str]) -> None:
    refused = riskwire(*words, env=env)
    assert refused.returncode == 2
    assert f"topics are missing: {env['RISKWIRE_KAFKA__PREFIX']}articles," in refused.stderr
    assert "riskwire topics create" in refused.stderr


@pytest.mark.parametrize("name", SERVICES)
async def test_without_kafka_a_single_service_refuses_and_names_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskwire.app.serving.configure_logging", lambda settings: None)
    with pytest.raises(SettingsError, match="riskwire run"):
        await run_service(Settings(), name)


def test_a_broker_that_is_not_there_is_said_soon() -> None:
    (port,) = free_ports(1)
    url = f"kafka://127.0.0.1:{port}"
    began = time.monotonic()
    refused = riskwire("status", env=environment(RISKWIRE_BUS__URL=url))
    assert refused.returncode == 2
    assert f"{url}: Kafka cannot be reached" in refused.stderr
    assert time.monotonic() - began < 30


async def test_a_broker_that_never_answers_is_said_within_a_deadline() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"kafka://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(BusError, match="cannot be reached"):
            await KafkaBus.open(BusSettings(url=url), KafkaSettings(deadline_s=2))


@pytest.mark.parametrize(
    "url", ["kafka://", "kafka://host", "kafka://host:0", "kafka://u:hunter2@host:9092", "pulsar://a:1"]
)
async def test_a_wrong_url_is_named_without_its_secret(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        await open_bus(Settings(bus=BusSettings(url=url)))
    assert "bus.url" in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_without_the_extra_what_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskwire.bus.open.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r'pip install "riskwire\[kafka\]"'):
        await open_bus(Settings(bus=BusSettings(url="kafka://127.0.0.1:9092")))


async def test_a_record_larger_than_the_bound_is_refused_and_one_below_it_passes(
    kafka_broker: Broker, env: dict[str, str]
) -> None:
    assert riskwire("topics", "create", env=env).returncode == 0
    kafka = KafkaSettings(prefix=env["RISKWIRE_KAFKA__PREFIX"])
    bus = await KafkaBus.open(BusSettings(url=kafka_broker.url), kafka)
    try:
        async with bus.publisher("large") as publisher:
            with pytest.raises(SchemaError, match="max_record_bytes"):
                await publisher.publish([Outgoing(Topic.TRENDS, "a", b"x" * kafka.max_record_bytes)], {})
            await publisher.publish([Outgoing(Topic.TRENDS, "a", b"x" * (kafka.max_record_bytes - 2_000), 0)], {})
        (read,) = await bus.read(Topic.TRENDS, 0, 0, 10)
        assert len(read.value) == kafka.max_record_bytes - 2_000
    finally:
        await bus.close()


@pytest.mark.slow
def test_a_service_whose_broker_stays_away_leaves_with_a_code(kafka_here: None, tmp_path: Path) -> None:
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
            _, said = process.communicate(timeout=TIMEOUT_S)
            assert process.returncode == 2
            assert said.splitlines()[-1].startswith("riskwire: ")
            assert "Kafka" in said.splitlines()[-1]
        finally:
            process.kill()
