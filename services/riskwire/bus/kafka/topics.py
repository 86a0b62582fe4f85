"""The topics that riskwire needs on Kafka, derived from `pipeline.py`: creates them, and reports what differs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from riskwire.bus.kafka.cluster import PUBLISHERS, Cluster, as_bus_error, first_connection, parse_servers
from riskwire.bus.kafka.layout import LAYOUT, read_layout, write_layout
from riskwire.bus.kafka.log import Log
from riskwire.errors import BusError
from riskwire.pipeline import STAGES, TOPICS, Topic, TopicSpec
from riskwire.settings import BusSettings, KafkaSettings

Groups = Mapping[str, Topic]
"""The topic that each group reads. The changelog of a group has as many partitions as its topic."""
_GROUPS: Groups = {stage.name: stage.reads for stage in STAGES}

_COMPACTED = {
    "cleanup.policy": "compact",
    # Kafka never compacts the segment that it writes to, so small segments keep the restoring of a state short.
    "segment.bytes": str(32 << 20),
    "min.cleanable.dirty.ratio": "0.2",
}
_OPEN_S = 15.0


@dataclass(frozen=True, slots=True)
class RequiredTopic:
    """A topic that riskwire needs, by its name on Kafka."""

    name: str
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class ExistingTopic:
    """The size of a topic on Kafka."""

    partitions: int
    replication: int


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """How a topic differs from what riskwire needs."""

    topic: str
    text: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.text}"


def required_topics(settings: KafkaSettings, groups: Groups = _GROUPS) -> list[RequiredTopic]:
    """Returns every topic that riskwire needs: those of the pipeline, the changelogs, and the layout.

    A changelog holds the state of the tasks of one group. The layout topic records how many partitions are in use.

    Args:
        groups: the topic that each consumer group with state reads.
    """
    max_bytes = {"max.message.bytes": str(settings.max_record_bytes)}
    topics = {
        str(spec.topic): (spec.partitions(settings.partitions), max_bytes | _cleanup(spec)) for spec in TOPICS.values()
    }
    for group, topic in groups.items():
        topics[f"{group}-state"] = (TOPICS[topic].partitions(settings.partitions), max_bytes | _COMPACTED)
    topics[f"{PUBLISHERS}-state"] = (settings.partitions, max_bytes | _COMPACTED)
    topics[LAYOUT] = (1, {"cleanup.policy": "delete", "retention.ms": "-1"})
    return [RequiredTopic(settings.prefix + name, partitions, config) for name, (partitions, config) in topics.items()]


def _cleanup(spec: TopicSpec) -> dict[str, str]:
    """Returns Kafka's settings for how long the records of a topic are kept.

    With `retention`, records are deleted after that time. Else the topic is compacted: the newest record of each key
    stays, and replaced ones stay readable for `compaction_delay` at least.
    """
    if spec.retention is not None:
        return {"cleanup.policy": "delete", "retention.ms": _milliseconds(spec.retention)}
    if spec.compaction_delay:
        return _COMPACTED | {"min.compaction.lag.ms": _milliseconds(spec.compaction_delay)}
    return _COMPACTED


def _milliseconds(duration: timedelta) -> str:
    return str(duration // timedelta(milliseconds=1))


async def create_topics(bus: BusSettings, kafka: KafkaSettings, groups: Groups = _GROUPS) -> list[str]:
    """Creates missing topics, and records how many partitions of each topic are in use. Existing topics stay as is.

    A topic may have existed before its number was recorded. Its number is then the least of its partitions and those of
    its groups' changelogs: partitions that were added later are not in use.

    Returns:
        the names of the topics created.

    Raises:
        BusError: no broker answers, or a topic is refused.
    """
    async with _admin(bus, kafka) as (admin, cluster):
        existing = await _existing_topics(admin)
        missing = [required for required in required_topics(kafka, groups) if required.name not in existing]
        created = await _create(admin, cluster, missing) if missing else []
        existing = await _existing_topics(admin)
        layout = await _read_layout(cluster)
        new = {topic: n for topic, n in _least_partitions(cluster, existing, groups).items() if topic not in layout}
        if new:
            await write_layout(cluster, new)
        return created


async def _create(admin: Any, cluster: Cluster, missing: Sequence[RequiredTopic]) -> list[str]:
    """Creates the missing topics and waits until the broker lists them.

    A write needs 2 copies in sync, or 1 if topics have only 1.

    Returns:
        Kafka's names of the topics that this call created. A topic that another process creates meanwhile is no error.

    Raises:
        BusError: the broker refuses a topic.
    """
    replication = await _replication(admin, cluster.settings)
    min_replicas = {"min.insync.replicas": str(min(2, replication))}
    answer = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.config | min_replicas)
            for topic in missing
        ]
    )
    created: list[str] = []
    for name, code, *message in answer.topic_errors:
        error = for_code(code)
        if code == 0:
            created.append(name)
        elif error is not TopicAlreadyExistsError:  # a concurrent `riskwire topics create` is no error
            raise BusError(
                f"topic {name} cannot be created: {error.__name__}",
                value=message[0] if message and message[0] else None,
                where=cluster.url,
            )
    await _wait_until_listed(admin, {topic.name for topic in missing})
    return created


def _least_partitions(cluster: Cluster, existing: Mapping[str, ExistingTopic], groups: Groups) -> dict[str, int]:
    """Returns, for each topic, the smaller of its partition count and those of the changelogs of groups that read it.

    A changelog holds the state of one group's tasks, in as many partitions as the topic had when it was created. So a
    smaller changelog shows that the topic grew afterwards, and the smaller count is the number in use. Names have no
    prefix in the result. The changelog of all publishers is added under its own name.

    Args:
        existing: every topic in Kafka, by Kafka's names (with the prefix).
        groups: the topic that each consumer group with state reads.
    """
    least = {str(topic): existing[cluster.name(topic)].partitions for topic in TOPICS}
    for group, topic in groups.items():
        least[topic] = min(least[topic], existing[cluster.changelog(group)].partitions)
    return least | {f"{PUBLISHERS}-state": existing[cluster.changelog(PUBLISHERS)].partitions}


async def _read_layout(cluster: Cluster) -> dict[str, int]:
    """Returns the recorded number of partitions in use of each topic, by riskwire's names (without prefix)."""
    log = Log(cluster)
    try:
        await log.open(cluster.settings.deadline_s)
        return await read_layout(cluster, log)
    finally:
        await log.close()


