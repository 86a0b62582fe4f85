"""Decisions are checked, published one after the other, and each knows what it replaces."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fictional
import pytest
from pydantic import ValidationError

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.deciding import Decider, DecisionRequest, decision_command
from riskwire.errors import SettingsError
from riskwire.pipeline import Topic
from riskwire.records import Command
from riskwire.settings import BusSettings
from riskwire.store import AlertRow

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def alert_row(**fields: object) -> AlertRow:
    """Returns an alert without a decision."""
    return AlertRow.model_validate(fictional.alert("veldara", **fields).model_dump())


def request(**fields: object) -> DecisionRequest:
    return DecisionRequest.model_validate({"kind": "acknowledge", "alert": "a1"} | fields)


async def test_two_people_who_decide_at_once_are_both_published_and_one_learns_what_it_replaces(
    tmp_path: Path,
) -> None:
    """Two buses on one folder are two processes. Their publishers have one name, so each may fence the other."""
    buses = [await EmbeddedBus.open(tmp_path, BusSettings()) for _ in range(2)]
    try:
        deciders = [Decider(bus) for bus in buses]
        commands = [
            Command(kind="acknowledge", alert=f"a{number // 2}", by=("ann", "bob")[number % 2], at=AT)
            for number in range(10)
        ]
        async with asyncio.timeout(120):
            replaced = await asyncio.gather(
                *(deciders[number % 2].publish(command) for number, command in enumerate(commands))
            )
        messages = await buses[0].read(Topic.COMMANDS, 0, 0, 100)
    finally:
        for bus in buses:
            await bus.close()
    assert sorted(message.key or "" for message in messages) == sorted(str(command.alert) for command in commands)
    for alert in range(5):
        answers = replaced[2 * alert : 2 * alert + 2]
        assert sorted(answer.by if answer else "" for answer in answers)[0] == ""
        assert sum(answer is not None for answer in answers) == 1


async def test_an_unmute_replaces_the_mute_and_a_comment_replaces_nothing(tmp_path: Path) -> None:
    bus = await EmbeddedBus.open(tmp_path, BusSettings())
    try:
        decider = Decider(bus)
        mute, unmute = [
            decision_command(DecisionRequest(kind=kind, subject="type:litigation"), None, "ann", AT)
            for kind in ("mute", "unmute")
        ]
        comment = Command(kind="comment", alert="a1", by="ann", at=AT, comment="so?")
        acknowledged = Command(kind="acknowledge", alert="a1", by="bob", at=AT)
        answers = [await decider.publish(command) for command in (mute, unmute, unmute, acknowledged, comment)]
    finally:
        await bus.close()
    assert answers == [None, mute, None, None, None]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"alert": None}, "acknowledge needs `alert`"),
        ({"kind": "snooze"}, "snooze needs `until`"),
        ({"kind": "assign"}, "assign needs `assignee`"),
        ({"kind": "comment", "comment": " "}, "comment needs `comment`"),
        ({"kind": "correct"}, "correct needs `level` or `events`"),
        ({"kind": "false_alarm", "reason": "other"}, "the reason `other` needs `comment`"),
        ({"kind": "false_alarm", "reason": "mood"}, "not_adverse"),
        ({"kind": "mute", "alert": None}, "mute needs `subject`"),
        ({"kind": "mute", "subject": "type:litigation"}, "a mute has no `alert`"),
        ({"kind": "mute", "alert": None, "subject": "type:litigations"}, "did you mean litigation?"),
        ({"kind": "mute", "alert": None, "subject": "publisher:"}, "publisher:NAME"),
        ({"kind": "mute", "alert": None, "subject": "norrland"}, "target:NAME"),
        ({"subject": "type:litigation"}, "only for mute"),
        ({"events": ["lawsuits"], "kind": "correct"}, "not an event type"),
    ],
)
def test_a_decision_without_what_it_needs_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        request(**fields)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["acknowledge", "snooze", "assign"])
def test_an_alert_that_has_ended_takes_no_such_decision(kind: str) -> None:
    ended = alert_row(status="resolved")
    wanted = request(kind=kind, until=AT + timedelta(hours=1) if kind == "snooze" else None, assignee="bob")
    with pytest.raises(SettingsError, match=f"this alert ended at .*nothing to {kind}.*false alarm"):
        decision_command(wanted, ended, "ann", AT)


def test_a_time_that_has_passed_is_refused() -> None:
    with pytest.raises(SettingsError, match="this time has passed"):
        decision_command(request(kind="snooze", until=AT), alert_row(), "ann", AT)


def test_a_false_alarm_keeps_what_the_alert_was() -> None:
    """It can be read, and become a label, when the alert has been deleted. An ended alert can be a false alarm."""
    alert = alert_row(status="resolved")
    command = decision_command(request(kind="false_alarm", reason="not_adverse"), alert, "ann", AT)
    assert command.target == alert.target
    assert command.value["summary"] == alert.summary
    assert command.value["reason"] == "not_adverse"
    assert [story["text"] for story in command.value["evidence"]] == [story.text for story in alert.evidence[:5]]
