"""Consumers that are slow or stopped: what can go on goes on, who writes faster than is read waits, and it is told."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest
from broker import Broker
from cli import json_lines, riskwire, start_riskwire
from fictional import alert
from services_on_kafka import (
    Service,
    analysed_articles,
    article,
    article_records,
    on_kafka,
    publish,
    running_service,
    wait_for_exit,
    wait_until,
)

from riskwire.bus import Outgoing
from riskwire.pipeline import Topic
from riskwire.settings import KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

BACKLOG = 250
"""More than one step of a replay: a topic of which nothing is unread takes a step of any size."""


def lag(env: dict[str, str], group: str) -> int:
    """As `riskwire status` tells it."""
    return int(json_lines("status", env=env)[0]["lag"].get(group, 0))


def taken(service: Service, stage: str) -> float:
    return service.metric(f'riskwire_stage_records_total{{stage="{stage}"}}')


def test_while_the_sink_sleeps_alerts_go_out_and_it_catches_up_with_all_of_them(
    kafka_broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    prefix = "slow-sink-"
    env = on_kafka(kafka_broker, prefix, tiny_bundle, partitions=1, session_timeout_s=3)
    assert riskwire("topics", "create", env=env).returncode == 0
    kafka = KafkaSettings(prefix=prefix)
    alerts = [alert(f"episode {n}") for n in range(3)]
    with (
        running_service("infer", env, tmp_path / "infer.log") as infer,
        running_service("notify", env, tmp_path / "notify.log") as notify,
        running_service("sink", env, tmp_path / "sink.log", "--data", tmp_path / "data") as sink,
    ):
        publish(kafka_broker, kafka, article_records(range(10)))
        wait_until(lambda: taken(sink, "sink-analyses") >= 10, why=sink.log_tail)
        sink.process.send_signal(signal.SIGSTOP)
        publish(kafka_broker, kafka, article_records(range(10, 60)))
        records = [Outgoing(Topic.ALERTS, one.target, one.to_bytes()) for one in alerts]
        publish(kafka_broker, kafka, records)
        wait_until(lambda: taken(notify, "notify") >= len(alerts), why=notify.log_tail)
        wait_until(lambda: len(analysed_articles(kafka_broker, prefix)) == 60, why=infer.log_tail)
        assert lag(env, "sink-analyses") >= 50
        assert lag(env, "sink-alerts") >= len(alerts)
        sink.process.send_signal(signal.SIGCONT)
        wait_until(lambda: lag(env, "sink-analyses") == 0 and lag(env, "sink-alerts") == 0, why=sink.log_tail)
        sink.wait_until_ready()
    kept = json_lines("alerts", "--data", tmp_path / "data", env=env)
    assert {row["id"] for row in kept} == {one.id for one in alerts}


def test_a_slow_infer_holds_a_replay_back_at_the_backlog(
    kafka_broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    prefix = "slow-infer-"
    env = on_kafka(kafka_broker, prefix, tiny_bundle, partitions=1, session_timeout_s=3)
    env |= {"RISKWIRE_BUS__BACKLOG": str(BACKLOG)}
    assert riskwire("topics", "create", env=env).returncode == 0
    archive = tmp_path / "archive.jsonl"
    told = [article(number) for number in range(600)]
    archive.write_text(
        "".join(
            json.dumps({"published_at": f"{a.published_at:%Y-%m-%dT%H:%M:%SZ}", "title": a.title, "url": a.url}) + "\n"
            for a in told
        )
    )
    with running_service("infer", env, tmp_path / "infer.log") as infer:
        publish(kafka_broker, KafkaSettings(prefix=prefix), article_records([0]))
        wait_until(lambda: len(analysed_articles(kafka_broker, prefix)) == 1, why=infer.log_tail)
        infer.process.send_signal(signal.SIGSTOP)
        replaying = start_riskwire("replay", archive, "--publish-only", env=env)
        try:
            seen: list[int] = []

            def stands_still() -> bool:
                seen.append(lag(env, "infer"))
                return len(seen) > 3 and len(set(seen[-4:])) == 1 and seen[-1] > 0

            wait_until(stands_still, why=lambda: str(seen))
            assert replaying.poll() is None, "it waits"
            assert seen[-1] <= BACKLOG, seen
            infer.process.send_signal(signal.SIGCONT)
            assert wait_for_exit(replaying) == 0
        finally:
            replaying.kill()
            replaying.communicate()
        wait_until(lambda: lag(env, "infer") == 0, why=infer.log_tail)
    times = Counter(analysed_articles(kafka_broker, prefix))
    assert len(times) == 601
    assert set(times.values()) == {1}
