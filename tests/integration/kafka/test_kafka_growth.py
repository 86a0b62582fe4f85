"""Topics with more partitions than are in use: records stay on the partitions in use, and `topics check` reports it."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from broker import Broker
from cli import riskwire
from confluent_kafka.admin import AdminClient, NewPartitions
from kafka_reader import committed_records
from services_on_kafka import (
    analysed_articles,
    article,
    article_records,
    on_kafka,
    publish,
    running_service,
    tick_records,
    wait_until,
)

from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics, topic_differences
from riskwire.errors import BusError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = pytest.mark.needs_kafka

_NUMBERS = itertools.count()
IN_USE = 2


@pytest.fixture
def prefix() -> str:
    return f"growth{next(_NUMBERS)}-"


def grow(broker: Broker, counts: dict[str, int]) -> None:
    """Adds partitions, as an operator or another tool does.

    Args:
        counts: the new number of partitions, by topic.
    """
    admin = AdminClient(broker.client)
    for future in admin.create_partitions([NewPartitions(name, count) for name, count in counts.items()]).values():
        future.result(timeout=30)


def topics_with_prefix(broker: Broker, prefix: str) -> list[str]:
    return [name for name in AdminClient(broker.client).list_topics(timeout=30).topics if name.startswith(prefix)]


def delete(broker: Broker, names: list[str]) -> None:
    """Deletes topics, and waits until the broker does not list them any more."""
    admin = AdminClient(broker.client)
    for future in admin.delete_topics(names).values():
        future.result(timeout=30)
    wait_until(lambda: not set(names) & set(admin.list_topics(timeout=30).topics))


@pytest.mark.slow
def test_partitions_added_under_running_workers_stay_unused_also_after_a_restart(
    kafka_broker: Broker, tiny_bundle: Path, tmp_path: Path, prefix: str
) -> None:
    """All topics grow from two partitions to five while infer runs; two more infer services start afterwards.

    Each article is still analysed once although it is published again, no record is on an added partition, and the
    signals of a target stay on one partition. Services and `topics check` warn of the unused partitions.
    """
    env = on_kafka(kafka_broker, prefix, tiny_bundle, partitions=IN_USE, session_timeout_s=3)
    assert riskwire("topics", "create", env=env).returncode == 0
    kafka = KafkaSettings(prefix=prefix)
    log = tmp_path / "infer.log"

    def wait_for_analyses(count: int) -> None:
        wait_until(lambda: len(set(analysed_articles(kafka_broker, prefix))) >= count)

    publish(kafka_broker, kafka, article_records(range(30)))
    with running_service("infer", env, log):
        wait_for_analyses(30)
        grow(kafka_broker, {name: 5 for name in topics_with_prefix(kafka_broker, prefix)})
        publish(
            kafka_broker,
            kafka,
            [*article_records(range(30)), *article_records(range(30, 50)), *tick_records(50, IN_USE)],
        )
        wait_for_analyses(50)
        with running_service("infer", env, log) as second:  # a second member causes a rebalance over all partitions
            second.wait_until_ready()
            publish(kafka_broker, kafka, article_records(range(70)))
            wait_for_analyses(70)
    with running_service("infer", env, log) as restarted:
        publish(kafka_broker, kafka, article_records(range(80)))
        wait_for_analyses(80)
        restarted.wait_until_ready()
    assert Counter(analysed_articles(kafka_broker, prefix)) == Counter(article(number).id for number in range(80))
    partitions = defaultdict(set)
    for topic in Topic:
        for record in committed_records(kafka_broker.client, prefix + topic):
            assert record.partition < IN_USE, topic
            if topic == Topic.SIGNALS and record.key is not None:
                partitions[record.key].add(record.partition)
    assert partitions
    assert {len(owners) for owners in partitions.values()} == {1}, "a target stays on the partition of its baseline"
    entries = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    warnings = [entry for entry in entries if "neither written nor read" in entry.get("event", "")]
    assert len(warnings) == 2, "one from each service that started after the growth"
    assert warnings[0][f"{prefix}articles"] == "5 partitions, 2 in use"
    check = riskwire("topics", "check", env=env)
    assert check.returncode == 1
    assert (
        f"{prefix}articles: has 5 partitions, of which 2 are in use; the others are neither written nor read"
        in check.stderr.splitlines()
    )


async def test_kafka_partitions_has_no_effect_after_the_topics_were_created_and_check_reports_it(
    kafka_broker: Broker, prefix: str
) -> None:
    """The topics are created with two partitions, and later the setting is four. `commands` always has one."""
    settings = BusSettings(url=kafka_broker.url)
    await create_topics(settings, KafkaSettings(prefix=prefix, partitions=2))
    later = KafkaSettings(prefix=prefix, partitions=4)
    assert await create_topics(settings, later) == []
    bus = await KafkaBus.open(settings, later)
    try:
        assert {topic: bus.partitions(topic) for topic in (Topic.ARTICLES, Topic.COMMANDS)} == {
            Topic.ARTICLES: 2,
            Topic.COMMANDS: 1,
        }
    finally:
        await bus.close()
    differences = [str(difference) for difference in await topic_differences(settings, later)]
    expected = "2 partitions are in use, not 4: kafka.partitions only applies when topics are created"
    assert f"{prefix}articles: {expected}" in differences


def test_topics_create_adds_the_topics_that_a_newer_version_needs(kafka_broker: Broker, prefix: str) -> None:
    """An older version had no changelogs of watchlist and history, and no `layout`.

    `layout` holds the number of partitions in use, here two. Without it `create` finds the number from all topics,
    although an operator has added partitions to one.
    """
    env = on_kafka(kafka_broker, prefix, partitions=IN_USE)
    assert riskwire("topics", "create", env=env).returncode == 0
    new = [f"{prefix}history-state", f"{prefix}layout", f"{prefix}watchlist-state"]
    delete(kafka_broker, new)
    grow(kafka_broker, {f"{prefix}articles": 6})  # before the number of partitions in use was recorded
    refused = riskwire("infer", "--port", 0, env=env)
    assert refused.returncode == 2
    assert f"topics are missing: {prefix}layout. `riskwire topics create` creates what is missing" in refused.stderr
    check = riskwire("topics", "check", env=env)
    assert check.returncode == 1
    assert {f"{name}: is missing" for name in new} <= set(check.stderr.splitlines())
    created = riskwire("topics", "create", env=env)
    assert sorted(created.stdout.splitlines()) == [f"created {name}" for name in new]
    assert f"{prefix}articles: has 6 partitions, of which 2 are in use" in created.stderr


async def test_joining_a_group_without_its_changelog_raises_an_error_that_names_the_command(
    kafka_broker: Broker, prefix: str
) -> None:
    """The changelog is the topic of a group's state."""
    settings, kafka = BusSettings(url=kafka_broker.url), KafkaSettings(prefix=prefix, partitions=1)
    await create_topics(settings, kafka)
    delete(kafka_broker, [f"{prefix}history-state"])
    bus = await KafkaBus.open(settings, kafka)
    try:
        with pytest.raises(BusError, match=r"history-state has 0 partitions.*`riskwire topics create`"):
            await anext(bus.assignments("history", Topic.COMMANDS))
    finally:
        await bus.close()


async def test_a_topic_with_fewer_partitions_than_are_in_use_is_refused(kafka_broker: Broker, prefix: str) -> None:
    """Three are in use. One topic is deleted and created again with two."""
    settings, kafka = BusSettings(url=kafka_broker.url), KafkaSettings(prefix=prefix, partitions=3)
    await create_topics(settings, kafka)
    delete(kafka_broker, [f"{prefix}signals"])
    await create_topics(settings, KafkaSettings(prefix=prefix, partitions=2))
    with pytest.raises(BusError, match="signals has 2 partitions, and 3 are in use"):
        await KafkaBus.open(settings, kafka)
