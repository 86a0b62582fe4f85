"""Real `riskwire` services on a real broker: their environment, their probes, and articles for them to read."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from broker import Broker, free_ports
from cli import RISKWIRE, environment, riskwire
from faults import start_logged
from kafka_reader import committed_records

from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.pipeline import Topic
from riskwire.records import Article, Tick, content_id
from riskwire.settings import BusSettings, KafkaSettings

TIMEOUT_S = 120.0
"""Longer than anything takes that is not broken, also on a slow and busy machine."""
_START = datetime(2026, 3, 2, 12, tzinfo=UTC)


def on_kafka(broker: Broker, prefix: str, bundle: Path | None = None, **kafka: object) -> dict[str, str]:
    """Returns the environment of a service on a broker.

    Args:
        prefix: the prefix of the names of topics, which separates this test from others on the broker.
        bundle: the folder of the model; by default the shipped model.
        kafka: further settings of the section `kafka`.
    """
    variables = {f"RISKWIRE_KAFKA__{key.upper()}": str(value) for key, value in kafka.items()}
    if bundle is not None:
        variables["RISKWIRE_INFERENCE__BUNDLE"] = str(bundle)
    return environment(
        RISKWIRE_BUS__URL=broker.url,
        RISKWIRE_KAFKA__PREFIX=prefix,
        RISKWIRE_INFERENCE__THREADS="1",
        RISKWIRE_LOG__FORMAT="json",
        **variables,
    )


def on_kafka_with_topics(broker: Broker, prefix: str, bundle: Path | None = None, **kafka: object) -> dict[str, str]:
    """Creates the topics of a test on a broker. Returns the environment of its services; see `on_kafka`."""
    env = on_kafka(broker, prefix, bundle, **kafka)
    created = riskwire("topics", "create", env=env)
    assert created.returncode == 0, created.stderr
    return env


class Service:
    """A service process, its log and its probes."""

    def __init__(
        self, name: str, env: dict[str, str], log: Path, *words: object, program: tuple[object, ...] = (RISKWIRE,)
    ) -> None:
        """Starts a service on a free port; its output is appended to `log`.

        Args:
            name: the command that runs the service, such as `infer`.
            words: further arguments of the command.
            program: what is run instead of `riskwire`.
        """
        self.log = log
        (self.port,) = free_ports(1)
        self.process = start_logged([*program, name, "--port", self.port, *words], log, env)

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Returns status and body of `/readyz`, or `(0, {})` if the service does not answer."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            return error.code, json.load(error)
        except (URLError, OSError):
            return 0, {}

    def metric(self, sample: str) -> float:
        """Returns a sample of `/metrics`, or 0 if it is missing or the service does not answer.

        Args:
            sample: name and labels, as `/metrics` prints them.
        """
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as response:
                lines = [line for line in response.read().decode().splitlines() if line.startswith(sample + " ")]
        except (URLError, OSError):
            return 0.0
        return float(lines[0].rsplit(" ", 1)[1]) if lines else 0.0

    def stage_detail(self, name: str) -> str:
        """Returns the detail of a stage in `/readyz`, or '' if there is none or the service does not answer."""
        stages = (stage for stage in self.readiness()[1].get("stages", ()) if stage["name"] == name)
        return str(next(stages, {}).get("detail", ""))

    def wait_until_ready(self, timeout_s: float = TIMEOUT_S) -> None:
        """Waits until `/readyz` answers 200."""
        wait_until(lambda: self.readiness()[0] == 200, timeout_s, self.log_tail)

    def log_tail(self) -> str:
        """Returns the end of the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-8_000:] if self.log.exists() else ""

    def kill(self) -> None:
        """Kills the process if it still runs."""
        self.process.kill()
        self.process.wait(timeout=20)


@contextmanager
def running_service(name: str, env: dict[str, str], log: Path, *words: object) -> Iterator[Service]:
    """Runs a service and kills it at the end. Prints its log if the body of the context fails."""
    service = Service(name, env, log, *words)
    try:
        yield service
    except BaseException:
        print(service.log_tail())
        raise
    finally:
        service.kill()


def wait_until(condition: Callable[[], bool], timeout_s: float = TIMEOUT_S, why: Callable[[], str] = str) -> None:
    """Waits until a condition holds.

    Args:
        why: returns text for the error, such as a log.

    Raises:
        AssertionError: it does not hold within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {why()}"
        time.sleep(0.1)


def wait_for_exit(process: subprocess.Popen[Any], timeout_s: float = TIMEOUT_S) -> int:
    """Returns the exit code of a process that exits by itself."""
    return process.wait(timeout=timeout_s)


def article(number: int, title: str = "Acme Corp plunges on fraud", text: str = "") -> Article:
    """Returns an article; each number is a minute later than the number before."""
    at = _START + timedelta(minutes=number)
    return Article(
        id=content_id("article", str(number)),
        version=1,
        url=f"https://news.example/{number}",
        source="wire",
        title=f"{title} {number}",
        text=text,
        language="en",
        published_at=at,
        seen_at=at,
    )


def article_records(numbers: Iterable[int]) -> list[Outgoing]:
    """Returns articles as records to publish."""
    articles = [article(number) for number in numbers]
    return [Outgoing(Topic.ARTICLES, article.id, article.to_bytes()) for article in articles]


def tick_records(number: int, partitions: int) -> list[Outgoing]:
    """Returns a tick, a record that only carries a time, for every partition: the time of article `number`."""
    tick = Tick(seen_at=_START + timedelta(minutes=number)).to_bytes()
    return [Outgoing(Topic.ARTICLES, None, tick, partition) for partition in range(partitions)]


async def run_with_bus(broker: Broker, kafka: KafkaSettings, action: Callable[[KafkaBus], Awaitable[None]]) -> None:
    """Opens a bus on the broker, and runs an action with it."""
    bus = await KafkaBus.open(BusSettings(url=broker.url), kafka)
    try:
        await action(bus)
    finally:
        await bus.close()


def publish(broker: Broker, kafka: KafkaSettings, records: list[Outgoing]) -> None:
    """Publishes records as one step."""

    async def step(bus: KafkaBus) -> None:
        async with bus.publisher("test") as publisher:
            await publisher.publish(records, {})

    asyncio.run(run_with_bus(broker, kafka, step))


def analysed_articles(broker: Broker, prefix: str) -> list[str]:
    """Returns the article id of each committed analysis, read by an independent client."""
    records = committed_records(broker.client, f"{prefix}analyses")
    return [json.loads(record.value or b"{}")["article"]["id"] for record in records]
