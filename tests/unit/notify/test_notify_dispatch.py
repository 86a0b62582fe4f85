"""In which order deliveries start, which wait for the end of quiet hours, and which are one message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest

from riskwire.bus import Message
from riskwire.notify.dispatch import Dispatcher, Progress, QuietHours
from riskwire.notify.dispatch.receiver_queue import MAX_STARTED, ReceiverQueue, WaitingDelivery
from riskwire.notify.outbox import Delivery
from riskwire.notify.retry import AttemptError
from riskwire.records import Alert
from riskwire.story import fingerprint

MakeAlert = Callable[..., Alert]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 25, 0, tzinfo=UTC)
NIGHT = QuietHours.parse("22:00-07:00", ZoneInfo("UTC"))


def waiting(alert: Alert, ready_s: float = 0.0, partition: int = 0) -> WaitingDelivery:
    message = Message("alerts", partition, 0, alert.target, alert.to_bytes())
    return WaitingDelivery(Delivery(message, "apprise:desk", 0.0), alert, lambda delivery, error: None, ready_s)


def queue_of(*deliveries: WaitingDelivery, groups: bool = True, quiet: QuietHours | None = None) -> ReceiverQueue:
    queue = ReceiverQueue(groups=groups, quiet=quiet, quiet_tiers=("notice",))
    for delivery in deliveries:
        queue.add(delivery)
    return queue


def started(queue: ReceiverQueue, now: datetime = NOON, loop_s: float = 100.0) -> list[list[str]]:
    """Returns the messages that start, each as the ids of its alerts."""
    return [[delivery.alert.id for delivery in message] for message in queue.take(now, loop_s)]


def of_story(make: MakeAlert, number: int, title: str, **changes: object) -> Alert:
    """Returns an alert on a separate target for each number, raised by a story of this title."""
    [evidence] = make().evidence
    story = evidence.model_copy(update={"story": fingerprint(title, ""), "title": title})
    return make(id=f"{number}", target=f"entity:{number}", evidence=(story,), **changes)


STORY = "Regulator fines five lenders over money laundering controls"
RETOLD = "Regulator fines five lenders over money laundering controls - sources"
OTHER = "Brake maker recalls two million cars after crash reports"


def test_alerts_that_one_story_raised_are_one_message(alert: MakeAlert) -> None:
    """The second wire appends another word to the title."""
    first, second = of_story(alert, 1, STORY), of_story(alert, 2, RETOLD)
    third = of_story(alert, 3, OTHER)
    assert started(queue_of(*map(waiting, (first, third, second)))) == [["1", "2"], ["3"]]


def test_a_machine_gets_each_alert_of_a_story_by_itself(alert: MakeAlert) -> None:
    queue = queue_of(*(waiting(of_story(alert, number, STORY)) for number in (1, 2)), groups=False)
    assert started(queue) == [["1"], ["2"]]


def test_an_end_is_not_told_in_the_message_of_a_beginning(alert: MakeAlert) -> None:
    begins, ends = of_story(alert, 1, STORY), of_story(alert, 2, STORY, status="resolved")
    assert started(queue_of(waiting(begins), waiting(ends))) == [["1"], ["2"]]


def test_a_message_waits_for_alerts_of_its_story_and_no_longer(alert: MakeAlert) -> None:
    """The first is ready at 3 s of the loop's clock; the second arrives at 2 s and goes with it."""
    queue = queue_of(waiting(of_story(alert, 1, STORY), ready_s=3.0))
    assert started(queue, loop_s=2.0) == []
    assert queue.wait_s(NOON, 2.0) == pytest.approx(1.0)
    queue.add(waiting(of_story(alert, 2, STORY), ready_s=5.0, partition=1))
    assert started(queue, loop_s=3.0) == [["1", "2"]]


def test_records_of_an_episode_start_one_after_the_other(alert: MakeAlert) -> None:
    queue = queue_of(*(waiting(alert(status=status)) for status in ("firing", "escalated", "resolved")))
    statuses = []
    while messages := queue.take(NOON, 0.0):
        [[delivery]] = messages
        statuses.append(delivery.alert.status)
        queue.finish(messages[0])
    assert statuses == ["firing", "escalated", "resolved"]


def test_an_episode_that_cannot_be_delivered_does_not_hold_up_the_others(alert: MakeAlert) -> None:
    queue = queue_of(*(waiting(of_story(alert, number, f"{number} {OTHER}")) for number in range(2)), groups=False)
    assert started(queue) == [["0"], ["1"]]


