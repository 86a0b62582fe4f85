"""`riskwire db`: the schema by migrations equals that by tables, and stores that cannot be upgraded are refused."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from stores.postgresql import PostgresServer
from stores.rows import stored_rows

from riskwire.errors import SettingsError, StoreVersionError
from riskwire.settings import Settings
from riskwire.store import Store, tables
from riskwire.store.database import migrations
from riskwire.store.database.engine import store_url
from riskwire.store.database.upgrade import grant_reader, schema_version, upgrade_store


def schema(settings: Settings) -> list[tuple[str, ...]]:
    """Returns a description of all tables, columns and indexes of a store."""
    if settings.store.url is not None and settings.store.url.startswith("postgresql"):
        return stored_rows(
            settings,
            "select table_name, column_name, data_type, is_nullable, collation_name from information_schema.columns "
            "where table_schema = current_schema() "
            "union all select tablename, replace(indexdef, current_schema(), ''), '', '', '' from pg_indexes "
            "where schemaname = current_schema() and tablename <> 'riskwire_schema' order by 1, 2",
        )
    return stored_rows(settings, "select name, sql from sqlite_schema where tbl_name <> 'riskwire_schema' order by 1")


def test_the_newest_migration_is_the_schema_version() -> None:
    config = Config()
    config.set_main_option("script_location", migrations.__path__[0])
    assert ScriptDirectory.from_config(config).get_heads() == [str(tables.SCHEMA_VERSION)]


def test_migrations_and_tables_give_the_same_schema(new_settings: Callable[..., Settings]) -> None:
    migrated, created = new_settings(), new_settings()
    assert upgrade_store(migrated) is None
    Store.open(created).close()
    assert schema(migrated) == schema(created)
    assert schema_version(migrated) == tables.SCHEMA_VERSION


def test_an_upgraded_store_is_used_and_upgrading_again_changes_nothing(settings: Settings, news: ModuleType) -> None:
    assert schema_version(settings) is None
    upgrade_store(settings)
    with Store.open(settings) as store:
        store.write_signals([news.signal("a1")])
    assert upgrade_store(settings) == tables.SCHEMA_VERSION
    with Store.open(settings, read_only=True) as store:
        assert store.counts().signals == 1


@pytest.mark.parametrize(("version", "message"), [("99", "Upgrade riskwire"), ("3", "riskwire 0.1")])
def test_a_store_that_cannot_be_upgraded_is_refused_and_not_changed(
    settings: Settings, version: str, message: str
) -> None:
    Store.open(settings).close()
    engine = create_engine(store_url(settings))
    with engine.begin() as connection:
        connection.execute(text(f"update riskwire_schema set version_num = '{version}'"))
    engine.dispose()
    before = schema(settings)
    for action in (upgrade_store, schema_version):
        with pytest.raises(StoreVersionError, match=message):
            action(settings)
    assert schema(settings) == before
    assert stored_rows(settings, "select version_num from riskwire_schema") == [(version,)]


@pytest.mark.needs_postgresql
def test_a_reader_reads_tables_and_later_partitions_and_writes_nothing(
    postgresql_settings: Settings, postgres_server: PostgresServer, news: ModuleType
) -> None:
    """The name of the role needs quotes."""
    upgrade_store(postgresql_settings)
    role = 'Grafana "reader"'
    postgres_server.sql('create role "Grafana ""reader""" login')
    grant_reader(postgresql_settings, role)
    with Store.open(postgresql_settings) as store:
        store.write_signals([news.signal("a1")])
    url = str(postgresql_settings.store.url).replace("riskwire@", "Grafana%20%22reader%22@")
    with psycopg.connect(url, autocommit=True) as reader:
        assert reader.execute("select count(*) from signals").fetchone() == (1,)
        for statement in ("delete from signals", "create table mine (n int)", "insert into sources values ('x', 1)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement.encode())


@pytest.mark.needs_postgresql
def test_a_reader_that_cannot_be_is_refused(sqlite_settings: Settings, postgresql_settings: Settings) -> None:
    upgrade_store(sqlite_settings)
    with pytest.raises(SettingsError, match="only PostgreSQL has roles"):
        grant_reader(sqlite_settings, "grafana")
    upgrade_store(postgresql_settings)
    with pytest.raises(SettingsError, match="there is no such role"):
        grant_reader(postgresql_settings, "nobody")
