"""What the store promises of opening: its own version, its own kind, nothing half-written."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import ModuleType

import pytest

from riskwire.errors import SettingsError, StoreError, StoreVersionError
from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store


def test_a_store_opens_again_with_what_was_written(settings: Settings, news: ModuleType) -> None:
    with Store.open(settings) as store:
        store.write_alerts([news.alert()])
    with Store.open(settings, read_only=True) as store:
        assert len(store.alerts()) == 1


def test_a_newer_version_is_refused_and_left_alone(settings: Settings) -> None:
    Store.open(settings).close()
    file = settings.data / "store.sqlite"
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE riskwire_schema SET version = 99")
    raw.close()
    before = file.read_bytes()

    with pytest.raises(StoreVersionError, match=r"store\.sqlite.*version 99.*Update riskwire"):
        Store.open(settings)
    assert file.read_bytes() == before


def test_what_is_not_a_database_is_refused_and_left_alone(settings: Settings) -> None:
    file = settings.data / "store.sqlite"
    file.write_text("these are the household accounts\n" * 100)

    with pytest.raises(StoreError, match=r"store\.sqlite.*not a database.*another --data"):
        Store.open(settings)
    assert file.read_text().startswith("these are the household accounts")
    assert list(settings.data.iterdir()) == [file]


def test_a_database_of_something_else_is_refused_and_left_alone(settings: Settings) -> None:
    file = settings.data / "store.sqlite"
    with sqlite3.connect(file) as raw:
        raw.execute("CREATE TABLE recipes (name)")
    raw.close()
    before = file.read_bytes()

    with pytest.raises(StoreError, match=r"not a riskwire store.*recipes"):
        Store.open(settings)
    assert file.read_bytes() == before


def test_reading_where_there_is_no_store_says_so_and_makes_none(settings: Settings) -> None:
    with pytest.raises(StoreError, match=r"there is no store.*riskwire run"):
        Store.open(settings, read_only=True)
    assert list(settings.data.iterdir()) == []


def test_a_store_opened_to_read_cannot_be_written(settings: Settings, news: ModuleType) -> None:
    Store.open(settings).close()
    with Store.open(settings, read_only=True) as store, pytest.raises(StoreError, match="the store failed"):
        store.write_alerts([news.alert()])


def test_reading_goes_on_while_another_process_writes(settings: Settings, news: ModuleType) -> None:
    with Store.open(settings) as store:
        store.write_alerts([news.alert()])
        writer = sqlite3.connect(settings.data / "store.sqlite", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        try:
            assert len(store.alerts()) == 1
        finally:
            writer.execute("ROLLBACK")
            writer.close()


@pytest.mark.parametrize(("url", "says"), [("no url", "not a database URL"), ("mysql://x/y", "no such kind of store")])
def test_a_store_url_that_cannot_be_used_is_told(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(SettingsError, match=rf"store\.url.*{says}"):
        Store.open(Settings(data=tmp_path, store=StoreSettings(url=url)))


@pytest.mark.parametrize("version", [1, 2])
def test_a_store_brought_up_to_date_has_the_tables_and_indexes_of_a_new_one(settings: Settings, version: int) -> None:
    def shape() -> set[tuple[str, ...]]:
        raw = sqlite3.connect(settings.data / "store.sqlite")
        try:
            columns = raw.execute("SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c").fetchall()
            indexes = raw.execute("SELECT tbl_name, name, 'index' FROM sqlite_master WHERE type = 'index'").fetchall()
        finally:
            raw.close()
        return {*columns, *indexes}

    Store.open(settings).close()
    new = shape()
    raw = sqlite3.connect(settings.data / "store.sqlite")
    with raw:
        raw.execute("DROP TABLE replaced")
        raw.execute("ALTER TABLE articles DROP COLUMN read_with")
        raw.execute("DROP INDEX signals_told")
        if version == 1:
            raw.execute("DROP TABLE mentions")
            raw.execute("DROP INDEX commands_kind")
            raw.execute("ALTER TABLE commands DROP COLUMN target")
        raw.execute("UPDATE riskwire_schema SET version = ?", (version,))
    raw.close()
    assert shape() < new

    Store.open(settings).close()
    assert shape() == new
