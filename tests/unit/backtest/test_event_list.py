"""The list of events: read as it is written, and refused with the line and the field that is wrong."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from riskwire.backtest.event_list import read_events
from riskwire.errors import SettingsError

HEAD = "line\tdate\ttarget\tseverity\ttype\twhat\n"


def test_an_event_is_read_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"
    path.write_text(HEAD + '7\t2030-01-02\tToys "R" Us\t3\tbankruptcy\tfiles\n\t2030-01-03\tAcme\t2\tcrime\t\n')
    first, second = read_events(path)
    assert (first.line, first.day, first.target, first.severity) == (7, date(2030, 1, 2), 'Toys "R" Us', 3)
    assert second.line is None


def test_a_notification_is_in_time_from_a_day_before_to_three_days_after_the_day_begins(tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"
    path.write_text(HEAD + "7\t2030-01-02\tAcme\t3\tbankruptcy\tfiles\n")
    (event,) = read_events(path)
    second = timedelta(seconds=1)
    assert event.covers(event.begins - timedelta(hours=24))
    assert not event.covers(event.begins - timedelta(hours=24) - second)
    assert event.covers(event.begins + timedelta(hours=72))
    assert not event.covers(event.begins + timedelta(hours=72) + second)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("line\tday\n1\t2\n", "lacks date, target, severity, type, what"),
        (HEAD + "1\t2030-13-02\tAcme\t3\tcrime\t\n", "line 2: date is no day"),
        (HEAD + "1\t2030-01-02\tAcme\t5\tcrime\t\n", "line 2: severity is neither"),
        (HEAD + "one\t2030-01-02\tAcme\t3\tcrime\t\n", "line 2: line is no number"),
        (HEAD + "1\t2030-01-02\t\t3\tcrime\t\n", "line 2: target is missing"),
    ],
)
def test_a_wrong_list_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "events.tsv"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_events(path)
