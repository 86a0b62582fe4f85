"""The watchlist by command on a real Kafka: on every reader without a restart, and a new target with its past."""

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
    on_kafka,
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
WITHIN_S = 60
"""A command takes effect within a minute."""


def own_story(number: int) -> Outgoing:
    """An article on Acme Corp that is like no other."""
    words = " ".join(f"{letter}{number}" for letter in "abcdefgh")
    one = article(number, f"Acme Corp plunges on fraud {words}")
    return Outgoing(Topic.ARTICLES, one.id, one.to_bytes())


def news(broker: Broker, kafka: KafkaSettings, numbers: Iterable[int]) -> set[str]:
    """Publish a story for each number, and the time after the last; the ids."""
    stories = [own_story(number) for number in numbers]
    publish(broker, kafka, [*stories, *tick_records(max(numbers) + 3, PARTITIONS)])
    return {str(one.key) for one in stories}


def until_read(broker: Broker, kafka: KafkaSettings, *groups: str) -> None:
    async def wait(bus: KafkaBus) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await wait_until_drained(bus, groups)

    asyncio.run(run_with_bus(broker, kafka, wait))


def entity_signals(broker: Broker, prefix: str = PREFIX) -> list[dict[str, Any]]:
    """Every committed signal of an entity or a group, as an independent client reads them."""
    found = [json.loads(record.value or b"{}") for record in committed_records(broker.client, f"{prefix}signals")]
    return [one for one in found if str(one.get("target", "")).startswith(("entity:", "group:"))]


def behind(broker: Broker, kafka: KafkaSettings, *groups: str) -> dict[str, int]:
    """How many records each of these groups has not read."""
    found: dict[str, int] = {}

    async def look(bus: KafkaBus) -> None:
        lags = lag_by_group(await bus.lag())
        found.update({group: lags.get(group, 0) for group in groups})

    asyncio.run(run_with_bus(broker, kafka, look))
    return found


def tell_readers(broker: Broker, kafka: KafkaSettings) -> None:
    """What the watchlist stage does, while no infer service is there to do it."""

    async def run(bus: KafkaBus) -> None:
        stage = asyncio.create_task(run_stage(bus, WatchlistStage(PARTITIONS), batch=10))
        async with asyncio.timeout(TIMEOUT_S):
            await wait_until_drained(bus, ["watchlist"])
        await bus.close()
        await stage

    asyncio.run(run_with_bus(broker, kafka, run))


def share_them(readers: Sequence[Service]) -> bool:
    """Whether each reader has half of the partitions of articles."""
    return all(one.stage_detail("infer") == f"{PARTITIONS // 2} partitions" for one in readers)


