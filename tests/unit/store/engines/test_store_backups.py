"""Backups of store and embedded bus: restored, they answer as before; nothing is overwritten or half restored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from serving import write_with_sink
from stores.answers import api_answers

from riskwire.app.backup import back_up, restore
from riskwire.bus.embedded.bus import FILE, EmbeddedBus
from riskwire.errors import RiskwireError, SettingsError, StoreError
from riskwire.records import Command, DeadLetter
from riskwire.settings import BusSettings, Settings
from riskwire.store import Store


def dead_letter(offset: int, at: datetime) -> DeadLetter:
    return DeadLetter(stage="infer", topic="t", partition=0, offset=offset, error="x", at=at, record="{")


async def fill(settings: Settings, news: ModuleType) -> dict[str, str]:
    """Fills store and bus with a day of news, some of it old and far in the past. Returns what the API answers."""
    records = news.records_by_topic(days=1)
    with Store.open(settings) as store:
        await write_with_sink(store, records)
        old = news.NOON - timedelta(days=100)
        store.write_signals([news.signal("tab\tnew\nline \\N", at=old, title="a\tb\nc\\d \\N é 💣")])
        store.write_dead_letters(dead_letter(number, old) for number in range(3))
        store.write_commands([Command(kind="acknowledge", alert=news.alert().id, by="ada", at=news.NOON)])
        return await api_answers(store, max_targets=8)


async def test_a_restored_store_answers_as_before_and_goes_on(
    new_settings: Callable[..., Settings], news: ModuleType, tmp_path: Path
) -> None:
    """Records that the store has are written again without effect, and new ones get new numbers."""
    settings, new_store = (kafka(new_settings()) for _ in range(2))
    before = await fill(settings, news)
    backed_up = back_up(settings, tmp_path / "backup", news.NOON)
    assert not backed_up.bus
    assert backed_up.rows["signals"] > 10
    assert restore(new_store, tmp_path / "backup").rows == backed_up.rows
    with Store.open(new_store) as store:
        assert await api_answers(store, max_targets=8) == before
        change = store.last_change()
        await write_with_sink(store, news.records_by_topic(days=1))
        assert store.last_change() == change
        store.write_dead_letters([dead_letter(9, news.NOON)])
        assert store.dead_letters(1)[0].offset == 9
        store.write_signals([news.signal("later", at=news.NOON + timedelta(days=300))])
        assert store.newest() == news.NOON + timedelta(days=300)


def kafka(settings: Settings) -> Settings:
    """Returns the settings with a bus on Kafka, which is no part of a backup."""
    return settings.model_copy(update={"bus": BusSettings(url="kafka://127.0.0.1:1")})


@pytest.fixture
async def data(sqlite_settings: Settings, news: ModuleType) -> AsyncIterator[Settings]:
    """A data directory whose bus is open, as while `riskwire run` uses it, and whose store has an alert."""
    bus = await EmbeddedBus.open(sqlite_settings.data, sqlite_settings.bus)
    with Store.open(sqlite_settings) as store:
        store.write_alerts([news.alert()])
        yield sqlite_settings
    await bus.close()


def other_data(data: Settings, name: str = "other") -> Settings:
    return data.model_copy(update={"data": data.data / name})


async def test_bus_and_store_are_restored_together(data: Settings, news: ModuleType) -> None:
    assert back_up(data, data.data / "backup", news.NOON).bus
    restored_settings = other_data(data)
    restore(restored_settings, data.data / "backup")
    with Store.open(restored_settings) as store:
        assert len(store.alerts()) == 1
    bus = await EmbeddedBus.open(restored_settings.data, restored_settings.bus)
    await bus.close()
    for path in (restored_settings.data / FILE, restored_settings.data / "store.sqlite", data.data / "backup" / FILE):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_nothing_is_overwritten(data: Settings, news: ModuleType) -> None:
    """Neither a folder by a backup, nor a bus or a store by a restore."""
    backup = data.data / "backup"
    back_up(data, backup, news.NOON)
    with pytest.raises(SettingsError, match="this folder exists"):
        back_up(data, backup, news.NOON)
    with pytest.raises(RiskwireError, match="there is a bus already"):
        restore(data, backup)
    with_store = other_data(data)
    with Store.open(with_store) as store:
        store.write_alerts([news.alert("mine")])
        with pytest.raises(StoreError, match="there is a store already"):
            restore(with_store, backup)
        assert [row.id for row in store.alerts()] == [news.alert("mine").id]
    assert not (with_store.data / FILE).exists()


async def test_a_backup_that_is_incomplete_changed_or_of_another_version_is_refused(
    data: Settings, news: ModuleType
) -> None:
    backup, other_settings = data.data / "backup", other_data(data)
    back_up(data, backup, news.NOON)
    manifest = (backup / "backup.json").read_text()
    for change, message in (
        (lambda: (backup / "backup.json").write_text(manifest.replace('"schema": ', '"schema": 9')), "was made by"),
        (lambda: (backup / "backup.json").write_text("{"), "no complete backup"),
        ((backup / "backup.json").unlink, "no complete backup"),
        (lambda: (backup / "store.sqlite").write_bytes(b"x"), "files of the backup were changed"),
        ((backup / "store.sqlite").unlink, "no complete backup"),
    ):
        (backup / "backup.json").write_text(manifest)
        change()
        with pytest.raises(SettingsError, match=message):
            restore(other_settings, backup)
        assert not (other_settings.data / "store.sqlite").exists()


def test_without_data_there_is_no_backup_and_no_folder(sqlite_settings: Settings, news: ModuleType) -> None:
    with pytest.raises(RiskwireError, match="there is no bus"):
        back_up(sqlite_settings, sqlite_settings.data / "backup", news.NOON)
    assert list(sqlite_settings.data.iterdir()) == []


@pytest.mark.needs_postgresql
async def test_a_backup_of_another_kind_of_database_is_refused(
    data: Settings, postgresql_settings: Settings, news: ModuleType
) -> None:
    back_up(kafka(data), data.data / "backup", news.NOON)
    with pytest.raises(StoreError, match="a store on SQLite, and this is none"):
        restore(kafka(postgresql_settings), data.data / "backup")
    Store.open(postgresql_settings).close()
    back_up(kafka(postgresql_settings), data.data / "rows", news.NOON)
    with pytest.raises(StoreError, match="a store on PostgreSQL, and this is none"):
        restore(kafka(other_data(data)), data.data / "rows")
