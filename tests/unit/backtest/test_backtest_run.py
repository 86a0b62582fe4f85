"""A whole back-test on a small archive: the alerts of the stages, the files, and the second run from the cache."""

from __future__ import annotations

import json
from pathlib import Path

from back_test import START, Archive

from riskwire.alerting.events import load_rules
from riskwire.backtest.alert_run import run_alerting
from riskwire.backtest.archive_signals import read_archive
from riskwire.backtest.event_list import ListedEvent
from riskwire.backtest.files import write_files
from riskwire.backtest.report import draw
from riskwire.backtest.results import BacktestResults
from riskwire.backtest.run import Backtest
from riskwire.backtest.sample import draw_sample, write_sample
from riskwire.entities.watchlist import Watchlist
from riskwire.records import Mark, Signal
from riskwire.settings import Settings

TITLES = (
    "Acme Corp in bankruptcy",
    "Globex Inc gains",
    "Acme Corp fraud <script>alert(1)</script>",
    "Initech profit growth",
)
EVENTS = [
    ListedEvent(0, START.date(), "Acme Corp", 3, "bankruptcy", "files <b>at last</b>"),
    ListedEvent(3, START.date(), "Hooli", 2, "crime", "charged"),
]


async def backtest_of(archive: Path, settings: Settings, cache: Path) -> Backtest:
    log = await read_archive(archive, settings, Watchlist(), cache)
    families = {event_type: place.family for event_type, place in load_rules().places.items()}
    return Backtest.of(log, Watchlist(), EVENTS, families)


async def test_a_second_run_takes_the_signals_from_the_cache(
    archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    path = archive(*TITLES)
    first = await read_archive(path, settings, Watchlist(), tmp_path / "cache")
    second = await read_archive(path, settings, Watchlist(), tmp_path / "cache")
    assert first == second
    assert first.summary.read == 5
    assert list(first.summary.lines.values()) == [0, 1, 2, 3]
    records = list(second.records())
    assert records == list(first.records())
    assert {record.target for record in records if isinstance(record, Signal)} >= {"entity:name:acme", "market"}


async def test_other_settings_of_the_signals_make_new_signals_from_the_same_readings(
    archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    path = archive(*TITLES)
    first = await read_archive(path, settings, Watchlist(), tmp_path / "cache")
    titles_only = settings.model_copy(update={"inference": settings.inference.model_copy(update={"max_sentences": 1})})
    second = await read_archive(path, titles_only, Watchlist(), tmp_path / "cache")
    assert second.path != first.path
    assert second.summary.read == 0


async def test_a_damaged_or_unfinished_log_is_made_again(archive: Archive, settings: Settings, tmp_path: Path) -> None:
    path = archive(*TITLES)
    first = await read_archive(path, settings, Watchlist(), tmp_path / "cache")
    for file in (tmp_path / "cache").glob("*.summary.json"):
        file.write_text("{")
    again = await read_archive(path, settings, Watchlist(), tmp_path / "cache")
    assert list(again.records()) == list(first.records())


async def test_time_runs_on_until_the_last_bucket_has_closed(
    archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    """Otherwise the last story of an archive could never notify."""
    log = await read_archive(archive("Acme Corp in bankruptcy"), settings, Watchlist(), tmp_path / "cache")
    *_, last = log.records()
    assert isinstance(last, Mark)
    run = run_alerting(log.records(), settings.alerting)
    assert [alert.target for alert in run.notifications if alert.kind == "event"] == ["entity:name:acme"]


async def test_the_results_have_told_and_missed_events_with_reasons(
    archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    backtest = await backtest_of(archive(*TITLES), settings, tmp_path / "cache")
    run = backtest.alerts(settings.alerting)
    results = backtest.results(run, archive=Path("news.jsonl"), compare=True)
    assert results.figures is not None
    assert (results.figures.whole.told, results.figures.whole.same_family, results.figures.whole.events) == (1, 1, 2)
    assert results.missed_by_reason == [("linking", 1)]
    assert [rival.name for rival in results.rivals] == ["keyword list", "static counter", "3-sigma, 14 days", "EWMA"]


async def test_the_files_hold_every_record_and_a_page_without_foreign_markup(
    archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    backtest = await backtest_of(archive(*TITLES), settings, tmp_path / "cache")
    run = backtest.alerts(settings.alerting)
    results = backtest.results(run, archive=Path("news.jsonl"), compare=True)
    out = tmp_path / "out"
    write_files(out, run, results, draw(results))
    alerts = [json.loads(line) for line in (out / "alerts.jsonl").read_text().splitlines()]
    assert [alert["id"] for alert in alerts] == [alert.id for alert in run.alerts]
    assert len((out / "trends.jsonl").read_text().splitlines()) == len(run.trends)
    assert len((out / "near-misses.jsonl").read_text().splitlines()) == len(run.near_misses)
    assert json.loads((out / "figures.json").read_text())["events"]["whole"]["told"] == 1
    page = (out / "report.html").read_text()
    assert "<script" not in page
    assert "<b>at last" not in page
    assert "Acme Corp in bankruptcy" in page
    for name in ("timeline", "types", "delay", "rivals"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert page.count("<svg") == 4


async def test_without_events_there_are_rates_and_no_figures(
    archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    log = await read_archive(archive(*TITLES), settings, Watchlist(), tmp_path / "cache")
    backtest = Backtest.of(log, Watchlist(), (), {})
    run = backtest.alerts(settings.alerting)
    results: BacktestResults = backtest.results(run, archive=Path("news.jsonl"))
    assert results.figures is None
    assert sum(rate.count for rate in results.rates) == sum(alert.status != "resolved" for alert in run.alerts)
    write_files(tmp_path / "out", run, results, [])
    assert "Events told" not in (tmp_path / "out" / "report.html").read_text()


async def test_the_sample_is_drawn_by_its_seed_and_hides_what_riskwire_thought(
    archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    backtest = await backtest_of(archive(*TITLES), settings, tmp_path / "cache")
    notifications = backtest.alerts(settings.alerting).notifications
    assert draw_sample(notifications, 1, seed=3) == draw_sample(notifications, 1, seed=3)
    assert draw_sample(notifications, 99, seed=3) == notifications
    lines = {story.url: backtest.log.summary.lines[story.article] for story in backtest.reports}
    write_sample(tmp_path / "sample.tsv", notifications, lines)
    head, first, *_ = (tmp_path / "sample.tsv").read_text().splitlines()
    assert head.split("\t")[-1] == "verdict"
    assert first.split("\t")[:2] == ["1", "0"]
    assert "page" not in first
    assert "material" not in first
