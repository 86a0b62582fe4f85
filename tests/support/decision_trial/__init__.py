"""Decisions through the API of a running riskwire: when each takes effect, and which records it withholds."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import fictional
from broker import Broker
from cli import environment, riskwire
from kafka_reader import committed_records
from services_on_kafka import Service, on_kafka, publish, running_service, wait_until
from webhooks import WebhookServer, running_webhook_server

from riskwire.bus import Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.pipeline import Topic
from riskwire.records import Alert
from riskwire.settings import BusSettings, KafkaSettings

KINDS = ("acknowledge", "snooze", "mute", "false_alarm")
REASONS = {"acknowledge": "acknowledged", "snooze": "snoozed", "mute": "muted", "false_alarm": "false_alarm"}
"""Why notify withholds what follows a decision, by its kind."""


@dataclass(frozen=True, slots=True)
class TrialOfDecision:
    """One decision.

    Attributes:
        taken_s: seconds from the call of the API until every worker that must obey had read it.
        told_s: of a false alarm, seconds until the receiver heard that it is over; None of others.
        statuses: the statuses of the alert's records that the receiver got.
        log: what the partition of the alert holds of it, in order: statuses of its records, kinds of decisions.
    """

    kind: str
    taken_s: float
    told_s: float | None
    statuses: tuple[str, ...]
    log: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TriedMonitor:
    """A running riskwire whose receiver is a webhook.

    Attributes:
        url: the address of its API.
        logs: the files to which its processes log.
        publish: publishes records on its bus.
        read_alerts: returns the records of `alerts`, partition by partition.
    """

    url: str
    logs: Sequence[Path]
    webhooks: WebhookServer
    publish: Callable[[list[Outgoing]], None]
    read_alerts: Callable[[], list[list[bytes]]]

    def try_decision(self, kind: str) -> TrialOfDecision:
        """Decides about a page that was delivered, publishes its next record, and returns what happened to both.

        Raises:
            AssertionError: a step takes so long that something must be broken.
        """
        now = datetime.now(UTC)
        fired = fictional.alert(f"{kind} {now}", target=f"entity:{kind}", at=now, tier="page")
        self.publish([Outgoing(Topic.ALERTS, fired.target, fired.to_bytes())])
        wait_until(lambda: "firing" in self._statuses(fired))
        wait_until(lambda: self._api(f"/api/v1/alerts/{fired.id}") is not None)
        workers = len(self.read_alerts()) if kind == "mute" else 1
        called_at = time.monotonic()
        assert self._api("/api/v1/commands", _command(kind, fired, now)) is not None
        wait_until(lambda: self._taken(kind, fired) >= workers)
        taken_s = time.monotonic() - called_at
        told_s = None
        if kind == "false_alarm":
            wait_until(lambda: "resolved" in self._statuses(fired))
            told_s = time.monotonic() - called_at
        escalated = fired.model_copy(update={"status": "escalated", "at": now + timedelta(seconds=1)})
        self.publish([Outgoing(Topic.ALERTS, fired.target, escalated.to_bytes())])
        wait_until(lambda: REASONS[kind] in self._withheld(fired))
        log = next(log for records in self.read_alerts() if "firing" in (log := tuple(_log(records, fired))))
        return TrialOfDecision(kind, taken_s, told_s, self._statuses(fired), log)

    def _statuses(self, alert: Alert) -> tuple[str, ...]:
        records = [json.loads(request.body) for request in list(self.webhooks.requests)]
        return tuple(record["status"] for record in records if record["id"] == alert.id)

    def _entries(self) -> Iterator[dict[str, Any]]:
        """Yields the entries of the logs; a line that is being written is left out."""
        for log in self.logs:
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith("{") and line.endswith("}"):
                    yield json.loads(line)

    def _taken(self, kind: str, alert: Alert) -> int:
        """Returns how many partitions have taken a decision."""
        about = None if kind == "mute" else alert.id
        entries = [entry for entry in self._entries() if entry["event"] == "decision taken"]
        return sum(entry["decision"] == kind and entry.get("alert") == about for entry in entries)

    def _withheld(self, alert: Alert) -> set[str]:
        """Returns why records of an alert were withheld."""
        entries = [entry for entry in self._entries() if entry["event"] == "alert withheld"]
        return {entry["reason"] for entry in entries if entry["alert"] == alert.id}

    def _api(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Returns the answer of the API, None if it refuses or does not answer."""
        call = Request(self.url + path)
        if body is not None:
            call.data = json.dumps(body).encode()
            call.add_header("Content-Type", "application/json")
        try:
            with urlopen(call, timeout=30) as response:
                return json.load(response)
        except (URLError, OSError):
            return None


