"""A replay of the demo's crisis into a real PostgreSQL, and of feeds, both watched by a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import yaml
from broker import free_ports
from cli import environment, riskwire, start_riskwire
from feeds.feed_server import FeedServer, item_url, serve_feeds
from prometheus_server import Prometheus, running_prometheus
from services_on_kafka import wait_until
from stores.postgresql import PostgresServer

from riskwire.bus import Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.demo import CRISIS
from riskwire.pipeline import Topic
from riskwire.records import Command
from riskwire.settings import BusSettings, Settings, StoreSettings
from riskwire.store import Store
from riskwire_dashboards.answers import DataSources

START_S = 600.0
"""Longer than anything takes that is not broken, also on a slow and busy machine."""
ANSWER_S = 600
"""Seconds after which the alert of the crisis is acknowledged."""
_LATE = [
    ("Norvane Motors files for bankruptcy", "harborwire", "2031-04-21T08:00:00Z"),
    ("Die Aufsicht untersucht die Bank und verlangt einen neuen Bericht", "boersenblick", "2031-04-21T08:10:00Z"),
    ("Norvane Motors insolvent: court appoints administrator", "capitaldesk", "2031-04-21T08:20:00Z"),
]
"""The last stories, after which nothing happens: title, source and time. One is in a language that the model does not
read: Prometheus has seen the count before it."""


class DatedFeedServer(FeedServer):
    """Feeds whose newest item has the date of ten minutes ago, and whose other items have none."""

    def body(self, feed: str, items: list[int]) -> bytes:
        """Returns the document of a feed."""
        date = format_datetime(datetime.now(UTC) - timedelta(minutes=10))
        elements = "".join(
            f"<item><title>Globex closes plant {item} after losses</title><link>{item_url(feed, item)}</link>"
            f"<guid>{feed}-{item}</guid>{f'<pubDate>{date}</pubDate>' if item == max(items) else ''}</item>"
            for item in items
        )
        return f'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>{elements}</channel></rss>'.encode()


@contextmanager
def _running(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    """Yields the lines of standard error of a process so far; ends the process."""
    lines: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lines.extend, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        yield lines
    finally:
        process.terminate()
        process.wait(timeout=300)
        reader.join(timeout=10)


def _replay_late_stories(folder: Path, data: Path, env: dict[str, str]) -> None:
    """Publishes the last stories on the bus of a process that runs."""
    archive = folder / "late.jsonl"
    stories = [
        {
            "title": title,
            "source": source,
            "published_at": at,
            "url": f"https://{source}.example/{number}",
            "summary": "",
        }
        for number, (title, source, at) in enumerate(_LATE)
    ]
    archive.write_text("".join(json.dumps(story) + "\n" for story in stories), encoding="utf-8")
    completed = riskwire("replay", archive, "--publish-only", "--data", data, env=env)
    assert completed.returncode == 0, completed.stderr


async def _publish_garbage(data: Path) -> None:
    """Publishes an article that cannot be read."""
    bus = await EmbeddedBus.open(data, BusSettings())
    async with bus.publisher("test") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, "garbage", b"no article")], {})
    await bus.close()


def _acknowledge_crisis(settings: Settings) -> None:
    """Acknowledges the first alert of the crisis, `ANSWER_S` after it opened."""
    with Store.open(settings) as store:
        first = min(store.alerts(target=CRISIS), key=lambda alert: alert.opened_at)
        at = first.opened_at + timedelta(seconds=ANSWER_S)
        store.write_commands([Command(kind="acknowledge", alert=first.id, by="test", at=at)])


def _is_quiet(prometheus: Prometheus) -> bool:
    """Returns whether Prometheus has seen all that happened, and every stage has read everything since."""
    happened = (
        "sum(increase(riskwire_dead_letters_total[10m])) > 0",
        "sum(increase(riskwire_ingest_unknown_dates_total[10m])) > 0",
        'sum(rate(riskwire_ingest_articles_total{kind="new"}[1m])) > 0',
        "sum(rate(riskwire_ingest_publication_age_seconds_count[1m])) > 0",
        'sum(increase(riskwire_inference_analyses_total{status="unsupported"}[10m])) > 0',
        'max(slo:riskwire_error_budget_burn:rate6h{slo="records"}) > 0',
        'max(stage:riskwire_news_age_seconds:p95_5m{stage="sink-analyses"}) > 0',
        "max(rate:riskwire_alerting_notifications_expected:sum) > 0",
        'sum(increase(riskwire_inference_tokens_total{kind="padding"}[10m])) > 0',
        "max(riskwire_targets_blind) > 0",
        "sum(stage:riskwire_stage_lag_records:sum) == 0",
        'count(ALERTS{alertstate="firing", alertname="RiskwireWatchdog"}) == 1',
    )
    return all(prometheus.values(expression) for expression in happened)


@contextmanager
def replayed_crisis(folder: Path, small_bundle: Path) -> Iterator[DataSources]:
    """Yields the data sources of the dashboards after the replay, as Grafana has them: with a role that only reads.

    Args:
        folder: an empty folder.
        small_bundle: the model of the process that polls feeds. The replay is read by the shipped one.
    """
    with PostgresServer.running() as server, serve_feeds(DatedFeedServer) as feeds:
        url = server.new_database()
        server.sql("CREATE ROLE grafana LOGIN")
        page, probe = free_ports(2)
        listed = folder / "feeds.yaml"
        listed.write_text(
            yaml.safe_dump([{"id": name, "url": feeds.url(name), "every_s": 10} for name in ("wire", "gone")])
        )
        feeds.publish("wire", 1, 2)
        # A small backlog makes the replay wait for the stages, as a backlog of days would.
        replaying = environment(RISKWIRE_STORE__URL=url, RISKWIRE_BUS__BACKLOG="100", RISKWIRE_LOG__LEVEL="error")
        polling = environment(
            RISKWIRE_INFERENCE__BUNDLE=str(small_bundle),
            RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS='["127.0.0.1"]',
            RISKWIRE_WEB__PROBE_PORT=str(probe),
        )
        targets = [f"127.0.0.1:{port}" for port in (page, probe)]
        demo = ("demo", "--data", folder / "demo", "--port", page, "--speed", "max")
        run = ("run", "--feeds", listed, "--data", folder / "run", "--port", "0")
        with (
            running_prometheus(folder, targets, scrape_s=5) as prometheus,
            _running(start_riskwire(*run, env=polling, start_new_session=True)),
            _running(start_riskwire(*demo, env=replaying, start_new_session=True)) as lines,
        ):
            wait_until(lambda: any("The story has ended" in line for line in lines), START_S, lambda: "".join(lines))
            wait_until(lambda: prometheus.values("sum(up)") == {"": 2.0}, START_S)
            _replay_late_stories(folder, folder / "demo", replaying)
            asyncio.run(_publish_garbage(folder / "demo"))
            _acknowledge_crisis(Settings(data=folder / "demo", store=StoreSettings(url=url)))
            granted = riskwire("db", "grant-reader", "grafana", env=replaying)
            assert granted.returncode == 0, granted.stderr
            feeds.publish("wire", 3, 4)
            wait_until(lambda: _is_quiet(prometheus), START_S)
            yield DataSources(postgresql=url.replace("riskwire@", "grafana@"), prometheus=prometheus.url)