def test_a_command_takes_effect_on_every_reader_and_a_new_target_gets_its_past_without_firing(
    kafka_broker: Broker, tmp_path: Path, tiny_bundle: Path
) -> None:
    env = on_kafka(kafka_broker, PREFIX, tiny_bundle, partitions=PARTITIONS, session_timeout_s=6)
    kafka = KafkaSettings(prefix=PREFIX, partitions=PARTITIONS)
    made = riskwire("topics", "create", env=env)
    assert made.returncode == 0, made.stderr
    data, log = tmp_path / "data", tmp_path / "services.log"
    with ExitStack() as stack:
        readers = [stack.enter_context(running_service("infer", env, log)) for _ in range(2)]
        stack.enter_context(running_service("alert", env, log))
        stack.enter_context(running_service("sink", env, log, "--data", data))
        past = news(kafka_broker, kafka, PAST)
        wait_until(lambda: share_them(readers), why=lambda: str([one.readiness() for one in readers]))
        until_read(kafka_broker, kafka, "infer", "sink-analyses", "sink-signals", "alert")
        assert {(one["target"], one["article"]) for one in entity_signals(kafka_broker)} == {
            ("entity:name:acme", one) for one in past
        }

        added = riskwire("watchlist", "add", "acme", "--name", "Acme Corp", "--group", "makers", "--by", "ada", env=env)
        began = time.monotonic()
        assert added.returncode == 0, added.stderr
        assert "From now on riskwire follows only what is on the watchlist." in added.stderr
        until_read(kafka_broker, kafka, "watchlist", "infer", "history", "sink-signals", "alert")
        took = time.monotonic() - began
        then = news(kafka_broker, kafka, range(100, 100 + 2))
        until_read(kafka_broker, kafka, "infer", "alert", "sink-alerts", "sink-signals", "sink-commands")
        now = [one for one in entity_signals(kafka_broker) if one["target"] != "entity:name:acme"]
        told = sorted((one["target"], one["article"], one["history"]) for one in now)
        assert told == sorted(
            (target, one, one in past) for target in ("entity:acme", "group:makers") for one in past | then
        )
        print(f"from the command to its effect, the past included: {took:.1f} s")
        assert took < WITHIN_S
        rows = {row["target"]: row for row in json_lines("targets", "--data", data, env=env)}
        assert rows["entity:acme"]["stories"] == rows["group:makers"]["stories"] == len(past | then)

        removed = riskwire("watchlist", "remove", "acme", "--by", "bob", env=env)
        assert removed.returncode == 0, removed.stderr
        until_read(kafka_broker, kafka, "watchlist", "infer")
        last = news(kafka_broker, kafka, range(200, 208))
        until_read(kafka_broker, kafka, "infer", "alert", "sink-alerts", "sink-commands")
        assert {one["target"] for one in entity_signals(kafka_broker) if one["article"] in last} == {"entity:name:acme"}
        assert [one.process.poll() for one in readers] == [None, None], "no reader was started again"
        wait_until(lambda: share_them(readers), why=lambda: str([one.readiness() for one in readers]))
        log_rows = json_lines("watchlist", "log", "--data", data, env=env)
        fired = {row["target"] for row in json_lines("alerts", "--data", data, env=env)}
    assert [(row["kind"], row["by"]) for row in log_rows] == [("watchlist_remove", "bob"), ("watchlist_set", "ada")]
    assert json_lines("watchlist", "list", env=env) == []
    # The very same stories fire for the name that was followed as they came, and not for the target they are past to.
    assert "entity:name:acme" in fired
    assert not fired & {"entity:acme", "group:makers"}


def test_what_infer_had_not_read_yet_when_a_target_was_added_is_its_past_all_the_same(
    kafka_broker: Broker, tmp_path: Path, tiny_bundle: Path
) -> None:
    prefix = "late-watch-"
    env = on_kafka(kafka_broker, prefix, tiny_bundle, partitions=PARTITIONS, session_timeout_s=6)
    kafka = KafkaSettings(prefix=prefix, partitions=PARTITIONS)
    made = riskwire("topics", "create", env=env)
    assert made.returncode == 0, made.stderr
    data, log = tmp_path / "data", tmp_path / "services.log"
    with ExitStack() as stack:
        sink = stack.enter_context(running_service("sink", env, log, "--data", data))
        infer = stack.enter_context(running_service("infer", env, log))
        read = news(kafka_broker, kafka, range(6))
        until_read(kafka_broker, kafka, "infer", "sink-analyses", "sink-signals")
        infer.kill()

        unread = news(kafka_broker, kafka, range(10, 22))
        added = riskwire("watchlist", "add", "acme", "--name", "Acme Corp", "--by", "ada", env=env)
        assert added.returncode == 0, added.stderr
        tell_readers(kafka_broker, kafka)  # from here on it is watched: behind what nobody has read
        later = news(kafka_broker, kafka, range(30, 36))
        renewed = own_story(10).key  # one of those unread has a later version behind that
        again = article(10, "Acme Corp no longer sued").model_copy(update={"version": 2})
        publish(kafka_broker, kafka, [Outgoing(Topic.ARTICLES, renewed, again.to_bytes())])
        wait_until(lambda: sink.stage_detail("history") == "1 partitions", why=sink.log_tail)
        sink.kill()  # whoever waits may be killed at it
        sink = stack.enter_context(running_service("sink", env, log, "--data", data))
        sink.wait_until_ready()
        until_read(kafka_broker, kafka, "sink-signals", "sink-analyses", "sink-commands")
        assert behind(kafka_broker, kafka, "history", "watchlist") == {"history": 1, "watchlist": 0}
        assert not [one for one in entity_signals(kafka_broker, prefix) if one["history"]], "nothing is told too early"

        stack.enter_context(running_service("infer", env, log))
        until_read(kafka_broker, kafka, "infer", "history")
    told = [one for one in entity_signals(kafka_broker, prefix) if one["target"] == "entity:acme"]
    assert sorted((one["article"], one["version"], one["history"]) for one in told) == sorted(
        [
            *((one, 1, True) for one in read | unread),
            *((one, 1, False) for one in later),
            (str(renewed), 2, False),
        ]
    )
