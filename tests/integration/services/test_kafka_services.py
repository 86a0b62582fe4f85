"""The services on Kafka: under faults they publish the same records of the demo as one undisturbed process."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from cli import RISKWIRE, DownstreamRecords, environment, json_lines, read_downstream, riskwire, start_riskwire
from faults import Workers, seeded_random, start_logged
from fictional import alert
from kafka_reader import committed_records
from services_on_kafka import TIMEOUT_S, running_service, wait_for_exit

from riskwire.bus import Outgoing
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.demo import CRISIS, corpus_path, watchlist_path
from riskwire.pipeline import Topic, stages_of
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

FAULTS = 3
SPEED = 400_000
"""Archive seconds per real second: the replay takes about as long as the faults."""


def service_environment(url: str, prefix: str, **variables: str) -> dict[str, str]:
    """Returns the environment of a service.

    Args:
        url: the address of the broker.
        prefix: the prefix of the topics.
        variables: further environment variables.
    """
    return environment(
        RISKWIRE_BUS__URL=url,
        RISKWIRE_KAFKA__PREFIX=prefix,
        RISKWIRE_KAFKA__SESSION_TIMEOUT_S="2",
        RISKWIRE_INFERENCE__THREADS="1",
        **variables,
    )


def read_downstream_on_kafka(client: dict[str, str], prefix: str) -> DownstreamRecords:
    """Counts each record downstream of `articles`, read by an independent client; marks of time are left out."""
    topics = ("analyses", "signals", "trends", "alerts", "near-misses")
    values = {
        topic: Counter(record.value.decode() for record in committed_records(client, prefix + topic))
        for topic in topics
    }
    signals = Counter({value: n for value, n in values["signals"].items() if '"kind":"mark"' not in value})
    return DownstreamRecords(values["analyses"], signals, values["trends"], values["alerts"], values["near-misses"])


async def wait_until_read(url: str, prefix: str, groups: list[str]) -> None:
    """Waits until the groups have no lag; raises TimeoutError after `TIMEOUT_S`."""
    bus = await KafkaBus.open(BusSettings(url=url), KafkaSettings(prefix=prefix))
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await wait_until_drained(bus, groups)
    finally:
        await bus.close()


@pytest.fixture
def log(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The log file of the services; printed at the end, so that a failure shows it."""
    path = tmp_path / "services.log"
    yield path
    if path.exists():
        print(path.read_text(errors="replace")[-6_000:])


def test_services_under_faults_publish_the_records_of_an_undisturbed_process(
    kafka_broker, tmp_path: Path, log: Path
) -> None:
    """Two workers of infer and two of alert are killed or suspended while a replayed archive is published.

    A replay in one process, without Kafka and faults, must have written the same analyses, signals, trends, alerts
    and near misses, byte for byte and as often. Nothing is repeated, and the groups have no lag.
    """
    undisturbed = tmp_path / "undisturbed"
    completed = riskwire("replay", corpus_path(), "--watchlist", watchlist_path(), "--data", undisturbed)
    assert completed.returncode == 0, completed.stderr

    rng = seeded_random()
    env = service_environment(kafka_broker.url, "demo-")
    created = riskwire("topics", "create", env=env)
    assert created.returncode == 0, created.stderr
    infer = lambda: start_logged([RISKWIRE, "infer", "--port", 0, "--watchlist", watchlist_path()], log, env)  # noqa: E731
    alerter = lambda: start_logged([RISKWIRE, "alert", "--port", 0], log, env)  # noqa: E731
    workers = Workers([infer, infer, alerter, alerter], sleep_s=3.5, rng=rng)
    try:
        replaying = start_riskwire("replay", corpus_path(), "--publish-only", "--speed", SPEED, env=env)
        for _ in range(FAULTS):
            workers.work_for_a_while(min_s=0.5, max_s=2.5)
            workers.inject_fault()
        assert wait_for_exit(replaying) == 0
        reading = wait_until_read(kafka_broker.url, "demo-", ["infer", "alert", "watchlist"])
        asyncio.run(workers.run_until(reading, 2 * TIMEOUT_S))
        status = json_lines("status", env=env)[0]
    finally:
        workers.kill_all()
    print(f"faults {dict(workers.faults)}")

    records, expected = read_downstream_on_kafka(kafka_broker.client, "demo-"), read_downstream(undisturbed)
    counts = (records.analyses, records.signals, records.trends, records.alerts)
    print(f"compared {[sum(count.values()) for count in counts]} records")
    assert records.repeated() == []
    assert records.analyses == expected.analyses
    assert records.signals == expected.signals
    assert records.trends == expected.trends
    assert records.alerts == expected.alerts
    assert records.near_misses == expected.near_misses
    assert CRISIS in {json.loads(alert)["target"] for alert in records.alerts}
    assert status["lag"] == {"infer": 0, "watchlist": 0, "alert": 0}
    assert status["topics"]["analyses"] >= len(records.analyses)


def test_a_sink_is_ready_fills_the_store_and_stops_on_sigterm(kafka_broker, tmp_path: Path, log: Path) -> None:
    """It lists Kafka and its stages in `/readyz`, serves metrics, logs its address, and exits with 0."""
    env = service_environment(kafka_broker.url, "sink-", RISKWIRE_KAFKA__PARTITIONS="1")
    assert riskwire("topics", "create", env=env).returncode == 0
    record = alert()
    asyncio.run(publish(kafka_broker.url, "sink-", Outgoing(Topic.ALERTS, record.target, record.to_bytes())))
    with running_service("sink", env, log, "--data", tmp_path) as sink:
        asyncio.run(wait_until_read(kafka_broker.url, "sink-", ["sink-alerts"]))
        sink.wait_until_ready()
        stages = [spec.name for spec in stages_of("sink")]
        assert [stage["name"] for stage in sink.readiness()[1]["stages"]] == ["kafka", *stages]
        with urlopen(f"http://127.0.0.1:{sink.port}/metrics", timeout=10) as response:
            assert b"riskwire_bus_restore_seconds" in response.read()
        sink.process.terminate()
        assert wait_for_exit(sink.process) == 0
        assert f"riskwire sink is at http://127.0.0.1:{sink.port}" in sink.log_tail().splitlines()
    assert [row["id"] for row in json_lines("alerts", "--data", tmp_path, env=env)] == [record.id]


async def publish(url: str, prefix: str, *records: Outgoing) -> None:
    """Publishes records as one step, on topics with a prefix."""
    bus = await KafkaBus.open(BusSettings(url=url), KafkaSettings(prefix=prefix))
    try:
        async with bus.publisher("source") as publisher:
            await publisher.publish(records, {})
    finally:
        await bus.close()
