"""Scripts of time: given signals and marks at certain hours, which alerts and trends result, and when."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from timeline import START, Timeline, burst, mark, signal

from riskwire.alerting.book import Book
from riskwire.records import Mark, Signal, content_id
from riskwire.settings import AlertingSettings


@pytest.fixture
def warm() -> Timeline:
    """A timeline after thirty days of other news, one story an hour."""
    timeline = Timeline()
    timeline.quiet(0, 720)
    return timeline


def test_a_burst_on_a_quiet_name_fires_once_and_the_alert_explains_it(warm: Timeline) -> None:
    """Six negative stories of six sources, half an hour apart, give one alert with all that explains it.

    The span of the evidence is the first four characters of the title, which begins with `entity:acme`.
    """
    warm.feed(*burst(721, 6))
    warm.quiet(725, 726)
    fired = [alert for alert in warm.alerts if alert.status == "firing"]
    assert len(fired) == 1
    alert = fired[0]
    assert alert.target == "entity:acme"
    assert alert.surprise >= alert.threshold
    assert alert.stories >= 3
    assert alert.sources == alert.stories
    assert len(alert.evidence) == alert.stories
    assert alert.evidence[0].text[alert.evidence[0].start : alert.evidence[0].end] == "enti"
    assert "negative stories" in alert.summary
    assert "would not have fired" in alert.would_not_fire
    assert alert.bundle == "tiny@1"


def test_seven_papers_of_one_aggregator_are_seven_sources(warm: Timeline) -> None:
    """All signals have the same feed, so only their publishers tell the sources apart. Case does not count."""
    for index in range(8):
        hour = 721 + index / 2
        publisher = "PAPER 0" if index == 7 else f"Paper {index}"
        warm.feed(signal(hour, source="aggregator", publisher=publisher), mark(hour, (hour,)))
    warm.quiet(725, 726)
    assert warm.book.targets["entity:acme"].window.count_sources(0, 50) == 7
    alert = warm.alerts[0]
    assert alert.sources == alert.stories > 1
    assert {evidence.source for evidence in alert.evidence} == {"aggregator"}
    assert len({evidence.publisher for evidence in alert.evidence}) == alert.stories
    assert "(Paper 0)." in alert.summary


def test_seven_feeds_of_one_publisher_are_one_source(warm: Timeline) -> None:
    for index in range(7):
        hour = 721 + index / 2
        warm.feed(signal(hour, source=f"feed-{index}", publisher="paper.example"), mark(hour, (hour,)))
    warm.quiet(725, 728)
    assert warm.book.targets["entity:acme"].window.count_sources(0, 50) == 1
    assert all(alert.sources == 1 for alert in warm.alerts)


def test_a_story_that_forty_sites_reprint_counts_once(warm: Timeline) -> None:
    """Forty signals of one story within 40 minutes are one story and forty articles, and no alert."""
    for index in range(40):
        hour = 721 + index / 60
        warm.feed(signal(hour, story="a" * 32, source=f"site-{index}"), mark(hour, (hour,)))
    warm.quiet(722, 730)
    assert warm.alerts == []
    assert sum(point.stories for point in warm.trends) == 1
    assert sum(point.articles for point in warm.trends) == 40


def test_a_reprint_two_days_later_is_not_counted(warm: Timeline) -> None:
    """A story id that was seen within three days is known, so its signal counts in no trend point."""
    story = "b" * 32
    warm.feed(signal(721, story=story), mark(721, (721,)))
    warm.quiet(722, 768)
    warm.feed(signal(769, story=story, source="late"), mark(769, (769,)))
    warm.quiet(770, 772)
    assert sum(point.stories for point in warm.trends) == 1


def test_a_later_version_counts_only_if_it_turns_the_story_negative(warm: Timeline) -> None:
    """Version 1 is neutral, version 2 turns negative and version 3 stays so: that is one story and one negative story.

    A version has another fingerprint (`story`) and the same article.
    """
    warm.feed(signal(721, negative=0.1, article="x", story="c" * 32), mark(721, (721,)))
    warm.feed(signal(721.5, negative=0.9, article="x", version=2, story="d" * 32), mark(721.5))
    warm.feed(signal(722, negative=0.95, article="x", version=3, story="e" * 32), mark(722))
    warm.feed(mark(723))
    assert warm.book.targets["entity:acme"].window.negative_count(0) == 1
    assert len(warm.book.targets["entity:acme"].window) == 1


def test_neutral_news_never_fires(warm: Timeline) -> None:
    """Sixty stories within six hours, each negative with probability 0.2, which is below the limit of 0.5."""
    for index in range(60):
        hour = 721 + index / 10
        warm.feed(signal(hour, negative=0.2, source=f"s{index}"), mark(hour, (hour,)))
    warm.quiet(730, 740)
    assert warm.alerts == []


def test_backfill_is_learned_and_never_fires(warm: Timeline) -> None:
    """Backfill is an article published long before it was seen. It enters the baseline at once and no window."""
    for index in range(30):
        hour = 721 + index / 100
        warm.feed(signal(hour, backfill=True, source=f"s{index}"), mark(hour))
    warm.quiet(722, 730)
    assert warm.alerts == []
    assert warm.book.targets["entity:acme"].baseline.negative > 20


def test_an_episode_resolves_after_three_calm_days_even_when_a_mark_jumps_over_them(warm: Timeline) -> None:
    """The episode is resolved within three hours after three calm days, although the next mark is 475 hours later.

    The calm is counted from the last alert of the episode that is not `resolved`.
    """
    warm.feed(*burst(721, 6))
    warm.feed(mark(725, (725,)))
    opened = warm.alerts[-1]
    warm.feed(mark(1_200, (1_200,)))
    resolved = warm.alerts[-1]
    assert resolved.status == "resolved"
    assert resolved.id == opened.id
    hot = max(alert.at for alert in warm.alerts if alert.status != "resolved")
    assert timedelta(0) <= resolved.at - hot - timedelta(days=3) < timedelta(hours=3)


def test_an_episode_that_ends_without_any_news_is_marked_blind(warm: Timeline) -> None:
    """Without any story of the whole stream for a day, the target is not known to be calm: `blind` is set."""
    warm.feed(*burst(721, 6))
    warm.feed(mark(1_200))
    assert warm.alerts[-1].status == "resolved"
    assert warm.alerts[-1].blind
    assert "blind" in warm.alerts[-1].summary


def test_an_episode_that_ends_with_other_news_is_not_blind(warm: Timeline) -> None:
    warm.feed(*burst(721, 6))
    warm.quiet(725, 900)
    assert warm.alerts[-1].status == "resolved"
    assert not warm.alerts[-1].blind


def test_a_second_burst_escalates_and_one_more_story_does_not(warm: Timeline) -> None:
    """Five stories fire, one more a day later adds no alert, and a burst of twelve escalates the same episode."""
    warm.feed(*burst(721, 5))
    warm.quiet(725, 744)
    alerts = len(warm.alerts)
    assert warm.alerts[0].status == "firing"
    warm.feed(*burst(745, 1))
    warm.quiet(746, 760)
    assert len(warm.alerts) == alerts, "one more story is no burst"
    warm.feed(*burst(769, 12, step_h=0.2))
    warm.quiet(775, 780)
    assert warm.alerts[-1].status == "escalated"
    assert warm.alerts[-1].id == warm.alerts[0].id


def test_a_target_can_fire_again_after_its_episode_resolved(warm: Timeline) -> None:
    """A week lies between two bursts. The second alert has another id."""
    warm.feed(*burst(721, 6))
    warm.quiet(725, 900)
    warm.feed(*burst(901, 8))
    warm.quiet(910, 911)
    fired = [alert for alert in warm.alerts if alert.status == "firing"]
    assert len(fired) == 2
    assert fired[0].id != fired[1].id


def test_a_name_that_is_always_in_bad_news_does_not_fire_on_a_usual_day() -> None:
    """The name has four negative stories on each of 40 days. It may fire in the first five days, and not later."""
    timeline = Timeline()
    for day in range(40):
        for hour in range(24):
            at = day * 24 + hour
            records: list[Signal | Mark] = [mark(at, (at,))]
            if hour % 6 == 0:
                records.insert(0, signal(at, source=f"s{hour}"))
            timeline.feed(*records)
    late = [alert for alert in timeline.alerts if alert.at > START + timedelta(days=5)]
    assert late == []


def test_four_times_as_much_news_of_everything_does_not_fire() -> None:
    """From day 30 on, the whole stream has 20 stories an hour instead of 5.

    Before and after, 2 % of its stories are negative ones of the target.
    """
    timeline = Timeline()
    seed = 11
    draw = random.Random(seed)
    for hour in range(24 * 40):
        times = [hour + draw.random() for _ in range(20 if hour > 24 * 30 else 5)]
        records: list[Signal | Mark] = [signal(at, source=str(at)) for at in times if draw.random() < 0.02]
        timeline.feed(*records, mark(hour + 1, tuple(times)))
    late = [alert for alert in timeline.alerts if alert.at > START + timedelta(days=30)]
    assert late == [], f"seed {seed}"


def _crisis() -> list[Signal | Mark]:
    """Returns 700 hours of signals and marks: seven quiet targets, and two bursts of bad news on `entity:acme`.

    The bursts are at hours 401 and 430. Afterwards the quiet targets have negative news.
    """
    records: list[Signal | Mark] = []
    for hour in range(0, 400, 2):
        records += [signal(hour, f"entity:{hour % 7}", 0.3), mark(hour, (hour, hour))]
    records += burst(401, 6) + burst(430, 12, step_h=0.2)
    for hour in range(440, 700, 2):
        records += [signal(hour, f"entity:{hour % 7}", 0.7), mark(hour, (hour, hour))]
    return records


def _run(records: list[Signal | Mark], cuts: random.Random, *, restarts: bool = False, partitions: int = 1) -> Timeline:
    """Returns a timeline that got the records in batches of random size.

    Args:
        cuts: decides the sizes of batches and the times of restarts.
        restarts: whether the task restarts from its state now and then.
        partitions: the number of partitions of `articles` that send marks.
    """
    timeline = Timeline(partitions=partitions)
    start = 0
    while start < len(records):
        size = cuts.randint(1, 40)
        timeline.feed(*records[start : start + size])
        if restarts and cuts.random() < 0.3:
            timeline.restart()
        start += size
    return timeline


@pytest.mark.parametrize("seed", range(5))
def test_batches_and_restarts_have_no_effect_on_results(seed: int) -> None:
    undisturbed = _run(_crisis(), random.Random(1))
    disturbed = _run(_crisis(), random.Random(seed), restarts=True)
    assert undisturbed.alerts, "the crisis must fire"
    assert disturbed.alerts == undisturbed.alerts, f"seed {seed}"
    assert disturbed.trends == undisturbed.trends, f"seed {seed}"


@pytest.mark.parametrize("seed", range(5))
def test_the_partitions_of_articles_have_no_effect_on_alerts(seed: int) -> None:
    """For each mark of the script, three partitions send a mark of that time; a random one has the counts."""
    one_partition = _run(_crisis(), random.Random(1))
    draw = random.Random(seed)
    spread: list[Signal | Mark] = []
    for record in _crisis():
        if isinstance(record, Mark):
            counting = draw.randrange(3)
            spread.append(record.model_copy(update={"from_": counting}))
            spread += [Mark(from_=partition, seen_at=record.seen_at) for partition in range(3) if partition != counting]
        else:
            spread.append(record)
    three_partitions = _run(spread, draw, partitions=3)
    assert three_partitions.alerts == one_partition.alerts, f"seed {seed}"


def test_no_bucket_closes_before_every_partition_has_sent_a_mark() -> None:
    """Of two partitions, only the first has sent marks at first: there is no trend point until the second has."""
    timeline = Timeline(partitions=2)
    timeline.feed(signal(1), mark(1, (1,)), mark(5))
    assert timeline.trends == []
    timeline.feed(mark(5, partition=1))
    assert len(timeline.trends) == 1


def test_a_late_signal_goes_to_the_oldest_open_bucket_and_is_counted() -> None:
    """The signal of hour 1 comes after the mark of hour 2 has closed its bucket.

    Its trend point starts near hour 2. `late_signals` counts the late signals since the last `close`.
    """
    timeline = Timeline()
    timeline.feed(mark(2, (1,)))
    timeline.book.take(signal(1))
    timeline.book.take(mark(3))
    step = timeline.book.close()
    assert [point.stories for point in step.trends] == [1]
    assert step.trends[0].start >= START + timedelta(hours=1.9)
    assert step.late_signals == 1
    assert timeline.book.close().late_signals == 0


def test_a_window_of_too_many_stories_learns_the_oldest_early() -> None:
    """The window keeps at most about `max_stories`, and the baseline has the rest of the 400 stories.

    Whole slots of a quarter of an hour (ten stories) leave, so the window may hold somewhat more than 50.
    """
    timeline = Timeline(settings=AlertingSettings(max_stories=50))
    for index in range(400):
        hour = index / 40
        timeline.feed(signal(hour, negative=0.2 + index % 3 / 3), mark(hour, (hour,)))
    timeline.feed(mark(11))
    target = timeline.book.targets["entity:acme"]
    assert len(target.window) <= 90
    assert target.baseline.stories + target.window.count(0) == pytest.approx(400, rel=0.01)


def test_the_state_stays_bounded() -> None:
    """Of 500 targets with one story each, about `max_targets` remain in the state.

    A new book restored from this state has the same number of targets.
    """
    settings = AlertingSettings(max_targets=20)
    timeline = Timeline(settings=settings)
    for hour in range(500):
        timeline.feed(signal(hour, f"entity:name-{hour}"), mark(hour, (hour,)))
    timeline.feed(mark(2_000, (2_000,)))
    assert len(timeline.book.targets) <= 21
    assert len(timeline.state) < 400
    assert len(Book(settings, 1, timeline.state).targets) == len(timeline.book.targets)


def test_targets_that_are_dropped_because_there_are_too_many_are_counted() -> None:
    """Targets are dropped at the start of a bucket: five of 25 are, in the two steps together."""
    timeline = Timeline(settings=AlertingSettings(max_targets=20))
    for index in range(25):
        timeline.book.take(signal(index / 100, f"entity:name-{index}"))
    timeline.book.take(mark(1))
    steps = [timeline.book.close()]
    timeline.book.take(mark(2, (1.5,)))
    steps.append(timeline.book.close())
    assert sum(step.dropped_targets for step in steps) == 5
    assert len(timeline.book.targets) == 20


def test_an_alert_shows_every_story_that_it_counts(warm: Timeline) -> None:
    """Each alert has evidence of all its stories, up to `max_evidence`. Each story is of another source."""
    warm.feed(*burst(721, 12, step_h=0.3))
    warm.quiet(726, 727)
    statuses = [alert.status for alert in warm.alerts]
    assert "firing" in statuses
    assert "escalated" in statuses
    for alert in warm.alerts:
        assert len(alert.evidence) == min(alert.stories, AlertingSettings().max_evidence)
        assert alert.sources == alert.stories


def _feed_one_day(timeline: Timeline, stories: int, sources: int) -> None:
    """Feeds one day of negative stories, half an hour apart, on a name that had one every sixth day for a month.

    Args:
        timeline: has been fed up to hour 720.
        stories: the number of stories of that day.
        sources: the number of sources, which report in turn.
    """
    for day in range(0, 30, 6):
        hour = 721 + day * 24
        timeline.feed(signal(hour, negative=0.9), mark(hour, (hour,)))
        timeline.quiet(hour + 1, hour + 24 * 6 - 1)
    for index in range(stories):
        at_h = 1_445 + index / 2
        timeline.feed(signal(at_h, source=f"source-{index % sources}"), mark(at_h, (at_h,)))
    timeline.quiet(1_452, 1_453)


def test_stories_of_many_sources_fire_earlier_than_stories_of_one() -> None:
    """Compares after how many stories of one day the alert fires: stories of five sources, and stories of one."""

    def stories_to_fire(sources: int) -> int:
        """Returns the number of stories of one bad day after which the alert fires."""
        timeline = Timeline()
        timeline.quiet(0, 720)
        _feed_one_day(timeline, stories=12, sources=sources)
        return timeline.alerts[0].stories

    assert stories_to_fire(5) < stories_to_fire(1)


def test_eight_negative_stories_of_three_sources_in_a_day_fire(warm: Timeline) -> None:
    """The one alert fires with the sixth story or earlier."""
    _feed_one_day(warm, stories=8, sources=3)
    fired = [alert for alert in warm.alerts if alert.status == "firing"]
    assert len(fired) == 1
    assert fired[0].stories <= 6


def test_reprints_by_other_sites_have_no_effect_on_the_surprise() -> None:
    """Surprise is -log10 of the chance of so many negative stories; a reprint has the id of its story."""

    def surprises(sites: int) -> list[float]:
        """Returns the surprise of each alert about twelve bad stories of a wire, each reprinted by so many sites."""
        timeline = Timeline()
        timeline.quiet(0, 720)
        for index in range(12):
            hour = 721 + index / 3
            story = content_id("story", str(index)) * 2
            timeline.feed(signal(hour, story=story, source="wire"), mark(hour, (hour,)))
            for site in range(sites):
                reprint_h = hour + (site + 1) / 100
                timeline.feed(signal(reprint_h, story=story, source=f"site-{site}"), mark(reprint_h))
        timeline.quiet(726, 727)
        return [alert.surprise for alert in timeline.alerts]

    assert surprises(0)
    assert surprises(9) == surprises(0)
