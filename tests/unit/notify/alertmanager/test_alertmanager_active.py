"""What an Alertmanager should have of the alerts of one partition."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from riskwire.notify.alertmanager.active import ENDED_FOR_S, ActiveAlert, ActiveAlerts, labels_of
from riskwire.records import Alert

MakeAlert = Callable[..., Alert]
AM = "alertmanager:am"


def active(state: dict[str, bytes] | None = None, remember: int = 100) -> ActiveAlerts:
    return ActiveAlerts(state or {}, remember=remember)


def forms(alerts: ActiveAlerts, receiver: str = AM) -> list[tuple[str, bool]]:
    """Returns what an Alertmanager should have, in the order of the post: the tier, and whether it runs."""
    return [(alert.labels["tier"], alert.ends_at is None) for alert in alerts.of_receiver(receiver)]


def at(alert: Alert, **later: float) -> datetime:
    return alert.at + timedelta(**later)


def test_the_labels_are_what_an_alert_is_and_do_not_change_with_its_stories(alert: MakeAlert) -> None:
    first = alert(groups=("autos",), kind="spike")
    assert labels_of(first) == {
        "alertname": "riskwire",
        "target": "entity:norrland",
        "group": "autos",
        "kind": "spike",
        "tier": "notice",
    }
    later = alert(groups=("autos",), severity="critical", stories=9, summary="more", status="escalated")
    assert labels_of(later) == labels_of(first)
    assert "group" not in labels_of(alert(groups=()))


def test_where_a_label_changes_the_old_set_is_ended_before_the_new_one_begins(alert: MakeAlert) -> None:
    alerts = active()
    alerts.take(AM, alert(tier="notice"), at(alert()))
    page = alert(tier="page", status="escalated", at=at(alert(), minutes=5))
    alerts.take(AM, page, page.at)
    assert forms(alerts) == [("notice", False), ("page", True)]
    ended, running = (row.posted(at(page, seconds=5), 3_600) for row in alerts.of_receiver(AM))
    assert ended["endsAt"] == page.at.isoformat()
    assert running["startsAt"] == alert().opened_at.isoformat()
    assert running["endsAt"] == at(page, seconds=5, hours=1).isoformat()


def test_a_group_that_changes_in_the_watchlist_is_a_changed_label(alert: MakeAlert) -> None:
    alerts = active()
    alerts.take(AM, alert(groups=("autos",)), alert().at)
    alerts.take(AM, alert(groups=("suppliers",), status="escalated"), alert().at)
    groups = [(row.labels["group"], row.ends_at is None) for row in alerts.of_receiver(AM)]
    assert groups == [("autos", False), ("suppliers", True)]


def test_an_end_is_posted_in_the_past_even_if_the_clock_of_the_records_is_ahead(alert: MakeAlert) -> None:
    """Alertmanager takes an end in its future for an alert that runs."""
    alerts = active()
    alerts.take(AM, alert(), alert().at)
    resolved = alert(status="resolved", at=at(alert(), minutes=10))
    alerts.take(AM, resolved, resolved.at)
    [row] = alerts.of_receiver(AM)
    now = at(alert(), minutes=9)
    assert row.posted(now, 3_600)["endsAt"] == (now - timedelta(seconds=1)).isoformat()


def test_an_end_is_sent_again_for_a_while_and_then_forgotten(alert: MakeAlert) -> None:
    """Alertmanager may be restarted before it has notified of the end."""
    alerts = active()
    alerts.take(AM, alert(), alert().at)
    end = at(alert(), days=3)
    alerts.take(AM, alert(status="resolved", at=end), end)
    assert alerts.pending == 1
    assert [row.ends_at is None for row in alerts.arrived(alerts.of_receiver(AM), end)] == [False]
    assert alerts.pending == 0
    assert alerts.arrived(alerts.of_receiver(AM), end + timedelta(seconds=ENDED_FOR_S - 1)) == []
    assert forms(alerts) == [("notice", False)]
    alerts.arrived(alerts.of_receiver(AM), end + timedelta(seconds=ENDED_FOR_S + 1))
    assert forms(alerts) == []


def test_an_alert_that_runs_is_kept_until_it_ends(alert: MakeAlert) -> None:
    alerts = active()
    alerts.take(AM, alert(), alert().at)
    for day in range(400):
        alerts.arrived(alerts.of_receiver(AM), at(alert(), days=day))
        assert alerts.give_up(at(alert(), days=day), {AM}) == []
    assert forms(alerts) == [("notice", True)]


def test_what_changed_while_it_was_on_its_way_has_not_arrived(alert: MakeAlert) -> None:
    alerts = active()
    alerts.take(AM, alert(), alert().at)
    posted = alerts.of_receiver(AM)
    alerts.take(AM, alert(status="escalated", stories=9), alert().at)
    assert alerts.arrived(posted, alert().at) == []
    assert alerts.pending == 1


def test_it_is_the_same_after_a_restart_and_each_alertmanager_has_its_own(alert: MakeAlert) -> None:
    before = active()
    for receiver in (AM, "alertmanager:second"):
        before.take(receiver, alert(), alert().at)
        before.take(receiver, alert(tier="page", status="escalated"), alert().at)
    before.arrived(before.of_receiver(AM), alert().at)
    state = {key: value for key, value in before.take_changes().items() if value is not None}
    after = active(state)
    assert {row.key: row for row in after.of_receiver(AM)} == {row.key: row for row in before.of_receiver(AM)}
    assert after.pending == 2
    assert after.take_changes() == {}


def test_an_end_that_never_arrives_is_given_up_and_so_is_a_removed_receiver(alert: MakeAlert) -> None:
    alerts = active()
    alerts.take(AM, alert(), alert().at)
    alerts.take("alertmanager:gone", alert(id="b", target="entity:b"), alert().at)
    alerts.take(AM, alert(status="resolved"), alert().at)
    lost: list[ActiveAlert] = alerts.give_up(at(alert(), seconds=-1), {AM})
    assert [row.receiver for row in lost] == ["alertmanager:gone"]
    assert [row.alert for row in alerts.give_up(at(alert(), days=1), {AM})] == ["c0de"]


def test_the_oldest_alerts_are_forgotten_beyond_the_limit(alert: MakeAlert) -> None:
    alerts = active(remember=2)
    for number in range(4):
        alerts.take(AM, alert(id=f"{number}", target=f"entity:{number}"), at(alert(), seconds=number))
    assert {row.alert for row in alerts.of_receiver(AM)} == {"2", "3"}
