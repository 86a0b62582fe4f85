"""Timelines of event alerts: material news of a party at given hours, and the alerts and near misses that follow."""

from __future__ import annotations

from datetime import timedelta

import pytest
from timeline import START, Timeline, as_history, event, mark, signal, time_at

from riskwire.alerting.events import load_rules
from riskwire.records import Alert, Evidence, Level, Signal, TitleReading

DAY = 24.0


def chrysler(at_h: float, title: str, *events: str, **fields: object) -> Signal:
    """Returns a signal about Chrysler. By default its publisher is reuters.com and it is clearly material."""
    fields.setdefault("publisher", "reuters.com")
    return event(at_h, title, *events, target="entity:chrysler", name="Chrysler", **fields)  # type: ignore[arg-type]


def doubtful(event_type: str) -> dict[str, float]:
    """Returns probabilities with which the shipped rules report a story only after it is corroborated."""
    rule = load_rules().rule(event_type, "entity:acme", ())
    material = round((rule.doubtful + rule.threshold) / 2, 3)
    return {"material": material, "mild": round(0.97 - material, 3)}


def test_a_story_fires_within_a_minute_a_step_up_escalates_and_three_calm_days_resolve(
    day: Timeline,
) -> None:
    """A filing is feared at 09:00 and happens at 11:00. A month later a new filing fires again."""
    (fired,) = day.alerts_after(chrysler(33, "Chrysler may file for bankruptcy", "bankruptcy"))
    assert (fired.kind, fired.status, fired.tier, fired.severity) == ("event", "firing", "page", "critical")
    assert time_at(33) < fired.at <= time_at(33 + 1 / 60)
    assert fired.events == ("bankruptcy",)
    assert fired.families == ("insolvency",)
    assert fired.summary == "Chrysler: bankruptcy feared. 'Chrysler may file for bankruptcy' (reuters.com)"

    (escalated,) = day.alerts_after(chrysler(35, "Chrysler files for bankruptcy", "bankruptcy"))
    assert (escalated.status, escalated.id, escalated.stories) == ("escalated", fired.id, 2)
    assert time_at(35) < escalated.at <= time_at(35 + 1 / 60)
    assert escalated.summary.startswith("Chrysler: bankruptcy. 'Chrysler files for bankruptcy' (reuters.com)")

    day.quiet(36, 35 + 3 * DAY - 1)
    assert day.alerts[-1] is escalated
    day.quiet(35 + 3 * DAY - 1, 35 + 4 * DAY)
    resolved = day.alerts[-1]
    assert (resolved.status, resolved.id) == ("resolved", fired.id)
    assert resolved.at == escalated.at + timedelta(days=3)
    assert not resolved.blind

    day.quiet(35 + 4 * DAY, 35 + 30 * DAY)
    (fired_again,) = day.alerts_after(chrysler(35 + 31 * DAY, "Chrysler files for bankruptcy again", "bankruptcy"))
    assert fired_again.status == "firing"
    assert fired_again.id != fired.id


def test_follow_ups_are_counted_and_do_not_notify(day: Timeline) -> None:
    (fired,) = day.alerts_after(chrysler(33, "Chrysler files for bankruptcy", "bankruptcy"))
    follow_ups = [
        chrysler(34, "Chrysler creditors meet", "distress", publisher="ft.com"),
        chrysler(40, "Judge hears Chrysler case", "bankruptcy", material=0.3, mild=0.5),
    ]
    assert day.alerts_after(*follow_ups) == []
    assert [(miss.reason, miss.alert) for miss in day.near_misses] == [("same_episode", fired.id)] * 2
    day.quiet(41, 40 + 4 * DAY)
    resolved = day.alerts[-1]
    assert (resolved.stories, resolved.sources, len(resolved.evidence)) == (3, 2, 3)
    assert resolved.at == time_at(40 + 3 * DAY) + timedelta(seconds=15)


def test_another_family_of_event_types_escalates(day: Timeline) -> None:
    day.alerts_after(chrysler(33, "Chrysler files for bankruptcy", "bankruptcy"))
    (escalated,) = day.alerts_after(chrysler(35, "Chrysler to cut 5,000 jobs", "layoffs"))
    assert (escalated.status, escalated.tier) == ("escalated", "page")
    assert escalated.events == ("layoffs", "bankruptcy")
    assert escalated.summary.startswith("Chrysler: lay-offs. ")


