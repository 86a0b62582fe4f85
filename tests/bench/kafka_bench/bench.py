"""The broker of a benchmark, fresh topics for each row, and alternating rounds of both sides."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from broker import Broker

from kafka_bench.bare import Bare, Ready, Run
from riskwire.app.garbage_collection import settle_garbage_collector
from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.bus.protocol import partition_of
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: the rounds of both sides, and the number of records for one article."""

    name: str
    ours: Sequence[Run]
    bare: Sequence[Run]
    records_an_article: float = 1.0

    def cells(self) -> tuple[str, ...]:
        """Returns the cells of the row in the table: medians of riskwire and of the bare loop, beside their ratio.

        First come the name and the articles per second, then the microseconds of CPU time per article.
        """
        rates, costs = [], []
        for runs in (self.ours, self.bare):
            rates.append(statistics.median(run.records / run.seconds for run in runs) / self.records_an_article)
            costs.append(statistics.median(run.worked / run.records for run in runs) * 1e6 * self.records_an_article)
        return (
            self.name,
            *(f"{rate:,.0f}" for rate in rates),
            f"{rates[0] / rates[1]:.2f}",
            *(f"{cost:,.0f}" for cost in costs),
            f"{costs[1] / costs[0]:.2f}",
        )


class Bench:
    """A broker, and the options of the command line."""

    def __init__(self, broker: Broker, options: argparse.Namespace) -> None:
        self.broker = broker
        self.options = options

    def wants(self, name: str) -> bool:
        """Returns whether the options select a row."""
        return not self.options.only or name in self.options.only.split(",")

    @asynccontextmanager
    async def bus(self, prefix: str, groups: dict[str, Topic], partitions: int) -> AsyncIterator[KafkaBus]:
        """Opens a bus whose topics have this prefix, and creates them.

        Args:
            groups: the consumer groups that will run, with the topic that each reads; each gets a changelog topic.
        """
        settings = BusSettings(url=self.broker.url, backlog=100_000_000)
        kafka = KafkaSettings(prefix=prefix, partitions=partitions)
        await create_topics(settings, kafka, groups)
        bus = await KafkaBus.open(settings, kafka)
        try:
            yield bus
        finally:
            await bus.close()

    def bare(self, topic: str, partitions: int, name: str) -> Bare:
        """Returns a bare loop on a topic."""
        return Bare(self.broker.servers, topic, partitions, name, self.options.batch)

    async def alternate(
        self, ours: Callable[[int], Awaitable[Run]], bare: Callable[[int], Awaitable[Run]]
    ) -> tuple[list[Run], list[Run]]:
        """Runs rounds of both sides alternately; the first round of each warms up and is dropped.

        Args:
            ours: runs a round of riskwire, given its number from 0; `bare` one of the bare loop.

        Returns:
            the measurements of the rounds of both sides, `--rounds` of each.
        """
        settle_garbage_collector()  # as a service does at start; both sides profit
        of_ours, of_bare = [], []
        for number in range(self.options.rounds + 1):
            of_ours.append(await ours(number))
            of_bare.append(await bare(number))
        return of_ours[1:], of_bare[1:]

    def bytes_of(self, topic: str) -> int:
        """Returns the bytes of a topic's records on the broker's disk; the name may be a pattern for several topics."""
        segments = (self.broker.folder / "data").glob(f"{topic}-[0-9]*/*.log")
        return sum(segment.stat().st_size for segment in segments)


async def publish(bus: KafkaBus, records: Sequence[Outgoing]) -> None:
    """Publishes records in steps of 2,000."""
    async with bus.publisher("bench") as publisher:
        for start in range(0, len(records), 2_000):
            await publisher.publish(records[start : start + 2_000], {})


def as_sent(results: Sequence[Outgoing], prefix: str, bus: KafkaBus) -> list[Ready]:
    """Returns results as (topic, partition, key, value), in which the bare loop sends them.

    Args:
        prefix: put before the topics. A result without a partition gets what riskwire chooses for its key.
    """
    return [
        (
            prefix + str(result.topic),
            result.partition
            if result.partition is not None
            else partition_of(str(result.key), bus.partitions(result.topic)),
            None if result.key is None else result.key.encode(),
            result.value,
        )
        for result in results
    ]
