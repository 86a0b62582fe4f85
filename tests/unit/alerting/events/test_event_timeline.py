"""Scripts of time: material news of a party comes at certain hours, and by when which event alert follows."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from timeline import START, Timeline, as_history, event, mark, signal

from riskwire.alerting.events import load_rules
from riskwire.alerting.rewind import rewound
from riskwire.records import Alert, Mark, Signal, content_id
from riskwire.settings import AlertingSettings

DAY = 24.0


def hour(at_h: float) -> datetime:
    return START + timedelta(hours=at_h)


def chrysler(at_h: float, title: str, *events: str, **values: object) -> Signal:
    """Returns a signal about Chrysler; by default of reuters.com and surely material."""
    values.setdefault("publisher", "reuters.com")
    return event(at_h, title, *events, target="entity:chrysler", name="Chrysler", **values)  # type: ignore[arg-type]


def doubtful(event_type: str) -> dict[str, float]:
    """Returns probabilities with which the shipped rules tell a story only once it is corroborated."""
    rule = load_rules().rule(event_type, "entity:acme", ())
    material = round((rule.doubtful + rule.threshold) / 2, 3)
    return {"material": material, "mild": round(0.97 - material, 3)}


def read(timeline: Timeline, *signals: Signal) -> list[Alert]:
    """Feeds each signal at its time with the mark a minute later; returns the alerts that resulted."""
    before = len(timeline.alerts)
    for item in sorted(signals, key=lambda item: item.seen_at):
        at_h = (item.seen_at - START) / timedelta(hours=1)
        timeline.feed(item, mark(at_h + 1 / 60, (at_h,)))
    return timeline.alerts[before:]


@pytest.fixture
def day() -> Timeline:
    """A timeline after one day of other news."""
    timeline = Timeline()
    timeline.quiet(0, DAY)
    return timeline


def test_one_story_fires_within_a_minute_a_step_up_escalates_and_after_three_calm_days_it_resolves(
    day: Timeline,
) -> None:
    """At 09:00 a filing is feared, at 11:00 it happens; a month later the same again fires."""
    (fired,) = read(day, chrysler(33, "Chrysler may file for bankruptcy", "bankruptcy"))
    assert (fired.kind, fired.status, fired.tier, fired.severity) == ("event", "firing", "page", "critical")
    assert hour(33) < fired.at <= hour(33 + 1 / 60)
    assert fired.events == ("bankruptcy",)
    assert fired.families == ("insolvency",)
    assert fired.summary == "Chrysler: bankruptcy feared. 'Chrysler may file for bankruptcy' (reuters.com)"

    (escalated,) = read(day, chrysler(35, "Chrysler files for bankruptcy", "bankruptcy"))
    assert (escalated.status, escalated.id, escalated.stories) == ("escalated", fired.id, 2)
    assert hour(35) < escalated.at <= hour(35 + 1 / 60)
    assert escalated.summary.startswith("Chrysler: bankruptcy. 'Chrysler files for bankruptcy' (reuters.com)")

    day.quiet(36, 35 + 3 * DAY - 1)
    assert day.alerts[-1] is escalated
    day.quiet(35 + 3 * DAY - 1, 35 + 4 * DAY)
    resolved = day.alerts[-1]
    assert (resolved.status, resolved.id) == ("resolved", fired.id)
    assert resolved.at == escalated.at + timedelta(days=3)
    assert not resolved.blind

    day.quiet(35 + 4 * DAY, 35 + 30 * DAY)
    (again,) = read(day, chrysler(35 + 31 * DAY, "Chrysler files for bankruptcy again", "bankruptcy"))
    assert again.status == "firing"
    assert again.id != fired.id


def test_follow_ups_are_counted_and_do_not_notify(day: Timeline) -> None:
    (fired,) = read(day, chrysler(33, "Chrysler files for bankruptcy", "bankruptcy"))
    follow_ups = [
        chrysler(34, "Chrysler creditors meet", "distress", publisher="ft.com"),
        chrysler(40, "Judge hears Chrysler case", "bankruptcy", material=0.3, mild=0.5),
    ]
    assert read(day, *follow_ups) == []
    assert [(miss.reason, miss.alert) for miss in day.near_misses] == [("same_episode", fired.id)] * 2
    day.quiet(41, 40 + 4 * DAY)
    resolved = day.alerts[-1]
    assert (resolved.stories, resolved.sources, len(resolved.evidence)) == (3, 2, 3)
    assert resolved.at == hour(40 + 3 * DAY) + timedelta(seconds=15)


def test_another_family_of_event_types_escalates(day: Timeline) -> None:
    read(day, chrysler(33, "Chrysler files for bankruptcy", "bankruptcy"))
    (escalated,) = read(day, chrysler(35, "Chrysler to cut 5,000 jobs", "layoffs"))
    assert (escalated.status, escalated.tier) == ("escalated", "page")
    assert escalated.events == ("layoffs", "bankruptcy")
    assert escalated.summary.startswith("Chrysler: lay-offs. ")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (("Bank faces probe", "investigation"), ("Bank charged with fraud", "crime")),
        (("Bank posts loss", "results_bad"), ("Bank gets state rescue", "distress")),
        (("Bank posts loss", "results_bad"), ("Bank warns on profit", "profit_warning")),
        (("Bank could default", "default"), ("Bank defaults", "default")),
        (("Bank to file for bankruptcy", "bankruptcy"), ("Bank files for bankruptcy", "bankruptcy")),
    ],
    ids=[
        "from probe to charge",
        "from loss to rescue",
        "from loss to profit warning",
        "from feared to happened",
        "from planned to done",
    ],
)
def test_a_step_up_escalates_and_a_step_down_does_not(
    day: Timeline, first: tuple[str, str], then: tuple[str, str]
) -> None:
    assert [alert.status for alert in read(day, event(33, *first), event(34, *then))] == ["firing", "escalated"]
    back = event(35, first[0] + " again", first[1])
    assert read(day, back) == []
    assert day.near_misses[-1].reason == "same_episode"


def test_stories_of_one_bucket_are_one_record_and_confirm_each_other(day: Timeline) -> None:
    """Within 5 s two publishers report a loss, doubtful in itself, and a third one lay-offs."""
    second = 1 / 3_600
    day.feed(
        event(33, "Acme posts loss", "results_bad", publisher="a.example", **doubtful("results_bad")),
        event(33 + second, "Acme has a loss", "results_bad", publisher="b.example", **doubtful("results_bad")),
        event(33 + 2 * second, "Acme sheds staff", "layoffs", publisher="c.example"),
        mark(33.1, (33.0,)),
    )
    (alert,) = day.alerts
    assert (alert.status, alert.stories, alert.sources) == ("firing", 2, 3)
    assert set(alert.events) == {"layoffs", "results_bad"}


def test_a_doubtful_story_waits_for_a_second_publisher(day: Timeline) -> None:
    doubt = doubtful("accounting")
    assert read(day, event(33, "Acme accounts doubted", "accounting", publisher="a.example", **doubt)) == []
    assert read(day, event(34, "Acme accounts still doubted", "accounting", publisher="a.example", **doubt)) == []
    assert [miss.reason for miss in day.near_misses] == ["corroboration", "corroboration"]
    (alert,) = read(day, event(35, "Doubts of Acme accounts", "accounting", publisher="b.example", **doubt))
    assert (alert.status, alert.tier, alert.corroborated, alert.sources) == ("firing", "notice", True, 2)


def test_a_doubtful_story_whose_title_and_lead_agree_does_not_wait(day: Timeline) -> None:
    story = event(33, "Acme accounts doubted", "accounting", confirmed=True, **doubtful("accounting"))
    (alert,) = read(day, story)
    assert (alert.status, alert.corroborated, alert.sources) == ("firing", True, 1)


def test_a_doubtful_story_does_not_wait_longer_than_a_day(day: Timeline) -> None:
    doubt = doubtful("accounting")
    first = event(33, "Acme accounts doubted", "accounting", publisher="a.example", **doubt)
    second = event(33 + 25, "Acme accounts doubted too", "accounting", publisher="b.example", **doubt)
    assert read(day, first, second) == []


def test_a_second_publisher_raises_the_tier_where_the_rules_say_so(day: Timeline) -> None:
    first = event(33, "Acme bank run", "macro_stress", publisher="a.example")
    second = event(34, "Run on Acme", "macro_stress", publisher="b.example")
    third = event(35, "Run on Acme goes on", "macro_stress", publisher="c.example")
    assert [(alert.status, alert.tier) for alert in read(day, first, second, third)] == [
        ("firing", "notice"),
        ("escalated", "page"),
    ]


def test_a_correction_counts_once_and_fires_if_it_makes_the_story_material(day: Timeline) -> None:
    """The first version is mild, the second material, the third says the same in other words."""
    versions = [
        event(33, "Acme has trouble", "distress", article="x", material=0.1, mild=0.6),
        event(33.5, "Acme in rescue talks", "distress", article="x", version=2),
        event(34, "CORRECTED Acme holds talks on a rescue", "distress", article="x", version=3),
    ]
    (alert,) = read(day, *versions)
    assert alert.at == hour(33.5) + timedelta(seconds=15)
    day.quiet(34, 34 + 4 * DAY)
    assert day.alerts[-1].stories == 1
    assert [miss.reason for miss in day.near_misses] == ["level"]


def test_a_reprint_by_another_publisher_is_a_further_publisher_and_no_further_story(day: Timeline) -> None:
    read(day, event(33, "Acme defaults", "default", story="a" * 64, publisher="a.example"))
    assert read(day, event(34, "Acme defaults", "default", story="a" * 64, publisher="b.example")) == []
    day.quiet(35, 34 + 4 * DAY)
    assert (day.alerts[-1].stories, day.alerts[-1].sources) == (1, 2)


@pytest.mark.parametrize(
    ("title", "events"),
    [
        ("Chrysler denies bankruptcy", ("bankruptcy",)),
        ("Chrysler rules out bankruptcy filing", ("bankruptcy",)),
        ("Chrysler says it has no plans to file", ("bankruptcy",)),
        ("Chrysler averts bankruptcy", ("relief", "bankruptcy")),
    ],
)
def test_a_denial_or_a_relief_never_fires(day: Timeline, title: str, events: tuple[str, ...]) -> None:
    """Neither after the alert that it denies, nor on a party of which nothing was told."""
    read(day, chrysler(33, "Chrysler to file for bankruptcy", "bankruptcy"))
    assert read(day, chrysler(34, title, *events), event(35, title, *events)) == []
    assert [(miss.target, miss.reason) for miss in day.near_misses] == [
        ("entity:chrysler", "level"),
        ("entity:acme", "level"),
    ]


def test_a_refusal_by_an_authority_is_no_denial(day: Timeline) -> None:
    (alert,) = read(day, event(33, "FDA denies approval of Acme drug", "regulation"))
    assert alert.events == ("regulation",)


def test_a_story_in_passing_does_not_fire(day: Timeline) -> None:
    assert read(day, event(33, "Banks fail", "bankruptcy", relevance=0.1)) == []
    assert [miss.reason for miss in day.near_misses] == ["relevance"]


def test_news_that_is_not_material_does_not_fire(day: Timeline) -> None:
    """The levels are mild, then material with too low a probability; the last one is not adverse, and no near miss."""
    weak = [
        event(33, "Acme disappoints", "results_bad", material=0.2, mild=0.5),
        event(34, "Acme is in trouble", "operations", material=0.38, mild=0.2),
        event(35, "Acme meets analysts", "other", material=0.05, mild=0.1),
    ]
    assert read(day, *weak) == []
    assert [miss.reason for miss in day.near_misses] == ["level", "threshold"]


def test_backfill_and_history_never_fire_and_are_on_record(day: Timeline) -> None:
    """The first poll of a feed brings thirty stories of the past; at most ten near misses of a bucket are kept.

    The story of the history is in a bucket of its own.
    """
    past = [
        event(33 + index / 100_000, f"Acme defaults {index}", "default", backfill=True, material=0.6 + index / 100)
        for index in range(30)
    ]
    day.feed(*past, *as_history([event(20, "Acme was sued", "litigation", material=0.5)]), mark(33.1))
    day.quiet(34, 35)
    assert day.alerts == []
    assert [miss.reason for miss in day.near_misses] == ["backfill"] * 11
    adverse = [miss.adverse for miss in day.near_misses[1:]]
    assert adverse == sorted(adverse, reverse=True)


def test_the_same_story_a_month_later_is_not_new(day: Timeline) -> None:
    """Another story of the same family is."""
    read(day, event(33, "Acme sued over pensions", "litigation", story="a" * 64))
    day.quiet(34, 33 + 29 * DAY)
    month = 33 + 30 * DAY
    assert read(day, event(month, "Acme sued over pensions", "litigation", story="a" * 64)) == []
    assert (day.near_misses[-1].reason, day.near_misses[-1].novelty) == ("novelty", 0.0)
    (alert,) = read(day, event(month + 1, "Acme sued over patents", "litigation"))
    assert (alert.status, alert.novelty) == ("firing", 1.0)


def test_the_past_of_a_target_makes_a_retold_story_old(day: Timeline) -> None:
    """History has the story of ten days ago. A story of this morning that came as backfill may still be told."""
    day.quiet(25, 10 * DAY)
    told = event(1, "Acme sued over pensions", "litigation", story="a" * 64)
    day.feed(*as_history([told]), mark(10 * DAY + 1))
    assert read(day, event(10 * DAY + 2, "Acme sued over pensions", "litigation", story="a" * 64)) == []
    assert day.near_misses[-1].reason == "novelty"
    day.feed(event(10 * DAY + 3, "Acme defaults", "default", story="b" * 64, backfill=True), mark(10 * DAY + 4))
    (alert,) = read(day, event(10 * DAY + 5, "Acme defaults", "default", story="b" * 64))
    assert alert.events == ("default",)


def test_a_family_told_in_an_episode_that_ended_is_new_after_its_re_arm_period(day: Timeline) -> None:
    read(day, event(33, "Acme sued over pensions", "litigation"))
    day.quiet(34, 33 + 5 * DAY)
    assert day.alerts[-1].status == "resolved"
    assert read(day, event(33 + 5 * DAY + 1, "Acme sued over patents", "litigation")) == []
    miss = day.near_misses[-1]
    assert (miss.reason, miss.alert, round(miss.novelty, 1)) == ("novelty", "", 0.7)
    (alert,) = read(day, event(33 + 8 * DAY, "Acme sued over prices", "litigation"))
    assert alert.status == "firing"


def test_a_fact_is_new_again_later_than_a_fear(day: Timeline) -> None:
    """After a fear the next one is new when the family re-arms; after the filing, what follows is not until later."""
    rule = load_rules().rule("bankruptcy", "entity:chrysler", ())
    assert rule.rearm_days < rule.settled_days
    first, second = 33.0, 33 + (rule.rearm_days + 0.5) * DAY
    assert [alert.status for alert in _after(day, chrysler(first, "Chrysler may fail", "bankruptcy"))] == ["firing"]
    assert [alert.status for alert in _after(day, chrysler(second, "Chrysler may yet fail", "bankruptcy"))] == [
        "firing"
    ]
    filed_at = second + DAY
    (filed,) = _after(day, chrysler(filed_at, "Chrysler files for bankruptcy", "bankruptcy"))
    assert filed.status == "escalated"
    between = filed_at + (rule.rearm_days + rule.settled_days) / 2 * DAY
    assert _after(day, chrysler(between, "Chrysler insolvency drags on", "bankruptcy")) == []
    assert day.near_misses[-1].reason == "novelty"
    assert f"after {rule.settled_days:g} days if it was told as a fact" in day.near_misses[-1].detail
    later = filed_at + (rule.settled_days + 1) * DAY
    (again,) = _after(day, chrysler(later, "Chrysler insolvency goes on", "bankruptcy"))
    assert again.status == "firing"


def _after(timeline: Timeline, item: Signal) -> list[Alert]:
    """Feeds a signal after calm hours; returns the alerts that notify."""
    at_h = (item.seen_at - START) / timedelta(hours=1)
    timeline.quiet(at_h - 5 * DAY if at_h > 40 + 5 * DAY else at_h - 12, at_h - 1)
    return [alert for alert in read(timeline, item) if alert.status != "resolved"]


def test_a_fear_in_one_clause_does_not_make_a_fact_of_another_feared(day: Timeline) -> None:
    (alert,) = read(day, chrysler(33, "Chrysler files for bankruptcy, rival may bid", "bankruptcy"))
    assert alert.summary.startswith("Chrysler: bankruptcy. ")


def test_a_line_of_the_digest_becomes_an_alert_of_its_own_when_it_gets_material(day: Timeline) -> None:
    """A surely mild story is a line of the digest. A material one of the same family ends that and fires."""
    (line,) = read(day, event(33, "Acme results disappoint", "results_bad", material=0.05, mild=0.9))
    assert (line.tier, line.severity, line.status) == ("digest", "warning", "firing")
    resolved, fired = read(day, event(34, "Acme has a huge loss", "results_bad"))
    assert (resolved.status, resolved.id, resolved.tier) == ("resolved", line.id, "digest")
    assert (fired.status, fired.tier) == ("firing", "notice")
    assert fired.id != line.id


def test_a_mild_story_joins_the_alert_that_runs(day: Timeline) -> None:
    read(day, event(33, "Acme defaults", "default"))
    assert read(day, event(34, "Acme results disappoint", "results_bad", material=0.05, mild=0.9)) == []
    assert day.near_misses[-1].reason == "same_episode"
    (alert,) = read(day, event(35, "Acme has a huge loss", "results_bad"))
    assert (alert.status, alert.stories) == ("escalated", 3)


def test_groups_topics_and_the_market_have_no_event_alerts(day: Timeline) -> None:
    for number, target in enumerate(("group:tech", "topic:legal", "market")):
        assert read(day, event(33 + number, "Acme defaults", "default", target=target)) == []
    assert day.near_misses == []


def test_a_bundle_without_levels_gives_spikes_and_no_event_alerts(day: Timeline) -> None:
    read(day, *[signal(33 + index / 4, source=f"s{index}") for index in range(6)])
    assert {alert.kind for alert in day.alerts} == {"spike"}
    assert day.near_misses == []


def test_the_follow_ups_of_an_event_are_no_spike(day: Timeline) -> None:
    """Twelve negative stories about one default are told once; twelve about other things are a spike too."""
    bad = {"negative": 0.9, "neutral": 0.1, "positive": 0.0}

    def negative(at_h: float, title: str, code: str, material: float) -> Signal:
        item = event(at_h, title, code, publisher=f"{title}.example", material=material, mild=0.3)
        return item.model_copy(update={"sentiment": item.sentiment.model_copy(update=bad)})

    read(day, *[negative(33 + index / 4, f"Acme default {index}", "default", 0.6) for index in range(12)])
    assert [(alert.kind, alert.status) for alert in day.alerts] == [("event", "firing")]
    read(day, *[negative(37 + index / 4, f"Acme quarrels {index}", "reputation", 0.35) for index in range(12)])
    assert ("spike", "firing") in [(alert.kind, alert.status) for alert in day.alerts]


def test_silence_of_all_sources_makes_the_end_of_an_alert_blind(day: Timeline) -> None:
    read(day, event(33, "Acme defaults", "default"))
    day.feed(mark(33 + 5 * DAY))
    resolved = day.alerts[-1]
    assert (resolved.status, resolved.blind) == ("resolved", True)
    assert resolved.at == hour(33 + 3 * DAY) + timedelta(seconds=15)
    assert "blind, not calm" in resolved.summary


def test_a_late_story_fires_in_the_oldest_open_bucket(day: Timeline) -> None:
    day.feed(mark(34))
    day.feed(event(33, "Acme defaults", "default"), mark(34.1))
    (alert,) = day.alerts
    assert hour(34) - timedelta(seconds=15) <= alert.at <= hour(34) + timedelta(seconds=15)


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
        *signals, last = batch
        rng.shuffle(signals)
        for item in signals:
            disturbed.feed(item)
            if rng.random() < 0.3:
                disturbed.restart()
        disturbed.feed(last)
    disturbed.feed(mark(12 * DAY))
    assert disturbed.alerts == expected.alerts
    assert disturbed.near_misses == expected.near_misses
    assert disturbed.state == expected.state
    assert len({miss.id for miss in expected.near_misses}) == len(expected.near_misses)
    assert len({(alert.id, alert.at, alert.status) for alert in expected.alerts}) == len(expected.alerts)


def test_a_clock_that_was_ahead_leaves_no_time_of_the_future_in_the_state(day: Timeline) -> None:
    """After the repair the running alert resolves three days after the present, and its family re-arms in time."""
    read(day, event(33, "Acme defaults", "default"))
    read(day, event(33 + 400 * DAY, "Acme sued", "litigation"))
    now_h = 40.0
    now_ms = round(hour(now_h).timestamp() * 1000)
    state = {key: rewound(key, value, now_ms) for key, value in day.state.items()}
    assert b"2032" not in b"".join(value for value in state.values() if value is not None)
    day.state = {key: value for key, value in state.items() if value is not None}
    day.restart()
    before = len(day.alerts)
    day.quiet(now_h, now_h + 4 * DAY)
    (resolved,) = day.alerts[before:]
    assert (resolved.status, resolved.at) == ("resolved", hour(now_h + 3 * DAY))
    (alert,) = read(day, event(now_h + 8 * DAY, "Acme sued over prices", "litigation"))
    assert alert.status == "firing"


def test_a_quiet_target_has_a_small_state(day: Timeline) -> None:
    """A target of which many families were told keeps at most 2 KB once its alert has resolved."""
    codes = ("default", "litigation", "crime", "results_bad", "layoffs", "cyber", "recall", "operations", "sanctions")
    read(day, *[event(33 + index, f"Acme {code}", code, story=str(index) * 64) for index, code in enumerate(codes)])
    day.quiet(45, 45 + 6 * DAY)
    assert day.alerts[-1].status == "resolved"
    own = {key: len(value) for key, value in day.state.items() if "entity:acme" in key}
    assert sum(own.values()) <= 2_048, own


def test_what_was_told_is_forgotten_after_two_months() -> None:
    timeline = Timeline(AlertingSettings(half_life_days=1))
    read(timeline, event(1, "Acme sued", "litigation"))
    assert "events/entity:acme" in timeline.state
    timeline.quiet(2, 62 * DAY, every_h=6)
    assert "events/entity:acme" not in timeline.state
