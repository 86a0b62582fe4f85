"""A broker with a full disk exits, and so do the services. Nothing is lost or doubled when there is space again.

Not marked `needs_kafka`: only root can mount a small disk, so the test may be skipped even if Kafka is required.
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
from services_on_kafka import (
    analysed_articles,
    article,
    article_records,
    on_kafka_with_topics,
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
    """The path of a mounted file system that is so small that a broker fills it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount the tmpfs of a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"the tmpfs of a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def broker(kafka_here: None, small_disk: Path) -> Iterator[Broker]:
    """A broker on the small disk."""
    broker = Broker(small_disk / "kafka", {"log.segment.bytes": "4194304", "log.index.size.max.bytes": "65536"})
    broker.log = small_disk.parent / "broker.log"
    with broker.running():
        yield broker


def fill_disk(folder: Path) -> Path:
    """Fills the disk to the last byte. Returns the file that does so; deleting it makes space again."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4_096))
        except OSError:
            return filler


class ArticleFlow(threading.Thread):
    """Publishes articles in small steps until `stop` is set or a step fails."""

    def __init__(self, broker: Broker, kafka: KafkaSettings) -> None:
        """Prepares the thread, which `start` runs. `failure` will hold the error that ended it, if there was one."""
        super().__init__(daemon=True)
        self._broker = broker
        self._kafka = kafka
        self.published = 0
        self.failure: BusError | None = None
        self.stop = threading.Event()

    def run(self) -> None:
        asyncio.run(self._publish())

    async def _publish(self) -> None:
        """Publishes articles 0, 1, 2, … in steps of five. A step that fails is not counted, and ends the flow."""
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


def test_nothing_is_lost_or_doubled_after_a_full_disk_made_broker_and_services_exit(
    broker: Broker, small_disk: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    """Articles flow through infer until the disk is full. Then infer exits with 2, the flow fails and the broker exits.

    After the disk was freed and both were started again, each article has exactly one analysis.
    """
    prefix = "full-"
    env = on_kafka_with_topics(
        broker, prefix, tiny_bundle, partitions=2, session_timeout_s=3, deadline_s=5, stuck_after_s=20
    )
    kafka = KafkaSettings(prefix=prefix, deadline_s=5)
    flow = ArticleFlow(broker, kafka)
    log = tmp_path / "infer.log"
    with running_service("infer", env, log) as infer:
        flow.start()
        wait_until(lambda: len(analysed_articles(broker, prefix)) >= 20, 90, infer.log_tail)
        filler = fill_disk(small_disk)
        assert wait_for_exit(infer.process, 90) == 2
        reason = infer.log_tail().splitlines()[-1]
        # Which of the two depends on what the service was doing when the disk was full.
        assert broker.url in reason or "Kafka has not answered for" in reason
        flow.join(timeout=60)
        assert flow.failure is not None
        assert broker.wait_for_exit(60) != 0, "a broker exits if it cannot write"
    filler.unlink()
    broker.start()
    with running_service("infer", env, log) as infer:
        # The flow does not know whether its failed step happened, so the same articles are published again.
        publish(broker, kafka, article_records(range(flow.published, flow.published + 10)))
        count = flow.published + 10
        wait_until(lambda: len(set(analysed_articles(broker, prefix))) >= count, 90, infer.log_tail)
    assert Counter(analysed_articles(broker, prefix)) == Counter(article(number).id for number in range(count))
