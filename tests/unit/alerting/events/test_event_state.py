"""The state of event alerts: its order, batches and restarts, its repair, its size, and how long it is kept."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from timeline import Timeline, event, mark, time_at

from riskwire.alerting.rewind import rewound
from riskwire.records import Mark, Signal, TitleReading, content_id
from riskwire.settings import AlertingSettings

DAY = 24.0


def a_week_of_news(seed: int) -> list[list[Signal | Mark]]:
    """Returns material, doubtful, mild, repeated and corrected stories of three parties, hour by hour."""
    rng = random.Random(seed)
    codes = ("default", "bankruptcy", "litigation", "crime", "results_bad", "layoffs", "other")
    hours: list[list[Signal | Mark]] = []
    versions: Counter[str] = Counter()
    for index in range(7 * 24):
        batch: list[Signal | Mark] = []
        for _ in range(rng.randrange(4)):
            article = content_id(str(rng.randrange(60)))
            versions[article] += 1
            code, material = rng.choice(codes), rng.choice((0.1, 0.4, 0.5, 0.9))
            batch.append(
                event(
                    index + rng.random() / 200,
                    rng.choice(("may ", "", "denies ")) + code + str(rng.randrange(3)),
                    code,
                    target=f"entity:{rng.choice('abc')}",
                    material=material,
                    mild=min(0.5, 0.95 - material),
                    article=article,
                    version=versions[article],
                    story=rng.choice("0123456789") * 64,
                    publisher=rng.choice(("a", "b", "c")),
                    backfill=rng.random() < 0.1,
                )
            )
        hours.append([*batch, mark(index + 0.9, (float(index),))])
    return hours


@pytest.mark.parametrize("seed", range(5))
def test_alerts_and_near_misses_depend_neither_on_order_nor_on_batches_nor_on_restarts(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    hours = a_week_of_news(seed)
    expected = Timeline()
    for batch in hours:
        expected.feed(*batch)
    expected.feed(mark(12 * DAY))
    assert {"firing", "escalated", "resolved"} == set(expected.statuses())
    disturbed = Timeline()
    for batch in hours:
        *signals, last_mark = batch
        rng.shuffle(signals)
        for fed_signal in signals:
            disturbed.feed(fed_signal)
            if rng.random() < 0.3:
                disturbed.restart()
        disturbed.feed(last_mark)
    disturbed.feed(mark(12 * DAY))
    assert disturbed.alerts == expected.alerts
    assert disturbed.near_misses == expected.near_misses
    assert disturbed.state == expected.state
    assert len({miss.id for miss in expected.near_misses}) == len(expected.near_misses)
    assert len({(alert.id, alert.at, alert.status) for alert in expected.alerts}) == len(expected.alerts)


def test_the_repair_of_a_clock_that_was_ahead_leaves_no_future_time_in_the_state(day: Timeline) -> None:
    """After the repair the running alert resolves three days after the present, and its family re-arms in time."""
    day.alerts_after(event(33, "Acme defaults", "default"))
    day.alerts_after(event(33 + 400 * DAY, "Acme sued", "litigation"))
    now_h = 40.0
    now_ms = round(time_at(now_h).timestamp() * 1000)
    state = {key: rewound(key, value, now_ms) for key, value in day.state.items()}
    assert b"2032" not in b"".join(value for value in state.values() if value is not None)
    day.state = {key: value for key, value in state.items() if value is not None}
    day.restart()
    alerts_before = len(day.alerts)
    day.quiet(now_h, now_h + 4 * DAY)
    (resolved,) = day.alerts[alerts_before:]
    assert (resolved.status, resolved.at) == ("resolved", time_at(now_h + 3 * DAY))
    (alert,) = day.alerts_after(event(now_h + 8 * DAY, "Acme sued over prices", "litigation"))
    assert alert.status == "firing"


def test_a_quiet_target_has_a_small_state(day: Timeline) -> None:
    """The state of a target with many reported families takes at most 2 KB after its alert has resolved."""
    codes = ("default", "litigation", "crime", "results_bad", "layoffs", "cyber", "recall", "operations", "sanctions")
    day.alerts_after(
        *[event(33 + index, f"Acme {code}", code, story=str(index) * 64) for index, code in enumerate(codes)]
    )
    day.quiet(45, 45 + 6 * DAY)
    assert day.alerts[-1].status == "resolved"
    entry_sizes = {key: len(value) for key, value in day.state.items() if "entity:acme" in key}
    assert sum(entry_sizes.values()) <= 2_048, entry_sizes


def test_reported_events_are_forgotten_after_two_months() -> None:
    timeline = Timeline(AlertingSettings(half_life_days=1))
    timeline.alerts_after(event(1, "Acme sued", "litigation"))
    assert "events/entity:acme" in timeline.state
    timeline.quiet(2, 62 * DAY, every_h=6)
    assert "events/entity:acme" not in timeline.state


def test_a_title_that_comes_near_is_judged_though_the_text_is_glad(day: Timeline) -> None:
    """A doubtful filing in the title, and a favourable sentence in the text that decides the level of the article."""
    story = event(33, "Acme wins an order", "contract", material=0.01, mild=0.01, favourable=0.95)
    filing = event(33, "Acme files for bankruptcy", "bankruptcy", material=0.25, mild=0.1)
    assert filing.level is not None
    reading = TitleReading(level=filing.level, events=filing.events, evidence=filing.evidence)
    day.feed(story.model_copy(update={"title": filing.title, "title_reading": reading}), mark(34))
    (fired,) = day.alerts
    assert (fired.events, fired.level) == (("bankruptcy",), filing.level)
    assert fired.evidence[0].text == "Acme files for bankruptcy"
