"""Real `riskwire` services on a real broker: what they are told, what they answer, and articles for them to read."""

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
from cli import RISKWIRE, environment
from faults import logged
from kafka_reader import committed_records

from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.pipeline import Topic
from riskwire.records import Article, Tick, content_id
from riskwire.settings import BusSettings, KafkaSettings

PATIENCE_S = 120.0
"""Longer than anything takes that comes at all, on a slow and busy machine too."""
_START = datetime(2026, 3, 2, 12, tzinfo=UTC)


def on_kafka(broker: Broker, prefix: str, bundle: Path | None = None, **kafka: object) -> dict[str, str]:
    """The environment of a service; `kafka` are settings of that section."""
    more = {f"RISKWIRE_KAFKA__{key.upper()}": str(value) for key, value in kafka.items()}
    if bundle is not None:
        more["RISKWIRE_INFERENCE__BUNDLE"] = str(bundle)
    return environment(
        RISKWIRE_BUS__URL=broker.url,
        RISKWIRE_KAFKA__PREFIX=prefix,
        RISKWIRE_INFERENCE__THREADS="1",
        RISKWIRE_LOG__FORMAT="json",
        **more,
    )


class Service:
    """One service, its log and its probes."""

    def __init__(
        self, name: str, env: dict[str, str], log: Path, *words: object, program: tuple[object, ...] = (RISKWIRE,)
    ) -> None:
        self.log = log
        (self.port,) = free_ports(1)
        self.process = logged([*program, name, "--port", self.port, *words], log, env)

    def probe(self) -> tuple[int, dict[str, Any]]:
        """What /readyz says; (0, {}) where nobody answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)
        except (URLError, OSError):
            return 0, {}

    def metric(self, line: str) -> float:
        """The value of a metric as /metrics has it, labels included; 0 where there is none, or nobody answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                found = [each for each in answer.read().decode().splitlines() if each.startswith(line + " ")]
        except (URLError, OSError):
            return 0.0
        return float(found[0].rsplit(" ", 1)[1]) if found else 0.0

    def detail(self, stage: str) -> str:
        """What /readyz tells of a stage; '' where it tells nothing, or nobody answers."""
        found = (one for one in self.probe()[1].get("stages", ()) if one["name"] == stage)
        return str(next(found, {}).get("detail", ""))

    def until_ready(self, within_s: float = PATIENCE_S) -> None:
        """Wait until /readyz says yes."""
        until(lambda: self.probe()[0] == 200, within_s, self.said)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-8_000:] if self.log.exists() else ""

    def end(self) -> None:
        """kill -9, where it still runs."""
        self.process.kill()
        self.process.wait(timeout=20)


@contextmanager
def running(name: str, env: dict[str, str], log: Path, *words: object) -> Iterator[Service]:
    """A service that is killed at the end; its log is shown where the test fails."""
    service = Service(name, env, log, *words)
    try:
        yield service
    except BaseException:
        print(service.said())
        raise
    finally:
        service.end()


def until(condition: Callable[[], bool], within_s: float = PATIENCE_S, why: Callable[[], str] = str) -> None:
    """Wait until it is so.

    Raises:
        AssertionError: it was not in that time.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not in {within_s} s: {why()}"
        time.sleep(0.1)


def ended(process: subprocess.Popen[Any], within_s: float = PATIENCE_S) -> int:
    """The exit code of a process that must end by itself."""
    return process.wait(timeout=within_s)


def article(number: int, title: str = "Acme Corp plunges on fraud", text: str = "") -> Article:
    """One of many articles, a minute after the one before."""
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


def articles(numbers: Iterable[int]) -> list[Outgoing]:
    """Articles as they are published."""
    made = [article(number) for number in numbers]
    return [Outgoing(Topic.ARTICLES, one.id, one.to_bytes()) for one in made]


def ticks(number: int, partitions: int) -> list[Outgoing]:
    """The time of an article, on every partition."""
    tick = Tick(seen_at=_START + timedelta(minutes=number)).to_bytes()
    return [Outgoing(Topic.ARTICLES, None, tick, partition) for partition in range(partitions)]


async def with_bus(broker: Broker, kafka: KafkaSettings, what: Callable[[KafkaBus], Awaitable[None]]) -> None:
    """Do something with a bus of the test's own."""
    bus = await KafkaBus.open(BusSettings(url=broker.url), kafka)
    try:
        await what(bus)
    finally:
        await bus.close()


def publish(broker: Broker, kafka: KafkaSettings, results: list[Outgoing]) -> None:
    """One atomic step of a publisher."""

    async def step(bus: KafkaBus) -> None:
        async with bus.publisher("test") as publisher:
            await publisher.publish(results, {})

    asyncio.run(with_bus(broker, kafka, step))


def analysed(broker: Broker, prefix: str) -> list[str]:
    """The article of each committed analysis, as an independent client reads them."""
    found = committed_records(broker.client, f"{prefix}analyses")
    return [json.loads(record.value or b"{}")["article"]["id"] for record in found]