def test_the_messages_on_their_way_are_limited(alert: MakeAlert) -> None:
    queue = queue_of(*(waiting(of_story(alert, number, OTHER)) for number in range(MAX_STARTED + 5)), groups=False)
    assert len(started(queue)) == MAX_STARTED
    assert queue.wait_s(NOON, 0.0) is None


def test_quiet_hours_hold_notices_and_ends_and_let_pages_pass(alert: MakeAlert) -> None:
    records = [
        alert(id="notice", tier="notice"),
        alert(id="page", tier="page"),
        alert(id="end", tier="page", status="resolved"),
    ]
    queue = queue_of(*map(waiting, records), groups=False, quiet=NIGHT)
    assert started(queue, MIDNIGHT) == [["page"]]
    assert queue.wait_s(MIDNIGHT, 0.0) == 60.0
    assert queue.wait_s(MIDNIGHT.replace(hour=6, minute=59, second=50), 0.0) == 10.0
    assert started(queue, MIDNIGHT.replace(hour=7)) == [["notice"], ["end"]]


def test_a_page_takes_the_held_notice_of_its_episode_along(alert: MakeAlert) -> None:
    """Otherwise the beginning would arrive in the morning, after the escalation."""
    queue = queue_of(waiting(alert(tier="notice")), waiting(alert(tier="page", status="escalated")), quiet=NIGHT)
    [[first]] = queue.take(MIDNIGHT, 0.0)
    assert first.alert.status == "firing"
    queue.finish((first,))
    [[second]] = queue.take(MIDNIGHT, 0.0)
    assert second.alert.status == "escalated"


def test_deliveries_of_a_withdrawn_partition_do_not_start(alert: MakeAlert) -> None:
    queue = queue_of(*(waiting(of_story(alert, number, STORY), partition=number) for number in (0, 1)))
    queue.withdraw("alerts", 0)
    assert started(queue) == [["1"]]


@pytest.mark.parametrize(
    ("hours", "local", "end"),
    [
        ("22:00-07:00", "2026-11-24T21:59", None),
        ("22:00-07:00", "2026-11-24T22:00", "2026-11-25T07:00"),
        ("22:00-07:00", "2026-11-25T06:59", "2026-11-25T07:00"),
        ("22:00-07:00", "2026-11-25T07:00", None),
        ("12:00-13:30", "2026-11-24T12:10", "2026-11-24T13:30"),
        ("12:00-13:30", "2026-11-24T13:30", None),
    ],
)
def test_quiet_hours_are_those_of_the_time_zone(hours: str, local: str, end: str | None) -> None:
    zone = ZoneInfo("Europe/Berlin")
    now = datetime.fromisoformat(local).replace(tzinfo=zone).astimezone(UTC)
    expected = None if end is None else datetime.fromisoformat(end).replace(tzinfo=zone)
    assert QuietHours.parse(hours, zone).end_after(now) == expected


def test_a_night_in_which_the_clock_is_changed_ends_at_the_same_time_of_day() -> None:
    """Berlin left summer time at 03:00 on 25 October 2026, so this night has ten hours."""
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 24, 22, tzinfo=zone)
    end = QuietHours.parse("22:00-07:00", zone).end_after(start)
    assert end is not None
    assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=10)


async def test_one_alert_of_a_message_can_be_stopped_between_two_attempts(alert: MakeAlert) -> None:
    """The other one goes on alone, and keeps its place before a later record of its alert."""
    sent: list[list[str]] = []
    retrying = asyncio.Event()

    async def send(deliveries: Sequence[Delivery], progress: Progress) -> AttemptError | None:
        sent.append([orjson.loads(delivery.message.value)["status"] for delivery in deliveries])
        if len(deliveries) > 1:
            retrying.set()
            await asyncio.Event().wait()  # the wait for the next attempt
        return None

    first, second = of_story(alert, 1, "Norrland recalls cars"), of_story(alert, 2, "Norrland recalls cars")
    later = second.model_copy(update={"status": "resolved"})
    deliveries = [waiting(record).delivery for record in (first, second, later)]
    dispatcher = Dispatcher(ReceiverQueue(groups=True), send, wall=lambda: NOON)
    done: asyncio.Queue[Delivery] = asyncio.Queue()
    for delivery, record in zip(deliveries, (first, second, later), strict=True):
        dispatcher.submit(delivery, record, lambda delivery, error: done.put_nowait(delivery))
    task = asyncio.create_task(dispatcher.run())
    await asyncio.wait_for(retrying.wait(), 10)
    assert dispatcher.stop(deliveries[0])
    async with asyncio.timeout(10):
        ended = [await done.get(), await done.get()]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sent == [["firing", "firing"], ["firing"], ["resolved"]]
    assert ended == deliveries[1:]
    assert not dispatcher.stop(deliveries[0])
