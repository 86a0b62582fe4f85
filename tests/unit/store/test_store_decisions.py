"""What people decided: how an alert was handled, which mutes are in force, and the log that outlives the alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

from riskwire.records import Command
from riskwire.settings import Settings
from riskwire.store import AlertRow, Store
from riskwire.store.reads.decisions import list_decisions, mutes_in_force

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def command(kind: str, minute: int = 0, **fields: object) -> Command:
    values = {"kind": kind, "by": "ada", "at": AT + timedelta(minutes=minute)}
    return Command.model_validate(values | fields)


def handled(store: Store, news: ModuleType, *commands: Command) -> AlertRow:
    """Returns an alert as a list shows it, after commands about it."""
    alert = news.alert("veldara")
    store.write_alerts([alert])
    store.write_commands([item.model_copy(update={"alert": alert.id}) for item in commands])
    (row,) = store.alerts()
    return row


def test_the_last_decision_about_an_alert_is_shown_with_who_and_when(store: Store, news: ModuleType) -> None:
    snoozed, acknowledged = command("snooze", until=AT + timedelta(days=1)), command("acknowledge", 5, by="grace")
    row = handled(store, news, snoozed, acknowledged)
    assert (row.handling, row.handled_by, row.handled_at) == ("acknowledged", "grace", acknowledged.at)
    assert row.snoozed_until is None


def test_an_assignment_stands_beside_how_an_alert_was_handled(store: Store, news: ModuleType) -> None:
    assigned = command("assign", 1, value={"assignee": "grace"})
    row = handled(store, news, command("acknowledge"), assigned, command("comment", 2, comment="looking"))
    assert (row.handling, row.assigned_to) == ("acknowledged", "grace")


def test_a_false_alarm_is_final_and_no_open_alert(store: Store, news: ModuleType) -> None:
    """The alert has not resolved. It is counted neither as open nor as an alert of its target."""
    row = handled(store, news, command("false_alarm", value={"reason": "old_news"}), command("acknowledge", 1))
    assert (row.handling, row.reason) == ("false_alarm", "old_news")
    assert store.alerts(status="open") == []
    assert store.counts().open_alerts == 0


@pytest.mark.parametrize(
    ("subject", "covers"),
    [
        ("target:entity:veldara", True),
        ("target:entity:osmark", False),
        ("type:spike", True),
        ("type:litigation", False),
    ],
)
def test_an_alert_says_which_mute_covers_it(store: Store, news: ModuleType, subject: str, covers: bool) -> None:
    store.write_commands([command("mute", value={"subject": subject})])
    assert handled(store, news).muted == (subject if covers else None)


def test_a_mute_is_in_force_until_it_ends_or_is_lifted(store: Store) -> None:
    """Of two mutes of one publisher, the later one counts, whatever the case of the name."""
    store.write_commands(
        [
            command("mute", 0, value={"subject": "publisher:Herald"}, until=AT + timedelta(hours=1)),
            command("mute", 1, value={"subject": "publisher:HERALD"}, until=AT + timedelta(hours=3)),
            command("mute", 2, value={"subject": "type:recall"}),
            command("unmute", 3, value={"subject": "type:recall"}),
            command("mute", 4, value={"subject": "type:litigation"}),
        ]
    )
    assert list(store.read(mutes_in_force, AT + timedelta(hours=2))) == ["type:litigation", "publisher:herald"]
    assert list(store.read(mutes_in_force, AT + timedelta(hours=3))) == ["type:litigation"]


def test_decisions_are_kept_when_their_alerts_are_deleted(
    new_settings: Callable[..., Settings], news: ModuleType
) -> None:
    with Store.open(new_settings(keep_days=30)) as store:
        handled(store, news, command("false_alarm", value={"summary": "4 stories"}))
        store.write_signals([news.signal("a0"), news.signal("a1", at=news.NOON + timedelta(days=100))])
        store.delete_old()
        assert store.alerts() == []
        (decision,) = store.read(list_decisions, 10)
    assert (decision.by, decision.at, decision.value["summary"]) == ("ada", AT, "4 stories")
