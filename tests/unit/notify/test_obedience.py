"""What people decide about alerts is obeyed, from its place in the log on: timelines of records, decisions and time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from pydantic import TypeAdapter

from riskwire.bus import Message
from riskwire.notify.obedience import Obedience
from riskwire.records import ALERTS, Alert, AlertEvidence, Decision, read_record

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MakeAlert = Callable[..., Alert]


class Script:
    """The alerts and decisions of one partition, minute by minute, and what is told of them."""

    def __init__(self, alert: MakeAlert, **options: object) -> None:
        self._make = alert
        self._options = {"topic": "alerts", "partition": 0, "remember": 100} | options
        self.obedience = Obedience({}, **self._options)  # type: ignore[arg-type]
        self._state: dict[str, bytes] = {}
        self._offset = 0

    def alert(self, minute: int, *, tellable: bool = True, **fields: object) -> str:
        """Takes an alert record. Returns `told` or why it is not told."""
        record = self._make(at=NOW + minute * MINUTE, **fields)
        message = self._message(record.to_bytes())
        now = NOW + minute * MINUTE
        ruling = self.obedience.judge(message, record, ["desk"], tellable=tellable, now=now)
        return ruling.withheld or "told to " + " ".join(ruling.receivers)

    def decide(self, minute: int, decision: str, **fields: object) -> bool:
        """Takes a decision, about the alert `c0de` if it is no mute. Returns whether it has an effect."""
        about = {} if "subject" in fields else {"alert": "c0de"}
        values = {"decision": decision, "by": "ada", "at": NOW + minute * MINUTE} | about | fields
        record = Decision.model_validate(values)
        return self.obedience.take(self._message(record.to_bytes()), record)

    def due(self, minute: float) -> list[str]:
        """Returns what is told at a minute, as `STATUS to RECEIVERS`."""
        due = self.obedience.due(NOW + minute * MINUTE)
        return [f"{orjson.loads(item.message.value)['status']} to {' '.join(item.receivers)}" for item in due]

    def restart(self) -> None:
        """Commits the state and opens it again, as after a crash."""
        for key, value in self.obedience.take_changes().items():
            if value is None:
                self._state.pop(key, None)
            else:
                self._state[key] = value
        self.obedience = Obedience(self._state, **self._options)  # type: ignore[arg-type]

    @property
    def remembered(self) -> int:
        """The number of entries that the state has, after all that was told has arrived."""
        self.obedience.forget_ended(tuple)
        self.restart()
        return len(self._state)

    def _message(self, value: bytes) -> Message:
        self._offset += 1
        return Message("alerts", 0, self._offset, "entity:norrland", value)


@pytest.fixture
def timeline(alert: MakeAlert) -> Script:
    return Script(alert)


def in_minutes(minutes: int) -> datetime:
    return NOW + minutes * MINUTE


def test_without_decisions_every_record_is_told_and_nothing_is_remembered_of_a_resolved_alert(
    timeline: Script,
) -> None:
    assert [timeline.alert(0), timeline.alert(5, status="escalated"), timeline.alert(9, status="resolved")] == [
        "told to desk"
    ] * 3
    assert timeline.due(1_000) == []
    assert timeline.remembered == 0


def test_an_acknowledged_alert_repeats_nothing_and_tells_its_end(timeline: Script) -> None:
    timeline.alert(0)
    assert timeline.decide(1, "acknowledge")
    timeline.restart()
    assert timeline.alert(5, status="escalated", severity="critical") == "acknowledged"
    assert timeline.due(1_000) == []
    assert timeline.alert(9, status="resolved") == "told to desk"


def test_an_acknowledged_notice_that_becomes_a_page_is_told(timeline: Script) -> None:
    """Nobody has acknowledged the page. The next record of it waits for a new acknowledgement as well."""
    timeline.alert(0, tier="notice")
    timeline.decide(1, "acknowledge")
    assert timeline.alert(5, status="escalated", tier="page") == "told to desk"
    assert timeline.alert(6, status="escalated", tier="page") == "told to desk"
    timeline.decide(7, "acknowledge")
    assert timeline.alert(8, status="escalated", tier="page") == "acknowledged"


def test_a_snoozed_alert_is_held_and_its_newest_record_is_told_when_the_snooze_ends(timeline: Script) -> None:
    timeline.alert(0)
    timeline.decide(1, "snooze", until=in_minutes(60))
    assert timeline.alert(5, status="escalated") == "snoozed"
    assert timeline.alert(6, status="escalated", severity="critical") == "snoozed"
    assert timeline.due(59.9) == []
    timeline.restart()
    assert timeline.due(60) == ["escalated to desk"]
    timeline.restart()
    assert timeline.due(61) == []


def test_an_alert_that_resolves_while_it_is_snoozed_tells_its_end_when_the_snooze_ends(
    timeline: Script,
) -> None:
    timeline.alert(0)
    timeline.decide(1, "snooze", until=in_minutes(60))
    assert timeline.alert(5, status="resolved") == "snoozed"
    timeline.restart()
    assert timeline.due(60) == ["resolved to desk"]
    assert timeline.remembered == 0


def test_a_snooze_without_news_tells_nothing_at_its_end(timeline: Script) -> None:
    timeline.alert(0)
    timeline.decide(1, "snooze", until=in_minutes(60))
    assert timeline.due(60) == []


def test_a_snooze_that_has_ended_already_holds_nothing(timeline: Script) -> None:
    timeline.alert(0)
    timeline.decide(70, "snooze", until=in_minutes(60))
    assert timeline.alert(71, status="escalated") == "told to desk"


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("target:entity:norrland", {}),
        ("type:litigation", {"kind": "event", "events": ("litigation",)}),
        ("type:spike", {"kind": "spike"}),
        ("publisher:WIRE", {}),
    ],
)
def test_what_is_muted_is_not_told(timeline: Script, subject: str, fields: dict[str, object]) -> None:
    """The story of the alert is of the publisher `wire`."""
    timeline.decide(0, "mute", subject=subject, until=in_minutes(60))
    timeline.restart()
    assert timeline.alert(1, **fields) == "muted"
    assert timeline.alert(2, **fields, status="resolved") == "muted"
    assert timeline.due(61) == []
    assert timeline.remembered == 0


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("target:entity:osmark", {}),
        ("type:litigation", {"kind": "event", "events": ("bankruptcy", "litigation")}),
        ("type:event", {"kind": "spike"}),
        ("publisher:wire", {"evidence": ()}),
    ],
)
def test_a_mute_covers_no_more_than_it_names(timeline: Script, subject: str, fields: dict[str, object]) -> None:
    """A mute of a type covers only alerts of which every type is muted: the bankruptcy is told."""
    timeline.decide(0, "mute", subject=subject)
    assert timeline.alert(1, **fields) == "told to desk"


def test_a_publisher_is_muted_only_where_no_other_publisher_tells_the_same(timeline: Script, alert: MakeAlert) -> None:
    (story,) = alert().evidence
    other = story.model_copy(update={"publisher": "Herald"})
    timeline.decide(0, "mute", subject="publisher:wire")
    assert timeline.alert(1, evidence=(story, other)) == "told to desk"
    assert isinstance(other, AlertEvidence)


def test_a_mute_that_ends_while_its_target_burns_tells_the_newest_record(timeline: Script) -> None:
    timeline.decide(0, "mute", subject="target:entity:norrland", until=in_minutes(60))
    assert timeline.alert(1) == "muted"
    assert timeline.alert(30, status="escalated") == "muted"
    timeline.restart()
    assert timeline.due(59) == []
    assert timeline.due(60) == ["escalated to desk"]
    assert timeline.alert(61, status="resolved") == "told to desk"


def test_a_mute_without_end_lasts_until_it_is_lifted(timeline: Script) -> None:
    timeline.decide(0, "mute", subject="target:entity:norrland")
    assert timeline.alert(1) == "muted"
    timeline.restart()
    assert timeline.due(500_000) == []
    timeline.decide(2, "unmute", subject="target:entity:norrland")
    assert timeline.due(2) == ["firing to desk"]


def test_an_acknowledged_alert_is_not_told_when_a_mute_ends(timeline: Script) -> None:
    timeline.decide(0, "mute", subject="target:entity:norrland", until=in_minutes(60))
    timeline.alert(1)
    timeline.decide(2, "acknowledge")
    assert timeline.due(60) == []
    assert timeline.alert(61, status="resolved") == "acknowledged"  # nobody was told that it fired


def test_a_false_alarm_is_closed_and_those_who_were_told_learn_of_it(timeline: Script) -> None:
    """The closing record is the newest one, resolved at the time of the decision. Later records are not told."""
    timeline.alert(0)
    timeline.decide(3, "false_alarm", reason="wrong_party")
    timeline.restart()
    (closing,) = timeline.obedience.due(in_minutes(3))
    record = read_record(TypeAdapter(Alert), closing.message.value, "closing")
    assert (record.status, record.at, record.id) == ("resolved", in_minutes(3), "c0de")
    assert record.summary.startswith("False alarm (wrong party), says ada. It was: 4 negative stories")
    assert timeline.alert(5, status="escalated") == "false_alarm"
    assert timeline.alert(9, status="resolved") == "false_alarm"
    assert timeline.due(10) == []
    assert timeline.remembered == 0


def test_a_false_alarm_that_was_never_told_says_nothing(timeline: Script) -> None:
    timeline.decide(0, "mute", subject="target:entity:norrland", until=in_minutes(60))
    timeline.alert(1)
    timeline.decide(2, "false_alarm")
    assert timeline.due(61) == []


def test_the_closing_record_of_a_muted_alert_waits_for_the_end_of_the_mute(timeline: Script) -> None:
    timeline.alert(0)
    timeline.decide(1, "mute", subject="target:entity:norrland", until=in_minutes(60))
    timeline.decide(2, "false_alarm")
    assert timeline.alert(5, status="resolved") == "false_alarm"
    assert timeline.due(59) == []
    assert timeline.due(60) == ["resolved to desk"]
    assert timeline.remembered == 0


def test_of_two_decisions_at_once_the_later_in_the_log_counts(timeline: Script) -> None:
    """Both have the same time."""
    timeline.alert(0)
    timeline.decide(1, "snooze", until=in_minutes(60), by="ada")
    timeline.decide(1, "acknowledge", by="grace")
    assert timeline.alert(2, status="escalated") == "acknowledged"
    timeline.decide(3, "acknowledge", by="ada")
    timeline.decide(3, "snooze", until=in_minutes(60), by="grace")
    assert timeline.alert(4, status="escalated") == "snoozed"


@pytest.mark.parametrize("decision", ["acknowledge", "snooze", "false_alarm", "assign", "comment"])
def test_a_decision_about_an_alert_that_ended_or_never_was_has_no_effect(timeline: Script, decision: str) -> None:
    fields = {"until": in_minutes(60)} if decision == "snooze" else {}
    assert not timeline.decide(0, decision, **fields)
    timeline.alert(1)
    timeline.alert(2, status="resolved")
    timeline.obedience.forget_ended(tuple)
    assert not timeline.decide(3, decision, **fields)
    assert timeline.alert(4) == "told to desk"


def test_an_assignment_and_a_comment_change_nothing_for_the_receivers(timeline: Script) -> None:
    timeline.alert(0)
    timeline.decide(1, "assign", assignee="grace")
    timeline.decide(1, "comment", comment="looking")
    assert timeline.alert(2, status="escalated") == "told to desk"


def test_a_decision_counts_for_an_alert_that_is_not_told_yet(timeline: Script) -> None:
    """A digest alert was seen on the page and acknowledged; more of it in the digest's tier stays quiet."""
    timeline.alert(0, tier="digest", tellable=False)
    timeline.decide(1, "snooze", until=in_minutes(60))
    assert timeline.alert(2, status="escalated", tier="notice") == "snoozed"
    assert timeline.due(60) == ["escalated to desk"]


