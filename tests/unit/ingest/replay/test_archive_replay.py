"""A replay tells the archive's time, publishes each story once, and is the same however often it was interrupted."""

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


def archive(tmp_path: Path, offsets_s: list[float], name: str = "news.jsonl", **changes: dict[int, object]) -> Path:
    rows = [
        {
            "published_at": (START + timedelta(seconds=offset)).isoformat(),
            "title": f"Globex reports the loss of plant number {n}",
            "url": f"https://news.example/{n}",
            "summary": f"The company said on Thursday that plant number {n} was lost.",
        }
        for n, offset in enumerate(offsets_s)
    ]
    lines = [json.dumps(row) for row in rows]
    for n, line in changes.get("lines", {}).items():
        lines[n] = str(line)
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Bus]:
    bus = await open_bus(settings)
    try:
        yield bus
    finally:
        await bus.close()


async def logged(bus: Bus) -> list[list[Article | Tick]]:
    """All that stands on each partition of `articles`."""
    partitions = []
    for partition in range(bus.partitions(Topic.ARTICLES)):
        messages = await bus.read(Topic.ARTICLES, partition, 0, 100_000)
        partitions.append([ARTICLES.validate_json(message.value) for message in messages])
    return partitions


async def run(settings: Settings, path: Path, **options: object) -> tuple[ReplayReport, list[list[Article | Tick]]]:
    async with opened(settings) as bus:
        report = await replay(bus, path, settings, **options)  # type: ignore[arg-type]
        return report, await logged(bus)


def articles(log: list[list[Article | Tick]]) -> list[Article]:
    return sorted((r for part in log for r in part if isinstance(r, Article)), key=lambda a: (a.seen_at, a.url))


def ticks(part: list[Article | Tick]) -> list[float]:
    return [(r.seen_at - START).total_seconds() for r in part if isinstance(r, Tick)]


async def test_seen_at_is_published_at_and_ticks_tell_the_archives_time(settings: Settings, tmp_path: Path) -> None:
    report, log = await run(settings, archive(tmp_path, [0, 1, 4, 5, 9, 100_000]))
    assert (report.stories, report.published, report.bad) == (6, 6, 0)
    assert all(a.seen_at == a.published_at and not a.backfill and a.language == "en" for a in articles(log))
    assert [a.source for a in articles(log)] == ["news.example"] * 6
    closing = 100_000 + settings.alerting.bucket_s + settings.alerting.lateness_s + 61
    for part in log:
        assert ticks(part) == [0, 5, 100_000, closing]
        assert [r.seen_at for r in part] == sorted(r.seen_at for r in part)


async def test_time_never_goes_back_and_what_comes_much_too_late_is_backfill(
    settings: Settings, tmp_path: Path
) -> None:
    _, log = await run(settings, archive(tmp_path, [50_000, 49_000, 50_000 - 21_601, 50_001]))
    first, *others = sorted(articles(log), key=lambda a: a.url)
    assert [(a.seen_at - START).total_seconds() for a in [first, *others]] == [50_000, 50_000, 50_000, 50_001]
    assert [(a.published_at - START).total_seconds() for a in others] == [49_000, 50_000 - 21_601, 50_001]
    assert [a.backfill for a in others] == [False, True, False]


async def test_a_bad_line_goes_to_the_dead_letters_with_its_number_and_the_rest_is_read(
    settings: Settings, tmp_path: Path
) -> None:
    path = archive(tmp_path, [0, 1, 2, 3], lines={1: '{"title": "no time"}', 2: "broken {"})
    async with opened(settings) as bus:
        report = await replay(bus, path, settings)
        letters = [DeadLetter.model_validate_json(m.value) for m in await bus.read(Topic.DEAD_LETTERS, 0, 0, 10)]
        assert (report.stories, report.published, report.bad) == (4, 2, 2)
    assert [(x.stage, x.topic, x.partition, x.offset) for x in letters] == [
        ("replay", "archive:news.jsonl", 0, 2),
        ("replay", "archive:news.jsonl", 0, 3),
    ]
    assert "line 2: published_at: Field required" in letters[0].error
    assert letters[1].record == "broken {"


async def test_a_story_that_comes_again_is_published_again_only_where_it_changed(
    settings: Settings, tmp_path: Path
) -> None:
    path = archive(tmp_path, [0, 1, 2])
    lines = path.read_text(encoding="utf-8").splitlines()
    changed = lines[0].replace("was lost", "burnt down")
    path.write_text("\n".join([*lines, lines[1], changed, lines[0]]), encoding="utf-8")
    report, log = await run(settings, path)
    assert (report.stories, report.published) == (6, 4)
    assert sorted((a.url[-1], a.version) for a in articles(log)) == [("0", 1), ("0", 2), ("1", 1), ("2", 1)]


