"""The daily and weekly digest: when it is due, its text, and that every record is in exactly one digest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import fictional
import pytest
from pydantic import SecretStr

from riskwire.bus import Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import SettingsError
from riskwire.notify import NotifyStage
from riskwire.notify.digest.content import MAX_ALERTS, DigestContent
from riskwire.notify.digest.digests import Digests
from riskwire.notify.digest.schedule import DigestSchedule
from riskwire.notify.notification import PreparedNotification
from riskwire.notify.retry import AttemptError
from riskwire.pipeline import Topic
from riskwire.records import Alert, Decision, NearMiss
from riskwire.settings import BusSettings, NotifySettings, ReceiverSettings, RouteSettings

MakeAlert = Callable[..., Alert]
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def schedule(**changes: Any) -> DigestSchedule:
    digest_schedule = DigestSchedule.of(ReceiverSettings(**({"digest": "daily"} | changes)), BERLIN)
    assert digest_schedule is not None
    return digest_schedule


def near_miss(number: int, **changes: Any) -> NearMiss:
    return fictional.near_miss(number, **changes)


def text_of(*records: Alert | Decision, near: tuple[NearMiss, ...] = ()) -> str:
    """Returns the digest of the records of one partition and of near misses, title and body."""
    content = DigestContent()
    content.take_partition(records)
    content.take_near_misses(near)
    text = content.text("daily", NOW - timedelta(days=1), NOW, BERLIN)
    return f"{text.title}\n{text.body}"


def mute(subject: str, at: datetime = NOW, **changes: Any) -> Decision:
    return Decision(decision="mute", subject=subject, by="ada", at=at, **changes)


@pytest.mark.parametrize(
    ("changes", "now", "due"),
    [
        ({}, "2026-11-24T06:59", "2026-11-23T07:00"),
        ({}, "2026-11-24T07:00", "2026-11-24T07:00"),
        ({"digest_at": "18:30"}, "2026-11-24T07:00", "2026-11-23T18:30"),
        ({"digest": "weekly"}, "2026-11-24T07:00", "2026-11-23T07:00"),
        ({"digest": "weekly", "digest_day": "friday"}, "2026-11-24T07:00", "2026-11-20T07:00"),
        ({}, "2026-10-25T12:00", "2026-10-25T07:00"),
    ],
    ids=["before", "at", "evening", "monday", "friday", "end of summer time"],
)
def test_a_digest_is_due_at_its_time_of_day_in_the_time_zone(changes: dict[str, Any], now: str, due: str) -> None:
    """24 November 2026 is a Tuesday."""
    moment = datetime.fromisoformat(now).replace(tzinfo=BERLIN)
    assert schedule(**changes).last_due(moment) == datetime.fromisoformat(due).replace(tzinfo=BERLIN)


def test_alerts_are_ranked_with_those_that_are_never_pushed(alert: MakeAlert) -> None:
    text = text_of(
        alert(id="1", name="Line", tier="digest"),
        alert(id="2", name="Notice", tier="notice"),
        alert(id="3", name="Page", tier="page", severity="critical", kind="event", events=("bankruptcy",)),
        alert(id="4", name="Loud notice", tier="notice", severity="critical"),
    )
    assert text.startswith("riskwire daily digest: 1 page, 2 notices, 1 line\n")
    places = [text.index(name) for name in ("PAGE Page (bankruptcy)", "Loud notice", "NOTICE Notice", "DIGEST Line")]
    assert places == sorted(places)


def test_exposure_ranks_above_the_tier(alert: MakeAlert) -> None:
    """A page on a small exposure comes after a notice on a large one."""
    text = text_of(
        alert(id="1", name="Small", tier="page", severity="critical", weight=0.5),
        alert(id="2", name="Large", tier="notice", severity="warning", weight=20.0),
        alert(id="3", name="Usual", tier="page", severity="high"),
    )
    places = [text.index(name) for name in ("NOTICE Large", "PAGE Usual", "PAGE Small")]
    assert places == sorted(places)


def test_an_alert_is_one_line_at_its_loudest_and_says_if_it_ended(alert: MakeAlert) -> None:
    text = text_of(
        alert(), alert(tier="page", status="escalated"), alert(tier="page", status="resolved", severity="warning")
    )
    assert text.count("Norrland Motors") == 1
    assert "PAGE Norrland Motors (spike, resolved): Brake recall widens" in text


def test_it_says_what_was_muted_from_the_place_of_the_decision_in_the_log_on(alert: MakeAlert) -> None:
    before, muted = alert(id="1", name="Before"), alert(id="2", name="Muted", at=NOW + timedelta(minutes=1))
    late = alert(id="3", name="After", at=NOW + timedelta(hours=2))
    text = text_of(before, mute("target:entity:norrland", until=NOW + timedelta(hours=1)), muted, late)
    alerts, _, muted_part = text.partition("Muted:")
    assert "Before" in alerts
    assert "After" in alerts
    assert "NOTICE Muted (spike): Brake recall widens [target:entity:norrland]" in muted_part


def test_an_alert_that_was_muted_only_after_it_was_delivered_is_not_listed_as_muted(alert: MakeAlert) -> None:
    text = text_of(alert(), mute("type:spike"), alert(status="escalated", at=NOW + timedelta(minutes=1)))
    assert "Muted:" not in text


def test_it_says_what_came_near_the_most_adverse_first_and_counts_the_reasons() -> None:
    near = (
        near_miss(1, target="entity:a", name="Mild", adverse=0.3, reason="threshold"),
        near_miss(2, target="entity:b", name="Strong", adverse=0.8, reason="corroboration"),
        near_miss(3, target="entity:b", name="Strong", adverse=0.5, reason="threshold"),
    )
    text = text_of(near=near)
    assert text.startswith("riskwire daily digest: no alerts\n")
    assert text.index("Strong") < text.index("Mild")
    assert text.count("Strong: ") == 1
    assert "Near misses by reason: not surely material 2, one doubtful source 1" in text


def test_it_is_bounded_and_says_how_many_alerts_it_leaves_out(alert: MakeAlert) -> None:
    text = text_of(*(alert(id=f"{number}") for number in range(MAX_ALERTS + 7)))
    assert text.count("- NOTICE") == MAX_ALERTS
    assert "and 7 more" in text


class Mailbox:
    """Receives digests; fails while `away`."""

    def __init__(self) -> None:
        self.away = False
        self.texts: list[str] = []

    async def send(self, name: str, notification: PreparedNotification) -> AttemptError | None:
        if self.away:
            return AttemptError("away", where=name)
        self.texts.append(f"{notification.text.title}\n{notification.text.body}")
        return None


async def test_each_record_is_in_exactly_one_digest_over_restarts(tmp_path: Path, alert: MakeAlert) -> None:
    """The first digest is due a day after the receiver was set up. The mute of day 1 is in force on day 2."""
    bus, mailbox, clock = await EmbeddedBus.open(tmp_path, BusSettings()), Mailbox(), [NOW]
    state: dict[str, bytes] = {}

    async def look() -> None:
        """Opens the digests from the committed state, delivers what is due, and commits."""
        digests = Digests(state, {"desk": schedule()}, bus, mailbox.send, lambda: clock[0])
        await digests.deliver_due("desk", schedule())
        state.update({key: value for key, value in digests.take_changes().items() if value is not None})

    async def publish(*records: Alert | Decision | NearMiss) -> None:
        async with bus.publisher("test") as publisher:
            for record in records:
                if isinstance(record, Decision):
                    for partition in range(bus.partitions(Topic.ALERTS)):
                        await publisher.publish([Outgoing(Topic.ALERTS, None, record.to_bytes(), partition)], {})
                    continue
                topic = Topic.ALERTS if isinstance(record, Alert) else Topic.NEAR_MISSES
                await publisher.publish([Outgoing(topic, record.target, record.to_bytes())], {})

    await publish(alert(id="old", name="Old Co"))
    await look()
    await publish(alert(id="1", name="First Co"), near_miss(1, name="Near Co"), mute("target:entity:m"))
    await look()
    assert mailbox.texts == []
    clock[0] += timedelta(days=1)
    await look()
    await look()
    await publish(alert(id="2", target="entity:m", name="Muted Co", at=clock[0]))
    clock[0] += timedelta(days=1)
    await look()
    await bus.close()
    first, second = mailbox.texts
    assert "First Co" in first
    assert "Near Co" in first
    assert "Old Co" not in first + second, "it was before the receiver was set up"
    assert "First Co" not in second
    assert "Muted:\n- NOTICE Muted Co" in second


def test_a_digest_for_a_machine_and_a_receiver_that_gets_nothing_are_refused() -> None:
    hook, service = SecretStr("https://a.example/hook"), SecretStr("json://a.example")
    for receiver, key in (
        (ReceiverSettings(webhook=hook, digest="daily"), "digest"),
        (ReceiverSettings(apprise=service, alerts=False), "alerts"),
    ):
        with pytest.raises(SettingsError, match=rf"notify\.receivers\.desk\.{key}: "):
            NotifyStage(NotifySettings(receivers={"desk": receiver}))


def test_a_route_to_a_receiver_of_digests_only_is_refused() -> None:
    desk = ReceiverSettings(apprise=SecretStr("json://a.example"), alerts=False, digest="weekly")
    with pytest.raises(SettingsError, match=r"notify\.routes\[0\]\.to: this receiver takes only the digest"):
        NotifyStage(NotifySettings(receivers={"desk": desk}, routes=(RouteSettings(to=("desk",)),)))