@pytest.mark.parametrize(
    ("first", "second"),
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
    day: Timeline, first: tuple[str, str], second: tuple[str, str]
) -> None:
    assert [alert.status for alert in day.alerts_after(event(33, *first), event(34, *second))] == [
        "firing",
        "escalated",
    ]
    step_down = event(35, first[0] + " again", first[1])
    assert day.alerts_after(step_down) == []
    assert day.near_misses[-1].reason == "same_episode"


def test_stories_of_one_bucket_make_one_record_and_corroborate_each_other(day: Timeline) -> None:
    """Within 5 s two publishers report a loss, each doubtful on its own, and a third one reports lay-offs."""
    second_h = 1 / 3_600
    day.feed(
        event(33, "Acme posts loss", "results_bad", publisher="a.example", **doubtful("results_bad")),
        event(33 + second_h, "Acme has a loss", "results_bad", publisher="b.example", **doubtful("results_bad")),
        event(33 + 2 * second_h, "Acme sheds staff", "layoffs", publisher="c.example"),
        mark(33.1, (33.0,)),
    )
    (alert,) = day.alerts
    assert (alert.status, alert.stories, alert.sources) == ("firing", 2, 3)
    assert set(alert.events) == {"layoffs", "results_bad"}


def test_a_doubtful_story_waits_for_a_second_publisher(day: Timeline) -> None:
    probabilities = doubtful("accounting")
    assert (
        day.alerts_after(event(33, "Acme accounts doubted", "accounting", publisher="a.example", **probabilities)) == []
    )
    assert (
        day.alerts_after(event(34, "Acme accounts still doubted", "accounting", publisher="a.example", **probabilities))
        == []
    )
    assert [miss.reason for miss in day.near_misses] == ["corroboration", "corroboration"]
    (alert,) = day.alerts_after(
        event(35, "Doubts of Acme accounts", "accounting", publisher="b.example", **probabilities)
    )
    assert (alert.status, alert.tier, alert.corroborated, alert.sources) == ("firing", "notice", True, 2)


def test_a_doubtful_story_whose_title_and_lead_agree_does_not_wait(day: Timeline) -> None:
    story = event(33, "Acme accounts doubted", "accounting", confirmed=True, **doubtful("accounting"))
    (alert,) = day.alerts_after(story)
    assert (alert.status, alert.corroborated, alert.sources) == ("firing", True, 1)


def test_a_doubtful_story_does_not_wait_longer_than_a_day(day: Timeline) -> None:
    probabilities = doubtful("accounting")
    first = event(33, "Acme accounts doubted", "accounting", publisher="a.example", **probabilities)
    second = event(33 + 25, "Acme accounts doubted too", "accounting", publisher="b.example", **probabilities)
    assert day.alerts_after(first, second) == []


def test_a_second_publisher_raises_the_tier_where_the_rules_say_so(day: Timeline) -> None:
    first = event(33, "Acme bank run", "macro_stress", publisher="a.example")
    second = event(34, "Run on Acme", "macro_stress", publisher="b.example")
    third = event(35, "Run on Acme goes on", "macro_stress", publisher="c.example")
    assert [(alert.status, alert.tier) for alert in day.alerts_after(first, second, third)] == [
        ("firing", "notice"),
        ("escalated", "page"),
    ]


def test_a_correction_counts_once_and_fires_if_it_makes_the_story_material(day: Timeline) -> None:
    """The first version is mild, the second is material, and the third rephrases the second."""
    versions = [
        event(33, "Acme has trouble", "distress", article="x", material=0.1, mild=0.6),
        event(33.5, "Acme in rescue talks", "distress", article="x", version=2),
        event(34, "CORRECTED Acme holds talks on a rescue", "distress", article="x", version=3),
    ]
    (alert,) = day.alerts_after(*versions)
    assert alert.at == time_at(33.5) + timedelta(seconds=15)
    day.quiet(34, 34 + 4 * DAY)
    assert day.alerts[-1].stories == 1
    assert [miss.reason for miss in day.near_misses] == ["level"]


