"""Upgrades the schema of a store, and lets a role of PostgreSQL read it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from riskwire.errors import SettingsError, StoreError
from riskwire.settings import Settings
from riskwire.store import tables
from riskwire.store.database import migrations
from riskwire.store.database.engine import existing_store, new_store, reported
from riskwire.store.database.schema_version import OLDEST_MIGRATED, stored_version, usable_version


def schema_version(settings: Settings) -> int | None:
    """Returns the schema version of a store that this riskwire can use, or None if there is no store yet.

    Raises:
        StoreError: the database is not a store or cannot be read.
        StoreVersionError: another version of riskwire wrote the store.
        SettingsError: `store.url` is not a URL of SQLite or PostgreSQL.
    """
    with existing_store(settings) as (engine, where):
        if engine is None:
            return None
        with reported(where), engine.connect() as connection:
            return usable_version(connection, where)


def upgrade_store(settings: Settings) -> int | None:
    """Brings a store to `SCHEMA_VERSION` in one transaction, and creates one that does not exist.

    Returns:
        the version before, or None if there was no store.

    Raises:
        StoreError: the database is not a store or cannot be written.
        StoreVersionError: the store is newer than this riskwire, or too old to be upgraded.
        SettingsError: `store.url` is not a URL of SQLite or PostgreSQL.
    """
    with (
        new_store(settings) as (engine, where),
        reported(where),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        version = stored_version(connection, where)
        if version is not None and not OLDEST_MIGRATED <= version <= tables.SCHEMA_VERSION:
            usable_version(connection, where)  # raises the refusal
        _migrate(connection)
        return version


def _migrate(connection: Connection) -> None:
    """Runs the migrations that the database lacks."""
    from alembic import command  # noqa: PLC0415 - only this command needs it
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    command.upgrade(config, "head")


def grant_reader(settings: Settings, role: str) -> None:
    """Lets a role of PostgreSQL read all present and future tables of the store, and write none.

    Raises:
        SettingsError: the store is not on PostgreSQL, or there is no such role.
        StoreError: there is no store, or it cannot be written.
        StoreVersionError: another version of riskwire wrote the store.
    """
    with existing_store(settings, read_only=False) as (engine, where):
        if engine is None or engine.dialect.name != "postgresql":
            raise SettingsError("store.url: only PostgreSQL has roles", value=where)
        with reported(where), engine.connect().execution_options(writes=True) as connection, connection.begin():
            if usable_version(connection, where) is None:
                raise StoreError("there is no store", where=where, do="Run `riskwire db upgrade` first.")
            if not connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first():
                raise SettingsError(
                    "there is no such role", value=role, where=where, do="CREATE ROLE … LOGIN PASSWORD '…' makes one"
                )
            quote = connection.dialect.identifier_preparer.quote_identifier
            names = connection.execute(text("SELECT current_database(), current_schema()")).one()
            database, schema = map(quote, names)
            for statement in (
                f"GRANT CONNECT ON DATABASE {database} TO {quote(role)}",
                f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",
                f"GRANT USAGE ON SCHEMA {schema} TO {quote(role)}",
                f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {quote(role)}",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {quote(role)}",
            ):
                connection.exec_driver_sql(statement)
