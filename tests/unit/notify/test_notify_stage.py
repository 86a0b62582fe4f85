"""The notify stage on a real bus, with real HTTP servers as receivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
import structlog
from pydantic import SecretStr
from refusing import STATE, RefusingBus

from riskwire.bus import Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.bus.protocol import partition_of
from riskwire.errors import RiskwireError
from riskwire.notify import NotifyStage
from riskwire.pipeline import Topic
from riskwire.records import Alert
from riskwire.settings import BusSettings, NotifySettings, ReceiverSettings
from riskwire.stage import MAX_REFUSED_IN_A_ROW, run_stage

MakeAlert = Callable[..., Alert]
StartReceiver = Callable[[], Awaitable[Any]]
FAST: dict[str, Any] = {"group_wait_s": 0.05, "backoff_s": 0.02, "backoff_max_s": 0.1, "timeout_s": 5.0, "attempts": 4}


def notify_stage(*, wall: datetime, **settings: Any) -> NotifyStage:
    return NotifyStage(NotifySettings(**(FAST | settings)), wall=lambda: wall)


def urls(*receivers: Any) -> tuple[SecretStr, ...]:
    return tuple(SecretStr(receiver.url) for receiver in receivers)


def json_url(receiver: Any) -> SecretStr:
    """The URL of a receiver for Apprise, which posts JSON to it."""
    return SecretStr(receiver.url.replace("http", "json"))


class RunningNotify:
    """A bus with the notify stage running on it."""

    def __init__(self, bus: EmbeddedBus, stage: NotifyStage, task: asyncio.Task[None]) -> None:
        self.bus = bus
        self.stage = stage
        self.task = task

    async def publish(self, *records: Alert | bytes) -> None:
        """Publishes alert records, or raw values, one in each step."""
        async with self.bus.publisher("test") as publisher:
            for record in records:
                value = record if isinstance(record, bytes) else record.to_bytes()
                key = "entity:norrland" if isinstance(record, bytes) else record.target
                await publisher.publish([Outgoing(Topic.ALERTS, key, value)], {})

    async def wait_until_done(self, timeout_s: float = 10.0) -> None:
        """Waits until every published record has been read, and was delivered or given up."""
        async with asyncio.timeout(timeout_s):
            while any(lag.records for lag in await self.bus.lag() if lag.group == "notify") or self.stage.pending:
                await self.bus.wait_for_change(0.05)

    async def wait_for_pending(self, deliveries: int, timeout_s: float = 10.0) -> None:
        """Waits until this many deliveries are pending."""
        async with asyncio.timeout(timeout_s):
            while self.stage.pending != deliveries:
                await self.bus.wait_for_change(0.05)

    async def dead_letters(self) -> list[dict[str, Any]]:
        return [orjson.loads(message.value) for message in await self.bus.read(Topic.DEAD_LETTERS, 0, 0, 100)]


@asynccontextmanager
async def running(
    data: Path, stage: NotifyStage, max_bytes: Mapping[str, int] | None = None, *, attach: bool = False
) -> AsyncIterator[RunningNotify]:
    """Runs the stage. Leaving the context cancels it between two steps, as a kill would.

    If the stage has ended by itself, leaving the context raises its error.

    Args:
        data: the folder of the bus, which later runs may open again.
        max_bytes: the largest records, by topic, and the largest state entry that the bus accepts; no limits by
            default.
        attach: gives the stage the bus, which digests read.
    """
    bus = await EmbeddedBus.open(data, BusSettings())
    if attach:
        stage.attach(bus)
    task = asyncio.create_task(run_stage(RefusingBus(bus, max_bytes or {}), stage, batch=16, fetch_timeout_s=0.05))
    try:
        yield RunningNotify(bus, stage, task)
    finally:
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.close()


async def run_until_it_stops(data: Path, stage: NotifyStage, max_bytes: Mapping[str, int], *alerts: Alert) -> None:
    """Publishes alerts for a stage on a bus with size limits, waits until the stage stops, and raises its error."""
    async with running(data, stage, max_bytes) as notify:
        await notify.publish(*alerts)
        await asyncio.wait([notify.task], timeout=20)


def statuses(receiver: Any) -> list[str]:
    return [orjson.loads(body)["status"] for _, body in receiver.requests]


async def test_every_receiver_gets_the_records_of_an_episode_in_order_and_once(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """One receiver is a webhook, the other an Apprise service, whose titles begin with the severity."""
    hook, service = await start_receiver(), await start_receiver()
    stage = notify_stage(wall=alert().at, webhooks=urls(hook), apprise=(json_url(service),))
    async with running(tmp_path, stage) as notify:
        await notify.publish(alert(), alert(status="escalated", severity="critical"), alert(status="resolved"))
        await notify.wait_until_done()
        assert await notify.dead_letters() == []
    assert statuses(hook) == ["firing", "escalated", "resolved"]
    assert len({headers["Idempotency-Key"] for headers, _ in hook.requests}) == 3
    titles = [orjson.loads(body)["title"] for _, body in service.requests]
    assert [title.partition(": ")[0] for title in titles] == ["HIGH", "CRITICAL", "HIGH"]


async def test_429_and_5xx_are_retried_with_the_same_idempotency_key(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The server refuses three attempts, each to be retried at once, and accepts the fourth."""
    hook = await start_receiver()
    hook.answers, hook.headers = [429, 500, 503], {"Retry-After": "0"}
    async with running(tmp_path, notify_stage(wall=alert().at, webhooks=urls(hook))) as notify:
        await notify.publish(alert())
        await notify.wait_until_done()
        assert await notify.dead_letters() == []
    assert len(hook.requests) == 4
    assert len({headers["Idempotency-Key"] for headers, _ in hook.requests}) == 1