@pytest.fixture
def with_second(alert: MakeAlert) -> Script:
    return Script(alert, second=["chief"], pass_on_after_s=900.0)


def test_a_page_that_nobody_acknowledges_is_passed_on_once(with_second: Script) -> None:
    """The second receiver then hears of every further record, and of the end."""
    with_second.alert(0, tier="page")
    assert with_second.due(14.9) == []
    with_second.restart()
    assert with_second.due(15) == ["firing to chief"]
    with_second.restart()
    assert with_second.due(100) == []
    assert with_second.alert(101, tier="page", status="escalated") == "told to desk chief"
    assert with_second.due(200) == []
    assert with_second.alert(201, tier="page", status="resolved") == "told to desk chief"


def test_an_acknowledged_page_is_not_passed_on(with_second: Script) -> None:
    with_second.alert(0, tier="page")
    with_second.decide(14, "acknowledge")
    assert with_second.due(100) == []


@pytest.mark.parametrize("decision", ["assign", "comment"])
def test_a_page_that_is_only_assigned_or_commented_is_passed_on(with_second: Script, decision: str) -> None:
    with_second.alert(0, tier="page")
    with_second.decide(14, decision)
    assert with_second.due(15) == ["firing to chief"]


def test_a_notice_is_not_passed_on(with_second: Script) -> None:
    with_second.alert(0, tier="notice")
    assert with_second.due(100) == []


