"""`riskwire stories` shows the level and what happened before everything else, also as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import fictional
import pytest

from riskwire.cli.store import list_stories
from riskwire.settings import Settings
from riskwire.store import Store


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Returns the settings of a store with four stories: material, mild, favourable, and one of an old bundle."""
    monkeypatch.setenv("COLUMNS", "200")
    settings = Settings(data=tmp_path)
    (tmp_path / "bus.sqlite").touch()  # marks a data directory; the command reads only the store
    unknown = {"level": None, "adverse": None, "events": None, "adverse_from": None}
    with Store.open(settings) as store:
        store.write_signals(
            [
                fictional.signal("a1", score=-0.9, title="material news"),
                fictional.signal("a2", score=-0.4, title="mild news"),
                fictional.signal("a3", score=0.7, title="good news"),
                fictional.signal("a4", score=-0.8, title="old news", **unknown),
            ]
        )
    return settings


def test_the_table_has_level_and_event_types(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    list_stories(settings, fictional.VELDARA, json=False, limit=10)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["level", "events"]
    by_title = {line.strip().rsplit("  ", 1)[1]: line.split() for line in lines}
    assert by_title["material news"][:4] == ["material", "0.92", "accident,", "investigation"]
    assert by_title["mild news"][:3] == ["mild", "0.62", "results_bad"]
    assert by_title["good news"][:3] == ["favourable", "0.02", "results_good"]
    assert by_title["old news"][:2] == ["2026-03-02", "12:00"], "the level is empty"
    assert "0.82" in by_title["old news"], "the probability of negative"


def test_json_has_the_distribution_and_the_threshold(
    settings: Settings, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    list_stories(settings, fictional.VELDARA, json=True, limit=10)
    rows = {row["title"]: row for row in map(json.loads, capsysbinary.readouterr().out.splitlines())}
    material = rows["material news"]
    assert material["level"] == fictional.level(-0.9).model_dump()
    assert (material["adverse"], material["adverse_from"]) == (fictional.level(-0.9).adverse, 0.5)
    assert material["events"][0] == {"label": "accident", "score": 0.91}
    assert rows["old news"]["level"] is None


def test_times_are_in_utc_unless_a_setting_names_another_zone(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The heading names the zone. The stories were seen at 12:00 UTC, which is 21:00 in Tokyo."""
    list_stories(settings, fictional.VELDARA, json=False, limit=10)
    utc = capsys.readouterr().out
    list_stories(settings.model_copy(update={"time_zone": "Asia/Tokyo"}), fictional.VELDARA, json=False, limit=10)
    tokyo = capsys.readouterr().out

    assert "seen, UTC" in utc
    assert "2026-03-02 12:00" in utc
    assert "seen, Asia/Tokyo" in tokyo
    assert "2026-03-02 21:00" in tokyo