@pytest.mark.parametrize(("answers", "attempts"), [([404] * 9, 1), ([500] * 9, 4)], ids=["404", "500"])
async def test_a_delivery_that_fails_becomes_a_dead_letter(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert, answers: list[int], attempts: int
) -> None:
    """An answer 404 is final. An answer 500 is retried up to four attempts, the limit of `notify_stage`."""
    hook = await start_receiver()
    hook.answers = answers
    first = answers[0]
    async with running(tmp_path, notify_stage(wall=alert().at, webhooks=urls(hook))) as notify:
        await notify.publish(alert())
        await notify.wait_until_done()
        [dead_letter] = await notify.dead_letters()
    assert len(hook.requests) == attempts
    assert dead_letter["stage"] == "notify"
    assert f"answered {first}" in dead_letter["error"]
    assert Alert.model_validate_json(dead_letter["record"]) == alert()
    assert "/hook" not in dead_letter["error"], "the path of a URL may be a secret"


async def test_a_delivery_is_given_up_at_its_deadline(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The clock advances 20 s with each attempt, so the fifth one fails 100 s after the record was accepted."""
    hook = await start_receiver()
    hook.answers = [500] * 100

    def wall() -> datetime:
        return alert().at + timedelta(seconds=20 * len(hook.requests))

    settings = NotifySettings(webhooks=urls(hook), give_up_after_s=100, **(FAST | {"attempts": 90}))
    async with running(tmp_path, NotifyStage(settings, wall=wall)) as notify:
        await notify.publish(alert())
        await notify.wait_until_done()
        assert len(await notify.dead_letters()) == 1
    assert len(hook.requests) == 5


async def test_a_receiver_that_hangs_does_not_delay_the_others(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """A receiver gets one record after the other; a hanging one has one request and three pending deliveries."""
    good, stuck = await start_receiver(), await start_receiver()
    stuck.hang = True
    stage = notify_stage(wall=alert().at, webhooks=urls(stuck, good), timeout_s=60)
    async with running(tmp_path, stage) as notify:
        await notify.publish(alert())
        await good.wait_for_requests(1)
        await notify.publish(alert(status="escalated"), alert(status="resolved"))
        await good.wait_for_requests(3)
        assert len(stuck.requests) == 1
        await notify.wait_for_pending(3)
    assert statuses(good) == ["firing", "escalated", "resolved"]


async def test_only_deliveries_not_known_to_have_arrived_are_repeated_after_a_restart(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The first record arrived at both receivers, but one never answered."""
    good, stuck = await start_receiver(), await start_receiver()
    stuck.hang = True
    before = notify_stage(wall=alert().at, webhooks=urls(good, stuck), timeout_s=60)
    async with running(tmp_path, before) as notify:
        await notify.publish(alert())
        await good.wait_for_requests(1)
        await stuck.wait_for_requests(1)
        await notify.wait_for_pending(1)
    stuck.hang = False
    async with running(tmp_path, notify_stage(wall=alert().at, webhooks=urls(good, stuck))) as notify:
        await stuck.wait_for_requests(2)
        await notify.publish(alert(status="resolved"))
        await notify.wait_until_done()
        await good.wait_for_requests(2)
    assert statuses(good) == ["firing", "resolved"]
    assert statuses(stuck) == ["firing", "firing", "resolved"]
    keys = [headers["Idempotency-Key"] for headers, _ in stuck.requests]
    assert keys[0] == keys[1] != keys[2]


async def test_pending_deliveries_to_a_removed_receiver_become_dead_letters(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The settings after the restart name another receiver, which does not get the old delivery."""
    removed, good = await start_receiver(), await start_receiver()
    removed.hang = True
    async with running(tmp_path, notify_stage(wall=alert().at, webhooks=urls(removed), timeout_s=60)) as notify:
        await notify.publish(alert())
        await removed.wait_for_requests(1)
    async with running(tmp_path, notify_stage(wall=alert().at, webhooks=urls(good))) as notify:
        async with asyncio.timeout(10):
            while not await notify.dead_letters():
                await notify.bus.wait_for_change(0.05)
        [dead_letter] = await notify.dead_letters()
    assert "no longer in the settings" in dead_letter["error"]
    assert good.requests == []


async def test_a_full_receiver_costs_dead_letters_and_does_not_stop_the_others(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """One delivery may be pending for each receiver."""
    good, stuck = await start_receiver(), await start_receiver()
    stuck.hang = True
    stage = notify_stage(wall=alert().at, webhooks=urls(stuck, good), timeout_s=60, max_pending=1)
    async with running(tmp_path, stage) as notify:
        await notify.publish(alert())
        await good.wait_for_requests(1)
        await notify.wait_for_pending(1)
        await notify.publish(alert(status="resolved"))
        await good.wait_for_requests(2)
        [dead_letter] = await notify.dead_letters()
    assert "already wait" in dead_letter["error"]


async def test_alerts_of_a_replay_are_logged_and_not_sent(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The wall clock is 6,000 days ahead of the alerts."""
    hook = await start_receiver()
    stage = notify_stage(wall=alert().at + timedelta(days=6_000), webhooks=urls(hook))
    with structlog.testing.capture_logs() as logs:
        async with running(tmp_path, stage) as notify:
            await notify.publish(alert(), alert(status="resolved"))
            await notify.wait_until_done()
    assert hook.requests == []
    lines = [line for line in logs if line["event"] in {"alert firing", "alert resolved"}]
    assert [(line["name"], line["severity"], line["sent"]) for line in lines] == [
        ("Norrland Motors", "high", False)
    ] * 2


async def test_a_record_that_is_not_an_alert_becomes_a_dead_letter(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    hook = await start_receiver()
    async with running(tmp_path, notify_stage(wall=alert().at, webhooks=urls(hook))) as notify:
        await notify.publish(b'{"v": 1, "id": 7}', alert())
        await notify.wait_until_done()
        [dead_letter] = await notify.dead_letters()
    assert "SchemaError" in dead_letter["error"]
    assert statuses(hook) == ["firing"]


async def test_closing_the_bus_ends_the_stage_while_a_receiver_hangs(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    stuck = await start_receiver()
    stuck.hang = True
    bus = await EmbeddedBus.open(tmp_path, BusSettings())
    stage = notify_stage(wall=alert().at, webhooks=urls(stuck), timeout_s=60)
    task = asyncio.create_task(run_stage(bus, stage, batch=16, fetch_timeout_s=0.05))
    await RunningNotify(bus, stage, task).publish(alert())
    await stuck.wait_for_requests(1)
    await bus.close()
    async with asyncio.timeout(10):
        await task
    assert stage.pending == 0


async def test_a_worker_that_fails_stops_the_stage(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    class BrokenStage(NotifyStage):
        async def deliver(self, *arguments: object) -> None:
            raise ZeroDivisionError

    stage = BrokenStage(NotifySettings(webhooks=urls(await start_receiver())), wall=lambda: alert().at)
    with pytest.raises(ZeroDivisionError):
        await run_until_it_stops(tmp_path, stage, {}, alert())


async def test_logs_do_not_reveal_secrets_of_a_url(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The first attempt is retried, the second is final; both are logged."""
    hook = await start_receiver()
    hook.answers = [500, 404]
    with structlog.testing.capture_logs() as logs:
        stage = notify_stage(wall=alert().at, webhooks=(SecretStr(hook.url + "?token=s3cret"),))
        async with running(tmp_path, stage) as notify:
            await notify.publish(alert())
            await notify.wait_until_done()
    assert len(hook.requests) == 2
    assert any("127.0.0.1" in str(line) for line in logs)
    assert "s3cret" not in str(logs)


async def test_alerts_of_one_story_on_several_partitions_are_one_message_for_people(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The targets are on different partitions. A machine gets each record by itself."""
    hook, service = await start_receiver(), await start_receiver()
    names = {"entity:a": "Alpha Bank", "entity:b": "Beta Bank", "entity:c": "Gamma Bank"}
    assert len({partition_of(target, 2) for target in names}) == 2
    stage = notify_stage(wall=alert().at, webhooks=urls(hook), apprise=(json_url(service),), group_wait_s=2.0)
    async with running(tmp_path, stage) as notify:
        await notify.publish(*(alert(id=target, target=target, name=name) for target, name in names.items()))
        await notify.wait_until_done()
        assert await notify.dead_letters() == []
    [(_, body)] = service.requests
    message = orjson.loads(body)
    assert all(name in message["title"] for name in names.values())
    assert message["title"].endswith("(3 alerts from one story)")
    assert message["message"].count("Brake recall widens") == 1
    assert {orjson.loads(body)["target"] for _, body in hook.requests} == set(names)


async def test_quiet_hours_hold_a_delivery_over_a_restart_and_deliver_it_once_in_the_morning(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """It is 23:00 in Berlin. The webhook without a name has no quiet hours. The process restarts at night."""
    desk, always = await start_receiver(), await start_receiver()
    clock = [datetime(2026, 11, 24, 22, tzinfo=UTC)]
    record = alert(at=clock[0], opened_at=clock[0])
    settings = NotifySettings(
        webhooks=urls(always),
        receivers={"desk": ReceiverSettings(webhook=SecretStr(desk.url), quiet_hours="22:00-07:00")},
        **FAST,
    )

    def stage() -> NotifyStage:
        return NotifyStage(settings, wall=lambda: clock[0], zone=ZoneInfo("Europe/Berlin"))

    async with running(tmp_path, stage()) as notify:
        await notify.publish(record)
        await always.wait_for_requests(1)
        await notify.wait_for_pending(1)
    async with running(tmp_path, stage()) as notify:
        await notify.publish(record.model_copy(update={"id": "next"}))
        await always.wait_for_requests(2)
        await notify.wait_for_pending(2)
        assert desk.requests == []
    clock[0] = datetime(2026, 11, 25, 6, tzinfo=UTC)
    async with running(tmp_path, stage()) as notify:
        await desk.wait_for_requests(2)
        await notify.wait_until_done()
        assert await notify.dead_letters() == []
    assert sorted(orjson.loads(body)["id"] for _, body in desk.requests) == ["c0de", "next"]
    assert len(always.requests) == 2


@pytest.mark.parametrize("answer", ["hangs", "500", "a year"])
async def test_nothing_is_lost_while_a_receiver_is_down_and_nothing_comes_twice_when_it_is_back(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert, answer: str
) -> None:
    """The receiver answers late, with errors, or asks to wait for a year; then it is well again."""
    hook = await start_receiver()
    refused = 0 if answer == "hangs" else 3
    hook.hang = answer == "hangs"
    hook.answers = [{"500": 500, "a year": 429}.get(answer, 200)] * refused
    hook.headers = {"Retry-After": "31536000"} if answer == "a year" else {}
    stage = notify_stage(wall=alert().at, webhooks=urls(hook), timeout_s=2.0, attempts=1_000)
    async with running(tmp_path, stage) as notify:
        await notify.publish(alert(), alert(id="other"), alert(status="resolved"))
        await hook.wait_for_requests(3)
        hook.hang = False
        seen = len(hook.requests)
        await notify.wait_until_done()
        assert await notify.dead_letters() == []
    arrived = hook.requests[refused or seen :]
    assert sorted((orjson.loads(body)["id"], orjson.loads(body)["status"]) for _, body in arrived) == [
        ("c0de", "firing"),
        ("c0de", "resolved"),
        ("other", "firing"),
    ]


async def test_a_digest_reaches_its_receiver_once_and_alerts_do_not(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The receiver takes only the digest, which is due a day after the receiver was set up."""
    mail, clock = await start_receiver(), [alert().at]
    desk = ReceiverSettings(apprise=json_url(mail), alerts=False, digest="daily")
    settings = NotifySettings(receivers={"desk": desk}, **FAST)

    def stage() -> NotifyStage:
        return NotifyStage(settings, wall=lambda: clock[0])

    async with running(tmp_path, stage(), attach=True) as notify:
        async with asyncio.timeout(20):
            while not await notify.bus.group_state("notify", Topic.ALERTS, "digest:"):
                await notify.bus.wait_for_change(0.05)
        await notify.publish(alert(name="Only Listed"))
        await notify.wait_until_done()
    clock[0] += timedelta(days=1)
    for _ in range(2):
        async with running(tmp_path, stage(), attach=True) as notify:
            await mail.wait_for_requests(1)
            async with asyncio.timeout(20):
                while not await is_covered(notify, clock[0]):
                    await notify.bus.wait_for_change(0.05)
    [(_, body)] = mail.requests
    assert b"riskwire daily digest: 1 notice" in body
    assert b"Only Listed" in body


async def is_covered(notify: RunningNotify, day: datetime) -> bool:
    """Returns whether the state says that the digest of a day has arrived."""
    state = await notify.bus.group_state("notify", Topic.ALERTS, "digest:")
    return all(orjson.loads(value)["until"] > (day - timedelta(days=1)).timestamp() for value in state.values())


LARGE: dict[str, Any] = {"summary": "x" * 20_000}
SMALL_STATE = {STATE: 10_000}


async def test_an_alert_that_is_too_large_for_the_state_costs_only_its_own_deliveries(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The state accepts entries up to 10,000 bytes, so the first alert `b`, of 20,000, cannot become pending.

    The service for people may get `a` and `c`, which one story raised, in one message.
    """
    hook, service = await start_receiver(), await start_receiver()
    stage = notify_stage(wall=alert().at, webhooks=urls(hook), apprise=(json_url(service),))
    async with running(tmp_path, stage, SMALL_STATE) as notify:
        await notify.publish(alert(id="a"), alert(id="b", **LARGE), alert(id="c"), alert(id="b", status="resolved"))
        await notify.wait_until_done()
        dead_letters = await notify.dead_letters()
    delivered = [orjson.loads(body) for _, body in hook.requests]
    assert [(record["id"], record["status"]) for record in delivered] == [
        ("a", "firing"),
        ("c", "firing"),
        ("b", "resolved"),
    ]
    texts = "".join(orjson.loads(body)["message"] for _, body in service.requests)
    assert [texts.count(f"alert {name}") for name in ("a", "b", "c")] == [1, 1, 1]
    receivers = {dead_letter["receiver"] for dead_letter in dead_letters}
    assert len(receivers) == 2, "a dead letter per receiver, so that each delivery can be repeated"
    for dead_letter in dead_letters:
        assert "the brokers refuse a record for its size" in dead_letter["error"]
        assert Alert.model_validate_json(dead_letter["record"]) == alert(id="b", **LARGE)


async def test_a_refused_alert_does_not_come_back_after_a_restart(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The state accepts entries up to 10,000 bytes; the first alert has 20,000 and becomes a dead letter."""
    hook = await start_receiver()
    async with running(tmp_path, notify_stage(wall=alert().at, webhooks=urls(hook)), SMALL_STATE) as notify:
        await notify.publish(alert(**LARGE))
        await notify.wait_until_done()
    async with running(tmp_path, notify_stage(wall=alert().at, webhooks=urls(hook)), SMALL_STATE) as notify:
        await notify.publish(alert(status="resolved"))
        await notify.wait_until_done()
        assert len(await notify.dead_letters()) == 1
    assert statuses(hook) == ["resolved"]


async def test_a_refused_dead_letter_is_cut_and_the_next_alert_is_delivered(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The topic of dead letters accepts 15,000 bytes. The first record is not an alert and has 80,000."""
    hook = await start_receiver()
    stage = notify_stage(wall=alert().at, webhooks=urls(hook))
    async with running(tmp_path, stage, {"dead-letters": 15_000}) as notify:
        await notify.publish(b"no alert" * 10_000, alert())
        await notify.wait_until_done()
        [dead_letter] = await notify.dead_letters()
    assert dead_letter["cut"]
    assert statuses(hook) == ["firing"]


async def test_large_pending_deliveries_can_be_finished_after_the_state_limit_was_lowered(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """An alert of 20,000 bytes is pending; after a restart the state accepts 10,000.

    So the arrival at one receiver cannot be committed, but it is counted as done, and the next alert is delivered.
    """
    good, stuck = await start_receiver(), await start_receiver()
    good.hang = stuck.hang = True
    before = notify_stage(wall=alert().at, webhooks=urls(good, stuck), timeout_s=60)
    async with running(tmp_path, before) as notify:
        await notify.publish(alert(**LARGE))
        await stuck.wait_for_requests(1)
    good.hang = False
    after = notify_stage(wall=alert().at, webhooks=urls(good, stuck), timeout_s=60)
    async with running(tmp_path, after, SMALL_STATE) as notify:
        await notify.wait_for_pending(1)
        await notify.publish(alert(id="next"))
        await good.wait_for_requests(3)
        stuck.hang = False
        assert await notify.dead_letters() == []


async def test_the_stage_stops_without_loss_when_every_alert_is_refused(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The state accepts entries up to 500 bytes, too few for any pending alert."""
    published = 2 * MAX_REFUSED_IN_A_ROW
    stage = notify_stage(wall=alert().at, webhooks=urls(await start_receiver()))
    with pytest.raises(RiskwireError, match=rf"{MAX_REFUSED_IN_A_ROW} records in a row.*brokers refuse"):
        await run_until_it_stops(tmp_path, stage, {STATE: 500}, *(alert(id=f"{number}") for number in range(published)))
    bus = await EmbeddedBus.open(tmp_path, BusSettings())
    dead_letters = await bus.read(Topic.DEAD_LETTERS, 0, 0, 100)
    lag = sum(lag.records for lag in await bus.lag() if lag.group == "notify")
    await bus.close()
    assert len(dead_letters) + lag == published, "each record is a dead letter or still to be read"
    assert len(dead_letters) < MAX_REFUSED_IN_A_ROW
