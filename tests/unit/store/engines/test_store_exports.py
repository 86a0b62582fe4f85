"""Exports: the same rows as CSV and Parquet from both stores, by time, in part, and never half a file."""

from __future__ import annotations

import csv
import io
import typing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet
import pytest
from serving import write_with_sink
from sqlalchemy.exc import OperationalError

from riskwire.cli.storage.export import Kind
from riskwire.errors import SettingsError, StoreError
from riskwire.pipeline import Topic
from riskwire.settings import Settings
from riskwire.store import Store
from riskwire.store.exports import ExportKind, export_rows, kinds

TOPIC_OF = {
    ExportKind.ARTICLES: Topic.ANALYSES,
    ExportKind.ANALYSES: Topic.ANALYSES,
    ExportKind.SIGNALS: Topic.SIGNALS,
    ExportKind.TRENDS: Topic.TRENDS,
    ExportKind.ALERTS: Topic.ALERTS,
}


def read_csv(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(1_000_000)  # of the whole process: a replay of a CSV archive may have lowered it
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def parquet_rows(path: Path) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(path).to_pylist()


def test_the_command_offers_every_kind() -> None:
    assert typing.get_args(Kind) == tuple(kind.value for kind in ExportKind)


@pytest.mark.needs_postgresql
async def test_both_stores_give_the_same_files_with_every_record(
    sqlite_settings: Settings, postgresql_settings: Settings, news: ModuleType, tmp_path: Path
) -> None:
    records = news.records_by_topic(days=1)
    for settings in (sqlite_settings, postgresql_settings):
        with Store.open(settings) as store:
            await write_with_sink(store, records)
    for kind in ExportKind:
        files = []
        for number, settings in enumerate((sqlite_settings, postgresql_settings)):
            path = tmp_path / f"{kind}-{number}.csv"
            rows = export_rows(settings, kind, path)
            assert export_rows(settings, kind, path.with_suffix(".parquet")) == rows
            assert len(parquet_rows(path.with_suffix(".parquet"))) == len(read_csv(path)) == rows
            if kind in TOPIC_OF:
                assert rows == len(records[TOPIC_OF[kind]])
            files.append(path)
        assert files[0].read_bytes() == files[1].read_bytes(), kind
        assert parquet_rows(files[0].with_suffix(".parquet")) == parquet_rows(files[1].with_suffix(".parquet"))


def test_rows_have_their_types_and_are_sorted_by_time(store: Store, settings: Settings, news: ModuleType) -> None:
    later = news.NOON + timedelta(hours=1)
    store.write_signals([news.signal("b", at=later), news.signal("a", at=later), news.signal("c")])
    store.write_alerts([news.alert(), news.alert(status="resolved", at=later)])
    path = settings.data / "signals.parquet"
    settings.data.mkdir(exist_ok=True)
    export_rows(settings, ExportKind.SIGNALS, path)
    rows = parquet_rows(path)
    assert [row["article"] for row in rows] == [
        news.signal("c").article,
        *sorted(news.signal(name).article for name in "ab"),
    ]
    assert rows[0]["seen_at"] == news.NOON
    assert rows[0]["negative"] == news.signal("c").sentiment.negative
    export_rows(settings, ExportKind.ALERTS, settings.data / "alerts.parquet")
    rows = parquet_rows(settings.data / "alerts.parquet")
    assert [row["status"] for row in rows] == ["firing", "resolved"]
    assert rows[0]["at"] == news.NOON
    assert rows[0]["summary"] == news.alert().summary
    assert rows[0]["evidence"].startswith("[")


def test_a_range_of_time_and_a_target_choose_rows(store: Store, settings: Settings, news: ModuleType) -> None:
    """The range includes its start and excludes its end."""
    hours = [news.NOON + timedelta(hours=number) for number in range(4)]
    osmark = "entity:osmark"
    store.write_analyses([news.analysis(f"a{n}", at=at) for n, at in enumerate(hours)])
    store.write_signals([news.signal(f"a{n}", at=at) for n, at in enumerate(hours)])
    store.write_signals([news.signal("a2", at=hours[2], target=osmark)])
    store.write_trends([news.trend(at) for at in hours])
    store.write_alerts([news.alert(at=hours[1]), news.alert("other", target=osmark, at=hours[2])])
    settings.data.mkdir(exist_ok=True)

    def count(kind: ExportKind, **chosen: Any) -> int:
        return export_rows(settings, kind, settings.data / "some.csv", replace=True, **chosen)

    for kind, all_rows in ((ExportKind.ARTICLES, 4), (ExportKind.SIGNALS, 5), (ExportKind.TRENDS, 4)):
        assert count(kind) == all_rows
        assert count(kind, since=hours[1], until=hours[2]) == 1
    assert count(ExportKind.SIGNALS, target=osmark) == 1
    assert count(ExportKind.ARTICLES, target=osmark) == 1
    assert count(ExportKind.ALERTS, target=osmark) == 1
    assert count(ExportKind.ALERTS, until=hours[2]) == 1
    assert count(ExportKind.NEAR_MISSES) == 0


def test_a_title_that_a_spreadsheet_would_run_is_quoted_in_csv_only(
    store: Store, settings: Settings, news: ModuleType
) -> None:
    title = '=HYPERLINK("http://evil.example";"x")\nsecond line'
    store.write_signals([news.signal("a1", title=title)])
    settings.data.mkdir(exist_ok=True)
    for name in ("s.csv", "s.parquet"):
        export_rows(settings, ExportKind.SIGNALS, settings.data / name)
    assert read_csv(settings.data / "s.csv")[0]["title"] == "'" + title
    assert parquet_rows(settings.data / "s.parquet")[0]["title"] == title


@pytest.mark.parametrize(
    ("name", "message"),
    [("x.xlsx", r"ends in \.csv or \.parquet"), ("there.csv", "exists"), ("no/x.csv", "no such directory")],
)
def test_a_file_that_cannot_be_written_is_refused(sqlite_settings: Settings, name: str, message: str) -> None:
    (sqlite_settings.data / "there.csv").write_text("mine")
    Store.open(sqlite_settings).close()
    with pytest.raises(SettingsError, match=message):
        export_rows(sqlite_settings, ExportKind.TRENDS, sqlite_settings.data / name)
    assert (sqlite_settings.data / "there.csv").read_text() == "mine"


def test_an_export_that_fails_leaves_no_file(
    store: Store, settings: Settings, news: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> typing.Iterator[dict[str, Any]]:
        yield {"target": "t", "start_ms": 1, "length_s": 1, "stories": 1, "articles": 1} | dict.fromkeys(
            ("negative", "neutral", "positive", "surprise"), 0.0
        )
        raise OperationalError("select", {}, Exception("gone"))

    monkeypatch.setitem(kinds._READERS, ExportKind.TRENDS, failing)
    settings.data.mkdir(exist_ok=True)
    before = sorted(settings.data.iterdir())
    for name in ("t.csv", "t.parquet"):
        with pytest.raises(StoreError):
            export_rows(settings, ExportKind.TRENDS, settings.data / name)
    assert sorted(settings.data.iterdir()) == before


def test_without_a_store_there_is_nothing_to_export(new_settings: Callable[..., Settings], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no store|the store is empty"):
        export_rows(new_settings(), ExportKind.TRENDS, tmp_path / "t.csv")
