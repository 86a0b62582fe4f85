"""A decision of people takes effect from its place in the log: timelines of alert records, decisions and time."""

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


class AlertTimeline:
    """The alerts and decisions of one partition, minute by minute, and the records that are sent."""

    def __init__(self, make_alert: MakeAlert, **options: object) -> None:
        self._make_alert = make_alert
        self._options = {"topic": "alerts", "partition": 0, "remember": 100} | options
        self.obedience = Obedience({}, **self._options)  # type: ignore[arg-type]
        self._state: dict[str, bytes] = {}
        self._offset = 0

    def alert(self, minute: int, *, would_be_sent: bool = True, **fields: object) -> str:
        """Passes an alert record to `judge`. Returns `sent to RECEIVERS`, or why the record is withheld."""
        record = self._make_alert(at=NOW + minute * MINUTE, **fields)
        message = self._message(record.to_bytes())
        now = NOW + minute * MINUTE
        ruling = self.obedience.judge(message, record, ["desk"], would_be_sent=would_be_sent, now=now)
        return ruling.withheld or "sent to " + " ".join(ruling.receivers)

    def decide(self, minute: int, decision: str, **fields: object) -> bool:
        """Applies a decision, about the alert `c0de` unless it is a mute. Returns whether it has an effect."""
        alert_field = {} if "subject" in fields else {"alert": "c0de"}
        decision_fields = {"decision": decision, "by": "ada", "at": NOW + minute * MINUTE} | alert_field | fields
        record = Decision.model_validate(decision_fields)
        return self.obedience.apply_decision(self._message(record.to_bytes()), record)

    def due(self, minute: float) -> list[str]:
        """Returns the records to send at a minute, each as `STATUS to RECEIVERS`."""
        due_records = self.obedience.take_due(NOW + minute * MINUTE)
        return [
            f"{orjson.loads(record.message.value)['status']} to {' '.join(record.receivers)}" for record in due_records
        ]

    def restart(self) -> None:
        """Commits the state and opens it again, as after a crash."""
        for key, value in self.obedience.take_changes().items():
            if value is None:
                self._state.pop(key, None)
            else:
                self._state[key] = value
        self.obedience = Obedience(self._state, **self._options)  # type: ignore[arg-type]

    @property
    def state_size(self) -> int:
        """The number of state entries after all records that were sent have arrived."""
        self.obedience.forget_ended(tuple)
        self.restart()
        return len(self._state)

    def _message(self, value: bytes) -> Message:
        self._offset += 1
        return Message("alerts", 0, self._offset, "entity:norrland", value)


@pytest.fixture
def timeline(alert: MakeAlert) -> AlertTimeline:
    return AlertTimeline(alert)


def in_minutes(minutes: int) -> datetime:
    return NOW + minutes * MINUTE


def test_without_decisions_every_record_is_sent_and_a_resolved_alert_is_forgotten(
    timeline: AlertTimeline,
) -> None:
    assert [timeline.alert(0), timeline.alert(5, status="escalated"), timeline.alert(9, status="resolved")] == [
        "sent to desk"
    ] * 3
    assert timeline.due(1_000) == []
    assert timeline.state_size == 0


def test_of_an_acknowledged_alert_only_the_resolved_record_is_sent(timeline: AlertTimeline) -> None:
    timeline.alert(0)
    assert timeline.decide(1, "acknowledge")
    timeline.restart()
    assert timeline.alert(5, status="escalated", severity="critical") == "acknowledged"
    assert timeline.due(1_000) == []
    assert timeline.alert(9, status="resolved") == "sent to desk"


def test_an_acknowledged_notice_that_becomes_a_page_is_sent(timeline: AlertTimeline) -> None:
    """Nobody has acknowledged the page, so its next record is sent as well."""
    timeline.alert(0, tier="notice")
    timeline.decide(1, "acknowledge")
    assert timeline.alert(5, status="escalated", tier="page") == "sent to desk"
    assert timeline.alert(6, status="escalated", tier="page") == "sent to desk"
    timeline.decide(7, "acknowledge")
    assert timeline.alert(8, status="escalated", tier="page") == "acknowledged"


