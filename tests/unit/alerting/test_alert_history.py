"""The history of a newly watched target: the baseline learns it, and it never fires."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from timeline import START, Timeline, as_history, mark, signal, time_ms

from riskwire.records import Mark, Signal, content_id
from riskwire.settings import AlertingSettings

DAY = 24
ADDED = 40 * DAY
"""When the target is put on the watchlist, in hours of the timeline."""
NAME = "entity:acme"


def daily_bad_news(until_h: int) -> list[Signal]:
    """A prominent name: four negative stories a day, every day."""
    return [signal(hour, NAME, source=f"s{hour % 5}") for hour in range(3, until_h, 6)]


def since_added(signals: Sequence[Signal]) -> list[Signal]:
    """Those of the signals that came after the target was put on the watchlist."""
    return [signal for signal in signals if signal.seen_at > START + timedelta(hours=ADDED)]


def feed_by_hour(timeline: Timeline, signals: Sequence[Signal], hours: range) -> None:
    """Feeds one batch for each hour: the signals up to that hour, then a mark that counts one story of the stream.

    Args:
        signals: signals in order of time. Those after the last hour are not fed.
    """
    remaining = list(signals)
    for hour in hours:
        batch: list[Signal | Mark] = []
        while remaining and remaining[0].seen_at <= START + timedelta(hours=hour):
            batch.append(remaining.pop(0))
        timeline.feed(*batch, mark(hour, (hour,)))


@pytest.fixture
def added() -> Timeline:
    """Forty days of other news, up to the moment at which the target is put on the watchlist."""
    timeline = Timeline()
    timeline.quiet(0, ADDED)
    return timeline


def test_a_prominent_name_fires_without_its_history(added: Timeline) -> None:
    feed_by_hour(added, since_added(daily_bad_news(ADDED + 9 * DAY)), range(ADDED + 1, ADDED + 10 * DAY))
    assert added.statuses()[:1] == ["firing"]
    assert added.alerts[0].at < START + timedelta(hours=ADDED + DAY)


def test_a_prominent_name_does_not_fire_with_its_history(added: Timeline) -> None:
    added.feed(*as_history(daily_bad_news(ADDED)))
    feed_by_hour(added, since_added(daily_bad_news(ADDED + 9 * DAY)), range(ADDED + 1, ADDED + 10 * DAY))
    assert added.alerts == []


def test_a_target_that_is_added_during_a_crisis_does_not_fire_on_the_earlier_stories(added: Timeline) -> None:
    """The 24 negative stories of the 12 hours before the target was added are history, not counted in its window."""
    crisis = [signal(ADDED - 12 + index / 2, NAME, source=f"s{index}") for index in range(24)]
    added.feed(*as_history(crisis))
    added.quiet(ADDED + 1, ADDED + 3 * DAY)
    assert added.alerts == []
    assert added.book.targets[NAME].window.negative_count(0) == 0


def test_history_adds_no_trend_point(added: Timeline) -> None:
    """A trend point counts the stories of a minute; history is of the past and is in none."""
    added.trends.clear()
    added.feed(*as_history(daily_bad_news(ADDED)))
    added.quiet(ADDED + 1, ADDED + 2)
    assert added.trends == []


def test_a_burst_fires_after_a_history_of_calm(added: Timeline) -> None:
    """The history has a neutral story every second day. Eight negative stories within four hours follow."""
    calm = [signal(day * DAY, NAME, negative=0.1) for day in range(0, 40, 2)]
    added.feed(*as_history(calm))
    for index in range(8):
        hour = ADDED + 2 + index / 2
        added.feed(signal(hour, NAME, source=f"s{index}"), mark(hour, (hour,)))
    added.quiet(ADDED + 7, ADDED + 8)
    assert added.statuses()[:1] == ["firing"]


def test_history_weighs_as_much_as_news_that_was_learned_at_its_time() -> None:
    """The same stories give the same baseline as news and as history that is published at the end.

    Counts of the baseline lose half of their weight in each half-life, so each story of history is decayed by its age.
    """
    stories = daily_bad_news(ADDED)
    watched_from_the_start = Timeline()
    feed_by_hour(watched_from_the_start, stories, range(ADDED))
    watched_from_the_start.quiet(ADDED, ADDED + 2 * DAY)
    watched_later = Timeline()
    watched_later.quiet(0, ADDED + DAY)
    watched_later.feed(*as_history(stories))
    watched_later.quiet(ADDED + DAY + 1, ADDED + 2 * DAY)
    now_ms = time_ms(ADDED + 2 * DAY)
    half_life = AlertingSettings().half_life_days * 86_400_000
    news = watched_from_the_start.book.targets[NAME].baseline.as_of(now_ms, half_life)
    history = watched_later.book.targets[NAME].baseline.as_of(now_ms, half_life)
    # News is learned when it leaves the window, one day late; hence the tolerance.
    assert history.stories == pytest.approx(news.stories, rel=0.03)
    assert history.negative == pytest.approx(news.negative, rel=0.03)
    assert history.score == pytest.approx(news.score, rel=0.03)
    assert history.events == pytest.approx(news.events, rel=0.03)


def test_history_that_was_backfill_changes_share_and_score_and_not_the_rate(added: Timeline) -> None:
    """`was_backfill` marks an article that was published long before it was first seen.

    Such stories are in `negative` (for the share of negative stories) and not in `events` (for their rate).
    """
    added.feed(*(signal(ADDED - index, NAME, history=True, was_backfill=True) for index in range(1, 20)))
    added.quiet(ADDED + 1, ADDED + 2)
    baseline = added.book.targets[NAME].baseline
    assert baseline.negative > 15
    assert baseline.events == 0


def test_a_reprint_of_a_story_of_the_history_is_not_counted(added: Timeline) -> None:
    """A signal with the same story id as one of the history adds nothing to the window and the trends."""
    story = content_id("a story") * 2
    added.feed(signal(ADDED - 5, NAME, story=story, history=True))
    added.feed(signal(ADDED + 1, NAME, story=story, source="late"), mark(ADDED + 1, (ADDED + 1,)))
    added.quiet(ADDED + 2, ADDED + 3)
    assert added.book.targets[NAME].window.count(0) == 0
    assert sum(point.stories for point in added.trends) == 0


def test_a_later_version_that_turns_a_story_of_the_history_negative_is_counted(added: Timeline) -> None:
    """Version 1 of the article is neutral and comes as history, version 2 is negative news."""
    added.feed(signal(ADDED - 5, NAME, negative=0.1, article="x", history=True))
    added.feed(signal(ADDED + 1, NAME, negative=0.9, article="x", version=2), mark(ADDED + 1, (ADDED + 1,)))
    added.quiet(ADDED + 2, ADDED + 3)
    assert added.book.targets[NAME].window.negative_count(0) == 1


@pytest.mark.parametrize("history_first", [False, True])
def test_an_article_that_comes_as_news_and_as_history_counts_once(added: Timeline, history_first: bool) -> None:
    """It counts in the window as news. Days later it has left the window, and the baseline has it once, slightly
    decayed.

    Args:
        history_first: whether the signal of the history comes before that of the news, in the same batch.
    """
    news = signal(ADDED + 1, NAME, article="x")
    both = [news, *as_history([news])]
    added.feed(*(both[::-1] if history_first else both), mark(ADDED + 1, (ADDED + 1,)))
    added.quiet(ADDED + 2, ADDED + 3)
    target = added.book.targets[NAME]
    assert target.window.negative_count(0) == 1
    assert target.baseline.stories == 0
    added.quiet(ADDED + 4, ADDED + 3 * DAY)
    assert 0.9 < target.baseline.stories <= 1


def test_history_that_is_published_again_is_learned_once(added: Timeline) -> None:
    """The baseline does not grow when the same history comes again after a restart; it only decays a little."""
    history = as_history([signal(ADDED - index, NAME) for index in range(1, 30)])
    added.feed(*history, mark(ADDED + 1, (ADDED + 1,)))
    added.quiet(ADDED + 2, ADDED + 3)
    learned = added.book.targets[NAME].baseline.stories
    added.restart()
    added.feed(*history)
    added.quiet(ADDED + 4, ADDED + 5)
    assert added.book.targets[NAME].baseline.stories == pytest.approx(learned, rel=0.01)


def _run_with_history(cuts: random.Random, *, restarts: bool) -> Timeline:
    """Returns a timeline with forty days of other news, the shuffled history of a target added then, and its crisis.

    The other news is 20 stories an hour. The crisis is 30 more negative stories within ten hours, four days later.

    Args:
        cuts: decides the order of history, the sizes of batches and the times of restarts.
        restarts: whether the task restarts from its state now and then.
    """
    history = as_history(daily_bad_news(ADDED))
    cuts.shuffle(history)
    crisis = [signal(ADDED + 4 * DAY + index / 3, NAME, source=f"b{index}") for index in range(30)]
    records: list[Signal | Mark] = [mark(hour, (hour,) * 20) for hour in range(ADDED)]
    records += history
    for news in sorted([*since_added(daily_bad_news(ADDED + 5 * DAY)), *crisis], key=lambda signal: signal.seen_at):
        hour = (news.seen_at - START).total_seconds() / 3600
        records += [news, mark(hour, (hour,))]
    records.append(mark(ADDED + 20 * DAY))
    timeline = Timeline()
    start = 0
    while start < len(records):
        size = cuts.randint(1, 60)
        timeline.feed(*records[start : start + size])
        if restarts and cuts.random() < 0.2:
            timeline.restart()
        start += size
    return timeline


@pytest.mark.parametrize("seed", range(3))
def test_batches_restarts_and_the_order_of_history_have_no_effect_on_results(seed: int) -> None:
    """The seed decides order, batches and restarts of the second run; alerts and trend points are as in the first."""
    undisturbed = _run_with_history(random.Random(1), restarts=False)
    disturbed = _run_with_history(random.Random(seed), restarts=True)
    assert undisturbed.alerts, "the crisis must fire"
    assert disturbed.alerts == undisturbed.alerts, f"seed {seed}"
    assert disturbed.trends == undisturbed.trends, f"seed {seed}"
