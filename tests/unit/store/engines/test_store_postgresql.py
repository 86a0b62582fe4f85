"""What only PostgreSQL has: partitions, one writer at a time, schemas of other versions, and absences of the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import psycopg
import pytest
from stores.postgresql import PostgresServer
from stores.rows import stored_rows

from riskwire.errors import SettingsError, StoreError, StoreUnavailableError, StoreVersionError
from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store
from riskwire.store.database.postgresql import sessions

pytestmark = pytest.mark.needs_postgresql

MIDNIGHT = datetime(2026, 2, 1, tzinfo=UTC)
"""The first moment of a month."""


@pytest.fixture
def settings(postgresql_settings: Settings) -> Settings:
    return postgresql_settings


@pytest.fixture
def own_server(tmp_path: Any) -> Iterator[PostgresServer]:
    """A server of this test alone, which it may stop."""
    with PostgresServer.running() as server:
        yield server


def partitions(settings: Settings, table: str) -> list[str]:
    """Returns the names of the partitions of a table."""
    query = (
        "select child.relname from pg_inherits join pg_class child on child.oid = inhrelid "
        f"where inhparent = '{table}'::regclass order by 1"
    )
    return [name for (name,) in stored_rows(settings, query)]


def connect(settings: Settings) -> psycopg.Connection[Any]:
    """Returns a connection past the store."""
    assert settings.store.url is not None
    return psycopg.connect(settings.store.url, autocommit=True)


def test_rows_lie_in_the_partition_of_their_month(store: Store, settings: Settings, news: ModuleType) -> None:
    """The partitions are made by the first row of each month, also of a month long ago."""
    times = [MIDNIGHT - timedelta(milliseconds=1), MIDNIGHT, datetime(2009, 5, 6, tzinfo=UTC)]
    store.write_signals([news.signal(f"a{number}", at=at) for number, at in enumerate(times)])
    assert partitions(settings, "signals") == ["signals_2009_05", "signals_2026_01", "signals_2026_02"]
    for number, name in enumerate(["signals_2026_01", "signals_2026_02", "signals_2009_05"]):
        (row,) = stored_rows(settings, f"select title from {name}")
        assert row == (news.signal(f"a{number}").title,)


def test_an_old_record_that_is_read_again_finds_its_row(store: Store, settings: Settings, news: ModuleType) -> None:
    """The versions of an article were seen in two months, so that their rows are in two partitions.

    The identity of an article is its id, that of a signal target, article and version: no key of PostgreSQL has it.
    """
    old, new = MIDNIGHT - timedelta(days=20), MIDNIGHT + timedelta(days=1)
    analyses = [news.analysis("a1", at=old), news.analysis("a1", version=2, at=new)]
    signals = [news.signal("a1", at=old), news.signal("a1", version=2, at=new)]
    store.write_analyses(analyses)
    store.write_signals(signals)
    before = store.counts(), store.targets(), store.stories(news.VELDARA), store.last_change()
    for order in (1, -1):
        for analysis, signal in list(zip(analyses, signals, strict=True))[::order]:
            store.write_analyses([analysis])
            store.write_signals([signal])
    assert (store.counts(), store.targets(), store.stories(news.VELDARA), store.last_change()) == before
    assert stored_rows(settings, "select version from articles") == [(2,)]


def test_clocks_an_hour_apart_at_the_turn_of_a_month_lose_and_double_nothing(
    store: Store, settings: Settings, news: ModuleType
) -> None:
    """Two ingesters stamp news with clocks that are an hour apart. Both stamp one article."""
    fast, slow = MIDNIGHT + timedelta(minutes=30), MIDNIGHT - timedelta(minutes=30)
    for at, article in ((fast, "a1"), (slow, "a2"), (fast, "both"), (slow, "both"), (fast, "both")):
        store.write_analyses([news.analysis(article, at=at)])
        store.write_signals([news.signal(article, at=at)])
    assert store.counts().articles == 3
    assert store.counts().signals == 3
    assert store.newest() == fast


@pytest.mark.parametrize("read", [False, True], ids=["nobody reads", "somebody reads"])
def test_retention_drops_partitions_and_deletes_rows_where_it_cannot(
    settings: Settings, news: ModuleType, read: bool
) -> None:
    """Data of 40 days is kept, in whole months. A partition is kept while a transaction reads the table."""
    short = settings.model_copy(update={"store": settings.store.model_copy(update={"keep_days": 40})})
    with Store.open(short) as store, connect(settings) as reader:
        store.write_analyses([news.analysis("old", at=MIDNIGHT - timedelta(days=1))])
        store.write_signals([news.signal("old", at=MIDNIGHT - timedelta(days=1))])
        if read:
            reader.execute("begin; select count(*) from signals")
        store.write_analyses([news.analysis("new", at=MIDNIGHT + timedelta(days=80))])
        assert store.counts().articles == 1
        assert store.counts().signals == 0
        assert ("signals_2026_01" in partitions(settings, "signals")) == read
        reader.execute("rollback")


def test_writers_of_the_same_records_take_turns(settings: Settings, news: ModuleType) -> None:
    """Two sinks have the same partition, as after a network that was cut. They write the same batches at once."""
    batches = [[news.signal(f"a{10 * batch + n}", story=f"s{n}") for n in range(10)] for batch in range(8)]
    with Store.open(settings) as first, Store.open(settings) as second:
        threads = [
            threading.Thread(target=lambda store=store: [store.write_signals(batch) for batch in batches])
            for store in (first, second)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.counts().signals == 80
        row = first.target(news.VELDARA)
        assert row is not None
        assert (row.stories, row.articles) == (10, 80)
        assert sum(story.articles for story in first.stories(news.VELDARA)) == 80


def test_a_writer_that_is_suspended_in_a_transaction_does_not_stop_the_others(
    settings: Settings, news: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL ends the transaction of the suspended process, whose next statement fails for now."""
    monkeypatch.setattr(sessions, "_SUSPENDED_S", 1)
    with Store.open(settings) as suspended, Store.open(settings) as running:

        def sleep_in_a_transaction() -> None:
            with suspended._writing() as connection:
                running.write_signals([news.signal("a1")])  # waits for the lock
                connection.exec_driver_sql("select 1")

        with pytest.raises(StoreUnavailableError):
            sleep_in_a_transaction()
        assert running.counts().signals == 1
        suspended.write_signals([news.signal("a2")])
        assert running.counts().signals == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("update riskwire_schema set version_num = '99'", r"newer riskwire \(version 99;.*Upgrade riskwire"),
        (
            "drop table riskwire_schema; create table riskwire_schema (version int);"
            "insert into riskwire_schema values (6)",
            r"unreleased riskwire 0\.2 \(version 6;.*another database with store\.url",
        ),
        ("drop table riskwire_schema", "not a riskwire store"),
    ],
    ids=["newer", "older", "another program"],
)
@pytest.mark.parametrize("read_only", [False, True], ids=["to write", "to read"])
def test_a_database_that_is_no_store_of_this_version_is_refused(
    settings: Settings, change: str, message: str, read_only: bool
) -> None:
    Store.open(settings).close()
    with connect(settings) as raw:
        raw.execute(change.encode())
    with pytest.raises(StoreError, match=message) as caught:
        Store.open(settings, read_only=read_only)
    with pytest.raises(StoreError, match=message):
        Store.check(settings)
    assert isinstance(caught.value, StoreVersionError) or "not a riskwire" in message