async def test_limit_counts_stories_from_the_beginning_and_a_second_run_publishes_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    path = archive(tmp_path, [n * 60.0 for n in range(250)])
    report, log = await run(settings, path, limit=120)
    assert (report.stories, report.published, report.nothing_new) == (120, 120, False)
    again, same = await run(settings, path, limit=120)
    assert (again.stories, again.published, again.nothing_new) == (0, 0, True)
    assert same == log
    rest, _ = await run(settings, path)
    assert (rest.stories, rest.resumed_at) == (130, 120)
    end, final = await run(settings, path)
    assert end.nothing_new
    assert len(articles(final)) == 250


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("kills", [1, 2])
async def test_a_replay_that_was_killed_leaves_the_same_log_as_one_that_was_not(
    settings: Settings, tmp_path: Path, kills: int
) -> None:
    path = archive(tmp_path, [n * 7.0 % 1_000 + n for n in range(350)], lines={17: "bad", 205: "{}"})
    undisturbed = settings.model_copy(update={"data": tmp_path / "undisturbed"})
    _, wanted = await run(undisturbed, path)

    def stop(progress: ReplayProgress) -> None:
        raise KilledError

    for _ in range(kills):
        with pytest.raises(KilledError):
            await run(settings, path, progress=stop)
    report, log = await run(settings, path)
    assert report.resumed_at == 100 * kills
    assert log == wanted


async def test_another_salt_spreads_the_same_articles_differently(settings: Settings, tmp_path: Path) -> None:
    path = archive(tmp_path, [float(n) for n in range(60)])
    _, plain = await run(settings, path)
    _, salted = await run(settings.model_copy(update={"data": tmp_path / "salted"}), path, partition_salt=1)
    assert articles(plain) == articles(salted)
    assert [len(part) for part in plain] != [len(part) for part in salted] or plain != salted
    assert [ticks(part) for part in plain] == [ticks(part) for part in salted]


async def test_a_second_archive_does_not_turn_time_back(settings: Settings, tmp_path: Path) -> None:
    await run(settings, archive(tmp_path, [100_000], "late.jsonl"))
    _, log = await run(settings, archive(tmp_path, [0.0, 10.0], "early.jsonl", lines={0: archive_line(5)}))
    for part in log:
        assert [r.seen_at for r in part] == sorted(r.seen_at for r in part)


def archive_line(n: int) -> str:
    return json.dumps(
        {"published_at": START.isoformat(), "title": f"An early story {n}", "url": f"https://e.example/{n}"}
    )


async def test_speed_is_archive_seconds_a_second(settings: Settings, tmp_path: Path) -> None:
    began = time.monotonic()
    report, _ = await run(settings, archive(tmp_path, [0, 60, 120]), speed=300.0)
    assert 0.4 <= time.monotonic() - began < 20
    assert report.published == 3


async def test_progress_counts_up_to_the_whole(settings: Settings, tmp_path: Path) -> None:
    seen: list[ReplayProgress] = []
    await run(settings, archive(tmp_path, [float(n) for n in range(250)]), progress=seen.append)
    assert [p.stories for p in seen] == [100, 200, 250, 250]
    assert seen[-1].read_bytes == seen[-1].size_bytes


