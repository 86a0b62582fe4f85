"""The topics that riskwire needs on Kafka follow from the pipeline: names, partitions, retention and compaction."""

from __future__ import annotations

import pytest

pytest.importorskip("aiokafka")

from riskwire.bus.kafka.topics import RequiredTopic, required_topics
from riskwire.pipeline import STAGES, Topic
from riskwire.settings import KafkaSettings

MAX_BYTES = {"max.message.bytes": "4000000"}
WEEK_MS, MONTH_MS = "604800000", "2592000000"
COMPACTED = {"cleanup.policy": "compact", "segment.bytes": "33554432", "min.cleanable.dirty.ratio": "0.2"}


@pytest.fixture(scope="module")
def topics() -> dict[str, RequiredTopic]:
    settings = KafkaSettings(prefix="p-", partitions=5, max_record_bytes=4_000_000)
    return {topic.name: topic for topic in required_topics(settings)}


def test_there_is_a_topic_for_each_of_the_pipeline_a_changelog_for_each_stage_and_two_more(
    topics: dict[str, RequiredTopic],
) -> None:
    """The two are the states of publishers and the layout; "p-" is the prefix of the settings."""
    changelogs = [f"p-{stage.name}-state" for stage in STAGES]
    assert sorted(topics) == sorted([*(f"p-{topic}" for topic in Topic), *changelogs, "p-publishers-state", "p-layout"])


@pytest.mark.parametrize(
    ("name", "retention_ms"), [("articles", WEEK_MS), ("signals", WEEK_MS), ("trends", MONTH_MS), ("alerts", MONTH_MS)]
)
def test_a_topic_with_a_retention_is_deleted_after_it(
    topics: dict[str, RequiredTopic], name: str, retention_ms: str
) -> None:
    """Retention is how long Kafka keeps a record. A `RequiredTopic` has name, partitions and configuration."""
    config = MAX_BYTES | {"cleanup.policy": "delete", "retention.ms": retention_ms}
    assert topics[f"p-{name}"] == RequiredTopic(f"p-{name}", 5, config)


def test_commands_are_compacted_a_week_after_they_were_written(topics: dict[str, RequiredTopic]) -> None:
    config = MAX_BYTES | COMPACTED | {"min.compaction.lag.ms": WEEK_MS}
    assert topics["p-commands"] == RequiredTopic("p-commands", 1, config)


@pytest.mark.parametrize(("name", "partitions"), [("alert-state", 5), ("history-state", 1), ("publishers-state", 5)])
def test_a_changelog_is_compacted_and_has_the_partitions_of_its_topic(
    topics: dict[str, RequiredTopic], name: str, partitions: int
) -> None:
    assert topics[f"p-{name}"] == RequiredTopic(f"p-{name}", partitions, MAX_BYTES | COMPACTED)


def test_the_layout_is_kept_for_ever(topics: dict[str, RequiredTopic]) -> None:
    assert topics["p-layout"] == RequiredTopic("p-layout", 1, {"cleanup.policy": "delete", "retention.ms": "-1"})