def test_a_reprint_by_another_publisher_counts_as_a_publisher_and_not_as_a_story(day: Timeline) -> None:
    day.alerts_after(event(33, "Acme defaults", "default", story="a" * 64, publisher="a.example"))
    assert day.alerts_after(event(34, "Acme defaults", "default", story="a" * 64, publisher="b.example")) == []
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
    """It fires neither after the alert that it denies, nor for a party without an alert."""
    day.alerts_after(chrysler(33, "Chrysler to file for bankruptcy", "bankruptcy"))
    assert day.alerts_after(chrysler(34, title, *events), event(35, title, *events)) == []
    assert [(miss.target, miss.reason) for miss in day.near_misses] == [
        ("entity:chrysler", "level"),
        ("entity:acme", "level"),
    ]


def test_a_refusal_by_an_authority_is_not_a_denial(day: Timeline) -> None:
    (alert,) = day.alerts_after(event(33, "FDA denies approval of Acme drug", "regulation"))
    assert alert.events == ("regulation",)


def test_a_story_with_low_relevance_does_not_fire(day: Timeline) -> None:
    assert day.alerts_after(event(33, "Banks fail", "bankruptcy", relevance=0.1)) == []
    assert [miss.reason for miss in day.near_misses] == ["relevance"]


def test_news_that_is_not_material_does_not_fire(day: Timeline) -> None:
    """The first story is mild, the second too weakly material. The last one is not adverse, so it is no near miss."""
    weak_signals = [
        event(33, "Acme disappoints", "results_bad", material=0.2, mild=0.5),
        event(34, "Acme is in trouble", "operations", material=0.38, mild=0.2),
        event(35, "Acme meets analysts", "other", material=0.05, mild=0.1),
    ]
    assert day.alerts_after(*weak_signals) == []
    assert [miss.reason for miss in day.near_misses] == ["level", "threshold"]


def test_backfill_and_history_never_fire_and_become_near_misses(day: Timeline) -> None:
    """The first poll of a feed returns thirty old stories. At most ten near misses of a bucket are kept.

    The story from the history is in another bucket.
    """
    old_signals = [
        event(33 + index / 100_000, f"Acme defaults {index}", "default", backfill=True, material=0.6 + index / 100)
        for index in range(30)
    ]
    day.feed(*old_signals, *as_history([event(20, "Acme was sued", "litigation", material=0.5)]), mark(33.1))
    day.quiet(34, 35)
    assert day.alerts == []
    assert [miss.reason for miss in day.near_misses] == ["backfill"] * 11
    adverse = [miss.adverse for miss in day.near_misses[1:]]
    assert adverse == sorted(adverse, reverse=True)


def test_the_same_story_a_month_later_is_not_new(day: Timeline) -> None:
    """Another story of the same family is new."""
    day.alerts_after(event(33, "Acme sued over pensions", "litigation", story="a" * 64))
    day.quiet(34, 33 + 29 * DAY)
    month_later = 33 + 30 * DAY
    assert day.alerts_after(event(month_later, "Acme sued over pensions", "litigation", story="a" * 64)) == []
    assert (day.near_misses[-1].reason, day.near_misses[-1].novelty) == ("novelty", 0.0)
    (alert,) = day.alerts_after(event(month_later + 1, "Acme sued over patents", "litigation"))
    assert (alert.status, alert.novelty) == ("firing", 1.0)


def test_a_story_from_the_history_of_a_target_is_not_new(day: Timeline) -> None:
    """The history holds a story that is ten days old. A story of this morning that was backfill may still fire."""
    day.quiet(25, 10 * DAY)
    old_signal = event(1, "Acme sued over pensions", "litigation", story="a" * 64)
    day.feed(*as_history([old_signal]), mark(10 * DAY + 1))
    assert day.alerts_after(event(10 * DAY + 2, "Acme sued over pensions", "litigation", story="a" * 64)) == []
    assert day.near_misses[-1].reason == "novelty"
    day.feed(event(10 * DAY + 3, "Acme defaults", "default", story="b" * 64, backfill=True), mark(10 * DAY + 4))
    (alert,) = day.alerts_after(event(10 * DAY + 5, "Acme defaults", "default", story="b" * 64))
    assert alert.events == ("default",)