def test_an_empty_database_is_refused_for_reading(settings: Settings) -> None:
    with pytest.raises(StoreError, match=r"the store is empty.*riskwire run"):
        Store.open(settings, read_only=True)


def test_a_read_only_store_cannot_be_written(settings: Settings, news: ModuleType) -> None:
    Store.open(settings).close()
    with Store.open(settings, read_only=True) as store, pytest.raises(StoreError, match="the store failed"):
        store.write_alerts([news.alert()])


def test_the_password_is_in_no_message(settings: Settings) -> None:
    url = "postgresql://me:hunter2@127.0.0.1:1/none"
    with pytest.raises(StoreUnavailableError) as caught:
        Store.open(settings.model_copy(update={"store": StoreSettings(url=url)}))
    assert "hunter2" not in str(caught.value)
    assert "cannot be reached" in str(caught.value)
    with pytest.raises(SettingsError) as refused:
        Store.open(settings.model_copy(update={"store": StoreSettings(url="mysql://me:hunter2@h/d")}))
    assert "hunter2" not in str(refused.value)


async def test_a_write_waits_while_the_server_is_away_and_reads_fail_at_once(
    own_server: PostgresServer, settings: Settings, news: ModuleType
) -> None:
    """The server is killed without a checkpoint. What was committed is there when it is back."""
    away = settings.model_copy(update={"store": StoreSettings(url=own_server.new_store())})
    with Store.open(away) as store:
        await store.write_off_loop(store.write_signals, [news.signal("a1")])
        own_server.kill()
        with pytest.raises(StoreUnavailableError):
            await store.off_loop(store.counts)
        waiting = asyncio.create_task(store.write_off_loop(store.write_signals, [news.signal("a2")]))
        reading = asyncio.create_task(store.off_loop_when_available(store.counts))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        assert not reading.done()
        await asyncio.to_thread(own_server.start)
        async with asyncio.timeout(60):
            await waiting
            await reading
        assert store.counts().signals == 2


