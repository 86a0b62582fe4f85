"""Watchlist commands on a real Kafka reach every infer service without a restart, and give new targets their past."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from broker import Broker
from cli import json_lines, riskwire
from kafka_reader import committed_records
from services_on_kafka import (
    TIMEOUT_S,
    Service,
    article,
    on_kafka_with_topics,
    publish,
    run_with_bus,
    running_service,
    tick_records,
    wait_until,
)

from riskwire.bus import Outgoing, lag_by_group
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.pipeline import Topic
from riskwire.settings import KafkaSettings
from riskwire.stage import run_stage
from riskwire.watching import WatchlistStage

pytestmark = pytest.mark.needs_kafka

PREFIX = "watch-"
PARTITIONS = 4
PAST = range(24)
MAX_EFFECT_S = 60
"""The longest time from a command to its effect, the past of the target included."""


def unique_story(number: int) -> Outgoing:
    """Returns an article on Acme Corp that repeats no other story."""
    words = " ".join(f"{letter}{number}" for letter in "abcdefgh")
    record = article(number, f"Acme Corp plunges on fraud {words}")
    return Outgoing(Topic.ARTICLES, record.id, record.to_bytes())


def publish_news(broker: Broker, kafka: KafkaSettings, numbers: Iterable[int]) -> set[str]:
    """Publishes a story on Acme Corp for each number (minutes), and the tick, a record with the time, after the last.

    Returns:
        the ids of the articles.
    """
    stories = [unique_story(number) for number in numbers]
    publish(broker, kafka, [*stories, *tick_records(max(numbers) + 3, PARTITIONS)])
    return {str(story.key) for story in stories}


def wait_until_read(broker: Broker, kafka: KafkaSettings, *groups: str) -> None:
    """Waits until these consumer groups have read every record of their topics."""

    async def wait(bus: KafkaBus) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await wait_until_drained(bus, groups)

    asyncio.run(run_with_bus(broker, kafka, wait))


def entity_signals(broker: Broker, prefix: str = PREFIX) -> list[dict[str, Any]]:
    """Returns every committed signal of an entity or a group, as read by a client other than riskwire's."""
    signals = [json.loads(record.value or b"{}") for record in committed_records(broker.client, f"{prefix}signals")]
    return [signal for signal in signals if str(signal.get("target", "")).startswith(("entity:", "group:"))]


def unread_records(broker: Broker, kafka: KafkaSettings, *groups: str) -> dict[str, int]:
    """Returns the lag of each group, summed over its partitions."""
    unread: dict[str, int] = {}

    async def read_lag(bus: KafkaBus) -> None:
        lags = lag_by_group(await bus.lag())
        unread.update({group: lags.get(group, 0) for group in groups})

    asyncio.run(run_with_bus(broker, kafka, read_lag))
    return unread


def run_watchlist_stage(broker: Broker, kafka: KafkaSettings) -> None:
    """Runs the watchlist stage until it has read every command. Usually it runs in an infer service.

    It writes each change of the watchlist into the topic articles, so that infer applies it at that place.
    """

    async def run(bus: KafkaBus) -> None:
        """Runs the stage until its group has no lag, then closes the bus, which ends the stage."""
        stage = asyncio.create_task(run_stage(bus, WatchlistStage(PARTITIONS), batch=10))
        async with asyncio.timeout(TIMEOUT_S):
            await wait_until_drained(bus, ["watchlist"])
        await bus.close()
        await stage

    asyncio.run(run_with_bus(broker, kafka, run))


def have_equal_shares(readers: Sequence[Service]) -> bool:
    """Whether each of two infer services owns half of the partitions of articles."""
    return all(service.stage_detail("infer") == f"{PARTITIONS // 2} partitions" for service in readers)


