"""Ingest workers on Kafka: each feed is polled by one worker, feeds move at a rebalance, and no item is lost."""

from __future__ import annotations

import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from broker import Broker
from cli import RISKWIRE, environment, json_lines, riskwire, unexpected_lines
from faults import start_logged
from feeds.feed_server import FeedRequest, FeedServer, serve_feeds
from kafka_reader import committed_records, latest_by_key
from services_on_kafka import wait_until

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

FEEDS = [f"feed-{number}" for number in range(12)]
EVERY_S = 10
_LOG_TAIL = 6_000


@pytest.fixture
def feed_server() -> Iterator[FeedServer]:
    with serve_feeds() as server:
        yield server


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """The log file of the workers. Its end is shown if the test fails."""
    path = tmp_path / "ingest.log"
    yield path
    if path.exists():
        print(path.read_text(errors="replace")[-_LOG_TAIL:])


class IngestWorkers:
    """Processes of `riskwire ingest`. Each one's name is the `User-Agent` of its requests."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self._env = env
        self._log = log
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *words: object) -> None:
        env = self._env | {"RISKWIRE_INGEST__USER_AGENT": name, "RISKWIRE_LOG__LEVEL": "info"}
        self._running[name] = start_logged([RISKWIRE, "ingest", "--port", 0, *words], self._log, env)

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait(timeout=20)

    def kill_all(self) -> None:
        for name in list(self._running):
            self.kill(name)


@pytest.fixture
def workers(kafka_broker: Broker, log: Path) -> Iterator[IngestWorkers]:
    """Ingest workers on the topics with the prefix "feeds-", none of which runs yet; all are killed at the end."""
    workers = IngestWorkers(ingest_env(kafka_broker.url, "feeds-"), log)
    yield workers
    workers.kill_all()


def ingest_env(url: str, prefix: str) -> dict[str, str]:
    """Returns the environment of an ingest worker with eight partitions, which may poll feeds on this machine."""
    return environment(
        RISKWIRE_BUS__URL=url,
        RISKWIRE_KAFKA__PREFIX=prefix,
        RISKWIRE_KAFKA__PARTITIONS="8",
        RISKWIRE_KAFKA__SESSION_TIMEOUT_S="5",
        RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS='["127.0.0.1"]',
        RISKWIRE_INGEST__PER_HOST="12",
        RISKWIRE_INGEST__CONCURRENCY="12",
        RISKWIRE_INGEST__TICK_S="1",
    )


def create_topics(env: dict[str, str]) -> None:
    completed = riskwire("topics", "create", env=env)
    assert completed.returncode == 0, completed.stderr


def write_feed_file(tmp_path: Path, feed_server: FeedServer, names: Iterable[str]) -> Path:
    """Writes a feed list with these feeds of the server, polled every `EVERY_S` seconds; returns its path."""
    path = tmp_path / "feeds.yaml"
    feeds = [{"id": name, "url": feed_server.url(name), "every_s": EVERY_S} for name in names]
    path.write_text(yaml.safe_dump(feeds))
    return path


def workers_by_feed(requests: list[FeedRequest]) -> dict[str, set[str]]:
    """Returns the workers that requested each feed."""
    workers: dict[str, set[str]] = defaultdict(set)
    for request in requests:
        workers[request.feed].add(request.agent)
    return workers


def has_polled_every_feed(worker: str, requests: list[FeedRequest]) -> bool:
    return {request.feed for request in requests if request.agent == worker} == set(FEEDS)


def stable_owners(requests: list[FeedRequest], since: float) -> dict[str, str]:
    """Returns the worker of each feed once no feed has changed its worker for longer than a polling interval.

    Until then, and until each feed was polled since the last change, returns an empty dict.

    Args:
        requests: the requests since `since`, a time of `time.monotonic()`, in order.
    """
    owner: dict[str, str] = {}
    last_move = since
    for request in requests:
        if owner.get(request.feed, request.agent) != request.agent:
            last_move = request.at
        owner[request.feed] = request.agent
    polled_since = {request.feed for request in requests if request.at >= last_move}
    is_stable = polled_since == set(FEEDS) and time.monotonic() - last_move > 1.5 * EVERY_S
    return owner if is_stable else {}


def test_feeds_move_to_a_worker_that_joins_and_away_from_one_that_is_killed(
    kafka_broker: Broker, feed_server: FeedServer, workers: IngestWorkers, tmp_path: Path
) -> None:
    """One worker polls all twelve feeds, then two share them, then the second is killed and the first polls all again.

    A new owner knows the validators (ETags) of the feeds it takes over, so it does not publish old items again: each
    item becomes one article, of version 1, under one id.
    """
    env = ingest_env(kafka_broker.url, "feeds-")
    create_topics(env)
    for feed in FEEDS:
        feed_server.publish(feed, 1, 2, 3)

    def articles() -> list[dict[str, Any]]:
        messages = committed_records(kafka_broker.client, "feeds-articles")
        records = [json.loads(message.value) for message in messages if message.value is not None]
        return [record for record in records if record["kind"] == "article"]

    def wait_for_every_item() -> None:
        """Waits until each item that the server has published has an article."""
        wait_until(
            lambda: {article["url"] for article in articles()} == feed_server.item_urls(),
            why=lambda: "an article is missing",
        )

    started = time.monotonic()
    workers.start("one", "--feeds", write_feed_file(tmp_path, feed_server, FEEDS))
    wait_until(
        lambda: has_polled_every_feed("one", feed_server.requests_since(started)),
        why=lambda: "the first worker does not poll every feed",
    )
    wait_for_every_item()  # the validators of the feeds are committed with the articles

    joined = time.monotonic()
    workers.start("two")
    owner: dict[str, str] = {}

    def both_workers_poll_feeds() -> bool:
        owner.update(stable_owners(feed_server.requests_since(joined), joined))
        return set(owner.values()) == {"one", "two"}

    wait_until(
        both_workers_poll_feeds,
        why=lambda: f"the feeds were not distributed: {workers_by_feed(feed_server.requests_since(joined))}",
    )
    rows = json_lines("feeds", "list", env=env)
    assert {row["state"] for row in rows} == {"ok"}
    polled_by = {row["id"]: row["polled_by"] for row in rows}
    assert len({(owner[feed], polled_by[feed]) for feed in FEEDS}) == 2, "`feeds list` shows which worker polls a feed"
    for feed in FEEDS:
        feed_server.publish(feed, 4)
    moved_feeds = {feed for feed in FEEDS if owner[feed] == "two"}
    requests = feed_server.requests_since(joined)
    for feed in moved_feeds:
        first = next(request for request in requests if (request.feed, request.agent) == (feed, "two"))
        assert first.validator is not None, "the new owner uses the validators of the previous one"

    workers.kill("two")
    killed = time.monotonic()
    for feed in FEEDS:
        feed_server.publish(feed, 5)
    wait_until(
        lambda: has_polled_every_feed("one", feed_server.requests_since(killed)),
        why=lambda: "the feeds of the killed worker are not polled",
    )
    assert all(request.validator is not None for request in feed_server.requests_since(killed))
    wait_for_every_item()
    versions = {(article["url"], article["version"]) for article in articles()}
    assert versions == {(url, 1) for url in feed_server.item_urls()}, "an item is not a new version after a move"
    ids_by_url: dict[str, set[str]] = defaultdict(set)
    for article in articles():
        ids_by_url[article["url"]].add(article["id"])
    assert all(len(ids) == 1 for ids in ids_by_url.values()), "an item keeps its id after a move"


def test_concurrent_changes_of_the_feed_list_take_effect_without_a_restart(
    kafka_broker: Broker, feed_server: FeedServer, log: Path, tmp_path: Path
) -> None:
    """Three commands at once add feeds to those of a file, and a fourth removes a feed of the file.

    All succeed, a running worker polls the added feeds, and `feeds list` and the topic of feeds hold the same feeds.
    """
    env = ingest_env(kafka_broker.url, "hand-") | {"RISKWIRE_KAFKA__PARTITIONS": "2"}
    create_topics(env)
    file_feeds, added_feeds = ["file-0", "file-1"], ["hand-0", "hand-1", "hand-2"]
    names = [*file_feeds, *added_feeds]
    for name in names:
        feed_server.publish(name, 1)

    def add(name: str) -> subprocess.CompletedProcess[str]:
        return riskwire("feeds", "add", feed_server.url(name), "--id", name, "--every", EVERY_S, env=env)

    workers = IngestWorkers(env, log)
    try:
        workers.start("one", "--feeds", write_feed_file(tmp_path, feed_server, file_feeds))
        wait_until(
            lambda: set(file_feeds) <= set(workers_by_feed(feed_server.requests)),
            why=lambda: "the feeds of the file are not polled",
        )
        with ThreadPoolExecutor(3) as pool:
            commands = list(pool.map(add, added_feeds))
        assert [command.returncode for command in commands] == [0] * 3, [command.stderr for command in commands]
        assert [unexpected_lines(command.stderr) for command in commands] == [[]] * 3
        assert [row["id"] for row in json_lines("feeds", "list", env=env)] == names
        wait_until(
            lambda: set(workers_by_feed(feed_server.requests)) == set(names),
            why=lambda: "an added feed is not polled without a restart",
        )
        assert riskwire("feeds", "remove", "file-0", env=env).returncode == 0
        origins = {row["id"]: row["from"] for row in json_lines("feeds", "list", env=env)}
        assert origins == {"file-1": "file", "hand-0": "hand", "hand-1": "hand", "hand-2": "hand"}
    finally:
        workers.kill_all()
    latest = latest_by_key(committed_records(kafka_broker.client, "hand-feeds"))
    enabled = {feed["id"] for feed in map(json.loads, latest.values()) if feed["enabled"]}
    assert enabled == set(origins), "the topic and the list agree"
