"""The services on Kafka, as a user starts them: the demo's crisis comes out as in one process, whatever is killed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from cli import RISKWIRE, DownstreamRecords, environment, json_lines, read_downstream, riskwire, start_riskwire
from faults import Workers, logged, seeded
from fictional import alert
from kafka_reader import committed_records
from services_on_kafka import TIMEOUT_S, running_service, wait_for_exit

from riskwire.bus import Outgoing
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.demo import CRISIS, corpus_path, watchlist_path
from riskwire.pipeline import SINKS, Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

FAULTS = 3
SPEED = 400_000
"""Seconds of the demo's seven weeks in one: it flows for the time of the faults."""


def on_kafka(url: str, prefix: str, **more: str) -> dict[str, str]:
    """What a service needs to know."""
    return environment(
        RISKWIRE_BUS__URL=url,
        RISKWIRE_KAFKA__PREFIX=prefix,
        RISKWIRE_KAFKA__SESSION_TIMEOUT_S="2",
        RISKWIRE_INFERENCE__THREADS="1",
        **more,
    )


def left_on_kafka(client: dict[str, str], prefix: str) -> DownstreamRecords:
    """What an independent client reads downstream of `articles`."""
    topics = ("analyses", "signals", "trends", "alerts")
    values = {
        topic: Counter(record.value.decode() for record in committed_records(client, prefix + topic))
        for topic in topics
    }
    signals = Counter({value: n for value, n in values["signals"].items() if '"kind":"mark"' not in value})
    return DownstreamRecords(values["analyses"], signals, values["trends"], values["alerts"])


async def until_read(url: str, prefix: str, groups: list[str]) -> None:
    bus = await KafkaBus.open(BusSettings(url=url), KafkaSettings(prefix=prefix))
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await wait_until_drained(bus, groups)
    finally:
        await bus.close()


@pytest.fixture
def log(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where the services write; shown where the test fails."""
    path = tmp_path / "services.log"
    yield path
    if path.exists():
        print(path.read_text(errors="replace")[-6_000:])


def test_the_demo_under_faults_gives_what_one_calm_process_gives(kafka_broker, tmp_path: Path, log: Path) -> None:
    calm = tmp_path / "calm"
    done = riskwire("replay", corpus_path(), "--watchlist", watchlist_path(), "--data", calm)
    assert done.returncode == 0, done.stderr

    chance = seeded()
    env = on_kafka(kafka_broker.url, "demo-")
    made = riskwire("topics", "create", env=env)
    assert made.returncode == 0, made.stderr
    infer = lambda: logged([RISKWIRE, "infer", "--port", 0, "--watchlist", watchlist_path()], log, env)  # noqa: E731
    alerter = lambda: logged([RISKWIRE, "alert", "--port", 0], log, env)  # noqa: E731
    workers = Workers([infer, infer, alerter, alerter], asleep_s=3.5, chance=chance)
    try:
        replaying = start_riskwire("replay", corpus_path(), "--publish-only", "--speed", SPEED, env=env)
        for _ in range(FAULTS):
            workers.between(0.5, 2.5)
            workers.hurt_one()
        assert wait_for_exit(replaying) == 0
        reading = until_read(kafka_broker.url, "demo-", ["infer", "alert", "watchlist"])
        asyncio.run(workers.keep_until(reading, 2 * TIMEOUT_S))
        status = json_lines("status", env=env)[0]
    finally:
        workers.end()
    print(f"faults {dict(workers.faults)}")

    here, there = left_on_kafka(kafka_broker.client, "demo-"), read_downstream(calm)
    print(f"checked {[sum(kind.values()) for kind in (here.analyses, here.signals, here.trends, here.alerts)]}")
    assert here.repeated() == []
    assert here.analyses == there.analyses
    assert here.signals == there.signals
    assert here.trends == there.trends
    assert here.alerts == there.alerts
    assert CRISIS in {json.loads(alert)["target"] for alert in here.alerts}
    assert status["lag"] == {"infer": 0, "watchlist": 0, "alert": 0}
    assert status["topics"]["analyses"] >= len(here.analyses)


def test_a_service_is_ready_fills_the_store_and_stops_when_told(kafka_broker, tmp_path: Path, log: Path) -> None:
    env = on_kafka(kafka_broker.url, "sink-", RISKWIRE_KAFKA__PARTITIONS="1")
    assert riskwire("topics", "create", env=env).returncode == 0
    record = alert()
    asyncio.run(publish(kafka_broker.url, "sink-", Outgoing(Topic.ALERTS, record.target, record.to_bytes())))
    with running_service("sink", env, log, "--data", tmp_path) as sink:
        asyncio.run(until_read(kafka_broker.url, "sink-", ["sink-alerts"]))
        sink.wait_until_ready()
        sinks = [sink.name for sink in SINKS.values()]
        assert [stage["name"] for stage in sink.readiness()[1]["stages"]] == ["kafka", *sinks, "history"]
        with urlopen(f"http://127.0.0.1:{sink.port}/metrics", timeout=10) as answer:
            assert b"riskwire_bus_restore_seconds" in answer.read()
        sink.process.terminate()
        assert wait_for_exit(sink.process) == 0
        assert f"riskwire sink is at http://127.0.0.1:{sink.port}" in sink.log_tail().splitlines()
    assert [row["id"] for row in json_lines("alerts", "--data", tmp_path, env=env)] == [record.id]


async def publish(url: str, prefix: str, *records: Outgoing) -> None:
    bus = await KafkaBus.open(BusSettings(url=url), KafkaSettings(prefix=prefix))
    try:
        async with bus.publisher("source") as publisher:
            await publisher.publish(records, {})
    finally:
        await bus.close()