def test_a_snoozed_alert_is_held_and_its_newest_record_is_sent_when_the_snooze_ends(timeline: AlertTimeline) -> None:
    timeline.alert(0)
    timeline.decide(1, "snooze", until=in_minutes(60))
    assert timeline.alert(5, status="escalated") == "snoozed"
    assert timeline.alert(6, status="escalated", severity="critical") == "snoozed"
    assert timeline.due(59.9) == []
    timeline.restart()
    assert timeline.due(60) == ["escalated to desk"]
    timeline.restart()
    assert timeline.due(61) == []


def test_the_resolved_record_of_a_snoozed_alert_is_sent_when_the_snooze_ends(
    timeline: AlertTimeline,
) -> None:
    timeline.alert(0)
    timeline.decide(1, "snooze", until=in_minutes(60))
    assert timeline.alert(5, status="resolved") == "snoozed"
    timeline.restart()
    assert timeline.due(60) == ["resolved to desk"]
    assert timeline.state_size == 0


def test_nothing_is_sent_at_the_end_of_a_snooze_without_new_records(timeline: AlertTimeline) -> None:
    timeline.alert(0)
    timeline.decide(1, "snooze", until=in_minutes(60))
    assert timeline.due(60) == []


def test_a_snooze_that_has_ended_already_holds_nothing(timeline: AlertTimeline) -> None:
    timeline.alert(0)
    timeline.decide(70, "snooze", until=in_minutes(60))
    assert timeline.alert(71, status="escalated") == "sent to desk"


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("target:entity:norrland", {}),
        ("type:litigation", {"kind": "event", "events": ("litigation",)}),
        ("type:spike", {"kind": "spike"}),
        ("publisher:WIRE", {}),
    ],
)
def test_a_muted_alert_is_not_sent(timeline: AlertTimeline, subject: str, fields: dict[str, object]) -> None:
    """The publisher of the alert's story is `wire`."""
    timeline.decide(0, "mute", subject=subject, until=in_minutes(60))
    timeline.restart()
    assert timeline.alert(1, **fields) == "muted"
    assert timeline.alert(2, **fields, status="resolved") == "muted"
    assert timeline.due(61) == []
    assert timeline.state_size == 0


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("target:entity:osmark", {}),
        ("type:litigation", {"kind": "event", "events": ("bankruptcy", "litigation")}),
        ("type:event", {"kind": "spike"}),
        ("publisher:wire", {"evidence": ()}),
    ],
)
def test_a_mute_covers_no_more_than_it_names(timeline: AlertTimeline, subject: str, fields: dict[str, object]) -> None:
    """A mute of a type covers an alert only if all its types are muted. The bankruptcy is not muted, so it is sent."""
    timeline.decide(0, "mute", subject=subject)
    assert timeline.alert(1, **fields) == "sent to desk"


def test_a_mute_of_a_publisher_does_not_cover_alerts_with_another_publisher(
    timeline: AlertTimeline, alert: MakeAlert
) -> None:
    (story,) = alert().evidence
    story_of_herald = story.model_copy(update={"publisher": "Herald"})
    timeline.decide(0, "mute", subject="publisher:wire")
    assert timeline.alert(1, evidence=(story, story_of_herald)) == "sent to desk"
    assert isinstance(story_of_herald, AlertEvidence)


def test_the_newest_record_of_a_running_alert_is_sent_when_its_mute_ends(timeline: AlertTimeline) -> None:
    timeline.decide(0, "mute", subject="target:entity:norrland", until=in_minutes(60))
    assert timeline.alert(1) == "muted"
    assert timeline.alert(30, status="escalated") == "muted"
    timeline.restart()
    assert timeline.due(59) == []
    assert timeline.due(60) == ["escalated to desk"]
    assert timeline.alert(61, status="resolved") == "sent to desk"


def test_a_mute_without_end_lasts_until_it_is_lifted(timeline: AlertTimeline) -> None:
    timeline.decide(0, "mute", subject="target:entity:norrland")
    assert timeline.alert(1) == "muted"
    timeline.restart()
    assert timeline.due(500_000) == []
    timeline.decide(2, "unmute", subject="target:entity:norrland")
    assert timeline.due(2) == ["firing to desk"]


