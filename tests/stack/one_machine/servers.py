"""Starts Kafka, PostgreSQL, Alertmanager, the services of riskwire and Prometheus, and stops them in reverse."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from broker import Broker, free_ports, missing_prerequisite
from cli import RISKWIRE, json_lines, riskwire
from faults import start_logged
from feeds.feed_server import FeedServer, serve_feeds
from prometheus_server import Prometheus, missing_prometheus, running_prometheus
from services_on_kafka import on_kafka, wait_until
from stores.postgresql import PostgresServer, missing_postgresql
from webhooks import WebhookServer, running_webhook_server

from riskwire.demo import watchlist_path
from riskwire.pipeline import INGEST, SERVICES

START_S = 600.0
"""Longer than any start takes that is not broken, also on a slow and busy machine."""
_STOP_S = 120.0
FEED = "wire"
"""The feed that ingest polls, on this machine."""
_MAX_AGE_S = 10 * 86_400
"""The news of the stack is days old, and its alerts are delivered nevertheless."""
_OWN_GROUP = ("setsid",)
"""A prefix of commands, so that Ctrl-C in a terminal does not end what they start before it is stopped in order."""
ALERTMANAGER = "prometheus-alertmanager"
_SAMPLE = Path(__file__).parents[3] / "deploy" / "alertmanager" / "alertmanager.yml"
_SAMPLE_RECEIVERS = "http://127.0.0.1:5001"
"""The address of the receivers in the sample."""


def missing_programs() -> str | None:
    """Returns what is missing on this machine, and how to get it; None if nothing is."""
    if shutil.which(ALERTMANAGER) is None:
        return "alertmanager is not there (Debian: apt install prometheus-alertmanager)"
    return missing_prerequisite() or missing_postgresql() or missing_prometheus()


@dataclass(frozen=True, slots=True)
class RunningStack:
    """Everything that runs.

    Attributes:
        folder: where everything keeps its data and its logs.
        page: the address of the page and the API.
        database: the URL of the store.
        webhooks: receives the alerts from riskwire itself.
        routed: receives the alerts from Alertmanager.
        ports: the port of each service.
        env: the environment of a command of riskwire.
    """

    folder: Path
    page: str
    database: str
    kafka: str
    alertmanager: str
    prometheus: Prometheus
    postgres: PostgresServer
    webhooks: WebhookServer
    routed: WebhookServer
    env: Mapping[str, str]
    ports: Mapping[str, int]
    services: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def api(self, path: str, body: object = None) -> Any:
        """Returns the answer of the API, `body` being posted; None while it does not answer."""
        return answer_of(f"{self.page}/api/v1/{path}", body)

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """Returns the rows of a statement on the store."""
        return self.postgres.sql(statement, self.database.rpartition("/")[2])

    def lag(self, stage: str) -> int:
        """Returns how many records a stage has not read."""
        (status,) = json_lines("status", env=dict(self.env))
        return int(status["lag"][stage])

    def publish(self, archive: Path) -> None:
        """Publishes an archive of news.

        Raises:
            AssertionError: the command failed.
        """
        completed = riskwire("replay", archive, "--publish-only", "--data", self.folder / "data", env=dict(self.env))
        assert completed.returncode == 0, completed.stderr

    def start(self, name: str) -> None:
        """Starts a service."""
        words = [*_OWN_GROUP, RISKWIRE, name, "--port", self.ports[name]]
        self.services[name] = start_logged(words, self.folder / f"{name}.log", dict(self.env))

    def wait_until_ready(self, name: str) -> None:
        """Waits until a service is ready.

        Raises:
            AssertionError: it exited, or takes too long. The message has the end of its log.
        """
        log = self.folder / f"{name}.log"

        def is_ready() -> bool:
            code = self.services[name].poll()
            assert code is None, f"{name} exited with {code}: {log.read_text(errors='replace')[-4_000:]}"
            return answer_of(f"http://127.0.0.1:{self.ports[name]}/readyz") is not None

        wait_until(is_ready, START_S, lambda: log.read_text(errors="replace")[-4_000:])


def answer_of(url: str, body: object = None) -> Any:
    """Returns the JSON at an address, or the answer to a body that is posted to it; None without an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError):
        return None


