"""Run as a process by test_kafka_kill.py: copies articles to analyses through the real loop, counting in its state.

Arguments: the bus's URL and prefix. Runs until it is killed; joins anew where it was fenced.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence

from riskwire.bus import Message, Outgoing
from riskwire.bus.kafka import KafkaBus
from riskwire.schemas import Topic
from riskwire.settings import BusSettings, KafkaSettings
from riskwire.stage import Step, Task, run_stage


class Copy:
    name = "copy"
    topic = Topic.ARTICLES

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        return CopyTask(partition, int(state.get("count", b"0")))


class CopyTask:
    def __init__(self, partition: int, count: int) -> None:
        self.partition = partition
        self.count = count

    async def process(self, batch: Sequence[Message]) -> Step:
        self.count += len(batch)
        results = [Outgoing(Topic.ANALYSES, None, message.value, self.partition) for message in batch]
        return Step(results, {"count": b"%d" % self.count})


async def main(url: str, prefix: str) -> None:
    kafka = KafkaSettings(prefix=prefix, session_timeout_s=1.5, deadline_s=10)
    bus = await KafkaBus.open(BusSettings(url=url), kafka)
    await run_stage(bus, Copy(), batch=16)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