def test_a_family_reported_in_an_ended_episode_is_new_after_its_re_arm_period(day: Timeline) -> None:
    day.alerts_after(event(33, "Acme sued over pensions", "litigation"))
    day.quiet(34, 33 + 5 * DAY)
    assert day.alerts[-1].status == "resolved"
    assert day.alerts_after(event(33 + 5 * DAY + 1, "Acme sued over patents", "litigation")) == []
    miss = day.near_misses[-1]
    assert (miss.reason, miss.alert, round(miss.novelty, 1)) == ("novelty", "", 0.7)
    (alert,) = day.alerts_after(event(33 + 8 * DAY, "Acme sued over prices", "litigation"))
    assert alert.status == "firing"


def test_a_fact_is_new_again_later_than_a_fear(day: Timeline) -> None:
    """After a feared event, a story is new after `rearm_days`. After a filing, it is new after `settled_days`."""
    rule = load_rules().rule("bankruptcy", "entity:chrysler", ())
    assert rule.rearm_days < rule.settled_days
    first, second = 33.0, 33 + (rule.rearm_days + 0.5) * DAY
    assert [alert.status for alert in _alerts_after_calm(day, chrysler(first, "Chrysler may fail", "bankruptcy"))] == [
        "firing"
    ]
    assert [
        alert.status for alert in _alerts_after_calm(day, chrysler(second, "Chrysler may yet fail", "bankruptcy"))
    ] == ["firing"]
    filed_at = second + DAY
    (filed,) = _alerts_after_calm(day, chrysler(filed_at, "Chrysler files for bankruptcy", "bankruptcy"))
    assert filed.status == "escalated"
    between = filed_at + (rule.rearm_days + rule.settled_days) / 2 * DAY
    assert _alerts_after_calm(day, chrysler(between, "Chrysler insolvency drags on", "bankruptcy")) == []
    assert day.near_misses[-1].reason == "novelty"
    assert f"after {rule.settled_days:g} days if it was told as a fact" in day.near_misses[-1].detail
    later = filed_at + (rule.settled_days + 1) * DAY
    (fired_again,) = _alerts_after_calm(day, chrysler(later, "Chrysler insolvency goes on", "bankruptcy"))
    assert fired_again.status == "firing"


def _alerts_after_calm(timeline: Timeline, fed_signal: Signal) -> list[Alert]:
    """Feeds a signal after calm hours. Returns the alerts that notify."""
    at_h = (fed_signal.seen_at - START) / timedelta(hours=1)
    timeline.quiet(at_h - 5 * DAY if at_h > 40 + 5 * DAY else at_h - 12, at_h - 1)
    return [alert for alert in timeline.alerts_after(fed_signal) if alert.status != "resolved"]


def test_a_feared_event_in_one_clause_does_not_make_a_fact_in_another_clause_feared(day: Timeline) -> None:
    (alert,) = day.alerts_after(chrysler(33, "Chrysler files for bankruptcy, rival may bid", "bankruptcy"))
    assert alert.summary.startswith("Chrysler: bankruptcy. ")


def test_a_material_story_ends_a_digest_alert_and_fires_another_alert(day: Timeline) -> None:
    """A clearly mild story is an alert of the digest. A material story of the same family ends it and fires."""
    (digest_alert,) = day.alerts_after(event(33, "Acme results disappoint", "results_bad", material=0.05, mild=0.9))
    assert (digest_alert.tier, digest_alert.severity, digest_alert.status) == ("digest", "warning", "firing")
    resolved, fired = day.alerts_after(event(34, "Acme has a huge loss", "results_bad"))
    assert (resolved.status, resolved.id, resolved.tier) == ("resolved", digest_alert.id, "digest")
    assert (fired.status, fired.tier) == ("firing", "notice")
    assert fired.id != digest_alert.id


def test_a_mild_story_joins_the_running_alert(day: Timeline) -> None:
    day.alerts_after(event(33, "Acme defaults", "default"))
    assert day.alerts_after(event(34, "Acme results disappoint", "results_bad", material=0.05, mild=0.9)) == []
    assert day.near_misses[-1].reason == "same_episode"
    (alert,) = day.alerts_after(event(35, "Acme has a huge loss", "results_bad"))
    assert (alert.status, alert.stories) == ("escalated", 3)


def test_groups_topics_and_the_market_have_no_event_alerts(day: Timeline) -> None:
    for number, target in enumerate(("group:tech", "topic:legal", "market")):
        assert day.alerts_after(event(33 + number, "Acme defaults", "default", target=target)) == []
    assert day.near_misses == []