@contextmanager
def running_stack(folder: Path, report: Callable[[str], None]) -> Iterator[RunningStack]:
    """Runs everything. At the end it stops the services first, and the servers that they use after them.

    Args:
        folder: an empty folder.
        report: called with a line for each part that runs.

    Raises:
        AssertionError: a part does not start, or a service does not stop with exit code 0.
    """
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "kafka").running())
        report(f"Kafka            {broker.url}")
        postgres = stack.enter_context(PostgresServer.running(prefix=_OWN_GROUP))
        database = postgres.new_database()
        report(f"PostgreSQL       {database}")
        feeds = stack.enter_context(serve_feeds())
        feeds.publish(FEED, 1, 2)
        webhooks, routed = (stack.enter_context(running_webhook_server()) for _ in range(2))
        alertmanager = stack.enter_context(_running_alertmanager(folder, routed.url))
        report(f"Alertmanager     {alertmanager}")
        env = _environment(broker, database, webhooks.url, alertmanager) | _feed_list(folder, feeds)
        for command in (("topics", "create"), ("db", "upgrade")):
            completed = riskwire(*command, env=env)
            assert completed.returncode == 0, completed.stderr
        ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        targets = [f"127.0.0.1:{port}" for port in ports.values()]
        prometheus = stack.enter_context(
            running_prometheus(folder, targets, alertmanager=alertmanager.removeprefix("http://"), scrape_s=5)
        )
        report(f"Prometheus       {prometheus.url}")
        running = RunningStack(
            folder=folder,
            page=f"http://127.0.0.1:{ports['serve']}",
            database=database,
            kafka=broker.url,
            alertmanager=alertmanager,
            prometheus=prometheus,
            postgres=postgres,
            webhooks=webhooks,
            routed=routed,
            env=env,
            ports=ports,
        )
        stack.callback(_stop_services, running)
        # ingest comes after the news: its ticks carry the present time, and the news of the stack is older.
        for name in SERVICES:
            if name != INGEST.service:
                running.start(name)
        for name in running.services:
            running.wait_until_ready(name)
            report(f"riskwire {name:<8}http://127.0.0.1:{ports[name]}/readyz")
        yield running


def _stop_services(stack: RunningStack) -> None:
    """Stops the services orderly.

    Raises:
        AssertionError: a service exited with another code than 0.
    """
    for process in stack.services.values():
        process.terminate()
    try:
        codes = {name: process.wait(timeout=_STOP_S) for name, process in stack.services.items()}
    finally:
        for process in stack.services.values():
            if process.poll() is None:
                process.kill()
                process.wait(timeout=20)
    assert set(codes.values()) <= {0}, f"exit codes of the services: {codes}; their logs are in {stack.folder}"


def _environment(broker: Broker, database: str, webhook: str, alertmanager: str) -> dict[str, str]:
    """Returns the environment of every service."""
    return on_kafka(broker, "stack-", partitions=2) | {
        "RISKWIRE_STORE__URL": database,
        "RISKWIRE_WATCHLIST": str(watchlist_path()),
        "RISKWIRE_NOTIFY__WEBHOOKS": json.dumps([webhook]),
        "RISKWIRE_NOTIFY__RECEIVERS": json.dumps({"alertmanager": {"alertmanager": alertmanager}}),
        "RISKWIRE_NOTIFY__MAX_AGE_S": str(_MAX_AGE_S),
        "RISKWIRE_NOTIFY__RESEND_S": "5",
    }


def _feed_list(folder: Path, feeds: FeedServer) -> dict[str, str]:
    """Writes the list of feeds; returns the part of the environment that names it."""
    path = folder / "feeds.yaml"
    path.write_text(yaml.safe_dump([{"id": FEED, "url": feeds.url(FEED), "every_s": 10}]), encoding="utf-8")
    return {"RISKWIRE_FEEDS": str(path), "RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS": '["127.0.0.1"]'}


@contextmanager
def _running_alertmanager(folder: Path, webhook: str) -> Iterator[str]:
    """Runs Alertmanager with the sample of deploy/, whose receivers are one webhook, at once; yields its address."""
    api, gossip = free_ports(2)
    config = folder / "alertmanager.yml"
    sample = yaml.safe_load(_SAMPLE.read_text(encoding="utf-8").replace(_SAMPLE_RECEIVERS, webhook))
    sample["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    config.write_text(yaml.safe_dump(sample), encoding="utf-8")
    words = [
        *_OWN_GROUP,
        ALERTMANAGER,
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{api}",
        f"--cluster.listen-address=127.0.0.1:{gossip}",
    ]
    process = start_logged(words, folder / "alertmanager.log")
    address = f"http://127.0.0.1:{api}"
    try:
        wait_until(lambda: answer_of(f"{address}/api/v2/status") is not None, START_S)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=_STOP_S)
