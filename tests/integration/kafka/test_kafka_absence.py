"""A broker that goes away: short of the deadline it costs nothing, beyond it a restart; nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from broker import Broker
from cli import riskwire
from kafka_reader import committed_records
from services_on_kafka import (
    analysed_articles,
    article,
    article_records,
    on_kafka,
    publish,
    running_service,
    wait_for_exit,
    wait_until,
)

from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.errors import BusError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

DEADLINE_S = 120
"""Longer than a broker takes to start on a busy machine."""
ATTEMPTS = 5
"""The state is restored in a tenth of a second: that the broker goes meanwhile takes a little luck."""


@pytest.fixture(scope="module")
def own_broker(kafka_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that may be killed."""
    with Broker(tmp_path_factory.mktemp("absent")).running() as broker:
        yield broker


def made(broker: Broker, prefix: str, bundle: Path, **kafka: object) -> tuple[dict[str, str], KafkaSettings]:
    env = on_kafka(broker, prefix, bundle, partitions=2, session_timeout_s=3, **kafka)
    done = riskwire("topics", "create", env=env)
    assert done.returncode == 0, done.stderr
    return env, KafkaSettings(prefix=prefix)


def until_analysed(broker: Broker, prefix: str, count: int) -> None:
    """Each of the first articles has one analysis, and no other is there."""
    wait_until(lambda: len(set(analysed_articles(broker, prefix))) >= count)
    assert Counter(analysed_articles(broker, prefix)) == Counter(article(number).id for number in range(count))


