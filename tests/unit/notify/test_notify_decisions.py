"""The notify stage on a real bus obeys decisions: what a receiver gets, and what becomes of the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

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

    async def publish(self, *records: Alert | Decision, pending: int = 0) -> None:
        """Publishes records, and waits until they were read and this many deliveries are pending."""
        async with self.bus.publisher("test") as publisher:
            await publisher.publish(
                [Outgoing(Topic.ALERTS, "entity:norrland", item.to_bytes()) for item in records], {}
            )
        await self.wait_for_pending(pending)

    async def wait_for_pending(self, deliveries: int) -> None:
        """Waits until every record was read and this many deliveries are pending."""
        async with asyncio.timeout(60):
            while await self._lag() or self.stage.pending != deliveries:
                await self.bus.wait_for_change(0.05)

    async def _lag(self) -> int:
        return sum(lag.records for lag in await self.bus.lag() if lag.group == "notify")

    async def dead_letters(self) -> int:
        return len(await self.bus.read(Topic.DEAD_LETTERS, 0, 0, 100))

    async def near_misses(self) -> list[NearMiss]:
        partitions = range(self.bus.partitions(Topic.NEAR_MISSES))
        messages = [item for number in partitions for item in await self.bus.read(Topic.NEAR_MISSES, number, 0, 100)]
        return [NearMiss.model_validate_json(message.value) for message in messages]


@asynccontextmanager
async def running(data: Path, hook: Any, clock: Clock, second: Any = None, **changes: Any) -> AsyncIterator[Notify]:
    """Runs the stage with one webhook. Leaving the context cancels it between two steps, as a kill would.

    Args:
        second: a receiver to which pages are passed on after ten minutes; None for none.
        changes: further settings of `notify`.
    """
    escalation = {
        "receivers": {"second": ReceiverSettings(webhook=SecretStr(second.url))} if second else {},
        "escalate_to": ("second",) if second else (),
        "escalate_after_s": 600,
    }
    usual: dict[str, Any] = {"webhooks": (SecretStr(hook.url),), "backoff_s": 0.02, "group_wait_s": 0}
    settings = NotifySettings(**(usual | escalation | changes))
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
    """Of two pages, one is acknowledged. The second receiver gets the other page, and its closing record."""
    hook, second, clock = await start_receiver(), await start_receiver(), Clock(alert().at)
    acknowledged = Decision(decision="acknowledge", alert="taken", by="ada", at=clock.now)
    async with running(tmp_path, hook, clock, second) as notify:
        await notify.publish(alert(tier="page"), alert(id="taken", tier="page"), acknowledged)
        assert statuses(second) == []
        clock.now += timedelta(minutes=10)
        await second.wait_for_requests(1, timeout_s=60)
        await notify.publish(alert(tier="page", status="resolved", at=clock.now))
        await second.wait_for_requests(2, timeout_s=60)
    assert [orjson.loads(body)["id"] for _, body in second.requests] == ["c0de", "c0de"]
    assert statuses(second) == ["firing", "resolved"]


DOWN: dict[str, Any] = {"attempts": 1_000, "backoff_s": 300.0, "backoff_max_s": 300.0}
"""Settings with which a delivery that failed once waits longer than a test."""
SILENCES = ("mute", "snooze", "false_alarm")


def silence(kind: str, clock: Clock) -> Decision:
    """Returns a decision that silences the alert `c0de`: a mute or a snooze for an hour, or that it is none."""
    subject = {"subject": "target:entity:norrland"} if kind == "mute" else {"alert": "c0de"}
    until = {} if kind == "false_alarm" else {"until": clock.now + HOUR}
    return Decision.model_validate({"decision": kind, "by": "ada", "at": clock.now} | subject | until)


@pytest.mark.parametrize("kind", SILENCES)
async def test_a_decision_withdraws_what_waits_between_two_attempts_and_the_log_says_so(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert, kind: str
) -> None:
    """The receiver answered 500. It gets no further record, not even the closing one, and no dead letter is written."""
    hook, clock = await start_receiver(), Clock(alert().at)
    hook.answers = [500]
    with capture_logs() as logs:
        async with running(tmp_path, hook, clock, **DOWN) as notify:
            await notify.publish(alert(), pending=1)
            await hook.wait_for_requests(1)
            await notify.publish(silence(kind, clock))
            await notify.publish(alert(status="resolved", at=clock.now + timedelta(minutes=1)))
            assert await notify.dead_letters() == 0
    assert len(hook.requests) == 1
    withdrawn = [entry for entry in logs if entry["event"] == "delivery withdrawn"]
    reason = {"mute": "muted", "snooze": "snoozed"}.get(kind, kind)
    assert [(entry["alert"], entry["status"], entry["reason"]) for entry in withdrawn] == [("c0de", "firing", reason)]
    assert hook.url not in str(logs)


async def test_a_mute_of_what_nobody_has_heard_of_makes_a_near_miss(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    hook, clock = await start_receiver(), Clock(alert().at)
    hook.answers = [500]
    async with running(tmp_path, hook, clock, **DOWN) as notify:
        await notify.publish(alert(), pending=1)
        await hook.wait_for_requests(1)
        await notify.publish(silence("mute", clock))
        (miss,) = await notify.near_misses()
    assert (miss.reason, miss.alert) == ("muted", "c0de")
    assert miss.detail.startswith("ada has muted target:entity:norrland until 2026-11-24 10:00 UTC.")


@pytest.mark.parametrize("kind", SILENCES)
async def test_a_decision_withdraws_what_waits_for_the_end_of_quiet_hours(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert, kind: str
) -> None:
    """Another receiver has the alert already. Only that receiver gets its closing record."""
    desk, always = await start_receiver(), await start_receiver()
    clock = Clock(datetime(2026, 11, 24, 23, tzinfo=UTC))
    quiet = {"desk": ReceiverSettings(webhook=SecretStr(desk.url), quiet_hours="22:00-07:00")}
    async with running(tmp_path, always, clock, receivers=quiet) as notify:
        await notify.publish(alert(at=clock.now), pending=1)
        await notify.publish(silence(kind, clock))
        await notify.publish(alert(at=clock.now + timedelta(minutes=1), status="resolved"))
        clock.now += timedelta(hours=9)
        await notify.publish(alert(id="other", at=clock.now))
        await desk.wait_for_requests(1)
    assert [orjson.loads(body)["id"] for _, body in desk.requests] == ["other"]
    ends = [status for status in statuses(always) if status == "resolved"]
    assert len(ends) == 1


async def test_what_a_snooze_withdrew_is_sent_when_it_ends_to_those_who_miss_it(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """Of two receivers one was down. Only this one gets the alert after the snooze, and both get its closing record."""
    hook, well, clock = await start_receiver(), await start_receiver(), Clock(alert().at)
    hook.answers = [500]
    receivers = {"well": ReceiverSettings(webhook=SecretStr(well.url))}
    async with running(tmp_path, hook, clock, receivers=receivers, **DOWN) as notify:
        await notify.publish(alert(), pending=1)
        await hook.wait_for_requests(1)
        await notify.publish(silence("snooze", clock))
    clock.now += HOUR
    async with running(tmp_path, hook, clock, receivers=receivers, **DOWN) as notify:
        await hook.wait_for_requests(2)
        await notify.publish(alert(status="resolved", at=clock.now))
    assert statuses(well) == ["firing", "resolved"]
    assert statuses(hook) == ["firing", "firing", "resolved"]
    assert len({headers["Idempotency-Key"] for headers, _ in hook.requests}) == 2


async def test_an_attempt_that_is_being_made_ends_and_counts(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The receiver accepts the alert after the false alarm was decided, so it also gets the closing record."""
    hook, clock = await start_receiver(), Clock(alert().at)
    answered = asyncio.Event()
    hook.wait = answered
    async with running(tmp_path, hook, clock, **DOWN) as notify:
        await notify.publish(alert(), pending=1)
        await hook.wait_for_requests(1)
        await notify.publish(silence("false_alarm", clock), pending=1)
        answered.set()
        await hook.wait_for_requests(2)
        await notify.wait_for_pending(0)
    assert statuses(hook) == ["firing", "resolved"]


