"""A replay publishes each story once, in the time of the archive; an interrupted replay leaves the same records."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from refusing import RefusingBus

from riskwire.bus import Bus
from riskwire.bus.open import open_bus
from riskwire.errors import RiskwireError
from riskwire.ingest.replay.run import ReplayProgress, ReplayReport, replay
from riskwire.pipeline import Topic
from riskwire.records import ARTICLES, Article, DeadLetter, Tick
from riskwire.settings import Settings
from riskwire.stage import MAX_REFUSED_IN_A_ROW

START = datetime(2009, 1, 1, tzinfo=UTC)
UNLIMITED = 10**9

Records = list[list[Article | Tick]]
"""The records of `articles`, by partition."""


def write_archive(
    tmp_path: Path, offsets_s: list[float], name: str = "news.jsonl", lines: dict[int, str] | None = None
) -> Path:
    """Writes an archive with one story per offset in seconds from `START`, and returns its path.

    Args:
        lines: raw lines that replace the stories with these indexes.
    """
    stories = [
        {
            "published_at": (START + timedelta(seconds=offset_s)).isoformat(),
            "title": f"Globex reports the loss of plant number {number}",
            "url": f"https://news.example/{number}",
            "summary": f"The company said on Thursday that plant number {number} was lost.",
        }
        for number, offset_s in enumerate(offsets_s)
    ]
    rows = [json.dumps(story) for story in stories]
    for number, line in (lines or {}).items():
        rows[number] = line
    path = tmp_path / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def story_line(number: int, summary: str = "It was said on Thursday.", url: str = "") -> str:
    """Returns a line of an archive: a story as JSON, published `number` seconds after `START`."""
    story = {
        "published_at": (START + timedelta(seconds=number)).isoformat(),
        "title": f"Story {number}",
        "url": url or f"https://e.example/{number}",
        "summary": summary,
    }
    return json.dumps(story)


def line_with_long_url(number: int) -> str:
    """Returns the line of an article that is too large even without text."""
    return story_line(number, url=f"https://e.example/{number}/{'x' * 1_000}")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Bus]:
    """Yields the bus of the settings, and closes it at the end."""
    bus = await open_bus(settings)
    try:
        yield bus
    finally:
        await bus.close()


async def records_of(bus: Bus) -> Records:
    """Returns the records of each partition of `articles`."""
    partitions = []
    for partition in range(bus.partitions(Topic.ARTICLES)):
        messages = await bus.read(Topic.ARTICLES, partition, 0, 100_000)
        partitions.append([ARTICLES.validate_json(message.value) for message in messages])
    return partitions


async def dead_letters_of(bus: Bus) -> list[DeadLetter]:
    messages = await bus.read(Topic.DEAD_LETTERS, 0, 0, 1_000)
    return [DeadLetter.model_validate_json(message.value) for message in messages]


async def run(settings: Settings, path: Path, **options: object) -> tuple[ReplayReport, Records]:
    """Replays an archive onto a bus; returns the report and the records of each partition.

    Args:
        options: the keyword arguments of `replay`.
    """
    async with opened(settings) as bus:
        report = await replay(bus, path, settings, **options)  # type: ignore[arg-type]
        return report, await records_of(bus)


async def run_on_refusing_bus(
    settings: Settings, path: Path, max_article: int, max_letter: int = UNLIMITED
) -> tuple[ReplayReport, Records, list[DeadLetter]]:
    """Replays an archive onto a bus that refuses larger articles and dead letters than these, in bytes.

    Returns:
        the report, the records of each partition of `articles`, and the dead letters.
    """
    async with opened(settings) as bus:
        refusing = RefusingBus(bus, {"articles": max_article, "dead-letters": max_letter})
        report = await replay(refusing, path, settings)  # type: ignore[arg-type]
        return report, await records_of(bus), await dead_letters_of(bus)


def articles_of(records: Records) -> list[Article]:
    articles = [record for partition in records for record in partition if isinstance(record, Article)]
    return sorted(articles, key=lambda article: (article.seen_at, article.url))


def ticks_of(partition: list[Article | Tick]) -> list[float]:
    """Returns the times of the ticks, in seconds after `START`."""
    return [(record.seen_at - START).total_seconds() for record in partition if isinstance(record, Tick)]


def assert_in_order_of_time(records: Records) -> None:
    """Fails if the records of a partition are not in the order of their times."""
    for partition in records:
        times = [record.seen_at for record in partition]
        assert times == sorted(times)


async def test_seen_at_is_published_at_and_ticks_follow_the_time_of_the_archive(
    settings: Settings, tmp_path: Path
) -> None:
    """Six stories, at these seconds after `START`. Each partition gets a tick at most every 5 s, the first at 0.

    A closing tick after the last story lets every bucket and minute of the alert stage end.
    """
    report, records = await run(settings, write_archive(tmp_path, [0, 1, 4, 5, 9, 100_000]))
    assert (report.stories, report.published, report.bad) == (6, 6, 0)
    for article in articles_of(records):
        assert article.seen_at == article.published_at
        assert not article.backfill
        assert (article.language, article.source) == ("en", "news.example")
    closing_tick = 100_000 + settings.alerting.bucket_s + settings.alerting.lateness_s + 61
    for partition in records:
        assert ticks_of(partition) == [0, 5, 100_000, closing_tick]
    assert_in_order_of_time(records)


async def test_time_does_not_go_back_and_a_much_older_story_is_backfill(settings: Settings, tmp_path: Path) -> None:
    """A story that is older than an earlier line is seen at the time already reached.

    More than 21,600 s (six hours) older, it is backfill.
    """
    _, records = await run(settings, write_archive(tmp_path, [50_000, 49_000, 50_000 - 21_601, 50_001]))
    articles = sorted(articles_of(records), key=lambda article: article.url)
    assert [(article.seen_at - START).total_seconds() for article in articles] == [50_000, 50_000, 50_000, 50_001]
    published = [(article.published_at - START).total_seconds() for article in articles]
    assert published == [50_000, 49_000, 50_000 - 21_601, 50_001]
    assert [article.backfill for article in articles] == [False, False, True, False]


async def test_a_bad_line_becomes_a_dead_letter_and_the_other_lines_are_published(
    settings: Settings, tmp_path: Path
) -> None:
    """The offset of a dead letter is the number of its line, from 1."""
    path = write_archive(tmp_path, [0, 1, 2, 3], lines={1: '{"title": "no time"}', 2: "broken {"})
    async with opened(settings) as bus:
        report = await replay(bus, path, settings)
        letters = await dead_letters_of(bus)
    assert (report.stories, report.published, report.bad) == (4, 2, 2)
    assert [(letter.stage, letter.topic, letter.partition, letter.offset) for letter in letters] == [
        ("replay", "archive:news.jsonl", 0, 2),
        ("replay", "archive:news.jsonl", 0, 3),
    ]
    assert "line 2: published_at: Field required" in letters[0].error
    assert letters[1].record == "broken {"


async def test_a_repeated_story_is_published_again_only_if_its_text_changed(settings: Settings, tmp_path: Path) -> None:
    """Story 1 is repeated. Story 0 comes again with another text (version 2), then with its first text."""
    path = write_archive(tmp_path, [0, 1, 2])
    lines = path.read_text(encoding="utf-8").splitlines()
    changed = lines[0].replace("was lost", "burnt down")
    path.write_text("\n".join([*lines, lines[1], changed, lines[0]]), encoding="utf-8")
    report, records = await run(settings, path)
    assert (report.stories, report.published) == (6, 4)
    versions = sorted((article.url[-1], article.version) for article in articles_of(records))
    assert versions == [("0", 1), ("0", 2), ("1", 1), ("2", 1)]


async def test_a_limit_counts_from_the_beginning_and_a_repeated_run_publishes_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    """A run continues where an earlier run of the same archive has ended: after 120 of 250 stories."""
    path = write_archive(tmp_path, [number * 60.0 for number in range(250)])
    report, records = await run(settings, path, limit=120)
    assert (report.stories, report.published, report.nothing_new) == (120, 120, False)
    repeated, same_records = await run(settings, path, limit=120)
    assert (repeated.stories, repeated.published, repeated.nothing_new) == (0, 0, True)
    assert same_records == records
    remainder, _ = await run(settings, path)
    assert (remainder.stories, remainder.resumed_at) == (130, 120)
    last, all_records = await run(settings, path)
    assert last.nothing_new
    assert len(articles_of(all_records)) == 250


class KilledError(Exception):
    """Ends a replay after a step, as a killed process would."""


def kill(progress: ReplayProgress) -> None:
    raise KilledError


@pytest.mark.parametrize("kills", [1, 2])
async def test_a_killed_replay_leaves_the_same_records_as_an_undisturbed_one(
    settings: Settings, tmp_path: Path, kills: int
) -> None:
    """A step has 100 lines, and each killed run commits one. Two of the lines are bad.

    The records of the topic `articles` are compared.

    Args:
        kills: the number of runs that are killed.
    """
    offsets_s = [number * 7.0 % 1_000 + number for number in range(350)]
    path = write_archive(tmp_path, offsets_s, lines={17: "bad", 205: "{}"})
    _, expected = await run(settings.model_copy(update={"data": tmp_path / "undisturbed"}), path)
    for _ in range(kills):
        with pytest.raises(KilledError):
            await run(settings, path, progress=kill)
    report, records = await run(settings, path)
    assert report.resumed_at == 100 * kills
    assert records == expected


async def test_a_different_salt_distributes_the_same_articles_differently(settings: Settings, tmp_path: Path) -> None:
    """The articles are on other partitions; the ticks of each partition are the same."""
    path = write_archive(tmp_path, [float(number) for number in range(60)])
    _, unsalted = await run(settings, path)
    _, salted = await run(settings.model_copy(update={"data": tmp_path / "salted"}), path, partition_salt=1)
    assert articles_of(unsalted) == articles_of(salted)
    assert unsalted != salted
    assert [ticks_of(partition) for partition in unsalted] == [ticks_of(partition) for partition in salted]


async def test_an_older_archive_does_not_turn_time_back(settings: Settings, tmp_path: Path) -> None:
    """The second archive is 100,000 s older than the first, and its articles are not seen earlier."""
    await run(settings, write_archive(tmp_path, [100_000], "late.jsonl"))
    _, records = await run(settings, write_archive(tmp_path, [0.0, 10.0], "early.jsonl", {0: story_line(0)}))
    assert_in_order_of_time(records)


async def test_speed_is_archive_seconds_per_real_second(settings: Settings, tmp_path: Path) -> None:
    """120 s of the archive at speed 300 take at least 0.4 s."""
    started = time.monotonic()
    report, _ = await run(settings, write_archive(tmp_path, [0, 60, 120]), speed=300.0)
    assert 0.4 <= time.monotonic() - started < 20
    assert report.published == 3


async def test_progress_is_reported_after_each_step(settings: Settings, tmp_path: Path) -> None:
    """A step has 100 lines. The last report is of the closing tick."""
    reports: list[ReplayProgress] = []
    offsets_s = [float(number) for number in range(250)]
    await run(settings, write_archive(tmp_path, offsets_s), progress=reports.append)
    assert [report.stories for report in reports] == [100, 200, 250, 250]
    assert reports[-1].read_bytes == reports[-1].size_bytes


async def test_a_file_that_is_not_an_archive_is_refused_before_anything_is_written(
    settings: Settings, tmp_path: Path
) -> None:
    """The file has the suffix .gz and is not compressed."""
    path = tmp_path / "news.jsonl.gz"
    path.write_text("{}", encoding="utf-8")
    async with opened(settings) as bus:
        with pytest.raises(RiskwireError, match="not compressed as such"):
            await replay(bus, path, settings)
        assert not any((await bus.records()).values())


async def test_an_archive_of_blank_lines_publishes_nothing(settings: Settings, tmp_path: Path) -> None:
    """Both partitions are empty, and there is no closing tick. It is too long for a look at its beginning to tell."""
    path = tmp_path / "blank.jsonl"
    path.write_bytes(b"\n" * 5_000_000)
    report, records = await run(settings, path)
    assert (report.stories, report.seen_at, records) == (0, None, [[], []])
    assert report.nothing_readable


async def test_an_archive_without_a_readable_line_ends_at_once(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_bytes(b'{"date": "2009-01-01", "headline": "x"}\n' * 100_000)
    with pytest.raises(RiskwireError, match=r"first 1000 lines can be read\..*its fields are date, headline"):
        await run(settings, path)


async def test_dates_at_the_ends_of_the_calendar_are_bad_lines(settings: Settings, tmp_path: Path) -> None:
    """Of the latest date that is read, also the closing tick, which is later, and a second run find room."""
    ends = ["0001-01-01T00:00:00Z", "9998-12-31T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"]
    dates = ["9997-12-29T00:00:00Z", *ends]
    path = tmp_path / "ends.jsonl"
    path.write_text("\n".join(json.dumps({"published_at": date, "title": "x"}) for date in dates))
    report, _ = await run(settings, path)
    assert (report.stories, report.bad, report.published) == (5, 4, 1)
    report, _ = await run(settings, path)
    assert report.nothing_new


def offset_40_days_ahead() -> float:
    return (datetime.now(UTC) - START).total_seconds() + 40 * 86_400


async def test_a_single_date_in_the_future_is_a_bad_line_and_does_not_advance_the_clock(
    settings: Settings, tmp_path: Path
) -> None:
    """The third of four stories is dated 40 days after the present; the others are of one day in 2009."""
    report, _ = await run(settings, write_archive(tmp_path, [0, 60, offset_40_days_ahead(), 120]))
    assert (report.published, report.bad) == (3, 1)
    assert report.seen_at is not None
    assert report.seen_at < START + timedelta(days=1)


async def test_an_archive_that_begins_in_the_future_is_published(settings: Settings, tmp_path: Path) -> None:
    """The first story is dated 40 days after the present, as in a made-up archive, so no date is too late."""
    start_s = offset_40_days_ahead()
    report, _ = await run(settings, write_archive(tmp_path, [start_s, start_s + 60]))
    assert (report.published, report.bad) == (2, 0)


async def test_an_article_that_is_too_large_is_shortened_and_other_articles_are_not(
    settings: Settings, tmp_path: Path
) -> None:
    """Story 7 has a text of 15,000 characters, and the bus takes articles of 4,000 bytes.

    All other records are as on a bus without a limit.
    """
    long_text = "Much was said. " * 1_000
    path = write_archive(tmp_path, [float(number) for number in range(150)], lines={7: story_line(7, long_text)})
    report, records, letters = await run_on_refusing_bus(settings, path, 4_000)
    assert (report.stories, report.published, report.bad, letters) == (150, 150, 0, [])
    (shortened,) = [article for article in articles_of(records) if article.cut]
    assert shortened.title == "Story 7"
    assert shortened.text
    assert long_text.startswith(shortened.text)

    unlimited = settings.model_copy(update={"data": tmp_path / "unlimited"})
    _, expected, _ = await run_on_refusing_bus(unlimited, path, UNLIMITED)
    for partition, expected_partition in zip(records, expected, strict=True):
        assert [record for record in partition if record != shortened] == [
            record for record in expected_partition if getattr(record, "id", None) != shortened.id
        ]


@pytest.mark.parametrize("refused", [[0], [5], [0, 1], [98, 99, 100], [149], [3, 100, 149]], ids=str)
async def test_a_refused_article_becomes_a_dead_letter_and_is_not_published_again(
    settings: Settings, tmp_path: Path, refused: list[int]
) -> None:
    """The stories in `refused` have an address that makes their records larger than the limit of 900 bytes.

    Ticks come every 5 s of the archive as if nothing was refused. A second run finds nothing new.
    """
    lines = {number: line_with_long_url(number) for number in refused}
    path = write_archive(tmp_path, [float(number) for number in range(150)], lines=lines)
    report, records, letters = await run_on_refusing_bus(settings, path, 900)
    assert (report.stories, report.published, report.bad) == (150, 150 - len(refused), len(refused))
    assert len(articles_of(records)) == 150 - len(refused)
    assert [(letter.stage, letter.topic, letter.offset, letter.record) for letter in letters] == [
        ("replay", "archive:news.jsonl", number + 1, lines[number]) for number in refused
    ]
    assert all("refuse a record" in letter.error for letter in letters)
    for partition in records:
        assert ticks_of(partition) == [*range(0, 150, 5), 149 + 61 + 20]
    assert_in_order_of_time(records)
    repeated, same_records, _ = await run_on_refusing_bus(settings, path, 900)
    assert (repeated.nothing_new, same_records) == (True, records)


async def test_a_refused_dead_letter_is_cut_and_the_replay_continues(settings: Settings, tmp_path: Path) -> None:
    """The line at index 20 is bad and has 50,000 characters; the bus takes dead letters of 15,000 bytes."""
    path = write_archive(tmp_path, [float(number) for number in range(50)], lines={20: "broken {" + "x" * 50_000})
    report, records, letters = await run_on_refusing_bus(settings, path, UNLIMITED, max_letter=15_000)
    assert (report.published, report.bad, len(articles_of(records))) == (49, 1, 49)
    assert [(letter.offset, letter.cut) for letter in letters] == [(21, True)]


async def test_a_replay_stops_without_loss_when_every_article_is_refused(settings: Settings, tmp_path: Path) -> None:
    """The limit of 150 bytes is below every article. A later run without a limit publishes all 60."""
    path = write_archive(tmp_path, [float(number) for number in range(60)])
    with pytest.raises(RiskwireError, match=rf"{MAX_REFUSED_IN_A_ROW} records in a row.*refuse a record"):
        await run_on_refusing_bus(settings, path, 150)
    report, records, letters = await run_on_refusing_bus(settings, path, UNLIMITED)
    assert (report.published, len(articles_of(records)), letters) == (60, 60, [])


@pytest.mark.parametrize("kills", [1, 2])
async def test_a_killed_replay_counts_refused_articles_once(settings: Settings, tmp_path: Path, kills: int) -> None:
    """Four of 250 stories are larger than the limit of 900 bytes, at the ends and in the middle of steps of 100 lines.

    Args:
        kills: the number of runs that are killed after a step.
    """
    lines = {number: line_with_long_url(number) for number in (3, 99, 100, 204)}
    path = write_archive(tmp_path, [float(number) for number in range(250)], lines=lines)
    for _ in range(kills):
        async with opened(settings) as bus:
            with pytest.raises(KilledError):
                await replay(RefusingBus(bus, {"articles": 900}), path, settings, progress=kill)  # type: ignore[arg-type]
    reports: list[ReplayProgress] = []
    async with opened(settings) as bus:
        await replay(RefusingBus(bus, {"articles": 900}), path, settings, progress=reports.append)  # type: ignore[arg-type]
        assert len(await dead_letters_of(bus)) == 4
        assert len(articles_of(await records_of(bus))) == 246
    assert (reports[-1].stories, reports[-1].published, reports[-1].bad) == (250, 246, 4)