def test_an_absence_shorter_than_the_deadline_costs_nothing_and_is_told_meanwhile(
    own_broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    env, kafka = made(own_broker, "short-", tiny_bundle, deadline_s=DEADLINE_S, stuck_after_s=2 * DEADLINE_S)
    publish(own_broker, kafka, article_records(range(40)))
    with running_service("infer", env, tmp_path / "infer.log") as infer:
        until_analysed(own_broker, "short-", 40)
        infer.wait_until_ready()
        publish(own_broker, kafka, article_records(range(40, 80)))
        own_broker.kill()
        wait_until(lambda: "no answer for" in infer.stage_detail("kafka"), why=infer.log_tail)
        assert infer.readiness()[0] == 503
        own_broker.start()
        infer.wait_until_ready()
        publish(own_broker, kafka, article_records(range(80, 100)))
        until_analysed(own_broker, "short-", 100)
        assert infer.process.poll() is None, "no restart"
        said = [json.loads(line).get("event") for line in infer.log.read_text().splitlines() if line.startswith("{")]
        assert "Kafka does not answer" in said
        assert "Kafka answers again" in said


def test_a_worker_that_is_restoring_when_the_broker_goes_waits_for_it(
    own_broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    env, kafka = made(own_broker, "restoring-", tiny_bundle, deadline_s=DEADLINE_S, stuck_after_s=2 * DEADLINE_S)
    for attempt in range(ATTEMPTS):
        before, count = 20 * attempt, 20 * (attempt + 1)
        publish(
            own_broker, kafka, article_records(range(before, count))
        )  # so that this attempt alone can have read them
        with running_service(
            "infer", env | {"RISKWIRE_LOG__LEVEL": "info"}, tmp_path / f"infer-{attempt}.log"
        ) as infer:
            wait_until(lambda: "partitions assigned" in infer.log_tail(), why=infer.log_tail)
            own_broker.kill()
            in_time = infer.log_tail().count("state restored") < 2
            own_broker.start()
            if in_time:
                until_analysed(own_broker, "restoring-", count)
                assert infer.process.poll() is None, "no restart"
                return
    raise AssertionError(f"in {ATTEMPTS} attempts the broker has never gone while the worker was restoring")


def test_after_an_absence_beyond_the_deadline_the_service_leaves_and_its_successor_goes_on(
    own_broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    env, kafka = made(own_broker, "long-", tiny_bundle, deadline_s=5, stuck_after_s=8)
    publish(own_broker, kafka, article_records(range(40)))
    log = tmp_path / "infer.log"
    with running_service("infer", env, log) as infer:
        until_analysed(own_broker, "long-", 40)
        publish(own_broker, kafka, article_records(range(40, 60)))
        own_broker.kill()
        assert wait_for_exit(infer.process) == 2
        last = infer.log_tail().splitlines()[-1]
        assert last.startswith("riskwire: ")
        assert own_broker.url in last or "Kafka has not answered for" in last  # by what it was at
    with running_service("infer", env, log) as early:
        assert wait_for_exit(early.process) == 2, "as an orchestrator starts it again, too early"
        assert "Kafka cannot be reached" in early.log_tail().splitlines()[-1]
    own_broker.start()
    with running_service("infer", env, log):
        publish(own_broker, kafka, article_records(range(60, 80)))
        until_analysed(own_broker, "long-", 80)


async def test_what_is_closed_while_the_broker_is_away_leaves_no_task_behind(own_broker: Broker) -> None:
    kafka = KafkaSettings(prefix="closed-", partitions=2, session_timeout_s=3, deadline_s=120)
    settings = BusSettings(url=own_broker.url)
    await create_topics(settings, kafka, {"copy": Topic.ARTICLES})
    before = asyncio.all_tasks()
    bus = await KafkaBus.open(settings, kafka)
    joined = bus.assignments("copy", Topic.ARTICLES)
    held = [await anext(joined) for _ in range(2)]
    for assignment in held:
        assert await assignment.restore() == {}
    own_broker.kill()
    try:
        steps = [asyncio.create_task(assignment.commit(0, [], {"a": b"1"})) for assignment in held]
        fetches = [asyncio.create_task(assignment.fetch(1, 60)) for assignment in held]
        await asyncio.wait(steps, timeout=1)
        async with asyncio.timeout(60):
            await bus.close()
            assert [list(batch) for batch in await asyncio.gather(*fetches)] == [[], []]
            failures = await asyncio.gather(*steps, return_exceptions=True)
        assert [type(failure) for failure in failures] == [BusError, BusError]
        assert asyncio.all_tasks() == before
    finally:
        own_broker.start()


class _Wire(http.server.BaseHTTPRequestHandler):
    """A feed of as many items as the server says."""

    def do_GET(self) -> None:
        items = "".join(
            f"<item><title>Acme Corp wins order {n}</title><link>https://wire.example/{n}</link><guid>{n}</guid>"
            f"<pubDate>Mon, 02 Mar 2026 12:00:00 GMT</pubDate></item>"
            for n in range(self.server.items)
        )
        body = f'<?xml version="1.0"?><rss version="2.0"><channel><title>Wire</title>{items}</channel></rss>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/rss+xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def wire() -> Iterator[http.server.ThreadingHTTPServer]:
    """A feed of `wire.items` items."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Wire) as server:
        server.items = 5
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def titles(broker: Broker, prefix: str) -> Counter[str]:
    records = [json.loads(record.value or b"{}") for record in committed_records(broker.client, f"{prefix}articles")]
    return Counter(record["title"] for record in records if record["kind"] == "article")


def test_what_feeds_bring_while_the_broker_is_away_is_published_once_it_is_back(
    own_broker: Broker, tiny_bundle: Path, tmp_path: Path, wire: http.server.ThreadingHTTPServer
) -> None:
    env, _ = made(own_broker, "feeds-", tiny_bundle, deadline_s=DEADLINE_S, stuck_after_s=2 * DEADLINE_S)
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text(
        yaml.safe_dump([{"id": "wire", "url": f"http://127.0.0.1:{wire.server_port}/feed", "every_s": 10}])
    )
    env |= {"RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS": '["127.0.0.1"]'}
    with running_service("ingest", env, tmp_path / "ingest.log", "--feeds", feeds) as ingest:
        wait_until(lambda: sum(titles(own_broker, "feeds-").values()) == 5, why=ingest.log_tail)
        own_broker.kill()
        wire.items = 9
        wait_until(lambda: "no answer for" in ingest.stage_detail("kafka"), why=ingest.log_tail)
        own_broker.start()
        wait_until(lambda: len(titles(own_broker, "feeds-")) == 9, why=ingest.log_tail)
        assert set(titles(own_broker, "feeds-").values()) == {1}
        assert ingest.process.poll() is None, "no restart"
