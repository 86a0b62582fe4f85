"""Which alert records are notified, and what is remembered of their episodes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from riskwire.notify.episodes import NotifiedEpisodes, NotifyDecision
from riskwire.records import Alert

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MakeAlert = Callable[..., Alert]
SENT = NotifyDecision(log=True, outcome="sent", receivers=("webhook:desk",))
LOGGED = NotifyDecision(log=True, outcome="not_live")
BELOW = NotifyDecision(log=False, outcome="below")


def open_episodes(state: dict[str, bytes] | None = None, **changes: object) -> NotifiedEpisodes:
    """Without changes, every alert is routed to one receiver."""
    rules: dict[str, object] = {
        "receivers_of": lambda alert: ["webhook:desk"],
        "min_severity": "high",
        "max_age_s": 86_400.0,
        "remember": 100,
    }
    return NotifiedEpisodes(state or {}, **(rules | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("severity", "expected"), [("warning", BELOW), ("high", SENT), ("critical", SENT)])
def test_alerts_from_the_minimum_severity_upward_are_sent(
    alert: MakeAlert, severity: str, expected: NotifyDecision
) -> None:
    """The minimum severity is "high". An alert below it is neither logged nor sent."""
    assert open_episodes().decide(alert(severity=severity), NOW) == expected


def test_resolved_is_sent_if_its_episode_was_whatever_its_severity(alert: MakeAlert) -> None:
    """The minimum severity is "high". An episode consists of the records of one alert, from firing to resolved."""
    notified = open_episodes()
    notified.decide(alert(), NOW)
    assert notified.decide(alert(status="resolved", severity="warning"), NOW) == SENT
    silent = open_episodes()
    silent.decide(alert(severity="warning"), NOW)
    assert silent.decide(alert(status="resolved", severity="critical"), NOW) == BELOW


def test_an_episode_that_reaches_the_minimum_severity_is_sent_to_its_end(alert: MakeAlert) -> None:
    """The minimum severity is "high", which is also the severity of `alert()`."""
    episodes = open_episodes()
    assert episodes.decide(alert(severity="warning"), NOW) == BELOW
    assert episodes.decide(alert(status="escalated"), NOW) == SENT
    assert episodes.decide(alert(status="resolved"), NOW) == SENT


@pytest.mark.parametrize("days", [-6_000, -1.01, 1.01, 1_600])
def test_alerts_far_from_the_wall_clock_are_only_logged(alert: MakeAlert, days: float) -> None:
    """`days` is the distance of the alert from the clock. At most one day is near enough to be sent."""
    at = NOW + timedelta(days=days)
    episodes = open_episodes()
    assert episodes.decide(alert(at=at, opened_at=at), NOW) == LOGGED
    assert episodes.decide(alert(status="resolved", at=at, opened_at=at), NOW) == LOGGED


def test_resolved_is_not_sent_for_an_episode_that_was_only_logged(alert: MakeAlert) -> None:
    """The first record is too old to be sent; the resolved one is of the present."""
    episodes = open_episodes()
    old = NOW - timedelta(days=3)
    assert episodes.decide(alert(at=old, opened_at=old), NOW) == LOGGED
    assert episodes.decide(alert(status="resolved", opened_at=old), NOW) == LOGGED


def test_without_live_even_present_alerts_are_only_logged(alert: MakeAlert) -> None:
    assert open_episodes(live=False).decide(alert(), NOW) == LOGGED


def test_open_episodes_are_restored_from_the_state(alert: MakeAlert) -> None:
    """Decisions after a restart are as before it, and the end of an episode deletes its entry from the state."""
    before = open_episodes()
    before.decide(alert(), NOW)
    state = {key: value for key, value in before.take_changes().items() if value is not None}
    after = open_episodes(state)
    assert after.decide(alert(status="resolved"), NOW) == SENT
    assert after.take_changes() == dict.fromkeys(state)


def test_the_oldest_episodes_are_forgotten_beyond_the_limit(alert: MakeAlert) -> None:
    """A forgotten episode counts as one that was never notified, so that its end is not sent."""
    episodes = open_episodes(remember=2)
    for minutes, name in enumerate(["a", "b", "c"]):
        episodes.decide(alert(id=name, at=NOW + timedelta(minutes=minutes)), NOW)
    assert episodes.decide(alert(id="a", status="resolved"), NOW) == BELOW
    assert episodes.decide(alert(id="c", status="resolved"), NOW) == SENT


def test_a_line_of_the_digest_is_never_pushed(alert: MakeAlert) -> None:
    """Neither its first record nor its last, and it leaves nothing in the state."""
    notified = open_episodes()
    for status in ("firing", "escalated", "resolved"):
        record = alert(kind="event", tier="digest", severity="warning", status=status)
        decision = notified.decide(record, NOW)
        assert (decision.log, decision.send, decision.outcome) == (False, False, "digest")
    assert notified.take_changes() == {}


def test_a_resolved_record_goes_to_everyone_who_had_an_earlier_one_and_to_nobody_else(alert: MakeAlert) -> None:
    """The desk takes notices, the page goes to oncall alone; the record between them goes to both."""
    routes = {"notice": ["apprise:desk"], "page": ["webhook:oncall"]}
    episodes = open_episodes(receivers_of=lambda record: routes[record.tier])
    assert episodes.decide(alert(), NOW).receivers == ("apprise:desk",)
    assert episodes.decide(alert(status="escalated", tier="page"), NOW).receivers == ("apprise:desk", "webhook:oncall")
    assert episodes.decide(alert(status="resolved", tier="page"), NOW).receivers == ("apprise:desk", "webhook:oncall")


def test_the_receivers_of_an_open_episode_survive_a_restart(alert: MakeAlert) -> None:
    """The routes after the restart lead elsewhere."""
    before = open_episodes()
    before.decide(alert(), NOW)
    after = open_episodes(
        {key: value for key, value in before.take_changes().items() if value}, receivers_of=lambda alert: ["webhook:x"]
    )
    assert after.decide(alert(status="resolved"), NOW) == SENT


def test_an_alert_that_no_route_takes_is_logged_and_says_so(alert: MakeAlert) -> None:
    decision = open_episodes(receivers_of=lambda alert: []).decide(alert(), NOW)
    assert (decision.log, decision.send, decision.outcome) == (True, False, "unrouted")
