"""The topics that riskwire needs on Kafka: what RECORDS.md says of each, making them, and telling what differs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from riskwire.bus.kafka.cluster import PUBLISHERS, Cluster, as_bus_error, connecting, servers_of
from riskwire.bus.kafka.layout import LAYOUT, pin, read_layout
from riskwire.bus.kafka.log import Log
from riskwire.errors import BusError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

GROUPS: dict[str, Topic] = {
    "ingest": Topic.FEEDS,
    "infer": Topic.ARTICLES,
    "alert": Topic.SIGNALS,
    "notify": Topic.ALERTS,
    "watchlist": Topic.COMMANDS,
    "history": Topic.COMMANDS,
    **{
        f"sink-{topic}": topic
        for topic in (
            Topic.ANALYSES,
            Topic.SIGNALS,
            Topic.TRENDS,
            Topic.ALERTS,
            Topic.COMMANDS,
            Topic.DEAD_LETTERS,
        )
    },
}
"""Every group, and what it reads: its changelog has as many partitions."""

_DAY_MS = 24 * 3_600_000
_KEPT_DAYS = {
    Topic.ARTICLES: 7,
    Topic.ANALYSES: 7,
    Topic.SIGNALS: 7,
    Topic.TRENDS: 30,
    Topic.ALERTS: 30,
    Topic.DEAD_LETTERS: 30,
}
_ONE_PARTITION = (Topic.COMMANDS, Topic.DEAD_LETTERS)
_COMPACTED = {
    "cleanup.policy": "compact",
    # What is written to now is never compacted: small segments keep restoring a matter of seconds.
    "segment.bytes": str(32 << 20),
    "min.cleanable.dirty.ratio": "0.2",
}
_READ_FIRST = {"min.compaction.lag.ms": str(7 * _DAY_MS)}
"""Of two decisions on one thing the older is kept for a week all the same: the sink has read it by then, for audit."""
_OPEN_S = 15.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be; None for `replication` leaves it to how many brokers there are."""

    name: str
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not as it should be."""

    topic: str
    what: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.what}"


def wanted_topics(settings: KafkaSettings, groups: dict[str, Topic] | None = None) -> list[Wanted]:
    """Every topic that riskwire needs, as Kafka knows it."""
    count = {topic: 1 if topic in _ONE_PARTITION else settings.partitions for topic in Topic}
    most = {"max.message.bytes": str(settings.max_record_bytes)}
    wanted = [
        Wanted(
            settings.prefix + topic,
            count[topic],
            most
            | (
                {"cleanup.policy": "delete", "retention.ms": str(_KEPT_DAYS[topic] * _DAY_MS)}
                if topic in _KEPT_DAYS
                else _COMPACTED | (_READ_FIRST if topic is Topic.COMMANDS else {})
            ),
        )
        for topic in Topic
    ]
    for group, topic in (GROUPS if groups is None else groups).items():
        wanted.append(Wanted(f"{settings.prefix}{group}-state", count[topic], most | _COMPACTED))
    wanted.append(Wanted(f"{settings.prefix}{PUBLISHERS}-state", settings.partitions, most | _COMPACTED))
    wanted.append(Wanted(f"{settings.prefix}{LAYOUT}", 1, {"cleanup.policy": "delete", "retention.ms": "-1"}))
    return wanted


async def create_topics(bus: BusSettings, kafka: KafkaSettings, groups: dict[str, Topic] | None = None) -> list[str]:
    """Make what is missing, and write down how many partitions are in use; what is there is left as it is.

    Of a topic that was there and is not written down yet, that is the least of its own and its groups' changelogs'
    partitions: what has grown since is not in use.

    Returns:
        the names of the topics made.

    Raises:
        BusError: no broker answers, or it refuses a topic.
    """
    async with _admin(bus, kafka) as (admin, cluster):
        there = await _listed(admin)
        missing = [wanted for wanted in wanted_topics(kafka, groups) if wanted.name not in there]
        made = await _make(admin, cluster, missing) if missing else []
        there = await _listed(admin)
        pinned = await _pinned(cluster)
        new = {topic: n for topic, n in _least(cluster, there, groups).items() if topic not in pinned}
        if new:
            await pin(cluster, new)
        return made


async def _make(admin: Any, cluster: Cluster, missing: Sequence[Wanted]) -> list[str]:
    copies = await _copies(admin, cluster.settings)
    config = {"min.insync.replicas": str(min(2, copies))}
    answer = await admin.create_topics(
        [NewTopic(one.name, one.partitions, copies, topic_configs=one.config | config) for one in missing]
    )
    made: list[str] = []
    for name, code, *message in answer.topic_errors:
        error = for_code(code)
        if code == 0:
            made.append(name)
        elif error is not TopicAlreadyExistsError:  # another `create` beside this one
            raise BusError(
                f"topic {name} cannot be made: {error.__name__}",
                value=message[0] if message and message[0] else None,
                where=cluster.url,
            )
    await _until_there(admin, {one.name for one in missing})
    return made


def _least(cluster: Cluster, there: Mapping[str, tuple[int, int]], groups: dict[str, Topic] | None) -> dict[str, int]:
    """By topic: the least of its own and its groups' changelogs' partitions."""
    found = {str(topic): there[cluster.name(topic)][0] for topic in Topic}
    for group, topic in (GROUPS if groups is None else groups).items():
        found[topic] = min(found[topic], there[cluster.state_of(group)][0])
    return found | {f"{PUBLISHERS}-state": there[cluster.state_of(PUBLISHERS)][0]}


async def _pinned(cluster: Cluster) -> dict[str, int]:
    log = Log(cluster)
    try:
        await log.open(cluster.settings.deadline_s)
        return await read_layout(cluster, log)
    finally:
        await log.close()


async def topic_differences(
    bus: BusSettings, kafka: KafkaSettings, groups: dict[str, Topic] | None = None
) -> list[Difference]:
    """What differs from what riskwire needs: missing topics, partitions, copies, cleanup, retention, sizes.

    Raises:
        BusError: no broker answers, or it does not let us look.
    """
    async with _admin(bus, kafka) as (admin, cluster):
        there = await _listed(admin)
        used = await _used(cluster, groups) if cluster.name(LAYOUT) in there else {}
        copies = await _copies(admin, kafka)
        every = wanted_topics(kafka, groups)
        present = [one for one in every if one.name in there]
        configs = await _configs(admin, [one.name for one in present])
        found: list[Difference] = []
        for one in every:
            if one.name not in there:
                found.append(Difference(one.name, "is missing"))
                continue
            partitions, replication = there[one.name]
            if one.name in used or cluster.name(LAYOUT) not in there or one.name == cluster.name(LAYOUT):
                count = used.get(one.name, one.partitions)
            else:
                found.append(Difference(one.name, "how many partitions are in use is not written down"))
                count = one.partitions
            found += _differences(one, partitions, count, replication, copies, configs[one.name])
        return found


async def _used(cluster: Cluster, groups: dict[str, Topic] | None) -> dict[str, int]:
    """By topic, as Kafka knows it: how many partitions are in use; a changelog's are its topic's."""
    pinned = await _pinned(cluster)
    used = {cluster.name(topic): count for topic, count in pinned.items()}
    for group, topic in (GROUPS if groups is None else groups).items():
        if topic in pinned:
            used[cluster.state_of(group)] = pinned[topic]
    return used


def _differences(
    wanted: Wanted, partitions: int, used: int, replication: int, copies: int, config: dict[str, str]
) -> list[Difference]:
    found = []
    if partitions > used:
        found.append(
            Difference(
                wanted.name,
                f"has {partitions} partitions, of which {used} are in use; the others are neither written nor read",
            )
        )
    elif partitions < used:
        found.append(Difference(wanted.name, f"has {partitions} partitions, and {used} are in use"))
    if used != wanted.partitions:
        found.append(
            Difference(
                wanted.name,
                f"{used} partitions are in use, not {wanted.partitions}: kafka.partitions counts when topics are made",
            )
        )
    if replication != copies:
        found.append(Difference(wanted.name, f"has {replication} copies, not {copies}"))
    for key, value in sorted(wanted.config.items()):
        if config.get(key) != value:
            found.append(Difference(wanted.name, f"{key} is {config.get(key)}, not {value}"))
    return found


@asynccontextmanager
async def _admin(bus: BusSettings, kafka: KafkaSettings) -> AsyncIterator[tuple[Any, Cluster]]:
    servers_of(bus.url)
    cluster = Cluster(bus.url, kafka)
    admin = AIOKafkaAdminClient(**cluster.client())
    try:
        with connecting(cluster.url):
            async with asyncio.timeout(min(_OPEN_S, kafka.deadline_s)):
                await admin.start()
        with as_bus_error("the topics cannot be looked at or made", cluster.url):
            async with asyncio.timeout(kafka.deadline_s):
                yield admin, cluster
    finally:
        await admin.close()


async def _listed(admin: Any) -> dict[str, tuple[int, int]]:
    """Partitions and copies of every topic."""
    return {
        topic["topic"]: (len(topic["partitions"]), min((len(p["replicas"]) for p in topic["partitions"]), default=0))
        for topic in await admin.describe_topics()
    }


async def _copies(admin: Any, kafka: KafkaSettings) -> int:
    if kafka.replication is not None:
        return kafka.replication
    return min(3, len((await admin.describe_cluster())["brokers"]))


async def _configs(admin: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    found: dict[str, dict[str, str]] = {}
    for answer in answers:
        for code, message, _, name, entries in answer.resources:
            if code:
                raise BusError(f"the configuration of {name} cannot be read", value=message or code)
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _until_there(admin: Any, names: set[str]) -> None:
    """Wait until the broker that answers knows the topics: they are made before they are told."""
    while True:
        if names <= {name for name, (partitions, _) in (await _listed(admin)).items() if partitions}:
            return
        await asyncio.sleep(0.05)