def test_a_bundle_without_levels_gives_spikes_and_no_event_alerts(day: Timeline) -> None:
    day.alerts_after(*[signal(33 + index / 4, source=f"s{index}") for index in range(6)])
    assert {alert.kind for alert in day.alerts} == {"spike"}
    assert day.near_misses == []


def test_the_follow_ups_of_an_event_do_not_make_a_spike(day: Timeline) -> None:
    """Twelve negative stories about one default notify once. Two dozen about other subjects also make a spike."""
    negative_sentiment = {"negative": 0.9, "neutral": 0.1, "positive": 0.0}

    def negative(at_h: float, title: str, code: str, material: float) -> Signal:
        neutral_signal = event(at_h, title, code, publisher=f"{title}.example", material=material, mild=0.3)
        sentiment = neutral_signal.sentiment.model_copy(update=negative_sentiment)
        return neutral_signal.model_copy(update={"sentiment": sentiment})

    day.alerts_after(*[negative(33 + index / 4, f"Acme default {index}", "default", 0.6) for index in range(12)])
    assert [(alert.kind, alert.status) for alert in day.alerts] == [("event", "firing")]
    day.alerts_after(*[negative(37 + index / 4, f"Acme quarrels {index}", "reputation", 0.35) for index in range(24)])
    assert ("spike", "firing") in [(alert.kind, alert.status) for alert in day.alerts]


def test_silence_of_all_sources_makes_the_end_of_an_alert_blind(day: Timeline) -> None:
    day.alerts_after(event(33, "Acme defaults", "default"))
    day.feed(mark(33 + 5 * DAY))
    resolved = day.alerts[-1]
    assert (resolved.status, resolved.blind) == ("resolved", True)
    assert resolved.at == time_at(33 + 3 * DAY) + timedelta(seconds=15)
    assert "blind, not calm" in resolved.summary


def test_a_late_story_fires_in_the_oldest_open_bucket(day: Timeline) -> None:
    day.feed(mark(34))
    day.feed(event(33, "Acme defaults", "default"), mark(34.1))
    (alert,) = day.alerts
    assert time_at(34) - timedelta(seconds=15) <= alert.at <= time_at(34) + timedelta(seconds=15)


def test_the_title_decides_what_happened_to_whom_it_names(day: Timeline) -> None:
    """The worst sentence of the text repeats old trouble. The story came near; the record says why it is no alert."""
    repeated = event(33, "Acme names a chairman", "default", material=0.97, mild=0.02)
    harmless = Level(neutral=0.96, mild=0.02, material=0.01, favourable=0.01)
    evidence = Evidence(text="Acme names a chairman", start=0, end=4)
    reading = TitleReading(level=harmless, events=(), evidence=evidence)
    of_text = Evidence(text="Acme said in March that it may default.", start=0, end=4)
    assert day.alerts_after(repeated.model_copy(update={"title_reading": reading, "evidence": of_text})) == []
    (miss,) = day.near_misses
    assert (miss.reason, miss.article, miss.level) == ("level", repeated.article, harmless)
    assert (miss.text, miss.family) == ("Acme names a chairman", "other")
    assert miss.detail.endswith(f"A sentence of its text is adverse with 0.99: '{of_text.text}'")

    (fired,) = day.alerts_after(event(34, "Acme defaults on its bonds", "default", material=0.97, mild=0.02))
    assert fired.summary.startswith("Acme: default. 'Acme defaults on its bonds'")


def test_a_party_that_only_the_text_names_needs_a_surer_story(day: Timeline) -> None:
    """`text_only` is compared with relevance times material; it is lower for insolvency."""

    def in_text(at_h: float, event_type: str, material: float) -> Signal:
        story = event(at_h, f"Retailer and its {event_type}", event_type, material=material, relevance=0.9)
        return story.model_copy(update={"in_title": False})

    rules = load_rules()
    penalty, default = (rules.rule(code, "entity:acme", ()) for code in ("penalty", "default"))
    assert default.text_only < 0.9 * 0.95 < penalty.text_only
    assert day.alerts_after(in_text(33, "penalty", 0.95)) == []
    (miss,) = day.near_misses
    assert miss.reason == "relevance"
    assert "Its title does not name the target" in miss.detail
    (fired,) = day.alerts_after(in_text(34, "default", 0.95))
    assert fired.events == ("default",)
    assert "with relevance times probability below 0.50, where it is 0.85" in fired.would_not_fire