def test_a_command_reaches_every_infer_service_and_the_past_of_a_new_target_fires_no_alert(
    kafka_broker: Broker, tmp_path: Path, tiny_bundle: Path
) -> None:
    """Two infer services follow every name, then an entity and its group after `add`, then every name after `remove`.

    Articles from before `add` (the past) give the new targets signals with `history`, which may not raise an alert.
    """
    env = on_kafka_with_topics(kafka_broker, PREFIX, tiny_bundle, partitions=PARTITIONS, session_timeout_s=6)
    kafka = KafkaSettings(prefix=PREFIX, partitions=PARTITIONS)
    data, log = tmp_path / "data", tmp_path / "services.log"
    with ExitStack() as stack:
        readers = [stack.enter_context(running_service("infer", env, log)) for _ in range(2)]
        stack.enter_context(running_service("alert", env, log))
        stack.enter_context(running_service("sink", env, log, "--data", data))
        past = publish_news(kafka_broker, kafka, PAST)
        wait_until(lambda: have_equal_shares(readers), why=lambda: str([service.readiness() for service in readers]))
        wait_until_read(kafka_broker, kafka, "infer", "sink-analyses", "sink-signals", "alert")
        assert {(signal["target"], signal["article"]) for signal in entity_signals(kafka_broker)} == {
            ("entity:name:acme", article_id) for article_id in past
        }

        added = riskwire("watchlist", "add", "acme", "--name", "Acme Corp", "--group", "makers", "--by", "ada", env=env)
        started = time.monotonic()
        assert added.returncode == 0, added.stderr
        assert "From now on riskwire follows only what is on the watchlist." in added.stderr
        wait_until_read(kafka_broker, kafka, "watchlist", "infer", "history", "sink-signals", "alert")
        took_s = time.monotonic() - started
        after_command = publish_news(kafka_broker, kafka, range(100, 100 + 2))
        wait_until_read(kafka_broker, kafka, "infer", "alert", "sink-alerts", "sink-signals", "sink-commands")
        watched_signals = [signal for signal in entity_signals(kafka_broker) if signal["target"] != "entity:name:acme"]
        assert sorted((signal["target"], signal["article"], signal["history"]) for signal in watched_signals) == sorted(
            (target, article_id, article_id in past)
            for target in ("entity:acme", "group:makers")
            for article_id in past | after_command
        )
        print(f"from the command to its effect, including the past: {took_s:.1f} s")
        assert took_s < MAX_EFFECT_S
        rows = {row["target"]: row for row in json_lines("targets", "--data", data, env=env)}
        assert rows["entity:acme"]["stories"] == rows["group:makers"]["stories"] == len(past | after_command)

        removed = riskwire("watchlist", "remove", "acme", "--by", "bob", env=env)
        assert removed.returncode == 0, removed.stderr
        wait_until_read(kafka_broker, kafka, "watchlist", "infer")
        after_removal = publish_news(kafka_broker, kafka, range(200, 208))
        wait_until_read(kafka_broker, kafka, "infer", "alert", "sink-alerts", "sink-commands")
        targets = {signal["target"] for signal in entity_signals(kafka_broker) if signal["article"] in after_removal}
        assert targets == {"entity:name:acme"}
        assert [service.process.poll() for service in readers] == [None, None], (
            "the infer services still run, without a restart"
        )
        wait_until(lambda: have_equal_shares(readers), why=lambda: str([service.readiness() for service in readers]))
        log_rows = json_lines("watchlist", "log", "--data", data, env=env)
        alerts = json_lines("alerts", "--data", data, env=env)
    assert [(row["kind"], row["by"]) for row in log_rows] == [("watchlist_remove", "bob"), ("watchlist_set", "ada")]
    assert json_lines("watchlist", "list", env=env) == []
    # The past raised alerts for the name, which was followed when the articles arrived, and not for the new targets.
    assert "entity:name:acme" in {alert["target"] for alert in alerts}
    of_new_targets = [alert for alert in alerts if alert["target"] in {"entity:acme", "group:makers"}]
    assert all(alert["stories"] <= len(after_command) for alert in of_new_targets), "the past fires nothing"


def test_articles_that_infer_had_not_read_when_a_target_was_added_belong_to_its_past(
    kafka_broker: Broker, tmp_path: Path, tiny_bundle: Path
) -> None:
    """History writes the signals of a new target's past, after infer has read all articles before the change.

    Articles before the change, read or unread, give signals with `history`. Those after it, and a later version of an
    article before it, give normal ones. Both services are killed meanwhile, which loses and repeats no signal.
    """
    prefix = "late-watch-"
    env = on_kafka_with_topics(kafka_broker, prefix, tiny_bundle, partitions=PARTITIONS, session_timeout_s=6)
    kafka = KafkaSettings(prefix=prefix, partitions=PARTITIONS)
    data, log = tmp_path / "data", tmp_path / "services.log"
    with ExitStack() as stack:
        sink = stack.enter_context(running_service("sink", env, log, "--data", data))
        infer = stack.enter_context(running_service("infer", env, log))
        read = publish_news(kafka_broker, kafka, range(6))
        wait_until_read(kafka_broker, kafka, "infer", "sink-analyses", "sink-signals")
        infer.kill()

        unread = publish_news(kafka_broker, kafka, range(10, 22))
        added = riskwire("watchlist", "add", "acme", "--name", "Acme Corp", "--by", "ada", env=env)
        assert added.returncode == 0, added.stderr
        run_watchlist_stage(kafka_broker, kafka)  # The change now follows the unread articles in the log.
        later = publish_news(kafka_broker, kafka, range(30, 36))
        updated = unique_story(10).key  # A later version of an unread article follows the change.
        second_version = article(10, "Acme Corp no longer sued").model_copy(update={"version": 2})
        publish(kafka_broker, kafka, [Outgoing(Topic.ARTICLES, updated, second_version.to_bytes())])
        wait_until(lambda: sink.stage_detail("history") == "1 partitions", why=sink.log_tail)
        sink.kill()  # History, which runs in it, must wait again after a restart.
        sink = stack.enter_context(running_service("sink", env, log, "--data", data))
        sink.wait_until_ready()
        wait_until_read(kafka_broker, kafka, "sink-signals", "sink-analyses", "sink-commands")
        assert unread_records(kafka_broker, kafka, "history", "watchlist") == {"history": 1, "watchlist": 0}
        assert not [signal for signal in entity_signals(kafka_broker, prefix) if signal["history"]], (
            "history waits for infer"
        )

        stack.enter_context(running_service("infer", env, log))
        wait_until_read(kafka_broker, kafka, "infer", "history")
    of_acme = [signal for signal in entity_signals(kafka_broker, prefix) if signal["target"] == "entity:acme"]
    assert sorted((signal["article"], signal["version"], signal["history"]) for signal in of_acme) == sorted(
        [
            *((article_id, 1, True) for article_id in read | unread),
            *((article_id, 1, False) for article_id in later),
            (str(updated), 2, False),
        ]
    )
