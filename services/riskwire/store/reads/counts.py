"""Reads the numbers of rows in the store."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Table, func, select

from riskwire.records import from_ms
from riskwire.store import tables
from riskwire.store.clock import newest_ms, oldest_ms
from riskwire.store.reads.dead_letters import count_dead_letters
from riskwire.store.reads.decisions import is_open
from riskwire.store.reads.targets import count_blind
from riskwire.store.rows import Counts


def read_counts(connection: Connection, blind_after_s: int) -> Counts:
    """Returns the numbers of rows and the time range of the data. Dead letters that are no longer kept count too.

    Args:
        blind_after_s: seconds without news from any of its sources, after which an entity counts as blind.
    """
    newest, oldest = newest_ms(connection), oldest_ms(connection)
    return Counts(
        articles=_count(connection, tables.articles),
        unsupported=_count(connection, tables.articles, tables.articles.c.status == "unsupported"),
        signals=_count(connection, tables.signals),
        targets=_count(connection, tables.targets),
        trends=_count(connection, tables.trends),
        alerts=_count(connection, tables.alert_heads),
        open_alerts=_count(connection, tables.alert_heads, is_open()),
        commands=_count(connection, tables.commands),
        dead_letters=count_dead_letters(connection),
        blind=count_blind(connection, blind_after_s),
        newest=None if newest is None else from_ms(newest),
        oldest=None if oldest is None else from_ms(oldest),
    )


def _count(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
