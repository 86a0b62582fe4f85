"""`riskwire calibrate`: which targets are counted, that leaving out the others changes nothing, and the file."""

from __future__ import annotations

import asyncio
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from back_test import Archive
from synthetic_stream import StreamShape, SyntheticStream

from riskwire.alerting.calibration import LimitTable, SurpriseLimits, read_calibration
from riskwire.alerting.episode import Thresholds
from riskwire.backtest.alert_run import run_alerting
from riskwire.backtest.calibration import ArchiveRuns, counted_targets
from riskwire.cli.alarm.calibrate import calibrate_archive
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.errors import RiskwireError
from riskwire.settings import AlertingSettings, Settings

SHAPE = StreamShape(targets=8, days=60, stories_per_day=1.0, other_stories=20)
LOW = SurpriseLimits(Thresholds(1.2, 1.6), 0.6)


def test_targets_that_are_not_counted_do_not_change_the_counts_of_the_others() -> None:
    """Seed 4: for half of the targets, a run on them alone gives the same counts as the run on all targets."""
    stream = SyntheticStream(SHAPE, 4)
    half = set(stream.targets[::2])
    runs = ArchiveRuns(stream.records(), AlertingSettings(), half)
    all_targets = run_alerting(stream.records(), AlertingSettings(), limits=LimitTable.fixed(LOW))
    kinds = Counter(
        (alert.kind, alert.tier)
        for alert in all_targets.alerts
        if alert.status != "resolved" and alert.target in runs.active | runs.quiet
    )
    groups = runs(LOW)
    assert sum(counts.notices for counts in groups) == kinds["spike", "notice"]
    assert sum(counts.pages for counts in groups) == kinds["spike", "page"] > 0
    assert sum(counts.slides for counts in groups) == kinds["slide", "notice"]
    assert runs.active
    assert not runs.active & runs.quiet


def test_without_a_watchlist_parties_with_ten_articles_count_and_with_one_its_entries() -> None:
    stream = SyntheticStream(StreamShape(targets=30, days=20), 5)
    records = list(stream.records())
    articles = Counter(record.target for record in records if record.kind == "signal")
    enough = {target for target, count in articles.items() if count >= 10}
    assert 0 < len(enough) < 30
    assert counted_targets(records, Watchlist()) == enough
    watchlist = Watchlist((WatchedEntity(id="silent", name="Silent Corp"),))
    assert counted_targets(records, watchlist) == {"entity:silent"}


def test_the_command_writes_a_file_that_is_bound_to_the_bundle(
    archive: Archive, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    news = archive(*(f"Acme Corp in fraud case {number}" for number in range(12)))
    out = tmp_path / "calibration.json"
    command = calibrate_archive(settings, news, out, events=None, cache=tmp_path / "cache", limit=None)
    assert asyncio.run(command) == 0
    calibration = read_calibration(out)
    assert calibration.bundle == "tiny@1.0.0"
    assert calibration.archive.sha256 == sha256(news.read_bytes()).hexdigest()
    assert (calibration.archive.articles, calibration.archive.targets, calibration.archive.watchlist) == (12, 1, False)
    named = AlertingSettings(calibration=out)
    assert LimitTable.from_settings(named).of(calibration.bundle).calibrated
    assert "notifications per target and month" in capsys.readouterr().out
    assert "fraud" not in out.read_text()


def test_an_archive_that_is_too_short_is_refused(archive: Archive, settings: Settings, tmp_path: Path) -> None:
    command = calibrate_archive(
        settings, archive("Acme Corp gains"), tmp_path / "c.json", events=None, cache=tmp_path / "cache", limit=None
    )
    with pytest.raises(RiskwireError, match=r"no target has enough articles.*longer archive"):
        asyncio.run(command)
