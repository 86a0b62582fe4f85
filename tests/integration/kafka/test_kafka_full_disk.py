"""A broker whose disk is full ends; services say so and leave; once there is room nothing is lost or doubled.

Not marked `needs_kafka`: where nothing can be mounted (that needs root) it is skipped even where Kafka is required.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker
from cli import riskwire
from services_on_kafka import (
    analysed_articles,
    article,
    article_records,
    on_kafka,
    publish,
    running_service,
    wait_for_exit,
    wait_until,
)

from riskwire.bus.kafka.bus import KafkaBus
from riskwire.errors import BusError
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = pytest.mark.slow

DISK_MB = 64


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small disk is a tmpfs, and only root may mount one")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk is a tmpfs, and none can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def broker(kafka_here: None, small_disk: Path) -> Iterator[Broker]:
    """A broker on that disk."""
    one = Broker(small_disk / "kafka", {"log.segment.bytes": "4194304", "log.index.size.max.bytes": "65536"})
    one.log = small_disk.parent / "broker.log"
    with one.running():
        yield one


def fill(place: Path) -> Path:
    """Something else fills the disk, to the last byte."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4_096))
        except OSError:
            return filler


class Flow(threading.Thread):
    """Publishes articles in small steps until it is told to stop, or a step fails."""

    def __init__(self, broker: Broker, kafka: KafkaSettings) -> None:
        super().__init__(daemon=True)
        self._broker = broker
        self._kafka = kafka
        self.published = 0
        self.failure: BusError | None = None
        self.stop = threading.Event()

    def run(self) -> None:
        asyncio.run(self._flow())

    async def _flow(self) -> None:
        bus = await KafkaBus.open(BusSettings(url=self._broker.url), self._kafka)
        try:
            async with bus.publisher("test") as publisher:
                while not self.stop.is_set():
                    await publisher.publish(article_records(range(self.published, self.published + 5)), {})
                    self.published += 5
        except BusError as error:
            self.failure = error
        finally:
            await bus.close()


def test_a_full_disk_ends_broker_and_services_and_nothing_is_lost_or_doubled_once_there_is_room(
    broker: Broker, small_disk: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    prefix = "full-"
    env = on_kafka(broker, prefix, tiny_bundle, partitions=2, session_timeout_s=3, deadline_s=5, stuck_after_s=20)
    made = riskwire("topics", "create", env=env)
    assert made.returncode == 0, made.stderr
    kafka = KafkaSettings(prefix=prefix, deadline_s=5)
    flow = Flow(broker, kafka)
    log = tmp_path / "infer.log"
    with running_service("infer", env, log) as infer:
        flow.start()
        wait_until(lambda: len(analysed_articles(broker, prefix)) >= 20, 90, infer.log_tail)
        filler = fill(small_disk)
        assert wait_for_exit(infer.process, 90) == 2
        last = infer.log_tail().splitlines()[-1]
        assert broker.url in last or "Kafka has not answered for" in last  # by what it was at when the disk was full
        flow.join(timeout=60)
        assert flow.failure is not None
        assert broker.wait_for_exit(60) != 0, "a broker without a disk to write to ends"
    filler.unlink()
    broker.start()
    with running_service("infer", env, log) as infer:
        # The step that failed is the only one of which the flow does not know whether it has happened.
        publish(broker, kafka, article_records(range(flow.published, flow.published + 10)))
        count = flow.published + 10
        wait_until(lambda: len(set(analysed_articles(broker, prefix))) >= count, 90, infer.log_tail)
    assert Counter(analysed_articles(broker, prefix)) == Counter(article(number).id for number in range(count))
