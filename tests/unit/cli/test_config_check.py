"""`riskwire config check` lists all faults at once, of the settings and of what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskwire.cli.config import check_settings
from riskwire.errors import SettingsError, leaves
from riskwire.settings import load_usable_settings


def test_faults_of_settings_feeds_and_watchlist_are_listed_together(tmp_path: Path) -> None:
    """A setting that cannot be used does not hide what is wrong in the files that other settings name."""
    (tmp_path / "feeds.yaml").write_text("- {id: a, url: 'ftp://a/'}\n- nonsense\n")
    (tmp_path / "watch.csv").write_text("name;isin\nAcme;X1\nGlobex;Y1\n")
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"data: {tmp_path / 'data'}\nfeeds: {tmp_path / 'feeds.yaml'}\nwatchlist: {tmp_path / 'watch.csv'}\n"
        "web: {port: many}\nnosuch: 1\n"
    )
    settings, known = load_usable_settings(file, {"web": {"port": 0}, "log": {"level": "loud"}})

    with pytest.raises(ExceptionGroup) as caught:
        check_settings(settings, known)

    faults = [str(fault).removeprefix(f"{tmp_path}/") for fault in leaves(caught.value)]
    starts = (
        *("command line: log.level", "mine.yaml: nosuch"),
        *("feeds.yaml, entry 1: url", "feeds.yaml, entry 2: "),
        *("watch.csv: line 2 (x1): isin", "watch.csv: line 3 (y1): isin"),
    )
    assert sorted(start for start in starts for fault in faults if fault.startswith(start)) == sorted(starts), faults


def test_the_rules_of_event_alerts_are_checked(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("families: {litigation: {tier: loud}}")
    settings, known = load_usable_settings(None, {"web": {"port": 0}, "data": tmp_path, "alerting": {"rules": rules}})
    with pytest.raises(SettingsError, match=r"rules\.yaml: families\.litigation\.tier"):
        check_settings(settings, known)
    rules.write_text("families: {litigation: {tier: page}}")
    assert f"rules of {rules}" in check_settings(settings, known)
