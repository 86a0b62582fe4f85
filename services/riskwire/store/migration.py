"""From the versions of the store that there have been to the one of today; each step only adds."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, insert, inspect, select, text, update

from riskwire.entities.names import joined, name_key
from riskwire.errors import StoreError
from riskwire.store import tables
from riskwire.store.upsert import chunks

KNOWN = range(1, tables.SCHEMA_VERSION)
"""Older versions that can be brought up to date."""


def migrate(connection: Connection, version: int | None) -> None:
    """Bring a store of a known version up to date, in this transaction; does nothing where it is.

    Raises:
        StoreError: what it holds cannot be read.
    """
    if version is None or version not in KNOWN:
        return  # another process was faster
    if version < 2:
        _add_column(connection, "commands", "target")
        tables.metadata.create_all(connection)
        for index in tables.commands.indexes:
            index.create(connection, checkfirst=True)
        _name_the_targets(connection)
        _mention_whom_signals_speak_of(connection)
    if version < 3:
        _add_column(connection, "articles", "read_with")
        tables.metadata.create_all(connection)
        for index in tables.signals.indexes:
            index.create(connection, checkfirst=True)
    connection.execute(tables.schema.update().values(version=tables.SCHEMA_VERSION))


def _add_column(connection: Connection, table: str, column: str) -> None:
    there = {one["name"] for one in inspect(connection).get_columns(table)}
    if column not in there:
        kind = tables.metadata.tables[table].c[column].type.compile(connection.dialect)
        connection.execute(text(f'ALTER TABLE {table} ADD COLUMN "{column}" {kind}'))


def _name_the_targets(connection: Connection) -> None:
    command = tables.commands.c
    for row in connection.execute(select(command.id, command.body)).all():
        try:
            target = orjson.loads(row.body).get("target")
        except ValueError as error:
            raise StoreError("a command in the store cannot be read", where=f"commands {row.id}") from error
        if target:
            connection.execute(update(tables.commands).where(command.id == row.id).values(target=target))


def _mention_whom_signals_speak_of(connection: Connection) -> None:
    """Whom articles mention was not kept; whom they were followed for was, so that is what `mentions` begins with."""
    article, signal = tables.articles.c, tables.signals.c
    ids = connection.execute(select(article.id).order_by(article.id)).scalars().all()
    spoken = (
        select(tables.signals)
        .join(tables.articles, and_(article.id == signal.article, article.version == signal.version))
        .where(signal.target.startswith("entity:"))
        .order_by(signal.article, signal.relevance.desc(), signal.target)
    )
    for chunk in chunks(ids):
        found = connection.execute(spoken.where(signal.article.in_(chunk))).all()
        rows = [
            {"n": n, **row}
            for _, several in groupby(found, key=lambda one: one.article)
            for n, row in enumerate(filter(None, map(_mention_row, several)))
        ]
        if rows:
            connection.execute(insert(tables.mentions), rows)


def _mention_row(signal: Row[Any]) -> dict[str, Any] | None:
    """The one mention that a signal quotes; None where it quotes no name."""
    name = signal.text[signal.start : signal.end]
    key = joined(name_key(name))
    if not key:
        return None
    titled = signal.text == signal.title
    return {
        "article": signal.article,
        "entity": signal.target.removeprefix("entity:"),
        "key": key,
        "text": name,
        "sentence": 0 if titled else 1,
        "start": signal.start if titled else -1,
        "end": signal.end if titled else -1,
        "weight": 1.0,
        "relevance": signal.relevance,
        "negative": signal.negative,
        "neutral": signal.neutral,
        "positive": signal.positive,
        "seen_ms": signal.seen_ms,
    }
