"""Opening the store, mostly on SQLite: versions, databases that are not a store, read-only access."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import QueuePool

from riskwire.errors import SettingsError, StoreError, StoreVersionError
from riskwire.settings import Settings, StoreSettings, describe_settings, load_settings
from riskwire.store import Store
from riskwire.store.database.engine import check_store, store_url
from riskwire.store.database.sqlite import create_sqlite_engine

MOST_PAGE_CACHES_KB = 48_000


def test_a_reopened_store_contains_what_was_written(settings: Settings, news: ModuleType) -> None:
    with Store.open(settings) as store:
        store.write_alerts([news.alert()])
    with Store.open(settings, read_only=True) as store:
        assert len(store.alerts()) == 1


def test_the_page_caches_of_the_connections_to_a_store_take_little_memory(sqlite_settings: Settings) -> None:
    """A process keeps as many connections as the pool holds, and each fills its cache."""
    with Store.open(sqlite_settings):
        engine = create_sqlite_engine(store_url(sqlite_settings), read_only=False)
    with engine.connect() as connection:
        size = connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
    assert isinstance(engine.pool, QueuePool)
    assert 0 < -size * engine.pool.size() <= MOST_PAGE_CACHES_KB
    engine.dispose()


OTHER_VERSIONS = pytest.mark.parametrize(
    ("version", "message"),
    [
        (1, r"store\.sqlite.*riskwire 0\.1 \(version 1;.*another directory with --data.*replay an archive"),
        (3, r"store\.sqlite.*riskwire 0\.1 \(version 3;.*another directory with --data.*replay an archive"),
        (4, r"store\.sqlite.*unreleased riskwire 0\.2 \(version 4;.*another directory with --data.*replay an archive"),
        (99, r"store\.sqlite.*newer riskwire \(version 99;.*Upgrade riskwire"),
    ],
    ids=["first version of 0.1", "last version of 0.1", "before levels", "newer"],
)


def test_a_data_directory_that_may_not_be_entered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may enter every directory, so the test denies it by a patch."""

    def denied(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "exists", denied)
    with pytest.raises(StoreError, match=rf"{tmp_path}: the data directory cannot be entered"):
        check_store(Settings(data=tmp_path))


def test_the_password_of_a_file_is_that_of_the_role_in_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in the URL has priority. No message or listing shows the one of the file."""
    file = tmp_path / "password"
    file.write_text("s3cr3t/with:signs@\n")
    monkeypatch.setenv("RISKWIRE_STORE__PASSWORD_FILE", str(file))
    monkeypatch.setenv("RISKWIRE_STORE__URL", "postgresql://riskwire@db.example/news")
    settings = load_settings()
    url = store_url(settings)
    assert (url.username, url.password, url.host) == ("riskwire", "s3cr3t/with:signs@", "db.example")
    assert "s3cr3t" not in repr(settings) + str(describe_settings(settings)) + str(url)
    monkeypatch.setenv("RISKWIRE_STORE__URL", "postgresql://riskwire:another@db.example/news")
    assert store_url(load_settings()).password == "another"
    monkeypatch.setenv("RISKWIRE_STORE__URL", f"sqlite:///{tmp_path / 'store.sqlite'}")
    assert store_url(load_settings()).password is None


def store_of_version(sqlite_settings: Settings, version: int) -> Path:
    """Creates an empty store, writes another version of the schema into it, and returns its file."""
    Store.open(sqlite_settings).close()
    file = sqlite_settings.data / "store.sqlite"
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE riskwire_schema SET version_num = ?", (str(version),))
    raw.close()
    return file


@OTHER_VERSIONS
@pytest.mark.parametrize("read_only", [False, True], ids=["to write", "to read"])
def test_a_store_of_another_version_is_refused_and_not_changed(
    sqlite_settings: Settings, version: int, message: str, read_only: bool
) -> None:
    file = store_of_version(sqlite_settings, version)
    before = file.read_bytes()

    with pytest.raises(StoreVersionError, match=message):
        Store.open(sqlite_settings, read_only=read_only)
    assert file.read_bytes() == before
    assert list(sqlite_settings.data.iterdir()) == [file]


@OTHER_VERSIONS
def test_checking_a_store_of_another_version_fails_and_changes_nothing(
    sqlite_settings: Settings, version: int, message: str
) -> None:
    file = store_of_version(sqlite_settings, version)
    before = file.read_bytes()

    with pytest.raises(StoreVersionError, match=message):
        Store.check(sqlite_settings)
    assert file.read_bytes() == before
    assert list(sqlite_settings.data.iterdir()) == [file]


def test_checking_accepts_a_missing_store_and_creates_nothing(sqlite_settings: Settings) -> None:
    Store.check(sqlite_settings)
    assert list(sqlite_settings.data.iterdir()) == []


def test_checking_accepts_a_store_of_this_version(sqlite_settings: Settings) -> None:
    Store.open(sqlite_settings).close()
    Store.check(sqlite_settings)


def test_a_file_that_is_no_database_is_refused_and_not_changed(sqlite_settings: Settings) -> None:
    file = sqlite_settings.data / "store.sqlite"
    file.write_text("these are the household accounts\n" * 100)

    with pytest.raises(StoreError, match=r"store\.sqlite.*not a database.*another directory with --data"):
        Store.open(sqlite_settings)
    assert file.read_text().startswith("these are the household accounts")
    assert list(sqlite_settings.data.iterdir()) == [file]


def test_a_database_of_another_program_is_refused_and_not_changed(sqlite_settings: Settings) -> None:
    file = sqlite_settings.data / "store.sqlite"
    with sqlite3.connect(file) as raw:
        raw.execute("CREATE TABLE recipes (name)")
    raw.close()
    before = file.read_bytes()

    with pytest.raises(StoreError, match=r"not a riskwire store.*recipes"):
        Store.open(sqlite_settings)
    assert file.read_bytes() == before


def test_opening_a_missing_store_read_only_fails_and_creates_nothing(sqlite_settings: Settings) -> None:
    with pytest.raises(StoreError, match=r"there is no store.*riskwire run"):
        Store.open(sqlite_settings, read_only=True)
    assert list(sqlite_settings.data.iterdir()) == []


def test_a_read_only_store_cannot_be_written(sqlite_settings: Settings, news: ModuleType) -> None:
    Store.open(sqlite_settings).close()
    with Store.open(sqlite_settings, read_only=True) as store, pytest.raises(StoreError, match="the store failed"):
        store.write_alerts([news.alert()])


def test_reads_do_not_wait_for_a_writing_process(sqlite_settings: Settings, news: ModuleType) -> None:
    """Another connection holds the write lock of the database during the read."""
    with Store.open(sqlite_settings) as store:
        store.write_alerts([news.alert()])
        writer = sqlite3.connect(sqlite_settings.data / "store.sqlite", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        try:
            assert len(store.alerts()) == 1
        finally:
            writer.execute("ROLLBACK")
            writer.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [("no url", "not a database URL"), ("mysql://x/y", "no such kind of store")],
    ids=["not a URL", "MySQL"],
)
def test_an_unusable_store_url_is_refused(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"store\.url.*{message}"):
        Store.open(Settings(data=tmp_path, store=StoreSettings(url=url)))
