"""A broker that is away for less than the deadline needs no restart of a service, and for longer one restart.

In both cases nothing is lost or doubled.
"""

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
from kafka_reader import committed_records
from services_on_kafka import (
    analysed_articles,
    article,
    article_records,
    on_kafka_with_topics,
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
"""A restore takes a tenth of a second, so the kill of the broker does not always fall into it."""


@pytest.fixture(scope="module")
def own_broker(kafka_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that may be killed."""
    with Broker(tmp_path_factory.mktemp("absent")).running() as broker:
        yield broker


def setup_topics(broker: Broker, prefix: str, bundle: Path, **kafka: object) -> tuple[dict[str, str], KafkaSettings]:
    """Creates topics; returns the environment of a service and the settings of a publisher.

    Args:
        prefix: the prefix of the topics, so that tests do not share them.
        kafka: settings of the section `kafka`: a service waits `deadline_s` for an answer, and exits `stuck_after_s`
            after the last progress.
    """
    env = on_kafka_with_topics(broker, prefix, bundle, partitions=2, session_timeout_s=3, **kafka)
    return env, KafkaSettings(prefix=prefix)


def wait_until_analysed(broker: Broker, prefix: str, count: int) -> None:
    """Waits until the first `count` articles have one analysis each, and no other analysis exists."""
    wait_until(lambda: len(set(analysed_articles(broker, prefix))) >= count)
    assert Counter(analysed_articles(broker, prefix)) == Counter(article(number).id for number in range(count))


def test_an_outage_shorter_than_the_deadline_makes_a_service_unready_without_a_restart(
    own_broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    """The broker is killed while infer has 40 unread articles, and started again within the deadline of 120 s."""
    env, kafka = setup_topics(own_broker, "short-", tiny_bundle, deadline_s=DEADLINE_S, stuck_after_s=2 * DEADLINE_S)
    publish(own_broker, kafka, article_records(range(40)))
    with running_service("infer", env, tmp_path / "infer.log") as infer:
        wait_until_analysed(own_broker, "short-", 40)
        infer.wait_until_ready()
        publish(own_broker, kafka, article_records(range(40, 80)))
        own_broker.kill()
        wait_until(lambda: "no answer for" in infer.stage_detail("kafka"), why=infer.log_tail)
        assert infer.readiness()[0] == 503
        own_broker.start()
        infer.wait_until_ready()
        publish(own_broker, kafka, article_records(range(80, 100)))
        wait_until_analysed(own_broker, "short-", 100)
        assert infer.process.poll() is None, "no restart"
        events = [json.loads(line).get("event") for line in infer.log.read_text().splitlines() if line.startswith("{")]
        assert "the bus does not answer" in events
        assert "the bus answers again" in events


def test_a_worker_waits_for_a_broker_that_is_killed_during_its_restore(
    own_broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    """The broker is killed after the worker got its two partitions and before it has restored the state of both.

    If the kill came too late, the test tries again with a new worker.
    """
    env, kafka = setup_topics(
        own_broker, "restoring-", tiny_bundle, deadline_s=DEADLINE_S, stuck_after_s=2 * DEADLINE_S
    )
    for attempt in range(ATTEMPTS):
        before, count = 20 * attempt, 20 * (attempt + 1)
        publish(own_broker, kafka, article_records(range(before, count)))  # new records, which no earlier attempt read
        with running_service(
            "infer", env | {"RISKWIRE_LOG__LEVEL": "info"}, tmp_path / f"infer-{attempt}.log"
        ) as infer:
            wait_until(lambda: "partitions assigned" in infer.log_tail(), why=infer.log_tail)
            own_broker.kill()
            in_time = infer.log_tail().count("state restored") < 2
            own_broker.start()
            if in_time:
                wait_until_analysed(own_broker, "restoring-", count)
                assert infer.process.poll() is None, "no restart"
                return
    raise AssertionError(f"in {ATTEMPTS} attempts the broker was never killed during a restore")


def test_an_outage_longer_than_the_deadline_makes_a_service_exit_and_the_next_one_continues(
    own_broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    """The deadline is 5 s. A service that is started during the outage exits as well, with 2.

    Once the broker is back, the next service reads what is left: each article is analysed once.
    """
    env, kafka = setup_topics(own_broker, "long-", tiny_bundle, deadline_s=5, stuck_after_s=8)
    publish(own_broker, kafka, article_records(range(40)))
    log = tmp_path / "infer.log"
    with running_service("infer", env, log) as infer:
        wait_until_analysed(own_broker, "long-", 40)
        publish(own_broker, kafka, article_records(range(40, 60)))
        own_broker.kill()
        assert wait_for_exit(infer.process) == 2
        reason = infer.log_tail().splitlines()[-1]
        assert reason.startswith("riskwire: ")
        # Which of the two depends on what the service was doing when the broker was killed.
        assert own_broker.url in reason or "Kafka has not answered for" in reason
    with running_service("infer", env, log) as early:
        assert wait_for_exit(early.process) == 2, "a restart by an orchestrator before the broker is back"
        assert "Kafka cannot be reached" in early.log_tail().splitlines()[-1]
    own_broker.start()
    with running_service("infer", env, log):
        publish(own_broker, kafka, article_records(range(60, 80)))
        wait_until_analysed(own_broker, "long-", 80)


async def test_a_bus_closed_during_an_outage_leaves_no_task_running(own_broker: Broker) -> None:
    """Closing the bus makes waiting steps fail and waiting fetches return nothing, without the broker."""
    kafka = KafkaSettings(prefix="closed-", partitions=2, session_timeout_s=3, deadline_s=120)
    settings = BusSettings(url=own_broker.url)
    await create_topics(settings, kafka, {"copy": Topic.ARTICLES})
    before = asyncio.all_tasks()
    bus = await KafkaBus.open(settings, kafka)
    joined = bus.assignments("copy", Topic.ARTICLES)
    assignments = [await anext(joined) for _ in range(2)]
    for assignment in assignments:
        assert await assignment.restore() == {}
    own_broker.kill()
    try:
        steps = [asyncio.create_task(assignment.commit(0, [], {"a": b"1"})) for assignment in assignments]
        fetches = [asyncio.create_task(assignment.fetch(1, 60)) for assignment in assignments]
        await asyncio.wait(steps, timeout=1)
        async with asyncio.timeout(60):
            await bus.close()
            assert [list(batch) for batch in await asyncio.gather(*fetches)] == [[], []]
            failures = await asyncio.gather(*steps, return_exceptions=True)
        assert [type(failure) for failure in failures] == [BusError, BusError]
        assert asyncio.all_tasks() == before
    finally:
        own_broker.start()


class _FeedHandler(http.server.BaseHTTPRequestHandler):
    """Serves a feed with `server.items` items."""

    def do_GET(self) -> None:
        """Answers with an RSS feed of as many items as `server.items`, each with its own title."""
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
        """Logs nothing."""


@pytest.fixture
def wire() -> Iterator[http.server.ThreadingHTTPServer]:
    """A server of a feed with `wire.items` items."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _FeedHandler) as server:
        server.items = 5
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def titles(broker: Broker, prefix: str) -> Counter[str]:
    """Counts the articles by title."""
    records = [json.loads(record.value or b"{}") for record in committed_records(broker.client, f"{prefix}articles")]
    return Counter(record["title"] for record in records if record["kind"] == "article")


def test_items_that_appear_during_an_outage_are_published_once_the_broker_is_back(
    own_broker: Broker, tiny_bundle: Path, tmp_path: Path, wire: http.server.ThreadingHTTPServer
) -> None:
    """Ingest polls a feed of five items, which has nine when the broker is away. Each becomes one article."""
    env, _ = setup_topics(own_broker, "feeds-", tiny_bundle, deadline_s=DEADLINE_S, stuck_after_s=2 * DEADLINE_S)
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text(
        yaml.safe_dump([{"id": "wire", "url": f"http://127.0.0.1:{wire.server_port}/feed", "every_s": 10}])
    )
    env |= {"RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS": '["127.0.0.1"]'}
    with running_service("ingest", env, tmp_path / "ingest.log", "--feeds", feeds) as ingest:
        wait_until(lambda: sum(titles(own_broker, "feeds-").values()) == 5, why=ingest.log_tail)
        own_broker.kill()
        wire.items = 9  # the feed now has four more items
        wait_until(lambda: "no answer for" in ingest.stage_detail("kafka"), why=ingest.log_tail)
        own_broker.start()
        wait_until(lambda: len(titles(own_broker, "feeds-")) == 9, why=ingest.log_tail)
        assert set(titles(own_broker, "feeds-").values()) == {1}
        assert ingest.process.poll() is None, "no restart"
