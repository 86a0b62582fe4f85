"""From fetched to notified: real feeds over HTTP, a real Kafka, the real services, a real webhook.

    python tests/bench/bench_latency.py [--minutes 8] [--rate 2000] [--troubled 36]

News appears on local feeds in real time at a busy day's rate; `riskwire ingest|infer|alert|sink|notify` run with
default settings (except addresses, and feeds polled every 10 s). An alert's time runs from `seen_at` of the newest
story that made it fire (when ingest had fetched it) to its arrival at the webhook, the allowed lateness included. An
independent reader (`read_committed`) notes when the analysis and the alert became visible in between.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import yaml
from aiohttp import web
from aiokafka import AIOKafkaConsumer
from broker import Broker, missing_prerequisite
from cli import environment, riskwire
from latency_news import Feeds, script
from rich.console import Console
from rich.table import Table
from services_on_kafka import Service

from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.protocol import broadcast
from riskwire.pipeline import Topic
from riskwire.records import Mark
from riskwire.settings import BusSettings, KafkaSettings

SERVICES = ("infer", "alert", "sink", "notify", "ingest")
READY_S = 120.0
BUCKET_S = 15
STORIES_A_DAY = 500
"""Stories a day of one partition, in the month before."""
TAIL_S = 60.0
"""How long after the last item alerts are still waited for: twice what is promised."""


@dataclass(frozen=True, slots=True)
class Way:
    """The times (seconds since 1970) at which the stories behind alerts reached each stage."""

    target: str
    seen: float
    analysed: float
    decided: float
    notified: float


class Witness:
    """Notes when analyses, alerts and notifications arrive for the first time, in seconds since 1970.

    Attributes:
        analysed: when the analysis of an article became visible, by the article's address.
        decided: when an alert record became visible, by the alert's id and the record's time.
        notified: when the notification of an alert record arrived, and the record, by the same.
    """

    def __init__(self) -> None:
        self.analysed: dict[str, float] = {}
        self.decided: dict[tuple[str, str], float] = {}
        self.notified: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}

    async def webhook(self, request: web.Request) -> web.Response:
        """Notes when an alert record arrived as a notification, unless it arrived before. Answers 200."""
        arrived = time.time()
        alert = await request.json()
        self.notified.setdefault((alert["id"], alert["at"]), (arrived, alert))
        return web.Response()

    async def read(self, servers: str) -> None:
        """Notes when analyses and alerts become visible to a client that reads committed records; runs until cancelled.

        Args:
            servers: the addresses of the brokers.
        """
        reader = AIOKafkaConsumer(
            "analyses",
            "alerts",
            bootstrap_servers=servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )
        await reader.start()
        try:
            async for record in reader:
                arrived, content = time.time(), json.loads(record.value)
                if record.topic == "analyses":
                    self.analysed.setdefault(content["article"]["url"], arrived)
                else:
                    self.decided.setdefault((content["id"], content["at"]), arrived)
        finally:
            await reader.stop()

    def ways(self) -> list[Way]:
        """Returns the way of each notification of an alert that fired or escalated, with the times of its steps.

        It begins when the newest story of its evidence was seen. If the analysis of this story was not noticed, it
        counts as visible at that moment.
        """
        ways = []
        for key, (arrived, alert) in self.notified.items():
            if alert["status"] == "resolved" or key not in self.decided:
                continue
            newest = max(alert["evidence"], key=lambda story: story["seen_at"])
            seen = datetime.fromisoformat(newest["seen_at"]).timestamp()
            ways.append(
                Way(
                    alert["target"],
                    seen,
                    self.analysed.get(newest["url"], seen),
                    # The webhook may be quicker than this reader.
                    min(self.decided[key], arrived),
                    arrived,
                )
            )
        return ways


async def publish_a_calm_month(broker: Broker, now: datetime) -> None:
    """Publishes marks (counts of other news) of a month, so that the names of this run have been quiet so far.

    Each day has one mark of every partition of `articles`, and every partition of `signals` gets each mark.

    Args:
        now: the end of the month.
    """
    bus = await KafkaBus.open(BusSettings(url=broker.url), KafkaSettings())
    partitions = bus.partitions(Topic.ARTICLES)
    try:
        async with bus.publisher("bench") as publisher:
            for day in range(30, 0, -1):
                at = now - timedelta(days=day)
                bucket = int(at.timestamp()) // BUCKET_S * BUCKET_S
                marks = [
                    Mark.model_validate(
                        {"from": partition, "seen_at": at, "stories": STORIES_A_DAY, "buckets": {bucket: STORIES_A_DAY}}
                    )
                    for partition in range(partitions)
                ]
                everywhere = [broadcast(Topic.SIGNALS, mark.to_bytes(), partitions) for mark in marks]
                await publisher.publish([record for records in everywhere for record in records], {})
    finally:
        await bus.close()


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """Serves an application on a free port of this machine; yields its URL."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def measured(broker: Broker, folder: Path, asked: argparse.Namespace) -> list[Way]:
    """Runs the whole measurement once: feeds appear in real time while the services run. Exits if a service ends.

    Args:
        folder: takes the feed list, the logs and the data.
        asked: the options of the command line.

    Returns:
        the way of each notification.
    """
    items = script(asked.minutes * 60, asked.rate, asked.feeds, asked.troubled, asked.seed)
    feeds, witness = Feeds(items, asked.feeds), Witness()
    app = web.Application()

    async def document(request: web.Request) -> web.Response:
        body = feeds.document(int(request.match_info["feed"]), time.time())
        return web.Response(body=body, content_type="application/rss+xml")

    app.router.add_get("/feed/{feed}", document)
    app.router.add_post("/hook", witness.webhook)
    async with served(app) as url:
        listed = folder / "feeds.yaml"
        listed.write_text(
            yaml.safe_dump([{"id": f"wire-{n}", "url": f"{url}/feed/{n}", "every_s": 10} for n in range(asked.feeds)]),
            encoding="utf-8",
        )
        env = environment(
            RISKWIRE_BUS__URL=broker.url,
            RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS='["127.0.0.1"]',
            RISKWIRE_NOTIFY__WEBHOOKS=json.dumps([f"{url}/hook"]),
            RISKWIRE_DATA=str(folder / "data"),
        )
        created = await asyncio.to_thread(riskwire, "topics", "create", env=env)
        assert created.returncode == 0, created.stderr
        await publish_a_calm_month(broker, datetime.now(UTC))
        with ExitStack() as stack:
            services = []
            for name in SERVICES:
                words = ("--feeds", listed) if name == "ingest" else ()
                services.append(Service(name, env, folder / f"{name}.log", *words))
                stack.callback(services[-1].end)
            for service in services:
                await asyncio.to_thread(service.until_ready, READY_S)
            reading = asyncio.create_task(witness.read(broker.servers))
            feeds.begin(time.time())
            print(f"{len(items)} items begin; load {os.getloadavg()[0]:.1f}", file=sys.stderr)
            await asyncio.sleep(asked.minutes * 60 + TAIL_S)
            for service in services:
                if service.process.poll() is not None:
                    sys.exit(f"a service ended: {service.log_tail()}")
            if reading.done():
                reading.result()
            reading.cancel()
            await asyncio.wait([reading])
    print(f"{feeds.left} items have not appeared; {len(witness.analysed)} analysed", file=sys.stderr)
    return witness.ways()