def test_a_snoozed_page_waits_anew_after_the_snooze(with_second: Script) -> None:
    with_second.alert(0, tier="page")
    with_second.decide(5, "snooze", until=in_minutes(60))
    assert with_second.due(74.9) == []
    assert with_second.due(75) == ["firing to chief"]


def test_a_resolved_page_is_not_passed_on(with_second: Script) -> None:
    with_second.alert(0, tier="page")
    with_second.alert(5, tier="page", status="resolved")
    assert with_second.due(100) == []


def test_the_oldest_alerts_are_forgotten_beyond_the_limit(alert: MakeAlert) -> None:
    timeline = Script(alert, remember=2)
    for name in ("a", "b", "c"):
        timeline.alert(0, id=name)
    assert not timeline.decide(1, "acknowledge", alert="a")
    assert timeline.decide(1, "acknowledge", alert="c")


def test_the_topic_holds_alerts_and_decisions(alert: MakeAlert) -> None:
    """A record without `kind` is an alert."""
    decision = Decision(decision="acknowledge", alert="c0de", by="ada", at=NOW)
    assert read_record(ALERTS, decision.to_bytes(), "here") == decision
    record = alert()
    assert read_record(ALERTS, record.to_bytes(), "here") == record
    without_kind = orjson.dumps({key: value for key, value in orjson.loads(record.to_bytes()).items() if key != "kind"})
    assert read_record(ALERTS, without_kind, "here") == record


def test_the_state_of_an_older_riskwire_is_read_and_fields_of_a_newer_one_are_ignored(
    timeline: Script, alert: MakeAlert
) -> None:
    """An older one does not say who was told of an alert: its receivers, if it was sent."""
    timeline.alert(0)
    ((key, value),) = timeline.obedience.take_changes().items()
    fields = orjson.loads(value or b"{}")
    old = {name: item for name, item in fields.items() if name not in ("told", "missing")} | {"of_a_newer_one": 1}
    timeline.obedience = Obedience({key: orjson.dumps(old)}, topic="alerts", partition=0, remember=100)
    assert timeline.alert(5, status="resolved") == "told to desk"