async def topic_differences(bus: BusSettings, kafka: KafkaSettings, groups: Groups = _GROUPS) -> list[TopicDifference]:
    """Returns how the topics differ from what riskwire needs: missing ones, partitions, replication, configuration.

    Partitions are compared with the recorded number in use (the layout), or with the settings if none is recorded.

    Raises:
        BusError: no broker answers, or the topics cannot be read.
    """
    async with _admin(bus, kafka) as (admin, cluster):
        existing = await _existing_topics(admin)
        in_use = await _partitions_in_use(cluster, groups) if cluster.name(LAYOUT) in existing else {}
        replication = await _replication(admin, kafka)
        topics = required_topics(kafka, groups)
        configs = await _configs(admin, [required.name for required in topics if required.name in existing])
        differences: list[TopicDifference] = []
        for required in topics:
            if required.name not in existing:
                differences.append(TopicDifference(required.name, "is missing"))
                continue
            count = in_use.get(required.name)
            if count is None:
                if cluster.name(LAYOUT) in existing and required.name != cluster.name(LAYOUT):
                    text = "it is not recorded how many partitions are in use"
                    differences.append(TopicDifference(required.name, text))
                count = required.partitions
            topic = existing[required.name]
            differences += [
                TopicDifference(required.name, text)
                for text in _differences(required, topic, count, replication, configs[required.name])
            ]
        return differences


