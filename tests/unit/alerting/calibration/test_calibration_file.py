"""The calibration file: bound to its bundle and its settings, and clear about what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from riskwire.alerting.calibration import (
    Calibration,
    LimitTable,
    read_calibration,
    shipped_calibration,
    theoretical_limits,
)
from riskwire.errors import SettingsError
from riskwire.settings import AlertingSettings, Budget

CONTENT: dict[str, Any] = {
    "format": 1,
    "bundle": "finance-en@9.9.9",
    "archive": {
        "sha256": "0" * 64, "articles": 26_732, "first": "2009-01-01", "last": "2010-12-31",
        "months": 24.3, "targets": 800, "active_targets": 40, "active_adverse": 9.0,
        "quiet_targets": 90, "quiet_adverse": 0.0, "watchlist": False,
    },
    "detectors": {
        "windows_s": [21_600, 86_400], "min_stories": 3, "half_life_days": 30.0, "calm_s": 259_200,
        "negative_from": 0.5,
    },
    "quiet": {
        "spike": {"points": [{"threshold": 2.0, "rate": 0.04}, {"threshold": 2.5, "rate": 0.02}]},
        "page": {"points": [{"threshold": 3.5, "rate": 0.01}]},
        "slide": {"points": [{"threshold": 1.5, "rate": 0.005}]},
    },
    "active": {
        "spike": {"points": [{"threshold": 3.5, "rate": 0.02}]},
        "page": {"points": [{"threshold": 4.5, "rate": 0.01}]},
        "slide": {"points": [{"threshold": 2.5, "rate": 0.005}]},
    },
}  # fmt: skip

BUDGET = Budget(notice=0.02, page=0.01, slide=0.005)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A calibration file for the default settings."""
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(CONTENT))
    return path


def test_the_named_file_decides_for_its_bundle_and_theory_for_any_other(file: Path) -> None:
    settings = AlertingSettings(calibration=file, budget=BUDGET)
    table = LimitTable.from_settings(settings)
    limits = table.of("finance-en@9.9.9")
    assert (limits.spike.notice, limits.spike.page, limits.slide, limits.calibrated) == (2.5, 3.5, 1.5, True)
    theoretical = table.of("finance-en@9.9.8")
    assert theoretical == theoretical_limits(settings)
    assert not theoretical.calibrated
    assert (round(theoretical.spike.notice, 2), round(theoretical.spike.page, 2)) == (3.88, 4.18)


def test_an_active_target_has_a_higher_threshold_than_a_quiet_one(file: Path) -> None:
    """In between, the threshold is linear in the logarithm of 1 + the adverse stories of the past."""
    table = LimitTable.from_settings(AlertingSettings(calibration=file, budget=BUDGET))
    notices = [table.of("finance-en@9.9.9", adverse).spike.notice for adverse in (0.0, 10**0.5 - 1, 9.0, 99.0)]
    assert notices == pytest.approx([2.5, 3.0, 3.5, 4.5])
    assert table.of("finance-en@9.9.9", 9.0).slide == pytest.approx(2.5)


def test_another_budget_needs_no_other_file(file: Path) -> None:
    settings = AlertingSettings(calibration=file, budget=Budget(notice=0.04, page=0.001))
    limits = LimitTable.from_settings(settings).of("finance-en@9.9.9")
    assert limits.spike.notice == pytest.approx(2.0)
    assert limits.spike.page == pytest.approx(4.5)


def test_a_file_for_other_settings_is_refused_and_names_the_setting(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"alerting\.min_stories is 2, and was 3.*riskwire calibrate"):
        LimitTable.from_settings(AlertingSettings(calibration=file, min_stories=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format"),
        ({"bundle": "finance-en"}, "bundle"),
        ({"quiet": CONTENT["quiet"] | {"spike": {"points": []}}}, r"quiet\.spike\.points"),
        (
            {"active": CONTENT["active"] | {"page": {"points": [{"threshold": -1, "rate": 1}]}}},
            r"active\.page\.points\.0\.threshold",
        ),
        ({"slides": {}}, "slides"),
        ({"archive": {}}, r"archive\.sha256"),
    ],
)
def test_a_wrong_field_is_named(file: Path, change: dict[str, Any], message: str) -> None:
    file.write_text(json.dumps(CONTENT | change))
    with pytest.raises(SettingsError, match=f"not a calibration: {message}.*riskwire calibrate"):
        read_calibration(file)


@pytest.mark.parametrize("text", ["", "[]", "thresholds"])
def test_a_file_of_another_kind_is_no_calibration(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError, match="not a calibration"):
        read_calibration(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.json: the calibration cannot be read"):
        read_calibration(tmp_path / "none.json")


def test_what_is_written_is_read_again(file: Path) -> None:
    calibration = Calibration.model_validate(CONTENT)
    file.write_text(calibration.to_text())
    assert read_calibration(file) == calibration


def test_the_default_calibration_can_be_read_and_is_for_the_default_settings() -> None:
    """It is bound to the bundle that it was made with, and not used for any other."""
    calibration = shipped_calibration()
    if calibration is None:
        pytest.skip("no calibration ships yet")
    settings = AlertingSettings()
    assert not list(calibration.detectors.differences(settings))
    limits = LimitTable.from_settings(settings).of(calibration.bundle)
    assert limits.calibrated
    assert limits.spike.notice <= limits.spike.page


def test_the_default_calibration_is_not_used_with_other_settings() -> None:
    settings = AlertingSettings(min_stories=7)
    shipped = shipped_calibration()
    bundle = "finance-en@1.0.0" if shipped is None else shipped.bundle
    assert LimitTable.from_settings(settings).of(bundle) == theoretical_limits(settings)
