"""A target that is watched only now: its past is learned, and is never a reason to fire."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from timeline import START, Timeline, mark, signal

from riskwire.alerting.book import Book
from riskwire.records import Mark, Signal, content_id
from riskwire.settings import AlertingSettings

DAY = 24
ADDED = 40 * DAY
"""When the target is put on the watchlist, in hours of the timeline."""
NAME = "entity:acme"


def prominent(until_h: int, every_h: int = 6) -> list[Signal]:
    """A name that is in bad news four times a day, every day."""
    return [signal(hour, NAME, source=f"s{hour % 5}") for hour in range(3, until_h, every_h)]


def as_history(signals: list[Signal]) -> list[Signal]:
    """What the store tells of it once it is watched."""
    return [one.model_copy(update={"backfill": True, "history": True}) for one in signals]


def watched_from_now_on(history: list[Signal], then: list[Signal]) -> Timeline:
    """Forty days of the whole world's news without the target; then its history, then its news."""
    timeline = Timeline()
    timeline.quiet(0, ADDED)
    timeline.feed(*history)
    news = iter(then)
    following = next(news, None)
    for hour in range(ADDED + 1, ADDED + 10 * DAY):
        records: list[Signal | Mark] = []
        while following is not None and following.seen_at <= START + timedelta(hours=hour):
            records.append(following)
            following = next(news, None)
        timeline.feed(*records, mark(hour, (hour,)))
    return timeline


@pytest.fixture
def added() -> Timeline:
    """The same world, at the moment the target is put on the list."""
    timeline = Timeline()
    timeline.quiet(0, ADDED)
    return timeline


def test_without_its_history_a_prominent_name_cries_wolf_and_with_it_does_not() -> None:
    usual = [one for one in prominent(ADDED + 9 * DAY) if one.seen_at > START + timedelta(hours=ADDED)]
    wolf = watched_from_now_on([], usual).alerts
    assert [alert.status for alert in wolf][:1] == ["firing"]
    assert wolf[0].at < START + timedelta(hours=ADDED + DAY)
    calm = watched_from_now_on(as_history(prominent(ADDED)), usual)
    assert calm.alerts == []


def test_a_target_added_while_its_bad_news_runs_does_not_fire_on_what_was_before(added: Timeline) -> None:
    running = [signal(ADDED - 12 + index / 2, NAME, source=f"s{index}") for index in range(24)]
    added.feed(*as_history(running))
    added.quiet(ADDED + 1, ADDED + 3 * DAY)
    assert added.alerts == []
    assert added.book.targets[NAME].window.negatives(0) == 0


def test_history_makes_no_point_in_the_trend_of_now(added: Timeline) -> None:
    added.trends.clear()
    added.feed(*as_history(prominent(ADDED)))
    added.quiet(ADDED + 1, ADDED + 2)
    assert added.trends == []


def test_a_blow_after_the_history_of_a_calm_name_still_fires(added: Timeline) -> None:
    calm = [signal(day * DAY, NAME, negative=0.1) for day in range(0, 40, 2)]
    added.feed(*as_history(calm))
    for index in range(8):
        hour = ADDED + 2 + index / 2
        added.feed(signal(hour, NAME, source=f"s{index}"), mark(hour, (hour,)))
    added.quiet(ADDED + 7, ADDED + 8)
    assert [alert.status for alert in added.alerts][:1] == ["firing"]


def test_history_weighs_as_if_it_had_been_learned_in_its_time() -> None:
    """Of one whom the target's stories left the window in their time, and one who is told them now."""
    stories = prominent(ADDED)
    lived = Timeline()
    at = 0
    for hour in range(ADDED):
        records: list[Signal | Mark] = [mark(hour, (hour,))]
        while at < len(stories) and stories[at].seen_at <= START + timedelta(hours=hour):
            records.insert(0, stories[at])
            at += 1
        lived.feed(*records)
    lived.quiet(ADDED, ADDED + 2 * DAY)
    told = Timeline()
    told.quiet(0, ADDED + DAY)
    told.feed(*as_history(stories))
    told.quiet(ADDED + DAY + 1, ADDED + 2 * DAY)
    now_ms = round((START + timedelta(hours=ADDED + 2 * DAY)).timestamp() * 1000)
    half_life = AlertingSettings().half_life_days * 86_400_000
    one, other = (each.book.targets[NAME].baseline.as_of(now_ms, half_life) for each in (lived, told))
    # Whoever lived through it learned each story when it left the window, a day later.
    assert other.stories == pytest.approx(one.stories, rel=0.03)
    assert other.negative == pytest.approx(one.negative, rel=0.03)
    assert other.score == pytest.approx(one.score, rel=0.03)
    assert other.events == pytest.approx(one.events, rel=0.03)


