"""Workers are killed and suspended during a flow of records: nothing is lost or doubled, state and position agree."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest
from copy_stage import program_environment
from faults import Workers, seeded_random, start_logged
from kafka_reader import committed_positions, committed_records, latest_by_key
from services_on_kafka import TIMEOUT_S

from riskwire.bus import Outgoing
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

FAULTS = 8
PARTITIONS = 4


async def _publish_numbers(bus: KafkaBus, stop: asyncio.Event) -> int:
    """Publishes numbers, evenly over the partitions, until `stop` is set. Returns how many."""
    count = 0
    async with bus.publisher("source") as publisher:
        while not stop.is_set():
            records = [Outgoing(Topic.ARTICLES, None, b"%d" % n, n % PARTITIONS) for n in range(count, count + 40)]
            await publisher.publish(records, {})
            count += len(records)
    return count


async def test_each_record_is_copied_once_although_workers_are_killed_and_suspended(kafka_broker, tmp_path: Path):
    """Two workers copy numbers from `articles` to `analyses`, and count them in their state; faults hit them meanwhile.

    At the end each number was copied once, in the order of its partition. The state is the exact count of each
    partition, and the position in the changelog is the group's position in Kafka.
    """
    rng = seeded_random()
    prefix = "kill-"
    kafka = KafkaSettings(prefix=prefix, partitions=PARTITIONS, deadline_s=60)
    settings = BusSettings(url=kafka_broker.url, backlog=2_000)
    await create_topics(settings, kafka, {"copy": Topic.ARTICLES, "watch": Topic.ANALYSES})
    program = Path(__file__).with_name("kafka_copy_stage.py")
    log = tmp_path / "workers.log"

    def start():
        return start_logged([sys.executable, program, kafka_broker.url, prefix], log, program_environment())

    bus = await KafkaBus.open(settings, kafka)
    workers = Workers([start, start], sleep_s=2.5, rng=rng)
    stop = asyncio.Event()
    try:
        publishing = asyncio.create_task(_publish_numbers(bus, stop))
        first = await anext(bus.assignments("watch", Topic.ANALYSES))
        assert await first.fetch(1, TIMEOUT_S), "the workers copy records"
        for _ in range(FAULTS):
            await asyncio.to_thread(workers.work_for_a_while, min_s=0.2, max_s=1.4)
            await asyncio.to_thread(workers.inject_fault)
        stop.set()
        published = await publishing
        await workers.run_until(wait_until_drained(bus, ["copy"]), TIMEOUT_S)
        print(f"{published} records, faults {dict(workers.faults)}")
    except BaseException:
        print(log.read_text(errors="replace")[-6_000:])
        raise
    finally:
        workers.kill_all()
        await bus.close()

    copied = await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses")
    counts = Counter(int(record.value) for record in copied)
    lost = set(range(published)) - set(counts)
    doubled = {number for number, count in counts.items() if count > 1}
    print(f"checked {len(copied)}, lost {len(lost)}, doubled {len(doubled)}")
    print(f"fenced: {log.read_text(errors='replace').count('joining the group again')}")
    assert (len(lost), len(doubled)) == (0, 0)
    for partition in range(PARTITIONS):
        numbers = [int(record.value) for record in copied if record.partition == partition]
        assert numbers == sorted(numbers), "records of a partition stay in order"
    changelog = latest_by_key(await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}copy-state"))
    state = {p: changelog.get((p, b"articles/count")) for p in range(PARTITIONS)}
    assert state == {p: b"%d" % sum(n % PARTITIONS == p for n in counts) for p in range(PARTITIONS)}
    positions = committed_positions(kafka_broker.client, f"{prefix}copy", f"{prefix}articles", PARTITIONS)
    assert {p: changelog.get((p, b"articles#position")) for p in state} == {
        p: b"%d" % at for p, at in positions.items()
    }
