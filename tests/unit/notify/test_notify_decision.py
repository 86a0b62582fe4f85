"""Which records are notified."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from riskwire.notify.decision import Decision, Episodes
from riskwire.records import Alert

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
Make = Callable[..., Alert]
SENT = Decision(log=True, send=True, why="sent")
LOGGED = Decision(log=True, send=False, why="not_live")
NOTHING = Decision(log=False, send=False, why="below")


def episodes(state: dict[str, bytes] | None = None, **changes: object) -> Episodes:
    rules: dict[str, object] = {"min_severity": "high", "max_age_s": 86_400.0, "remember": 100}
    return Episodes(state or {}, **(rules | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("severity", "expected"), [("warning", NOTHING), ("high", SENT), ("critical", SENT)])
def test_least_severity_is_notified_and_all_above(alert: Make, severity: str, expected: Decision) -> None:
    assert episodes().decide(alert(severity=severity), NOW) == expected


def test_resolved_follows_the_episode_whatever_its_severity(alert: Make) -> None:
    told = episodes()
    told.decide(alert(), NOW)
    assert told.decide(alert(status="resolved", severity="warning"), NOW) == SENT
    silent = episodes()
    silent.decide(alert(severity="warning"), NOW)
    assert silent.decide(alert(status="resolved", severity="critical"), NOW) == NOTHING


def test_an_episode_that_grows_into_the_least_severity_is_notified_to_its_end(alert: Make) -> None:
    decided = episodes()
    assert decided.decide(alert(severity="warning"), NOW) == NOTHING
    assert decided.decide(alert(status="escalated"), NOW) == SENT
    assert decided.decide(alert(status="resolved"), NOW) == SENT


@pytest.mark.parametrize("days", [-6_000, -1.01, 1.01, 1_600])
def test_news_far_from_the_wall_clock_is_logged_and_never_sent(alert: Make, days: float) -> None:
    at = NOW + timedelta(days=days)
    decided = episodes()
    assert decided.decide(alert(at=at, opened_at=at), NOW) == LOGGED
    assert decided.decide(alert(status="resolved", at=at, opened_at=at), NOW) == LOGGED


def test_resolved_is_not_sent_for_an_episode_that_was_only_logged(alert: Make) -> None:
    decided = episodes()
    old = NOW - timedelta(days=3)
    assert decided.decide(alert(at=old, opened_at=old), NOW) == LOGGED
    assert decided.decide(alert(status="resolved", opened_at=old), NOW) == LOGGED


def test_not_live_logs_even_news_of_today(alert: Make) -> None:
    assert episodes(live=False).decide(alert(), NOW) == LOGGED


def test_open_episodes_survive_a_restart_through_the_state(alert: Make) -> None:
    before = episodes()
    before.decide(alert(), NOW)
    state = {key: value for key, value in before.take_changes().items() if value is not None}
    after = episodes(state)
    assert after.decide(alert(status="resolved"), NOW) == SENT
    assert after.take_changes() == dict.fromkeys(state)


def test_the_memory_of_episodes_is_bounded_and_the_oldest_goes_first(alert: Make) -> None:
    decided = episodes(remember=2)
    for minutes, name in enumerate(["a", "b", "c"]):
        decided.decide(alert(id=name, at=NOW + timedelta(minutes=minutes)), NOW)
    assert decided.decide(alert(id="a", status="resolved"), NOW) == NOTHING
    assert decided.decide(alert(id="c", status="resolved"), NOW) == SENT
