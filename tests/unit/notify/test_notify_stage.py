"""The whole stage: a real bus in a directory, real servers that receive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from pydantic import SecretStr
from refusing import STATE, RefusingBus

from riskwire.bus import Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import RiskwireError
from riskwire.notify import Notify, run_notify
from riskwire.pipeline import Topic
from riskwire.records import Alert
from riskwire.settings import BusSettings, NotifySettings
from riskwire.stage import MAX_REFUSED_IN_A_ROW

Make = Callable[..., Alert]
Listen = Callable[[], Awaitable[Any]]
FAST: dict[str, Any] = {"backoff_s": 0.02, "backoff_max_s": 0.1, "timeout_s": 5.0, "attempts": 4}


def notify(wall: datetime, **settings: Any) -> Notify:
    return Notify(NotifySettings(**(FAST | settings)), wall=lambda: wall)


def hooks(*listeners: Any) -> tuple[SecretStr, ...]:
    return tuple(SecretStr(listener.url) for listener in listeners)


class House:
    """A bus with the stage running on it."""

    def __init__(self, bus: EmbeddedBus, stage: Notify, task: asyncio.Task[None]) -> None:
        self.bus = bus
        self.stage = stage
        self.task = task

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
async def running(data: Path, stage: Notify, most: Mapping[str, int] | None = None) -> AsyncIterator[House]:
    """Run the stage; leaving cancels it between two steps, which for the state is what a kill is.

    Args:
        most: what the bus takes, as `RefusingBus` has it; everything where it is not given.
    """
    bus = await EmbeddedBus.open(data, BusSettings())
    taking = RefusingBus(bus, most or {})
    task = asyncio.create_task(run_notify(taking, stage, batch=16, wait_s=0.05))
    try:
        yield House(bus, stage, task)
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
    await House(bus, stage, task).publish(alert())
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


LARGE: dict[str, Any] = {"summary": "x" * 20_000}
NARROW = {STATE: 10_000}


async def test_an_alert_that_is_too_large_to_be_owed_is_given_up_alone_and_can_be_replayed(
    tmp_path: Path, listen: Listen, alert: Make
) -> None:
    hook, service = await listen(), await listen()
    apprise = (SecretStr(service.url.replace("http", "json")),)
    stage = notify(alert().at, webhooks=hooks(hook), apprise=apprise)
    async with running(tmp_path, stage, NARROW) as house:
        await house.publish(alert(id="a"), alert(id="b", **LARGE), alert(id="c"), alert(id="b", status="resolved"))
        await house.settled()
        letters = await house.dead_letters()
    sent = [("a", "firing"), ("c", "firing"), ("b", "resolved")]
    said = [orjson.loads(body) for _, body in hook.requests]
    assert [(one["id"], one["status"]) for one in said] == sent
    assert len(service.requests) == len(sent)
    assert len({letter["receiver"] for letter in letters}) == 2, "owed to both, and it says so: replay does the rest"
    for letter in letters:
        assert "the brokers refuse a record for its size" in letter["error"]
        assert Alert.model_validate_json(letter["record"]) == alert(id="b", **LARGE)


async def test_after_a_restart_what_was_refused_does_not_come_back(tmp_path: Path, listen: Listen, alert: Make) -> None:
    hook = await listen()
    async with running(tmp_path, notify(alert().at, webhooks=hooks(hook)), NARROW) as house:
        await house.publish(alert(**LARGE))
        await house.settled()
    async with running(tmp_path, notify(alert().at, webhooks=hooks(hook)), NARROW) as house:
        await house.publish(alert(status="resolved"))
        await house.settled()
        assert len(await house.dead_letters()) == 1
    assert statuses(hook) == ["resolved"]


async def test_a_dead_letter_that_is_refused_is_cut_and_the_next_is_notified(
    tmp_path: Path, listen: Listen, alert: Make
) -> None:
    hook = await listen()
    async with running(tmp_path, notify(alert().at, webhooks=hooks(hook)), {"dead-letters": 15_000}) as house:
        await house.publish(b"no alert" * 10_000, alert())
        await house.settled()
        [letter] = await house.dead_letters()
    assert letter["cut"]
    assert statuses(hook) == ["firing"]


async def test_what_was_owed_under_wider_bounds_is_settled_under_narrower_ones(
    tmp_path: Path, listen: Listen, alert: Make
) -> None:
    good, stuck = await listen(), await listen()
    good.hang = stuck.hang = True
    before = notify(alert().at, webhooks=hooks(good, stuck), timeout_s=60)
    async with running(tmp_path, before) as house:
        await house.publish(alert(**LARGE))
        await stuck.received(1)
    good.hang = False
    async with running(tmp_path, notify(alert().at, webhooks=hooks(good, stuck), timeout_s=60), NARROW) as house:
        await house.owes(1)
        await house.publish(alert(id="next"))
        await good.received(3)
        stuck.hang = False
        assert await house.dead_letters() == []


async def test_where_every_alert_is_refused_the_stage_stops(tmp_path: Path, listen: Listen, alert: Make) -> None:
    hook = await listen()
    stage = notify(alert().at, webhooks=hooks(hook))

    async def until_it_stops() -> None:
        async with running(tmp_path, stage, {STATE: 500}) as house:
            await house.publish(*(alert(id=f"{n}") for n in range(2 * MAX_REFUSED_IN_A_ROW)))
            await asyncio.wait([house.task], timeout=20)

    with pytest.raises(ExceptionGroup) as stopped:
        await until_it_stops()
    assert stopped.group_contains(RiskwireError, match=rf"{MAX_REFUSED_IN_A_ROW} alerts in a row.*brokers refuse")
    bus = await EmbeddedBus.open(tmp_path, BusSettings())
    letters = [message for message in await bus.read(Topic.DEAD_LETTERS, 0, 0, 100)]
    left = sum(lag.records for lag in await bus.lag() if lag.group == "notify")
    await bus.close()
    assert len(letters) + left == 2 * MAX_REFUSED_IN_A_ROW, "each is a dead letter or still to be read"
    assert len(letters) < MAX_REFUSED_IN_A_ROW