def test_an_acknowledged_alert_is_not_sent_when_a_mute_ends(timeline: AlertTimeline) -> None:
    timeline.decide(0, "mute", subject="target:entity:norrland", until=in_minutes(60))
    timeline.alert(1)
    timeline.decide(2, "acknowledge")
    assert timeline.due(60) == []
    assert timeline.alert(61, status="resolved") == "acknowledged"  # no record that it fired was sent


def test_a_false_alarm_is_closed_and_its_receivers_are_notified(timeline: AlertTimeline) -> None:
    """The closing record is the newest record, resolved at the time of the decision. Later records are not sent."""
    timeline.alert(0)
    timeline.decide(3, "false_alarm", reason="wrong_party")
    timeline.restart()
    (closing,) = timeline.obedience.take_due(in_minutes(3))
    record = read_record(TypeAdapter(Alert), closing.message.value, "closing")
    assert (record.status, record.at, record.id) == ("resolved", in_minutes(3), "c0de")
    assert record.summary.startswith("False alarm (wrong party), says ada. It was: 4 negative stories")
    assert timeline.alert(5, status="escalated") == "false_alarm"
    assert timeline.alert(9, status="resolved") == "false_alarm"
    assert timeline.due(10) == []
    assert timeline.state_size == 0


def test_a_false_alarm_that_was_never_sent_sends_no_closing_record(timeline: AlertTimeline) -> None:
    timeline.decide(0, "mute", subject="target:entity:norrland", until=in_minutes(60))
    timeline.alert(1)
    timeline.decide(2, "false_alarm")
    assert timeline.due(61) == []


def test_the_closing_record_of_a_muted_alert_waits_for_the_end_of_the_mute(timeline: AlertTimeline) -> None:
    timeline.alert(0)
    timeline.decide(1, "mute", subject="target:entity:norrland", until=in_minutes(60))
    timeline.decide(2, "false_alarm")
    assert timeline.alert(5, status="resolved") == "false_alarm"
    assert timeline.due(59) == []
    assert timeline.due(60) == ["resolved to desk"]
    assert timeline.state_size == 0


def test_if_two_decisions_have_the_same_time_the_later_in_the_log_counts(timeline: AlertTimeline) -> None:
    timeline.alert(0)
    timeline.decide(1, "snooze", until=in_minutes(60), by="ada")
    timeline.decide(1, "acknowledge", by="grace")
    assert timeline.alert(2, status="escalated") == "acknowledged"
    timeline.decide(3, "acknowledge", by="ada")
    timeline.decide(3, "snooze", until=in_minutes(60), by="grace")
    assert timeline.alert(4, status="escalated") == "snoozed"


@pytest.mark.parametrize("decision", ["acknowledge", "snooze", "false_alarm", "assign", "comment"])
def test_a_decision_about_an_ended_or_unknown_alert_has_no_effect(timeline: AlertTimeline, decision: str) -> None:
    fields = {"until": in_minutes(60)} if decision == "snooze" else {}
    assert not timeline.decide(0, decision, **fields)
    timeline.alert(1)
    timeline.alert(2, status="resolved")
    timeline.obedience.forget_ended(tuple)
    assert not timeline.decide(3, decision, **fields)
    assert timeline.alert(4) == "sent to desk"


def test_an_assignment_and_a_comment_change_nothing_for_the_receivers(timeline: AlertTimeline) -> None:
    timeline.alert(0)
    timeline.decide(1, "assign", assignee="grace")
    timeline.decide(1, "comment", comment="looking")
    assert timeline.alert(2, status="escalated") == "sent to desk"


def test_a_decision_applies_to_an_alert_that_was_not_sent_yet(timeline: AlertTimeline) -> None:
    """An alert of the digest is snoozed on the page, before it becomes a notice."""
    timeline.alert(0, tier="digest", would_be_sent=False)
    timeline.decide(1, "snooze", until=in_minutes(60))
    assert timeline.alert(2, status="escalated", tier="notice") == "snoozed"
    assert timeline.due(60) == ["escalated to desk"]


