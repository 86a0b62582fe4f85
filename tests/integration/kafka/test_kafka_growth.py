"""Topics that grow under running services, and clusters of an earlier version: nothing moves, and it is said."""

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
    """As an operator or another tool does."""
    admin = AdminClient(broker.client)
    for done in admin.create_partitions([NewPartitions(name, count) for name, count in counts.items()]).values():
        done.result(timeout=30)


def every_topic(broker: Broker, prefix: str) -> list[str]:
    return [name for name in AdminClient(broker.client).list_topics(timeout=30).topics if name.startswith(prefix)]


def remove(broker: Broker, names: list[str]) -> None:
    """And wait until the broker knows them no more."""
    admin = AdminClient(broker.client)
    for done in admin.delete_topics(names).values():
        done.result(timeout=30)
    wait_until(lambda: not set(names) & set(admin.list_topics(timeout=30).topics))


@pytest.mark.slow
def test_growth_under_running_workers_and_over_restarts_changes_nothing(
    kafka_broker: Broker, tiny_bundle: Path, tmp_path: Path, prefix: str
) -> None:
    env = on_kafka(kafka_broker, prefix, tiny_bundle, partitions=IN_USE, session_timeout_s=3)
    assert riskwire("topics", "create", env=env).returncode == 0
    kafka = KafkaSettings(prefix=prefix)
    log = tmp_path / "infer.log"

    def read(count: int) -> None:
        wait_until(lambda: len(set(analysed_articles(kafka_broker, prefix))) >= count)

    publish(kafka_broker, kafka, article_records(range(30)))
    with running_service("infer", env, log):
        read(30)
        grow(kafka_broker, {name: 5 for name in every_topic(kafka_broker, prefix)})
        publish(
            kafka_broker,
            kafka,
            [*article_records(range(30)), *article_records(range(30, 50)), *tick_records(50, IN_USE)],
        )
        read(50)
        with running_service("infer", env, log) as other:  # which makes the group share out all there is
            other.wait_until_ready()
            publish(kafka_broker, kafka, article_records(range(70)))
            read(70)
    with running_service("infer", env, log) as restarted:
        publish(kafka_broker, kafka, article_records(range(80)))
        read(80)
        restarted.wait_until_ready()
    assert Counter(analysed_articles(kafka_broker, prefix)) == Counter(article(number).id for number in range(80))
    partitions = defaultdict(set)
    for topic in Topic:
        for record in committed_records(kafka_broker.client, prefix + topic):
            assert record.partition < IN_USE, topic
            if topic == Topic.SIGNALS and record.key is not None:
                partitions[record.key].add(record.partition)
    assert partitions
    assert {len(each) for each in partitions.values()} == {1}, "a target stays where its baseline is"
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    told = [line for line in said if "neither written nor read" in line.get("event", "")]
    assert len(told) == 2, "once by each service that found it so"
    assert told[0][f"{prefix}articles"] == "5 partitions, 2 in use"
    check = riskwire("topics", "check", env=env)
    assert check.returncode == 1
    assert (
        f"{prefix}articles: has 5 partitions, of which 2 are in use; the others are neither written nor read"
        in check.stderr.splitlines()
    )


async def test_a_setting_changed_after_the_topics_were_made_changes_nothing_and_check_says_so(
    kafka_broker: Broker, prefix: str
) -> None:
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
    told = [str(each) for each in await topic_differences(settings, later)]
    assert f"{prefix}articles: 2 partitions are in use, not 4: kafka.partitions counts when topics are made" in told, (
        told
    )


def test_a_cluster_of_an_earlier_version_is_told_what_to_run_and_create_adds_what_is_missing(
    kafka_broker: Broker, prefix: str
) -> None:
    env = on_kafka(kafka_broker, prefix, partitions=IN_USE)
    assert riskwire("topics", "create", env=env).returncode == 0
    new = [f"{prefix}history-state", f"{prefix}layout", f"{prefix}watchlist-state"]
    remove(kafka_broker, new)
    grow(kafka_broker, {f"{prefix}articles": 6})  # before it was written down how many are in use
    refused = riskwire("infer", "--port", 0, env=env)
    assert refused.returncode == 2
    assert f"topics are missing: {prefix}layout. `riskwire topics create` makes what is missing" in refused.stderr
    check = riskwire("topics", "check", env=env)
    assert check.returncode == 1
    assert {f"{name}: is missing" for name in new} <= set(check.stderr.splitlines())
    made = riskwire("topics", "create", env=env)
    assert sorted(made.stdout.splitlines()) == [f"created {name}" for name in new]
    assert f"{prefix}articles: has 6 partitions, of which 2 are in use" in made.stderr


async def test_a_group_whose_changelog_is_missing_says_which_command_makes_it(
    kafka_broker: Broker, prefix: str
) -> None:
    settings, kafka = BusSettings(url=kafka_broker.url), KafkaSettings(prefix=prefix, partitions=1)
    await create_topics(settings, kafka)
    remove(kafka_broker, [f"{prefix}history-state"])
    bus = await KafkaBus.open(settings, kafka)
    try:
        with pytest.raises(BusError, match=r"history-state has 0 partitions.*`riskwire topics create`"):
            await anext(bus.assignments("history", Topic.COMMANDS))
    finally:
        await bus.close()


async def test_a_topic_with_fewer_partitions_than_are_in_use_is_refused(kafka_broker: Broker, prefix: str) -> None:
    settings, kafka = BusSettings(url=kafka_broker.url), KafkaSettings(prefix=prefix, partitions=3)
    await create_topics(settings, kafka)
    remove(kafka_broker, [f"{prefix}signals"])
    await create_topics(settings, KafkaSettings(prefix=prefix, partitions=2))
    with pytest.raises(BusError, match="signals has 2 partitions, and 3 are in use"):
        await KafkaBus.open(settings, kafka)