async def test_what_is_no_archive_is_refused_before_anything_is_written(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "news.jsonl.gz"
    path.write_text("{}", encoding="utf-8")
    async with opened(settings) as bus:
        with pytest.raises(RiskwireError, match="not compressed as such"):
            await replay(bus, path, settings)
        assert not any((await bus.records()).values())


async def test_an_empty_archive_tells_no_time(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(b"")
    report, log = await run(settings, path)
    assert (report.stories, report.seen_at, log) == (0, None, [[], []])


async def test_one_date_in_the_future_is_a_bad_line_and_does_not_carry_the_clock_away(
    settings: Settings, tmp_path: Path
) -> None:
    ahead = (datetime.now(UTC) - START).total_seconds() + 40 * 86_400
    report, _ = await run(settings, archive(tmp_path, [0, 60, ahead, 120]))
    assert (report.published, report.bad) == (3, 1)
    assert report.seen_at is not None
    assert report.seen_at < START + timedelta(days=1)


async def test_an_archive_that_begins_in_the_future_plays_there(settings: Settings, tmp_path: Path) -> None:
    ahead = (datetime.now(UTC) - START).total_seconds() + 40 * 86_400
    report, _ = await run(settings, archive(tmp_path, [ahead, ahead + 60]))
    assert (report.published, report.bad) == (2, 0)


async def refused(
    settings: Settings, path: Path, most: int, letters: int = 10**9
) -> tuple[ReplayReport, list[list[Article | Tick]], list[DeadLetter]]:
    """A replay onto a bus whose topics take no larger records than these, in bytes."""
    async with opened(settings) as bus:
        narrow = RefusingBus(bus, {"articles": most, "dead-letters": letters})
        report = await replay(narrow, path, settings)  # type: ignore[arg-type]
        found = await bus.read(Topic.DEAD_LETTERS, 0, 0, 1_000)
        return report, await logged(bus), [DeadLetter.model_validate_json(one.value) for one in found]


def line(n: int, summary: str = "It was said on Thursday.", url: str = "") -> str:
    moment = START + timedelta(seconds=n)
    return json.dumps(
        {"published_at": moment.isoformat(), "title": f"Story {n}", "url": url or f"https://e.example/{n}"}
        | {"summary": summary}
    )


async def test_an_article_that_is_too_large_is_shortened_and_all_others_come_out_whole(
    settings: Settings, tmp_path: Path
) -> None:
    path = archive(tmp_path, [float(n) for n in range(150)], lines={7: line(7, "Much was said. " * 1_000)})
    report, log, letters = await refused(settings, path, 4_000)
    assert (report.stories, report.published, report.bad, letters) == (150, 150, 0, [])
    (cut,) = [one for one in articles(log) if one.cut]
    assert cut.title == "Story 7"
    assert ("Much was said. " * 1_000).startswith(cut.text)
    assert cut.text

    roomy = settings.model_copy(update={"data": tmp_path / "roomy"})
    _, wanted, _ = await refused(roomy, path, 10**9)
    for part, other in zip(log, wanted, strict=True):
        assert [one for one in part if one != cut] == [one for one in other if getattr(one, "id", None) != cut.id]


@pytest.mark.parametrize("bad", [[0], [5], [0, 1], [98, 99, 100], [149], [3, 100, 149]])
async def test_a_line_that_the_bus_refuses_costs_only_itself_and_is_counted_and_not_tried_again(
    settings: Settings, tmp_path: Path, bad: list[int]
) -> None:
    long = {n: line(n, url=f"https://e.example/{n}/{'x' * 1_000}") for n in bad}
    path = archive(tmp_path, [float(n) for n in range(150)], lines=long)
    report, log, letters = await refused(settings, path, 900)
    assert (report.stories, report.published, report.bad) == (150, 150 - len(bad), len(bad))
    assert len(articles(log)) == 150 - len(bad)
    assert [(one.stage, one.topic, one.offset, one.record) for one in letters] == [
        ("replay", "archive:news.jsonl", n + 1, long[n]) for n in bad
    ]
    assert all("refuse a record" in one.error for one in letters)
    for part in log:
        assert ticks(part) == [*range(0, 150, 5), 149 + 61 + 20]
        assert [one.seen_at for one in part] == sorted(one.seen_at for one in part)
    again, same, _ = await refused(settings, path, 900)
    assert (again.nothing_new, same) == (True, log)


async def test_a_dead_letter_that_is_refused_ends_nothing(settings: Settings, tmp_path: Path) -> None:
    path = archive(tmp_path, [float(n) for n in range(50)], lines={20: "broken {" + "x" * 50_000})
    report, log, letters = await refused(settings, path, 10**9, letters=15_000)
    assert (report.published, report.bad, len(articles(log))) == (49, 1, 49)
    assert [(one.offset, one.cut) for one in letters] == [(21, True)]


async def test_where_every_line_is_refused_it_ends_and_goes_on_there_once_it_is_mended(
    settings: Settings, tmp_path: Path
) -> None:
    path = archive(tmp_path, [float(n) for n in range(60)])
    with pytest.raises(RiskwireError, match=rf"{MAX_REFUSED_IN_A_ROW} articles in a row.*refuse a record"):
        await refused(settings, path, 150)
    report, log, letters = await refused(settings, path, 10**9)
    assert (report.published, len(articles(log)), letters) == (60, 60, [])


@pytest.mark.parametrize("kills", [1, 2])
async def test_a_replay_with_refused_lines_that_was_killed_counts_the_same(
    settings: Settings, tmp_path: Path, kills: int
) -> None:
    long = {n: line(n, url=f"https://e.example/{n}/{'x' * 1_000}") for n in (3, 99, 100, 204)}
    path = archive(tmp_path, [float(n) for n in range(250)], lines=long)

    def stop(progress: ReplayProgress) -> None:
        raise KilledError

    for _ in range(kills):
        async with opened(settings) as bus:
            with pytest.raises(KilledError):
                await replay(RefusingBus(bus, {"articles": 900}), path, settings, progress=stop)  # type: ignore[arg-type]
    seen: list[ReplayProgress] = []
    async with opened(settings) as bus:
        await replay(RefusingBus(bus, {"articles": 900}), path, settings, progress=seen.append)  # type: ignore[arg-type]
        assert len(await bus.read(Topic.DEAD_LETTERS, 0, 0, 100)) == 4
        assert len(articles(await logged(bus))) == 246
    assert (seen[-1].stories, seen[-1].published, seen[-1].bad) == (250, 246, 4)