@pytest.fixture
def escalating_timeline(alert: MakeAlert) -> AlertTimeline:
    return AlertTimeline(alert, second_receivers=["chief"], pass_on_after_s=900.0)


def test_a_page_that_nobody_acknowledges_is_passed_on_once(escalating_timeline: AlertTimeline) -> None:
    """The second receiver also gets every further record, including the resolved one."""
    escalating_timeline.alert(0, tier="page")
    assert escalating_timeline.due(14.9) == []
    escalating_timeline.restart()
    assert escalating_timeline.due(15) == ["firing to chief"]
    escalating_timeline.restart()
    assert escalating_timeline.due(100) == []
    assert escalating_timeline.alert(101, tier="page", status="escalated") == "sent to desk chief"
    assert escalating_timeline.due(200) == []
    assert escalating_timeline.alert(201, tier="page", status="resolved") == "sent to desk chief"


def test_an_acknowledged_page_is_not_passed_on(escalating_timeline: AlertTimeline) -> None:
    escalating_timeline.alert(0, tier="page")
    escalating_timeline.decide(14, "acknowledge")
    assert escalating_timeline.due(100) == []


@pytest.mark.parametrize("decision", ["assign", "comment"])
def test_a_page_that_is_only_assigned_or_commented_is_passed_on(
    escalating_timeline: AlertTimeline, decision: str
) -> None:
    escalating_timeline.alert(0, tier="page")
    escalating_timeline.decide(14, decision)
    assert escalating_timeline.due(15) == ["firing to chief"]


def test_a_notice_is_not_passed_on(escalating_timeline: AlertTimeline) -> None:
    escalating_timeline.alert(0, tier="notice")
    assert escalating_timeline.due(100) == []


def test_a_snoozed_page_waits_again_after_the_snooze(escalating_timeline: AlertTimeline) -> None:
    escalating_timeline.alert(0, tier="page")
    escalating_timeline.decide(5, "snooze", until=in_minutes(60))
    assert escalating_timeline.due(74.9) == []
    assert escalating_timeline.due(75) == ["firing to chief"]


def test_a_resolved_page_is_not_passed_on(escalating_timeline: AlertTimeline) -> None:
    escalating_timeline.alert(0, tier="page")
    escalating_timeline.alert(5, tier="page", status="resolved")
    assert escalating_timeline.due(100) == []


def test_the_oldest_alerts_are_forgotten_beyond_the_limit(alert: MakeAlert) -> None:
    timeline = AlertTimeline(alert, remember=2)
    for alert_id in ("a", "b", "c"):
        timeline.alert(0, id=alert_id)
    assert not timeline.decide(1, "acknowledge", alert="a")
    assert timeline.decide(1, "acknowledge", alert="c")


def test_the_topic_holds_alerts_and_decisions(alert: MakeAlert) -> None:
    """A record without `kind` is an alert."""
    decision = Decision(decision="acknowledge", alert="c0de", by="ada", at=NOW)
    assert read_record(ALERTS, decision.to_bytes(), "here") == decision
    record = alert()
    assert read_record(ALERTS, record.to_bytes(), "here") == record
    fields = orjson.loads(record.to_bytes())
    del fields["kind"]
    assert read_record(ALERTS, orjson.dumps(fields), "here") == record


def test_the_state_of_an_older_riskwire_is_read_and_fields_of_a_newer_one_are_ignored(
    timeline: AlertTimeline, alert: MakeAlert
) -> None:
    """The older state lacks `told`. All receivers of a sent alert count as informed."""
    timeline.alert(0)
    ((key, value),) = timeline.obedience.take_changes().items()
    fields = orjson.loads(value or b"{}")
    old_fields = {name: fields[name] for name in fields if name not in ("told", "missing")}
    stored = orjson.dumps(old_fields | {"field_of_a_newer_version": 1})
    timeline.obedience = Obedience({key: stored}, topic="alerts", partition=0, remember=100)
    assert timeline.alert(5, status="resolved") == "sent to desk"