def quantile(values: list[float], share: float) -> float:
    """Returns the smallest of the values that at least `share` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def main() -> None:
    """Measures, and prints median, 95th percentile and maximum of each step in seconds. Exits if no alert fired."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--rate", type=float, default=2_000, help="articles an hour")
    parser.add_argument("--troubled", type=int, default=36, help="companies that get into trouble")
    parser.add_argument("--feeds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    missing = missing_prerequisite()
    if missing is not None:
        sys.exit(missing)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Broker(folder / "kafka").running() as broker:
            ways = asyncio.run(measured(broker, folder, asked))
    if not ways:
        sys.exit("no alert fired")
    parts = {
        "fetched -> analysis visible": [way.analysed - way.seen for way in ways],
        "analysis -> alert visible": [way.decided - way.analysed for way in ways],
        "alert -> webhook": [way.notified - way.decided for way in ways],
        "fetched -> notified": [way.notified - way.seen for way in ways],
    }
    table = Table(title=f"{len(ways)} alerts at {asked.rate:,.0f} articles an hour; load {os.getloadavg()[1]:.1f}")
    for column in ("seconds", "median", "p95", "max"):
        table.add_column(column, justify="left" if column == "seconds" else "right")
    for part, values in parts.items():
        table.add_row(part, *(f"{v:.1f}" for v in (statistics.median(values), quantile(values, 0.95), max(values))))
    Console().print(table)


if __name__ == "__main__":
    main()
