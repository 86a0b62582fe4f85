"""The notify stage on a real bus obeys decisions: what a receiver gets, and what becomes of the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr

from riskwire.bus import Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.notify import NotifyStage
from riskwire.pipeline import Topic
from riskwire.records import Alert, Decision, NearMiss
from riskwire.settings import BusSettings, NotifySettings, ReceiverSettings
from riskwire.stage import run_stage

MakeAlert = Callable[..., Alert]
StartReceiver = Callable[[], Awaitable[Any]]
HOUR = timedelta(hours=1)


class Clock:
    """A wall clock that a test sets."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Notify:
    """A bus with one partition, on which the notify stage runs."""

    def __init__(self, bus: EmbeddedBus, stage: NotifyStage) -> None:
        self.bus = bus
        self.stage = stage

    async def publish(self, *records: Alert | Decision) -> None:
        """Publishes records, and waits until they were read and every delivery has ended."""
        async with self.bus.publisher("test") as publisher:
            await publisher.publish(
                [Outgoing(Topic.ALERTS, "entity:norrland", item.to_bytes()) for item in records], {}
            )
        async with asyncio.timeout(60):
            while any(lag.records for lag in await self.bus.lag() if lag.group == "notify") or self.stage.pending:
                await self.bus.wait_for_change(0.05)

    async def near_misses(self) -> list[NearMiss]:
        partitions = range(self.bus.partitions(Topic.NEAR_MISSES))
        messages = [item for number in partitions for item in await self.bus.read(Topic.NEAR_MISSES, number, 0, 100)]
        return [NearMiss.model_validate_json(message.value) for message in messages]


@asynccontextmanager
async def running(data: Path, hook: Any, clock: Clock, second: Any = None) -> AsyncIterator[Notify]:
    """Runs the stage with one webhook. Leaving the context cancels it between two steps, as a kill would.

    Args:
        second: a receiver to which pages are passed on after ten minutes; None for none.
    """
    escalation = {
        "receivers": {"second": ReceiverSettings(webhook=SecretStr(second.url))} if second else {},
        "escalate_to": ("second",) if second else (),
        "escalate_after_s": 600,
    }
    settings = NotifySettings(webhooks=(SecretStr(hook.url),), backoff_s=0.02, group_wait_s=0, **escalation)
    stage = NotifyStage(settings, wall=clock)
    bus = await EmbeddedBus.open(data, BusSettings(partitions=1))
    task = asyncio.create_task(run_stage(bus, stage, batch=16, fetch_timeout_s=0.05))
    try:
        yield Notify(bus, stage)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.close()


def statuses(receiver: Any) -> list[str]:
    return [orjson.loads(body)["status"] for _, body in receiver.requests]


async def test_a_snooze_is_obeyed_over_a_restart_and_told_when_it_ends(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    hook, clock = await start_receiver(), Clock(alert().at)
    snooze = Decision(decision="snooze", alert="c0de", by="ada", at=clock.now, until=clock.now + HOUR)
    async with running(tmp_path, hook, clock) as notify:
        await notify.publish(alert(), snooze, alert(status="escalated", at=clock.now + timedelta(minutes=1)))
    assert statuses(hook) == ["firing"]
    clock.now += HOUR
    async with running(tmp_path, hook, clock):
        await hook.wait_for_requests(2, timeout_s=60)
    assert statuses(hook) == ["firing", "escalated"]


async def test_what_is_muted_reaches_nobody_and_is_a_near_miss(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    hook, clock = await start_receiver(), Clock(alert().at)
    mute = Decision(decision="mute", subject="publisher:Wire", by="ada", at=clock.now, until=clock.now + HOUR)
    async with running(tmp_path, hook, clock) as notify:
        await notify.publish(mute, alert(), alert(status="resolved", at=clock.now + timedelta(minutes=1)))
        (miss,) = await notify.near_misses()
    assert statuses(hook) == []
    assert (miss.reason, miss.alert, miss.title) == ("muted", "c0de", "Brake recall widens")
    assert miss.detail == (
        "ada has muted publisher:wire until 2026-11-24 10:00 UTC. 4 negative stories in 6 h where 0.2 are usual"
    )


async def test_a_false_alarm_tells_the_receiver_that_it_is_over(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    hook, clock = await start_receiver(), Clock(alert().at)
    wrong = Decision(decision="false_alarm", alert="c0de", by="ada", at=clock.now, reason="wrong_party")
    async with running(tmp_path, hook, clock) as notify:
        await notify.publish(alert())
        await notify.publish(wrong)
        await hook.wait_for_requests(2, timeout_s=60)
        await notify.publish(alert(status="resolved", at=clock.now + HOUR))
    assert statuses(hook) == ["firing", "resolved"]
    assert "False alarm (wrong party), says ada" in orjson.loads(hook.requests[1][1])["summary"]


async def test_a_page_that_nobody_acknowledges_goes_to_the_second_receiver(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """Of two pages, one is acknowledged. The second receiver hears of the other one, and of its end."""
    hook, second, clock = await start_receiver(), await start_receiver(), Clock(alert().at)
    taken = Decision(decision="acknowledge", alert="taken", by="ada", at=clock.now)
    async with running(tmp_path, hook, clock, second) as notify:
        await notify.publish(alert(tier="page"), alert(id="taken", tier="page"), taken)
        assert statuses(second) == []
        clock.now += timedelta(minutes=10)
        await second.wait_for_requests(1, timeout_s=60)
        await notify.publish(alert(tier="page", status="resolved", at=clock.now))
        await second.wait_for_requests(2, timeout_s=60)
    assert [orjson.loads(body)["id"] for _, body in second.requests] == ["c0de", "c0de"]
    assert statuses(second) == ["firing", "resolved"]
