"""How a running system counts its notifications, and says whether they are as often as calibrated."""

from __future__ import annotations

import random

import pytest
from timeline import START

from riskwire.alerting.calibration.rates import (
    DAYS,
    DayRates,
    RateLog,
    achieved_rates,
    drift,
    expected_rates,
    poisson_below,
)
from riskwire.records import Alert, to_ms
from riskwire.settings import Budget

DAY = to_ms(START) // 86_400_000


def alert(kind: str = "spike", tier: str = "notice", status: str = "firing") -> Alert:
    """Returns an alert record."""
    return Alert.model_validate(
        {
            "id": "a", "target": "entity:acme", "name": "Acme", "kind": kind, "tier": tier, "status": status,
            "severity": "warning", "opened_at": START, "at": START, "window_s": 3600, "stories": 3, "sources": 1,
            "expected": 0.1, "surprise": 4.0, "threshold": 3.0, "summary": "", "would_not_fire": "",
        }
    )  # fmt: skip


def restored(log: RateLog, partition: int = 0) -> RateLog:
    """Returns a log that continues from the committed state of another."""
    state = {key: value for key, value in log.take_changes().items() if value is not None}
    return RateLog(partition, state)


def test_fires_and_escalations_count_and_a_resolved_alert_does_not() -> None:
    log = RateLog(0, {})
    for status in ("firing", "escalated", "resolved"):
        log.add(alert(status=status))
    (day,) = log.days
    assert day.counts == {"spike_notice": 2}


def test_alerts_are_counted_by_kind_and_tier() -> None:
    log = RateLog(0, {})
    for kind, tier in (("spike", "page"), ("spike", "notice"), ("slide", "notice"), ("event", "page")):
        log.add(alert(kind, tier))
    (day,) = log.days
    assert day.counts == {"spike_notice": 1, "spike_page": 1, "slide": 1, "event_page": 1}


def test_only_alerts_on_parties_count() -> None:
    log = RateLog(0, {})
    log.add(alert().model_copy(update={"target": "group:cars"}))
    assert list(log.days) == []


def test_the_days_survive_a_restart_and_old_ones_are_dropped() -> None:
    log = RateLog(0, {})
    log.add(alert())
    log.close_days(DAY, DAY + 1, 5)
    log = restored(log)
    assert [(day.day, day.targets, day.counts) for day in log.days] == [(DAY, 5, {"spike_notice": 1})]
    log.close_days(DAY + 1, DAY + DAYS + 1, 5)
    assert sorted(day.day for day in log.days) == [*range(DAY + 1, DAY + DAYS + 1)]


def test_the_partitions_add_up() -> None:
    """A tool reads the days of all partitions at once."""
    days = []
    for partition in (0, 1):
        log = RateLog(partition, {})
        log.add(alert())
        log.close_days(DAY, DAY + 1, 30)
        days += [DayRates.decoded(raw) for raw in log.take_changes().values() if raw is not None]
    spike = next(rate for rate in achieved_rates(days, {"spike_notice": 0.02}) if rate.name == "spike_notice")
    assert (spike.notifications, spike.target_months, spike.achieved) == (2, 2.0, 1.0)


def test_event_alerts_are_counted_without_a_budget() -> None:
    rates = {rate.name: rate for rate in achieved_rates([DayRates(DAY, 30, {"event_page": 4})], {"spike_notice": 0.02})}
    assert rates["event_page"].notifications == 4
    assert rates["event_page"].drift is None
    assert rates["spike_notice"].drift == "too early to say"


def test_nothing_has_drifted_before_there_was_a_target() -> None:
    (first, *_) = achieved_rates([], {"spike_notice": 0.02})
    assert (first.achieved, first.drift) == (None, "too early to say")


@pytest.mark.parametrize(
    ("notifications", "expected", "words"),
    [
        (20, 20.0, "as expected"),
        (30, 20.0, "as expected"),
        (60, 20.0, "more often"),
        (3, 20.0, "more rarely"),
        (0, 3.0, "too early to say"),
        (9, 0.5, "more often"),
        (1, 0.0, "more often"),
    ],
)
def test_a_rate_has_drifted_when_chance_and_the_allowed_factor_do_not_explain_it(
    notifications: int, expected: float, words: str
) -> None:
    assert drift(notifications, expected) == words


def test_a_rate_that_is_right_is_rarely_said_to_have_drifted() -> None:
    """At most one in 100 of simulated quarters, seed 3."""
    rng = random.Random(3)
    false_drifts = 0
    for _ in range(1_000):
        mean = rng.uniform(5, 60)
        count = sum(rng.random() < mean / 1_000 for _ in range(1_000))
        false_drifts += drift(count, mean) in {"more often", "more rarely"}
    assert false_drifts <= 10


def test_the_distribution_of_the_number_of_notifications_sums_up() -> None:
    assert poisson_below(0, 3.0) == 0.0
    assert poisson_below(200, 3.0) == pytest.approx(1.0)
    assert poisson_below(1, 0.0) == 1.0


def test_what_the_budget_allows_is_as_far_from_it_without_pages_as_with_them() -> None:
    expected = expected_rates(Budget(notice=0.02, page=0.01, slide=0.005))
    notices, pages = expected["spike_notice"], expected["spike_page"]
    assert notices * (notices + pages) == pytest.approx(0.02**2)
    assert (pages, expected["slide"]) == (0.01, 0.005)
