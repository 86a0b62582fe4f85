"""The whole stage: a real bus in a directory, real servers that receive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from pydantic import SecretStr

from riskwire.bus import Outgoing
from riskwire.bus.embedded import EmbeddedBus
from riskwire.notify import Notify, run_notify
from riskwire.schemas import Alert, Topic
from riskwire.settings import BusSettings, NotifySettings

Make = Callable[..., Alert]
Listen = Callable[[], Awaitable[Any]]
FAST: dict[str, Any] = {"backoff_s": 0.02, "backoff_max_s": 0.1, "timeout_s": 5.0, "attempts": 4}


def notify(wall: datetime, **settings: Any) -> Notify:
    return Notify(NotifySettings(**(FAST | settings)), wall=lambda: wall)


def hooks(*listeners: Any) -> tuple[SecretStr, ...]:
    return tuple(SecretStr(listener.url) for listener in listeners)


class House:
    """A bus with the stage running on it."""

    def __init__(self, bus: EmbeddedBus, stage: Notify) -> None:
        self.bus = bus
        self.stage = stage

    async def publish(self, *records: Alert | bytes) -> None:
        async with self.bus.publisher("test") as publisher:
            for record in records:
                value = record if isinstance(record, bytes) else record.to_bytes()
                await publisher.publish([Outgoing(Topic.ALERTS, "entity:norrland", value)], {})

    async def settled(self, timeout_s: float = 10.0) -> None:
        """Wait until everything published has been read, and has arrived or been given up."""
        async with asyncio.timeout(timeout_s):
            while any(lag.records for lag in await self.bus.lag() if lag.group == "notify") or self.stage.pending:
                await self.bus.changed(0.05)

    async def owes(self, deliveries: int, timeout_s: float = 10.0) -> None:
        """Wait until that many deliveries are owed, known by a committed step."""
        async with asyncio.timeout(timeout_s):
            while self.stage.pending != deliveries:
                await self.bus.changed(0.05)

    async def dead_letters(self) -> list[dict[str, Any]]:
        return [orjson.loads(message.value) for message in await self.bus.read(Topic.DEAD_LETTERS, 0, 0, 100)]


@asynccontextmanager
async def running(data: Path, stage: Notify) -> AsyncIterator[House]:
    """Run the stage; leaving cancels it between two steps, which for the state is what a kill is."""
    bus = await EmbeddedBus.open(data, BusSettings())
    task = asyncio.create_task(run_notify(bus, stage, batch=16, wait_s=0.05))
    try:
        yield House(bus, stage)
    finally:
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.close()


def statuses(listener: Any) -> list[str]:
    return [orjson.loads(body)["status"] for _, body in listener.requests]


async def test_an_episode_reaches_every_receiver_in_order_and_only_once(
    tmp_path: Path, listen: Listen, alert: Make
) -> None:
    hook, service = await listen(), await listen()
    apprise = (SecretStr(service.url.replace("http", "json")),)
    stage = notify(alert().at, webhooks=hooks(hook), apprise=apprise)
    async with running(tmp_path, stage) as house:
        await house.publish(alert(), alert(status="escalated", severity="critical"), alert(status="resolved"))
        await house.settled()
        assert await house.dead_letters() == []
    assert statuses(hook) == ["firing", "escalated", "resolved"]
    assert len({headers["Idempotency-Key"] for headers, _ in hook.requests}) == 3
    titles = [orjson.loads(body)["title"] for _, body in service.requests]
    assert [title.partition(": ")[0] for title in titles] == ["HIGH", "CRITICAL", "HIGH"]


async def test_429_and_5xx_are_retried_with_the_same_key_until_they_arrive(
    tmp_path: Path, listen: Listen, alert: Make
) -> None:
    hook = await listen()
    hook.answers, hook.headers = [429, 500, 503], {"Retry-After": "0"}
    async with running(tmp_path, notify(alert().at, webhooks=hooks(hook))) as house:
        await house.publish(alert())
        await house.settled()
        assert await house.dead_letters() == []
    assert len(hook.requests) == 4
    assert len({headers["Idempotency-Key"] for headers, _ in hook.requests}) == 1


@pytest.mark.parametrize(("answers", "tries"), [([404] * 9, 1), ([500] * 9, 4)])
async def test_a_refusal_is_final_and_endless_failure_is_given_up_both_to_the_dead_letters(
    tmp_path: Path, listen: Listen, alert: Make, answers: list[int], tries: int
) -> None:
    hook = await listen()
    hook.answers = answers
    async with running(tmp_path, notify(alert().at, webhooks=hooks(hook))) as house:
        await house.publish(alert())
        await house.settled()
        [letter] = await house.dead_letters()
    assert len(hook.requests) == tries
    assert letter["stage"] == "notify"
    assert f"answered {answers[0]}" in letter["error"]
    assert Alert.model_validate_json(letter["record"]) == alert()
    assert "/hook" not in letter["error"], "the path of a URL may be a secret"


async def test_a_delivery_is_given_up_when_its_time_is_over(tmp_path: Path, listen: Listen, alert: Make) -> None:
    hook = await listen()
    hook.answers = [500] * 100
    clock = [alert().at]

    def wall() -> datetime:
        clock[0] += timedelta(seconds=20)
        return clock[0]

    settings = NotifySettings(webhooks=hooks(hook), give_up_after_s=100, **(FAST | {"attempts": 90}))
    async with running(tmp_path, Notify(settings, wall=wall)) as house:
        await house.publish(alert())
        await house.settled()
        assert len(await house.dead_letters()) == 1
    assert len(hook.requests) == 5


async def test_a_receiver_that_hangs_delays_nobody_else(tmp_path: Path, listen: Listen, alert: Make) -> None:
    good, stuck = await listen(), await listen()
    stuck.hang = True
    stage = notify(alert().at, webhooks=hooks(stuck, good), timeout_s=60)
    async with running(tmp_path, stage) as house:
        await house.publish(alert())
        await good.received(1)
        await house.publish(alert(status="escalated"), alert(status="resolved"))
        await good.received(3)
        assert len(stuck.requests) == 1
        await house.owes(3)
    assert statuses(good) == ["firing", "escalated", "resolved"]


async def test_after_a_restart_only_what_is_not_known_to_be_delivered_is_sent(
    tmp_path: Path, listen: Listen, alert: Make
) -> None:
    good, stuck = await listen(), await listen()
    stuck.hang = True
    before = notify(alert().at, webhooks=hooks(good, stuck), timeout_s=60)
    async with running(tmp_path, before) as house:
        await house.publish(alert())
        await good.received(1)
        await stuck.received(1)
        await house.owes(1)
    stuck.hang = False
    async with running(tmp_path, notify(alert().at, webhooks=hooks(good, stuck))) as house:
        await stuck.received(2)
        await house.publish(alert(status="resolved"))
        await house.settled()
        await good.received(2)
    assert statuses(good) == ["firing", "resolved"]
    assert statuses(stuck) == ["firing", "firing", "resolved"]
    keys = [headers["Idempotency-Key"] for headers, _ in stuck.requests]
    assert keys[0] == keys[1] != keys[2]


async def test_what_is_owed_to_a_receiver_that_was_taken_out_of_the_settings_goes_to_the_dead_letters(
    tmp_path: Path, listen: Listen, alert: Make
) -> None:
    gone, good = await listen(), await listen()
    gone.hang = True
    async with running(tmp_path, notify(alert().at, webhooks=hooks(gone), timeout_s=60)) as house:
        await house.publish(alert())
        await gone.received(1)
    async with running(tmp_path, notify(alert().at, webhooks=hooks(good))) as house:
        async with asyncio.timeout(10):
            while not await house.dead_letters():
                await house.bus.changed(0.05)
        [letter] = await house.dead_letters()
    assert "no longer in the settings" in letter["error"]
    assert good.requests == []


async def test_a_full_receiver_costs_dead_letters_and_the_others_go_on(
    tmp_path: Path, listen: Listen, alert: Make
) -> None:
    good, stuck = await listen(), await listen()
    stuck.hang = True
    stage = notify(alert().at, webhooks=hooks(stuck, good), timeout_s=60, max_pending=1)
    async with running(tmp_path, stage) as house:
        await house.publish(alert())
        await good.received(1)
        await house.owes(1)
        await house.publish(alert(status="resolved"))
        await good.received(2)
        [letter] = await house.dead_letters()
    assert "already wait" in letter["error"]


async def test_a_replay_of_old_news_is_logged_and_pages_nobody(tmp_path: Path, listen: Listen, alert: Make) -> None:
    hook = await listen()
    with structlog.testing.capture_logs() as logged:
        async with running(tmp_path, notify(alert().at + timedelta(days=6_000), webhooks=hooks(hook))) as house:
            await house.publish(alert(), alert(status="resolved"))
            await house.settled()
    assert hook.requests == []
    lines = [line for line in logged if line["event"] in {"alert firing", "alert resolved"}]
    assert [(line["name"], line["severity"], line["sent"]) for line in lines] == [
        ("Norrland Motors", "high", False)
    ] * 2


async def test_a_record_that_is_no_alert_goes_to_the_dead_letters_and_the_next_is_notified(
    tmp_path: Path, listen: Listen, alert: Make
) -> None:
    hook = await listen()
    async with running(tmp_path, notify(alert().at, webhooks=hooks(hook))) as house:
        await house.publish(b'{"v": 1, "id": 7}', alert())
        await house.settled()
        [letter] = await house.dead_letters()
    assert "SchemaError" in letter["error"]
    assert statuses(hook) == ["firing"]


async def test_closing_the_bus_ends_the_stage_quietly_even_while_a_receiver_hangs(
    tmp_path: Path, listen: Listen, alert: Make
) -> None:
    stuck = await listen()
    stuck.hang = True
    bus = await EmbeddedBus.open(tmp_path, BusSettings())
    stage = notify(alert().at, webhooks=hooks(stuck), timeout_s=60)
    task = asyncio.create_task(run_notify(bus, stage, batch=16, wait_s=0.05))
    await House(bus, stage).publish(alert())
    await stuck.received(1)
    await bus.close()
    async with asyncio.timeout(10):
        await task
    assert stage.pending == 0


async def test_no_log_line_holds_the_secret_of_a_url(tmp_path: Path, listen: Listen, alert: Make) -> None:
    hook = await listen()
    hook.answers = [500, 404]
    with structlog.testing.capture_logs() as logged:
        stage = notify(alert().at, webhooks=(SecretStr(hook.url + "?token=s3cret"),))
        async with running(tmp_path, stage) as house:
            await house.publish(alert())
            await house.settled()
    assert len(hook.requests) == 2
    assert any("127.0.0.1" in str(line) for line in logged)
    assert "s3cret" not in str(logged)