@pytest.mark.parametrize("kind", SILENCES)
async def test_an_attempt_that_fails_after_the_decision_is_the_last_one(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert, kind: str
) -> None:
    """The closing record of a false alarm is not sent then: the receiver never got the alert."""
    hook, clock = await start_receiver(), Clock(alert().at)
    answered = asyncio.Event()
    hook.wait, hook.answers = answered, [500]
    async with running(tmp_path, hook, clock, **DOWN) as notify:
        await notify.publish(alert(), pending=1)
        await hook.wait_for_requests(1)
        await notify.publish(silence(kind, clock), pending=1)
        answered.set()
        await notify.wait_for_pending(0)
        assert await notify.dead_letters() == 0
    assert len(hook.requests) == 1


async def test_a_decision_is_obeyed_if_the_process_ends_before_it_withdraws_anything(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The attempt hangs when the process is killed. After the restart none follows."""
    hook, clock = await start_receiver(), Clock(alert().at)
    hook.hang = True
    async with running(tmp_path, hook, clock, **DOWN) as notify:
        await notify.publish(alert(), pending=1)
        await hook.wait_for_requests(1)
        await notify.publish(silence("mute", clock), pending=1)
    hook.hang = False
    async with running(tmp_path, hook, clock, **DOWN) as notify:
        await notify.wait_for_pending(0)
        assert await notify.dead_letters() == 0
    assert len(hook.requests) == 1


async def test_an_unmute_before_the_next_attempt_withdraws_nothing(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The mute is lifted while the attempt is being made, which then fails: the delivery goes on."""
    hook, clock = await start_receiver(), Clock(alert().at)
    answered = asyncio.Event()
    hook.wait, hook.answers = answered, [500]
    lifted = Decision(decision="unmute", subject="target:entity:norrland", by="ada", at=clock.now)
    async with running(tmp_path, hook, clock, attempts=1_000) as notify:
        await notify.publish(alert(), pending=1)
        await hook.wait_for_requests(1)
        await notify.publish(silence("mute", clock), pending=1)
        await notify.publish(lifted, pending=1)
        answered.set()
        await hook.wait_for_requests(2)
        await notify.wait_for_pending(0)
    assert statuses(hook) == ["firing", "firing"]


async def test_a_mute_withdraws_nothing_that_it_does_not_cover(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    hook, clock = await start_receiver(), Clock(alert().at)
    hook.answers = [500]
    other_mute = Decision(decision="mute", subject="target:entity:other", by="ada", at=clock.now)
    async with running(tmp_path, hook, clock, attempts=1_000, backoff_s=0.5) as notify:
        await notify.publish(alert(), pending=1)
        await hook.wait_for_requests(1)
        await notify.publish(other_mute, pending=1)
        await hook.wait_for_requests(2)
        await notify.wait_for_pending(0)
    assert statuses(hook) == ["firing", "firing"]


@pytest.mark.parametrize("kind", SILENCES)
async def test_an_alertmanager_that_was_away_never_gets_what_was_silenced_meanwhile(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert, kind: str
) -> None:
    """When it is back it gets another alert, and neither the silenced one nor its end."""
    manager, clock = await start_receiver(), Clock(alert().at)
    manager.answers = [500]
    named = {"manager": ReceiverSettings(alertmanager=SecretStr(manager.url))}
    options = {"webhooks": (), "receivers": named, "backoff_s": 2.0}
    publisher = Decision(decision="mute", subject="publisher:wire", by="ada", at=clock.now, until=clock.now + HOUR)
    decision = publisher if kind == "mute" else silence(kind, clock)
    async with running(tmp_path, manager, clock, **options) as notify:
        await notify.publish(alert(), pending=1)
        await manager.wait_for_requests(1)
        await notify.publish(decision)
        await notify.publish(alert(status="resolved", at=clock.now + timedelta(minutes=1)))
        [story] = alert().evidence
        other_story = story.model_copy(update={"source": "other"})
        await notify.publish(alert(id="later", target="entity:later", evidence=(other_story,)))
    targets = [row["labels"]["target"] for _, body in manager.requests[1:] if body for row in orjson.loads(body)]
    assert set(targets) == {"entity:later"}


@pytest.mark.parametrize("arrived", [False, True])
async def test_a_false_alarm_of_an_alert_that_has_ended_withdraws_it_from_those_who_heard_of_nothing(
    tmp_path: Path, start_receiver: StartReceiver, alert: MakeAlert, arrived: bool
) -> None:
    """A receiver that has the beginning gets the end; one that has not gets neither."""
    hook, clock = await start_receiver(), Clock(alert().at)
    hook.answers = [200, 500] if arrived else [500]
    async with running(tmp_path, hook, clock, attempts=1_000, backoff_s=2.0) as notify:
        await notify.publish(alert(), pending=0 if arrived else 1)
        await notify.publish(alert(status="resolved", at=clock.now), pending=1 if arrived else 2)
        await notify.publish(silence("false_alarm", clock), pending=1 if arrived else 0)
        await notify.wait_for_pending(0)
    assert statuses(hook) == (["firing", "resolved", "resolved"] if arrived else ["firing"])
