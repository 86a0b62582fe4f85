"""What was published long before it was seen counts when it was published, in lists, scores and trends."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType

from riskwire.records import Signal, TrendPoint
from riskwire.store import Store

AGE = timedelta(days=30)


def backfill(news: ModuleType, article: str, *, score: float = -0.8, **fields: object) -> Signal:
    """A signal of an article that was published `AGE` before it was seen, at noon."""
    signal: Signal = news.signal(article, score=score)
    return signal.model_copy(update={"published_at": signal.seen_at - AGE, "backfill": True, **fields})


def test_old_stories_come_after_the_latest_news_and_show_both_times(store: Store, news: ModuleType) -> None:
    """The backfill is seen an hour after the news."""
    late = news.NOON + timedelta(hours=1)
    old = backfill(news, "old")
    store.write_signals([news.signal("new"), old.model_copy(update={"seen_at": late, "published_at": late - AGE})])
    new_row, old_row = store.stories(news.VELDARA)
    assert (new_row.article, old_row.article) == (news.signal("new").article, old.article)
    assert (old_row.published_at, old_row.seen_at, old_row.counted_at) == (late - AGE, late, late - AGE)
    assert new_row.counted_at == new_row.seen_at
    assert [row.article for row in store.stories(news.VELDARA, before=new_row.cursor)] == [old_row.article]
    target = store.target(news.VELDARA)
    assert target is not None
    assert target.last_seen == new_row.seen_at


def test_the_score_of_a_target_is_that_of_the_news_of_the_period(store: Store, news: ModuleType) -> None:
    store.write_signals([news.signal("new", score=0.6), backfill(news, "old", score=-0.6)])
    target = store.target(news.VELDARA)
    assert target is not None
    assert target.score == round(news.signal("new", score=0.6).sentiment.score, 4)


def test_a_trend_has_backfill_in_the_step_in_which_it_was_published(store: Store, news: ModuleType) -> None:
    """Two reprints are one story of weight one; a replaced version and news, which is in trend points, do not count."""
    point = TrendPoint(
        target=news.VELDARA,
        name="x",
        start=news.NOON,
        length_s=60,
        stories=1,
        articles=1,
        negative=0.0,
        neutral=0.0,
        positive=1.0,
        score=1.0,
        surprise=2.0,
    )
    first, reprint = backfill(news, "old", score=-0.4, story="s"), backfill(news, "reprint", score=-0.8, story="s")
    revised = backfill(news, "other", story="s2", version=2)
    store.write_trends([point])
    store.write_signals(
        [
            news.signal("new"),
            first,
            reprint,
            backfill(news, "other", story="replaced"),
            revised,
        ]
    )
    trend = store.trend(news.VELDARA, since=news.NOON - 2 * AGE, until=news.NOON + timedelta(days=1), step_s=86_400)
    assert trend is not None
    old, new = trend.points
    assert old.start == (news.NOON - AGE).replace(hour=0)
    negative = (first.sentiment.negative + reprint.sentiment.negative) / 2 + revised.sentiment.negative
    assert (old.stories, old.articles, old.negative, old.surprise) == (2, 3, round(negative, 4), 0.0)
    assert (new.stories, new.articles, new.positive, new.surprise) == (1, 1, 1.0, 2.0)


def test_the_spark_of_a_target_has_backfill_where_it_was_published(store: Store, news: ModuleType) -> None:
    three_days = timedelta(days=3)
    signal = backfill(news, "old")
    store.write_signals([signal.model_copy(update={"published_at": signal.seen_at - three_days})])
    target = store.target(news.VELDARA, spark=True)
    assert target is not None
    assert target.spark is not None
    assert [index for index, score in enumerate(target.spark) if score is not None] == [27 - 12]


def test_history_that_was_news_counts_when_it_was_seen(store: Store, news: ModuleType) -> None:
    """A signal of the past of a new target is marked as backfill, so that it fires no alert."""
    news_then = backfill(news, "a", history=True, was_backfill=False, story="a")
    old_then = backfill(news, "b", history=True, was_backfill=True, story="b")
    store.write_signals([news_then, old_then])
    times = [row.counted_at for row in store.stories(news.VELDARA)]
    assert times == [news.NOON, news.NOON - AGE]


def test_a_trend_before_1970_has_whole_steps(store: Store, news: ModuleType) -> None:
    early = news.NOON.replace(year=1961)
    signal = backfill(news, "old")
    store.write_signals([signal.model_copy(update={"published_at": early})])
    trend = store.trend(news.VELDARA, since=early - AGE, until=early + AGE, step_s=86_400)
    assert trend is not None
    assert [point.start for point in trend.points] == [early.replace(hour=0)]
