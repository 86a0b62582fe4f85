"""A writer waits while the store is in use or full, and then goes on; what failed is rolled back as a whole."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace

import pytest
from sqlalchemy import event

from riskwire.errors import StoreError, StoreUnavailableError
from riskwire.records import from_ms, to_ms
from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store, patience
from riskwire.store.database import sqlite
from riskwire.store.months import month_of, month_start
from riskwire.store.patience import when_available


async def test_an_action_is_repeated_until_the_store_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE_S", 0.0)
    attempts = []

    async def action() -> int:
        attempts.append(1)
        if len(attempts) < 4:
            raise StoreUnavailableError("away")
        return 7

    assert await when_available(action, 60.0) == 7
    assert len(attempts) == 4


async def test_a_store_that_is_away_for_ten_minutes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the default of `store.wait_s`, and a simulated clock for the ten minutes."""
    now = 1_000.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: now))

    async def action() -> float:
        if now < 1_600:
            raise StoreUnavailableError("away")
        return now

    assert await when_available(action, StoreSettings().wait_s) < 1_610


async def test_an_action_that_waited_too_long_fails() -> None:
    async def action() -> None:
        raise StoreUnavailableError("away")

    with pytest.raises(StoreUnavailableError):
        await when_available(action, 0.0)


async def test_other_errors_are_not_waited_for() -> None:
    attempts = []

    async def action() -> None:
        attempts.append(1)
        raise StoreError("damaged")

    with pytest.raises(StoreError):
        await when_available(action, 60.0)
    assert len(attempts) == 1


async def test_a_disk_that_fills_under_sqlite_loses_nothing(sqlite_settings: Settings, news: ModuleType) -> None:
    """SQLite may use no further page, as on a full disk. The batch is written as a whole once there is room."""
    pages = 0
    with Store.open(sqlite_settings) as store:

        @event.listens_for(store._engine, "checkout")
        def limit(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count={pages or 1_000_000}")

        store.write_signals([news.signal("first")])
        pages = 1  # SQLite takes the present size at least
        batch = [news.signal(f"a{number}", title="a long title " * 200) for number in range(100)]
        with pytest.raises(StoreUnavailableError, match=r"the disk is full.*Free space; nothing is lost"):
            store.write_signals(batch)
        assert store.counts().signals == 1
        waiting = asyncio.create_task(store.write_off_loop(store.write_signals, batch))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        pages = 0
        async with asyncio.timeout(60):
            await waiting
        assert store.counts().signals == 101


async def test_a_process_that_writes_sqlite_for_long_is_waited_for(
    sqlite_settings: Settings, news: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_S", 0.1)
    with Store.open(sqlite_settings) as store:
        writer = sqlite3.connect(sqlite_settings.data / "store.sqlite", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match=r"the store is in use.*Another process"):
            store.write_alerts([news.alert()])
        waiting = asyncio.create_task(store.write_off_loop(store.write_alerts, [news.alert()]))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        writer.close()
        async with asyncio.timeout(60):
            await waiting
        assert len(store.alerts()) == 1


def test_months_follow_each_other_without_a_gap() -> None:
    """A year before 1970, a turn of the year, and the end of the calendar."""
    for start, following in (
        (datetime(1969, 12, 31, 23, 59, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)),
        (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
    ):
        assert from_ms(month_start(month_of(to_ms(start)) + 1)) == following
    last = to_ms(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert month_start(month_of(last)) < last < month_start(month_of(last) + 1)
