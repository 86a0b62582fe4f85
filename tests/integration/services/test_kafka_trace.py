"""What an operator sees of news on Kafka: the lag of a stage in `/metrics`, and the way of one article."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from broker import Broker
from cli import json_lines, riskwire
from feeds.feed_server import FeedServer, item_url, serve_feeds
from fictional import alert
from services_on_kafka import on_kafka, on_kafka_with_topics, publish, running_service, wait_until
from webhooks import WebhookServer, running_webhook_server

from riskwire.bus import Outgoing
from riskwire.pipeline import Topic
from riskwire.settings import KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

TITLE = "Corrandale Bancorp files for Chapter 11 bankruptcy protection"
TARGET = "entity:corrandale"
STEPS = ["published", "seen", "ingested", "analysed", "signal", "alert", "notified"]


class Wire(FeedServer):
    """A feed whose items are dated when they are first shown: an undated item of a new feed is backfill."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._dates: dict[int, str] = {}

    def body(self, feed: str, items: list[int]) -> bytes:
        """Returns an RSS document."""
        now = format_datetime(datetime.now(UTC), usegmt=True)
        elements = "".join(
            f"<item><title>{TITLE}</title><link>{item_url(feed, item)}</link><guid>{item}</guid>"
            f"<pubDate>{self._dates.setdefault(item, now)}</pubDate></item>"
            for item in items
        )
        return f'<rss version="2.0"><channel><title>x</title>{elements}</channel></rss>'.encode()


@pytest.fixture
def wire() -> Iterator[FeedServer]:
    with serve_feeds(Wire) as server:
        yield server


@pytest.fixture
def webhooks() -> Iterator[WebhookServer]:
    with running_webhook_server() as server:
        yield server


def events(log: Path, **fields: object) -> list[dict[str, Any]]:
    """Returns the lines of a log that have these fields."""
    lines = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    return [line for line in lines if all(line.get(name) == value for name, value in fields.items())]


def test_one_article_is_followed_from_the_poll_to_its_notification(
    kafka_broker: Broker, wire: FeedServer, webhooks: WebhookServer, tmp_path: Path
) -> None:
    """`riskwire trace` finds each step with its time, and each service has a line about it in its log."""
    env = on_kafka(kafka_broker, "trace-", partitions=2)
    env |= {
        "RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS": '["127.0.0.1"]',
        "RISKWIRE_INGEST__TICK_S": "1",
        "RISKWIRE_NOTIFY__WEBHOOKS": json.dumps([webhooks.url]),
        "RISKWIRE_LOG__LEVEL": "debug",
        "RISKWIRE_DATA": str(tmp_path / "data"),
    }
    feeds, watchlist = tmp_path / "feeds.yaml", tmp_path / "watchlist.yaml"
    feeds.write_text(yaml.safe_dump([{"id": "wire", "url": wire.url("wire"), "every_s": 10}]))
    watchlist.write_text(yaml.safe_dump([{"id": "corrandale", "name": "Corrandale Bancorp"}]))
    assert riskwire("topics", "create", env=env).returncode == 0
    wire.publish("wire")
    words = {"ingest": ("--feeds", feeds), "infer": ("--watchlist", watchlist), "alert": (), "sink": (), "notify": ()}
    logs = {name: tmp_path / f"{name}.log" for name in words}
    with ExitStack() as stack:
        running = [stack.enter_context(running_service(name, env, logs[name], *words[name])) for name in logs]
        for service in running:
            service.wait_until_ready()
        wire.publish("wire", 1)
        webhooks.wait_until(bool)

        def steps() -> list[dict[str, Any]]:
            completed = riskwire("trace", item_url("wire", 1), "--json", env=env)
            return [json.loads(line) for line in completed.stdout.splitlines() if not completed.returncode]

        wait_until(lambda: [step["step"] for step in steps() if step["target"] in ("", TARGET)] == STEPS)
        way = [step for step in steps() if step["target"] in ("", TARGET)]
        shown = riskwire("trace", item_url("wire", 1), env=env)
    assert all(step["at"] for step in way)
    assert [step["at"] for step in way[1:]] == sorted(step["at"] for step in way[1:])
    assert TITLE in shown.stdout
    article = events(logs["ingest"], event="article published")[0]["article"]
    assert article in shown.stdout
    assert events(logs["infer"], event="article analysed", article=article)
    fired = events(logs["alert"], event="alert", target=TARGET)[0]
    assert events(logs["notify"], event="notified", id=fired["id"])


def test_the_metrics_of_a_stage_that_waits_show_its_lag(kafka_broker: Broker, tmp_path: Path) -> None:
    """Another process writes the store for long. The lag grows in seconds, equals that of `status`, and falls to 0."""
    env = on_kafka_with_topics(kafka_broker, "lag-", partitions=1)
    records = [alert(f"episode {number}") for number in range(5)]
    label = '{partition="0",stage="sink-alerts"}'
    with running_service("sink", env, tmp_path / "sink.log", "--data", tmp_path / "data") as sink:
        sink.wait_until_ready()
        writer = sqlite3.connect(tmp_path / "data" / "store.sqlite", isolation_level=None)
        try:
            writer.execute("BEGIN IMMEDIATE")
            outgoing = [Outgoing(Topic.ALERTS, record.target, record.to_bytes()) for record in records]
            publish(kafka_broker, KafkaSettings(prefix="lag-"), outgoing)
            wait_until(lambda: sink.metric(f"riskwire_stage_lag_records{label}") >= len(records), why=sink.log_tail)
            wait_until(lambda: sink.metric(f"riskwire_stage_lag_seconds{label}") >= 20, why=sink.log_tail)
            shown = json_lines("status", env=env)[0]["lag"]["sink-alerts"]
            assert sink.metric(f"riskwire_stage_lag_records{label}") == shown
        finally:
            writer.close()
        wait_until(lambda: sink.metric("riskwire_stage_lag_records" + label) == 0, why=sink.log_tail)
        assert sink.metric("riskwire_stage_lag_seconds" + label) == 0
        assert sink.metric('riskwire_stage_records_total{stage="sink-alerts"}') == len(records)