def _command(kind: str, alert: Alert, now: datetime) -> dict[str, Any]:
    about = {"subject": f"target:{alert.target}"} if kind == "mute" else {"alert": alert.id}
    until = {"until": (now + timedelta(hours=1)).isoformat()} if kind in ("snooze", "mute") else {}
    return {"kind": kind, "by": "ada"} | about | until


def _log(records: Sequence[bytes], alert: Alert) -> Iterator[str]:
    """Yields the statuses of an alert's records, and the kinds of the decisions about it or its target, in order."""
    for raw in records:
        record = json.loads(raw)
        if record.get("kind") == "decision":
            if alert.id == record["alert"] or record["subject"] == f"target:{alert.target}":
                yield record["decision"]
        elif record["id"] == alert.id:
            yield record["status"]


def _variables(webhooks: WebhookServer) -> dict[str, str]:
    return {
        "RISKWIRE_NOTIFY__WEBHOOKS": json.dumps([webhooks.url]),
        "RISKWIRE_LOG__LEVEL": "info",
        "RISKWIRE_LOG__FORMAT": "json",
    }


@contextmanager
def embedded_monitor(folder: Path, bundle: Path | None = None) -> Iterator[TriedMonitor]:
    """Runs `riskwire run`, one process on the embedded bus, without feeds.

    Args:
        bundle: the folder of the model; by default the shipped model.
    """
    data, feeds, log = folder / "data", folder / "feeds.yaml", folder / "run.log"
    feeds.write_text("[]")
    model = {} if bundle is None else {"RISKWIRE_INFERENCE__BUNDLE": str(bundle)}

    async def with_bus(records: list[Outgoing]) -> list[list[bytes]]:
        bus = await EmbeddedBus.open(data, BusSettings())
        try:
            if records:
                async with bus.publisher("trial") as publisher:
                    await publisher.publish(records, {})
            partitions = range(bus.partitions(Topic.ALERTS))
            return [[record.value for record in await bus.read(Topic.ALERTS, n, 0, 10_000)] for n in partitions]
        finally:
            await bus.close()

    with running_webhook_server() as webhooks:
        env = environment(RISKWIRE_INFERENCE__THREADS="1", **model, **_variables(webhooks))
        with running_service("run", env, log, "--data", data, "--feeds", feeds) as service:
            service.wait_until_ready()
            yield TriedMonitor(
                f"http://127.0.0.1:{service.port}",
                [log],
                webhooks,
                lambda records: asyncio.run(with_bus(records)) and None,
                lambda: asyncio.run(with_bus([])),
            )


@contextmanager
def kafka_monitor(broker: Broker, prefix: str, folder: Path) -> Iterator[TriedMonitor]:
    """Runs the services notify, sink and serve on a broker, two of notify, so that both must obey."""
    kafka = KafkaSettings(prefix=prefix, partitions=2)
    with running_webhook_server() as webhooks, ExitStack() as stack:
        env = on_kafka(broker, prefix, partitions=2) | _variables(webhooks)
        assert riskwire("topics", "create", env=env).returncode == 0
        data = ("--data", folder / "data")
        logs = [folder / f"{name}.log" for name in ("notify-1", "notify-2", "sink", "serve")]
        services: list[Service] = []
        for name, words, log in zip(("notify", "notify", "sink", "serve"), ((), (), data, data), logs, strict=True):
            services.append(stack.enter_context(running_service(name, env, log, *words)))
            services[-1].wait_until_ready()  # one after the other: serve needs the store that sink makes

        def read_alerts() -> list[list[bytes]]:
            partitions: list[list[bytes]] = [[], []]
            for record in committed_records(broker.client, f"{prefix}alerts"):
                partitions[record.partition].append(record.value or b"")
            return partitions

        yield TriedMonitor(
            f"http://127.0.0.1:{services[-1].port}",
            logs[:2],
            webhooks,
            lambda records: publish(broker, kafka, records),
            read_alerts,
        )
