"""Feeds are shared out among ingesters: each is polled by one, they move with who comes and goes, nothing is lost."""

from __future__ import annotations

import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from cli import RISKWIRE, environment, json_lines, riskwire, unexpected_lines
from faults import logged
from feedserver import Asked, Publisher, publishing
from kafka_reader import committed_records, last_by_key
from services_on_kafka import wait_until

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

FEEDS = [f"feed-{n}" for n in range(12)]
EVERY_S = 10


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publishing() as publisher:
        yield publisher


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Where the ingesters write; shown where the test fails."""
    path = tmp_path / "ingest.log"
    yield path
    if path.exists():
        print(path.read_text(errors="replace")[-6_000:])


class Ingesters:
    """Real `riskwire ingest` processes; each is known to the publisher by its name."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self._env = env
        self._log = log
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *words: object) -> None:
        env = self._env | {"RISKWIRE_INGEST__USER_AGENT": name, "RISKWIRE_LOG__LEVEL": "info"}
        self._running[name] = logged([RISKWIRE, "ingest", "--port", 0, *words], self._log, env)

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait(timeout=20)

    def end(self) -> None:
        for name in list(self._running):
            self.kill(name)


@pytest.fixture
def ingesters(kafka_broker, log: Path) -> Iterator[Ingesters]:
    started = Ingesters(ingest_env(kafka_broker.url, "feeds-"), log)
    yield started
    started.kill()


def ingest_env(url: str, prefix: str) -> dict[str, str]:
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


def by_feed(asked: list[Asked]) -> dict[str, set[str]]:
    """Who asked for each feed."""
    who: dict[str, set[str]] = defaultdict(set)
    for one in asked:
        who[one.feed].add(one.agent)
    return who


def polled_by(publisher: Publisher, since: float, name: str) -> bool:
    """Whether this one has asked for each feed since."""
    return {asked.feed for asked in publisher.since(since) if asked.agent == name} == set(FEEDS)


def shared_out(publisher: Publisher, since: float) -> dict[str, str]:
    """Whose each feed is, once each was asked for by one only for longer than a round; until then nothing."""
    asked = publisher.since(since)
    owner: dict[str, str] = {}
    moved = since
    for one in asked:
        if owner.get(one.feed, one.agent) != one.agent:
            moved = one.at
        owner[one.feed] = one.agent
    recent = {one.feed for one in asked if one.at >= moved}
    return owner if recent == set(FEEDS) and time.monotonic() - moved > 1.5 * EVERY_S else {}


def test_feeds_move_to_an_ingester_that_joins_and_on_from_one_that_is_killed(
    kafka_broker, publisher: Publisher, ingesters: Ingesters, tmp_path: Path
) -> None:
    env = ingest_env(kafka_broker.url, "feeds-")
    assert riskwire("topics", "create", env=env).returncode == 0
    file = tmp_path / "feeds.yaml"
    file.write_text(yaml.safe_dump([{"id": f, "url": publisher.url(f), "every_s": EVERY_S} for f in FEEDS]))
    for feed in FEEDS:
        publisher.publish(feed, 1, 2, 3)

    def articles() -> list[dict]:
        found = committed_records(kafka_broker.client, "feeds-articles")
        records = [json.loads(record.value) for record in found if record.value is not None]
        return [record for record in records if record["kind"] == "article"]

    def until_all_are_there() -> None:
        wait_until(
            lambda: {article["url"] for article in articles()} == publisher.links(), why=lambda: "an article is lost"
        )

    began = time.monotonic()
    ingesters.start("one", "--feeds", file)
    wait_until(lambda: polled_by(publisher, began, "one"), why=lambda: "one does not poll every feed")
    until_all_are_there()  # and with them what is known of the feeds

    joined = time.monotonic()
    ingesters.start("two")
    # Two joins, and until it has, the feeds are one's; from some moment on each feed is asked for by one of the two.
    owner: dict[str, str] = {}

    def both_have_some() -> bool:
        owner.update(shared_out(publisher, joined))
        return set(owner.values()) == {"one", "two"}

    wait_until(both_have_some, why=lambda: f"not shared out: {by_feed(publisher.since(joined))}")
    rows = json_lines("feeds", "list", env=env)
    assert {row["state"] for row in rows} == {"ok"}
    by = {row["id"]: row["polled_by"] for row in rows}
    assert len({(owner[feed], by[feed]) for feed in FEEDS}) == 2, "`feeds list` says which of the two polls a feed"
    for feed in FEEDS:
        publisher.publish(feed, 4)
    moved = {feed for feed in FEEDS if owner[feed] == "two"}
    firsts = [
        next(asked for asked in publisher.since(joined) if (asked.feed, asked.agent) == (f, "two")) for f in moved
    ]
    assert all(first.validator is not None for first in firsts), "the new owner asks with the validators of the old one"

    ingesters.kill("two")
    killed = time.monotonic()
    for feed in FEEDS:
        publisher.publish(feed, 5)
    wait_until(lambda: polled_by(publisher, killed, "one"), why=lambda: "the feeds of the killed one are not polled on")
    assert all(asked.validator is not None for asked in publisher.since(killed))
    until_all_are_there()
    versions = {(article["url"], article["version"]) for article in articles()}
    assert versions == {(page, 1) for page in publisher.links()}, "an item that moved is not a new version"
    ids = {article["url"]: article["id"] for article in articles()}
    assert {(article["id"], ids[article["url"]]) for article in articles()} == {(i, i) for i in ids.values()}


def test_the_list_is_changed_by_hand_by_many_at_once_while_it_is_polled(
    kafka_broker, publisher: Publisher, log: Path, tmp_path: Path
) -> None:
    env = ingest_env(kafka_broker.url, "hand-") | {"RISKWIRE_KAFKA__PARTITIONS": "2"}
    assert riskwire("topics", "create", env=env).returncode == 0
    file = tmp_path / "feeds.yaml"
    file.write_text(
        yaml.safe_dump([{"id": name, "url": publisher.url(name), "every_s": EVERY_S} for name in ("file-0", "file-1")])
    )
    names = ["file-0", "file-1", "hand-0", "hand-1", "hand-2"]
    for name in names:
        publisher.publish(name, 1)
    ingesters = Ingesters(env, log)
    try:
        ingesters.start("one", "--feeds", file)
        wait_until(
            lambda: {"file-0", "file-1"} <= set(by_feed(publisher.asked)),
            why=lambda: "the file's feeds are not polled",
        )
        add = lambda name: riskwire("feeds", "add", publisher.url(name), "--id", name, "--every", EVERY_S, env=env)  # noqa: E731
        with ThreadPoolExecutor(3) as pool:
            added = list(pool.map(add, names[2:]))
        assert [done.returncode for done in added] == [0] * 3, [done.stderr for done in added]
        assert [unexpected_lines(done.stderr) for done in added] == [[]] * 3
        assert [row["id"] for row in json_lines("feeds", "list", env=env)] == names
        wait_until(
            lambda: set(by_feed(publisher.asked)) == set(names),
            why=lambda: "what was added is not polled without a restart",
        )
        assert riskwire("feeds", "remove", "file-0", env=env).returncode == 0
        rows = {row["id"]: row["from"] for row in json_lines("feeds", "list", env=env)}
        assert rows == {"file-1": "file", "hand-0": "hand", "hand-1": "hand", "hand-2": "hand"}
    finally:
        ingesters.end()
    last = last_by_key(committed_records(kafka_broker.client, "hand-feeds"))
    enabled = {feed["id"] for feed in map(json.loads, last.values()) if feed["enabled"]}
    assert enabled == set(rows), "the topic says what the list says"
