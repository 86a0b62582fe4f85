"""The broker of a benchmark, topics of its own for each row, and rounds of both sides in turns."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from broker import Broker
from kafka_bare import Bare, Ready, Run

from riskwire.app.collector import settle
from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.bus.protocol import partition_of
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: rounds of both sides, and how many records one article is to them."""

    name: str
    ours: Sequence[Run]
    bare: Sequence[Run]
    records_an_article: float = 1.0

    def cells(self) -> tuple[str, ...]:
        """Name; articles a second, ratio; microseconds of processor an article, ratio."""
        rates, works = [], []
        for runs in (self.ours, self.bare):
            rates.append(statistics.median(run.records / run.seconds for run in runs) / self.records_an_article)
            works.append(statistics.median(run.worked / run.records for run in runs) * 1e6 * self.records_an_article)
        return (
            self.name,
            *(f"{rate:,.0f}" for rate in rates),
            f"{rates[0] / rates[1]:.2f}",
            *(f"{work:,.0f}" for work in works),
            f"{works[1] / works[0]:.2f}",
        )


class Bench:
    """A broker, and what was asked for."""

    def __init__(self, broker: Broker, asked: argparse.Namespace) -> None:
        self.broker = broker
        self.asked = asked

    def wants(self, name: str) -> bool:
        """Whether a row was asked for."""
        return not self.asked.only or name in self.asked.only.split(",")

    @asynccontextmanager
    async def bus(self, prefix: str, groups: dict[str, Topic], partitions: int) -> AsyncIterator[KafkaBus]:
        """An open bus with topics of its own."""
        settings = BusSettings(url=self.broker.url, backlog=100_000_000)
        kafka = KafkaSettings(prefix=prefix, partitions=partitions)
        await create_topics(settings, kafka, groups)
        bus = await KafkaBus.open(settings, kafka)
        try:
            yield bus
        finally:
            await bus.close()

    def bare(self, topic: str, partitions: int, name: str) -> Bare:
        """A bare loop on a topic."""
        return Bare(self.broker.servers, topic, partitions, name, self.asked.batch)

    async def in_turns(
        self, ours: Callable[[int], Awaitable[Run]], bare: Callable[[int], Awaitable[Run]]
    ) -> tuple[list[Run], list[Run]]:
        """Rounds of both, in turns; a first of each warms up."""
        settle()  # as a service does; for both sides
        of_ours, of_bare = [], []
        for number in range(self.asked.rounds + 1):
            of_ours.append(await ours(number))
            of_bare.append(await bare(number))
        return of_ours[1:], of_bare[1:]

    def bytes_of(self, topic: str) -> int:
        """Bytes of a topic on the broker's disk."""
        segments = (self.broker.folder / "data").glob(f"{topic}-[0-9]*/*.log")
        return sum(segment.stat().st_size for segment in segments)


async def publish(bus: KafkaBus, records: Sequence[Outgoing]) -> None:
    """Put records on the bus."""
    async with bus.publisher("bench") as publisher:
        for start in range(0, len(records), 2_000):
            await publisher.publish(records[start : start + 2_000], {})


def as_sent(results: Sequence[Outgoing], prefix: str, bus: KafkaBus) -> list[Ready]:
    """Results as the bare loop sends them."""
    return [
        (
            prefix + str(one.topic),
            one.partition if one.partition is not None else partition_of(str(one.key), bus.partitions(one.topic)),
            None if one.key is None else one.key.encode(),
            one.value,
        )
        for one in results
    ]
