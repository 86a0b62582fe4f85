"""`riskwire run` with its store on PostgreSQL, as an operator meets it: away for long, and of another version."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cli import environment, riskwire, start_riskwire
from feeds.feed_server import FeedServer, serve_feeds
from services_on_kafka import wait_until
from stores.postgresql import PostgresServer, missing_postgresql

from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store

pytestmark = pytest.mark.needs_postgresql

TIMEOUT_S = 120.0
CHANGES = {
    "newer": "update riskwire_schema set version_num = '99'",
    "older": "update riskwire_schema set version_num = '8'",
    "another program": "drop table riskwire_schema",
}


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    missing = missing_postgresql()
    if missing is not None:
        pytest.skip(missing)
    with PostgresServer.running() as server:
        yield server


@pytest.fixture
def wire() -> Iterator[FeedServer]:
    with serve_feeds() as wire:
        wire.publish("wire", 1, 2)
        yield wire


@pytest.fixture
def start(
    server: PostgresServer, wire: FeedServer, tiny_bundle: Path, tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `riskwire run` on the database of this test with further variables; what still runs is killed."""
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text(yaml.safe_dump([{"id": "wire", "url": wire.url("wire"), "every_s": 10}]))
    running: list[subprocess.Popen[str]] = []

    def run(url: str, **variables: str) -> subprocess.Popen[str]:
        env = environment(
            RISKWIRE_STORE__URL=url,
            RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle),
            RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS='["127.0.0.1"]',
            **variables,
        )
        process = start_riskwire("run", "--feeds", feeds, "--data", tmp_path / "data", "--port", "0", env=env)
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def address_of(process: subprocess.Popen[str]) -> str:
    """Returns the address that a process prints; a thread reads what it prints later."""
    assert process.stderr is not None
    for line in process.stderr:
        if match := re.search(r"http://127\.0\.0\.1:\d+", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return match[0]
    raise AssertionError("it exited without its address")


def status(address: str, path: str) -> int:
    """Returns the status of an answer."""
    try:
        with urllib.request.urlopen(address + path, timeout=TIMEOUT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_news_that_comes_while_postgresql_is_away_is_stored_when_it_is_back(
    server: PostgresServer, wire: FeedServer, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Meanwhile the page answers 503, the feeds are polled, and the process stays alive."""
    url = server.new_database()
    settings = Settings(data=tmp_path, store=StoreSettings(url=url))
    process = start(url)
    address = address_of(process)

    def stored() -> int:
        with Store.open(settings, read_only=True) as store:
            return store.counts().articles

    wait_until(lambda: status(address, "/readyz") == 200, TIMEOUT_S)
    wait_until(lambda: stored() == 2, TIMEOUT_S)
    server.kill()
    assert status(address, "/api/v1/stories") == 503
    polls = len(wire.requests)
    wire.publish("wire", 3, 4)
    wait_until(lambda: len(wire.requests) >= polls + 2, TIMEOUT_S)
    assert status(address, "/healthz") == 200
    assert process.poll() is None
    server.start()
    wait_until(lambda: stored() == 4, TIMEOUT_S)
    wait_until(lambda: status(address, "/api/v1/stories") == 200, TIMEOUT_S)
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT_S) == 0


def test_a_process_ends_with_code_2_when_postgresql_is_away_for_longer_than_wait_s(
    server: PostgresServer, wire: FeedServer, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """So does a process that starts meanwhile. Started again later, it stores what is left."""
    url = server.new_database()
    process = start(url, RISKWIRE_STORE__WAIT_S="2")
    address = address_of(process)
    wait_until(lambda: status(address, "/readyz") == 200, TIMEOUT_S)
    server.kill()
    wire.publish("wire", 3)
    assert process.wait(TIMEOUT_S) == 2
    second = start(url)
    _, printed = second.communicate(timeout=TIMEOUT_S)
    assert second.returncode == 2
    assert "cannot be reached" in printed
    server.start()
    address_of(start(url))
    wait_until(lambda: server.sql("select count(*) from articles", url.rpartition("/")[2]) == [(3,)], TIMEOUT_S)


@pytest.mark.parametrize("version", CHANGES)
def test_no_process_starts_on_a_database_of_another_version_and_nothing_is_changed(
    server: PostgresServer, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, version: str
) -> None:
    """The monitor, a command that reads, and `riskwire db check` end with code 2 and say what to do."""
    url = server.new_database()
    database = url.rpartition("/")[2]
    Store.open(Settings(data=tmp_path, store=StoreSettings(url=url))).close()
    server.sql(CHANGES[version], database)
    tables = "select string_agg(relname, ' ' order by relname) from pg_class where relkind in ('r', 'p')"
    before = server.sql(tables, database)
    _, printed = (process := start(url)).communicate(timeout=TIMEOUT_S)
    messages = [(process.returncode, printed)]
    for words in (("alerts",), ("db", "check")):
        done = riskwire(*words, env=environment(RISKWIRE_STORE__URL=url, RISKWIRE_DATA=str(tmp_path / "data")))
        messages.append((done.returncode, done.stderr))
    expected = {
        "newer": "a newer riskwire",
        "older": "store.url",
        "another program": "not a riskwire store",
    }[version]
    for code, message in messages:
        assert code == 2, message
        assert expected in message
    assert server.sql(tables, database) == before
