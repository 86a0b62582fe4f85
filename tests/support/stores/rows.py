"""Reads the database of a store past the store, on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, text

from riskwire.settings import Settings
from riskwire.store.database.engine import store_url


def stored_rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    """Returns the rows of a query."""
    engine = create_engine(store_url(settings))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        engine.dispose()