def test_of_what_was_backfill_when_it_was_seen_only_share_and_score_are_learned(added: Timeline) -> None:
    added.feed(*(signal(ADDED - index, NAME, history=True, was_backfill=True) for index in range(1, 20)))
    added.quiet(ADDED + 1, ADDED + 2)
    baseline = added.book.targets[NAME].baseline
    assert baseline.negative > 15
    assert baseline.events == 0


def test_a_reprint_of_what_was_before_is_not_news(added: Timeline) -> None:
    story = content_id("a story") * 2
    added.feed(signal(ADDED - 5, NAME, story=story, history=True))
    added.feed(signal(ADDED + 1, NAME, story=story, source="late"), mark(ADDED + 1, (ADDED + 1,)))
    added.quiet(ADDED + 2, ADDED + 3)
    assert added.book.targets[NAME].window.count(0) == 0
    assert sum(point.stories for point in added.trends) == 0


def test_a_later_version_that_turns_what_was_before_negative_counts_from_then_on(added: Timeline) -> None:
    added.feed(signal(ADDED - 5, NAME, negative=0.1, article="x", history=True))
    added.feed(signal(ADDED + 1, NAME, negative=0.9, article="x", version=2), mark(ADDED + 1, (ADDED + 1,)))
    added.quiet(ADDED + 2, ADDED + 3)
    assert added.book.targets[NAME].window.negatives(0) == 1


@pytest.mark.parametrize("history_first", [False, True])
def test_an_article_that_is_told_both_as_news_and_as_history_counts_once(added: Timeline, history_first: bool) -> None:
    news = signal(ADDED + 1, NAME, article="x")
    both = [news, *as_history([news])]
    added.feed(*(both[::-1] if history_first else both), mark(ADDED + 1, (ADDED + 1,)))
    added.quiet(ADDED + 2, ADDED + 3)
    target = added.book.targets[NAME]
    assert target.window.negatives(0) == 1
    assert target.baseline.stories == 0
    added.quiet(ADDED + 4, ADDED + 3 * DAY)
    assert 0.9 < target.baseline.stories <= 1


def test_history_told_again_is_learned_once(added: Timeline) -> None:
    told = as_history([signal(ADDED - index, NAME) for index in range(1, 30)])
    added.feed(*told, mark(ADDED + 1, (ADDED + 1,)))
    added.quiet(ADDED + 2, ADDED + 3)
    once = added.book.targets[NAME].baseline.stories
    added.restart()
    added.feed(*told)
    added.quiet(ADDED + 4, ADDED + 5)
    assert added.book.targets[NAME].baseline.stories == pytest.approx(once, rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_batches_restarts_and_the_order_of_history_change_nothing(seed: int) -> None:
    history = as_history(prominent(ADDED))
    usual = [one for one in prominent(ADDED + 5 * DAY) if one.seen_at > START + timedelta(hours=ADDED)]
    blow = [signal(ADDED + 4 * DAY + index / 3, NAME, source=f"b{index}") for index in range(30)]

    def run(cuts: random.Random, *, restarts: bool) -> Timeline:
        shuffled = list(history)
        cuts.shuffle(shuffled)
        records: list[Signal | Mark] = [mark(hour, (hour,) * 20) for hour in range(ADDED)]
        records += shuffled
        for one in sorted([*usual, *blow], key=lambda one: one.seen_at):
            hour = (one.seen_at - START).total_seconds() / 3600
            records += [one, mark(hour, (hour,))]
        records.append(mark(ADDED + 20 * DAY))
        timeline = Timeline()
        at = 0
        while at < len(records):
            size = cuts.randint(1, 60)
            timeline.feed(*records[at : at + size])
            if restarts and cuts.random() < 0.2:
                timeline.restart()
            at += size
        return timeline

    calm, stirred = run(random.Random(1), restarts=False), run(random.Random(seed), restarts=True)
    assert calm.alerts, "the blow must be seen"
    assert stirred.alerts == calm.alerts, f"seed {seed}"
    assert stirred.trends == calm.trends, f"seed {seed}"


def test_the_state_of_before_is_still_read() -> None:
    """A window's slot as it was written before it knew of history: seven values a story."""
    timeline = Timeline()
    timeline.feed(signal(1), mark(2, (1,)))
    slots = {key: value for key, value in timeline.state.items() if key.startswith("stories/")}
    assert slots
    older = {key: value.replace(b",false]]", b"]]") for key, value in slots.items()}
    assert older != slots
    book = Book(AlertingSettings(), 1, timeline.state | older)
    assert book.targets[NAME].window.negatives(0) == 1
