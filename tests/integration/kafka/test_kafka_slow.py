"""Slow or suspended consumers: other stages continue, a replay waits at the backlog, and `status` shows the lag."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest
from broker import Broker
from cli import json_lines, start_riskwire
from fictional import alert
from services_on_kafka import (
    Service,
    analysed_articles,
    article,
    article_records,
    on_kafka_with_topics,
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
"""More records than one step of a replay, because a topic without unread records takes a step of any size."""


def lag(env: dict[str, str], group: str) -> int:
    """Returns the lag of a group, as `riskwire status` reports it."""
    return int(json_lines("status", env=env)[0]["lag"].get(group, 0))


def processed(service: Service, stage: str) -> float:
    """Returns how many records a stage has processed, according to its metrics."""
    return service.metric(f'riskwire_stage_records_total{{stage="{stage}"}}')


def test_alerts_are_delivered_while_the_sink_is_suspended_and_stored_when_it_resumes(
    kafka_broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    """A suspended sink (SIGSTOP) stops neither infer nor notify. `status` shows its lag, which is 0 after SIGCONT."""
    prefix = "slow-sink-"
    env = on_kafka_with_topics(kafka_broker, prefix, tiny_bundle, partitions=1, session_timeout_s=3)
    kafka = KafkaSettings(prefix=prefix)
    alerts = [alert(f"episode {n}") for n in range(3)]
    with (
        running_service("infer", env, tmp_path / "infer.log") as infer,
        running_service("notify", env, tmp_path / "notify.log") as notify,
        running_service("sink", env, tmp_path / "sink.log", "--data", tmp_path / "data") as sink,
    ):
        publish(kafka_broker, kafka, article_records(range(10)))
        wait_until(lambda: processed(sink, "sink-analyses") >= 10, why=sink.log_tail)
        sink.process.send_signal(signal.SIGSTOP)
        publish(kafka_broker, kafka, article_records(range(10, 60)))
        records = [Outgoing(Topic.ALERTS, record.target, record.to_bytes()) for record in alerts]
        publish(kafka_broker, kafka, records)
        wait_until(lambda: processed(notify, "notify") >= len(alerts), why=notify.log_tail)
        wait_until(lambda: len(analysed_articles(kafka_broker, prefix)) == 60, why=infer.log_tail)
        assert lag(env, "sink-analyses") >= 50
        assert lag(env, "sink-alerts") >= len(alerts)
        sink.process.send_signal(signal.SIGCONT)
        wait_until(lambda: lag(env, "sink-analyses") == 0 and lag(env, "sink-alerts") == 0, why=sink.log_tail)
        sink.wait_until_ready()
    rows = json_lines("alerts", "--data", tmp_path / "data", env=env)
    assert {row["id"] for row in rows} == {record.id for record in alerts}


def test_a_replay_waits_at_the_backlog_while_infer_is_suspended(
    kafka_broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    """Infer has read one article when it is suspended. A replay of 600 then waits, at `BACKLOG` unread ones or fewer.

    After infer resumes, the replay ends, and each of the 601 articles has one analysis.
    """
    prefix = "slow-infer-"
    env = on_kafka_with_topics(kafka_broker, prefix, tiny_bundle, partitions=1, session_timeout_s=3)
    env |= {"RISKWIRE_BUS__BACKLOG": str(BACKLOG)}
    archive = tmp_path / "archive.jsonl"
    articles = [article(number) for number in range(600)]
    archive.write_text(
        "".join(
            json.dumps({"published_at": f"{a.published_at:%Y-%m-%dT%H:%M:%SZ}", "title": a.title, "url": a.url}) + "\n"
            for a in articles
        )
    )
    with running_service("infer", env, tmp_path / "infer.log") as infer:
        publish(kafka_broker, KafkaSettings(prefix=prefix), article_records([0]))
        wait_until(lambda: len(analysed_articles(kafka_broker, prefix)) == 1, why=infer.log_tail)
        infer.process.send_signal(signal.SIGSTOP)
        replaying = start_riskwire("replay", archive, "--publish-only", env=env)
        try:
            lags: list[int] = []

            def lag_is_constant() -> bool:
                lags.append(lag(env, "infer"))
                return len(lags) > 3 and len(set(lags[-4:])) == 1 and lags[-1] > 0

            wait_until(lag_is_constant, why=lambda: str(lags))
            assert replaying.poll() is None, "the replay waits"
            assert lags[-1] <= BACKLOG, lags
            infer.process.send_signal(signal.SIGCONT)
            assert wait_for_exit(replaying) == 0
        finally:
            replaying.kill()
            replaying.communicate()
        wait_until(lambda: lag(env, "infer") == 0, why=infer.log_tail)
    counts = Counter(analysed_articles(kafka_broker, prefix))
    assert len(counts) == 601
    assert set(counts.values()) == {1}