async def _partitions_in_use(cluster: Cluster, groups: Groups) -> dict[str, int]:
    """Returns how many partitions of each topic are in use, by Kafka's names (with the prefix).

    A changelog, which holds the state of a group's tasks, has the number of the topic that the group reads.
    """
    layout = await _read_layout(cluster)
    in_use = {cluster.name(topic): count for topic, count in layout.items()}
    for group, topic in groups.items():
        if topic in layout:
            in_use[cluster.changelog(group)] = layout[topic]
    return in_use


def _differences(
    required: RequiredTopic, existing: ExistingTopic, in_use: int, replication: int, config: dict[str, str]
) -> list[str]:
    """Returns a text for each difference between a topic in Kafka and what riskwire needs.

    Args:
        in_use: the recorded number of partitions in use.
        replication: the wanted number of copies.
        config: the topic's settings in Kafka, by Kafka's keys.
    """
    texts = []
    if existing.partitions > in_use:
        texts.append(
            f"has {existing.partitions} partitions, of which {in_use} are in use; "
            "the others are neither written nor read"
        )
    elif existing.partitions < in_use:
        texts.append(f"has {existing.partitions} partitions, and {in_use} are in use")
    if in_use != required.partitions:
        texts.append(
            f"{in_use} partitions are in use, not {required.partitions}: "
            "kafka.partitions only applies when topics are created"
        )
    if existing.replication != replication:
        texts.append(f"has {existing.replication} copies, not {replication}")
    texts += [
        f"{key} is {config.get(key)}, not {value}"
        for key, value in sorted(required.config.items())
        if config.get(key) != value
    ]
    return texts


@asynccontextmanager
async def _admin(bus: BusSettings, kafka: KafkaSettings) -> AsyncIterator[tuple[Any, Cluster]]:
    """Yields a connected Kafka admin client and the cluster. The body must finish within `kafka.deadline_s`.

    Raises:
        SettingsError: `bus.url` is no address of a Kafka cluster, or the security settings are not valid.
        BusError: no broker answers, a request of the body fails, or the body takes too long.
    """
    parse_servers(bus.url)
    cluster = Cluster(bus.url, kafka)
    admin = AIOKafkaAdminClient(**cluster.client_options())
    try:
        with first_connection(cluster.url):
            async with asyncio.timeout(min(_OPEN_S, kafka.deadline_s)):
                await admin.start()
        with as_bus_error("the topics cannot be read or created", cluster.url):
            async with asyncio.timeout(kafka.deadline_s):
                yield admin, cluster
    finally:
        await admin.close()


async def _existing_topics(admin: Any) -> dict[str, ExistingTopic]:
    """Returns the number of partitions and the least number of copies of each topic, by Kafka's names."""
    return {
        topic["topic"]: ExistingTopic(
            len(topic["partitions"]),
            min((len(partition["replicas"]) for partition in topic["partitions"]), default=0),
        )
        for topic in await admin.describe_topics()
    }


async def _replication(admin: Any, kafka: KafkaSettings) -> int:
    """Returns the wanted number of copies of a topic: the setting, or the number of brokers, at most 3."""
    if kafka.replication is not None:
        return kafka.replication
    return min(3, len((await admin.describe_cluster())["brokers"]))


async def _configs(admin: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Returns the settings of topics, by Kafka's topic names and keys.

    Raises:
        BusError: the broker refuses to tell the settings of a topic.
    """
    if not names:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    configs: dict[str, dict[str, str]] = {}
    for answer in answers:
        for code, message, _, name, entries in answer.resources:
            if code:
                raise BusError(f"the configuration of {name} cannot be read", value=message or code)
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs


async def _wait_until_listed(admin: Any, names: set[str]) -> None:
    """Waits until the broker that answers lists the topics with partitions; it learns of new topics with a delay.

    Has no deadline.
    """
    while True:
        existing = await _existing_topics(admin)
        if names <= {name for name, topic in existing.items() if topic.partitions}:
            return
        await asyncio.sleep(0.05)
