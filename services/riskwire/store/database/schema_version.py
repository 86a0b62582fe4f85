"""The version of the store's schema: what a database holds, and whether this riskwire can use it."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from riskwire.errors import StoreError, StoreVersionError
from riskwire.store import tables

_LAST_VERSION_OF_0_1 = 3
"""The schema version of the last stores that riskwire 0.1 wrote."""
OLDEST_MIGRATED = tables.SCHEMA_VERSION
"""The oldest version that `riskwire db upgrade` can bring to `SCHEMA_VERSION`."""


def stored_version(connection: Connection, where: str) -> int | None:
    """Returns the schema version of a store, or None for a database without tables.

    Args:
        where: the name of the store, for errors.

    Raises:
        StoreError: the database is not a store.
    """
    names = inspect(connection).get_table_names()
    if not names:
        return None
    if tables.schema.name not in names:
        raise StoreError(
            "this database is not a riskwire store",
            value=sorted(names)[:5],
            where=where,
            do=f"Name {_another(connection)}.",
        )
    columns = {column["name"] for column in inspect(connection).get_columns(tables.schema.name)}
    column = tables.schema.c.version_num.name if "version_num" in columns else "version"  # `version` until version 7
    version = connection.execute(text(f"SELECT {column} FROM {tables.schema.name}")).scalar()  # noqa: S608
    return None if version is None else int(version)


def usable_version(connection: Connection, where: str) -> int | None:
    """Returns the schema version of a store that this riskwire can use, or None for a database without tables.

    Raises:
        StoreError: the database is not a store.
        StoreVersionError: the store has another version than this riskwire.
    """
    version = stored_version(connection, where)
    if version is not None and version != tables.SCHEMA_VERSION:
        raise _refusal(connection, version, where)
    return version


def _refusal(connection: Connection, version: int, where: str) -> StoreVersionError:
    """Returns the error about a store of another version."""
    readable_version = tables.SCHEMA_VERSION
    if version > readable_version:
        return StoreVersionError(
            f"the store was written by a newer riskwire (version {version}; this one reads {readable_version})",
            where=where,
            do=f"Upgrade riskwire, or name {_another(connection)}.",
        )
    if version >= OLDEST_MIGRATED:
        return StoreVersionError(
            f"the store was written by an older riskwire (version {version}; this one reads {readable_version})",
            where=where,
            do="Make a backup, stop every process that uses the store, and run `riskwire db upgrade`.",
        )
    writer = "riskwire 0.1" if version <= _LAST_VERSION_OF_0_1 else "an unreleased riskwire 0.2"
    return StoreVersionError(
        f"the store was written by {writer} (version {version}; this one reads only {readable_version})",
        where=where,
        do=f"Name {_another(connection)}, or replay an archive into a new one; this one is left as it is.",
    )


def _another(connection: Connection) -> str:
    sqlite = connection.dialect.name == "sqlite"
    return "another directory with --data" if sqlite else "another database with store.url"