async def test_a_server_that_is_killed_in_a_transaction_keeps_nothing_of_it(
    own_server: PostgresServer, settings: Settings, news: ModuleType
) -> None:
    """The batch is then written again, as a sink does that has not committed its position."""
    settings = settings.model_copy(update={"store": StoreSettings(url=own_server.new_store())})
    batch = [news.signal(f"a{number}") for number in range(50)]
    with Store.open(settings) as store:

        def write_half() -> None:
            with store._writing() as connection:
                connection.exec_driver_sql("insert into sources values ('half', 1)")
                own_server.kill()

        with pytest.raises(StoreUnavailableError):
            write_half()
        own_server.start()
        assert stored_rows(settings, "select count(*) from sources") == [(0,)]
        await store.write_off_loop(store.write_signals, batch)
        own_server.cut_connections()
        await store.write_off_loop(store.write_signals, batch)
        assert store.counts().signals == 50


async def test_a_full_disk_of_the_server_is_waited_for(settings: Settings, news: ModuleType) -> None:
    """A trigger answers as PostgreSQL does on a full disk. The write succeeds once there is room."""
    with Store.open(settings) as store, connect(settings) as raw:
        raw.execute(
            "create function full_disk() returns trigger language plpgsql as $$ begin "
            "raise exception 'No space left on device' using errcode = 'disk_full'; end $$;"
            "create trigger full_disk before insert on alerts execute function full_disk()"
        )
        with pytest.raises(StoreUnavailableError, match="disk of PostgreSQL is full"):
            store.write_alerts([news.alert()])
        waiting = asyncio.create_task(store.write_off_loop(store.write_alerts, [news.alert()]))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        raw.execute("drop trigger full_disk on alerts")
        async with asyncio.timeout(60):
            await waiting
        assert len(store.alerts()) == 1


async def test_a_writer_gives_up_after_wait_s(
    settings: Settings, news: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the writer lock for ever."""
    monkeypatch.setattr(sessions, "_WRITER_WAIT_S", 1)
    impatient = settings.model_copy(update={"store": settings.store.model_copy(update={"wait_s": 0.0})})
    with Store.open(impatient) as store, connect(settings) as raw:
        raw.execute(f"select pg_advisory_lock({sessions.WRITER_LOCK})")
        with pytest.raises(StoreUnavailableError, match="55P03"):
            await store.write_off_loop(store.write_alerts, [news.alert()])
