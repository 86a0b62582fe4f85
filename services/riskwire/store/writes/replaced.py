"""Keeping versions of articles that were read with an earlier watchlist than the version that replaced them.

A target that is new on the list is told of what was read before it was; where its article has a later version by then,
only this tells what the earlier one said. Few articles are among them: the list has to change between two versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from riskwire.records import to_json
from riskwire.store import tables
from riskwire.store.upsert import chunks, upsert

Row = Mapping[str, Any]
Version = tuple[Row, Sequence[Row]]
"""The row of `articles`, and those of `mentions`."""


def keep_replaced(connection: Connection, offered: Iterable[Row]) -> None:
    """Keep what these rows of `articles` are about to replace."""
    later = {row["id"]: row for row in offered if row["version"] > 1 and row["read_with"] is not None}
    replaced = [row for row in _held(connection, later) if _is_earlier(row, later[row["id"]])]
    mentions: dict[str, list[Row]] = {}
    for chunk in chunks([row["id"] for row in replaced]):
        query = select(tables.mentions).where(tables.mentions.c.article.in_(chunk)).order_by(tables.mentions.c.n)
        for mention in connection.execute(query).mappings():
            mentions.setdefault(mention["article"], []).append(dict(mention))
    _keep(connection, [(row, mentions.get(row["id"], ())) for row in replaced])


def keep_earlier(connection: Connection, versions: Sequence[Version]) -> None:
    """Keep those of these versions in whose place `articles` has a later one."""
    held = {row["id"]: row for row in _held(connection, {row["id"] for row, _ in versions})}
    _keep(connection, [one for one in versions if one[0]["id"] in held and _is_earlier(one[0], held[one[0]["id"]])])


def _held(connection: Connection, articles: Iterable[str]) -> list[Row]:
    found: list[Row] = []
    for chunk in chunks(articles):
        query = select(tables.articles).where(tables.articles.c.id.in_(chunk))
        found += [dict(row) for row in connection.execute(query).mappings()]
    return found


def _is_earlier(row: Row, other: Row) -> bool:
    """Whether it is an earlier version, read with an earlier list."""
    before, after = row["read_with"], other["read_with"]
    return bool(row["version"] < other["version"] and after is not None and (before is None or before < after))


def _keep(connection: Connection, versions: Iterable[Version]) -> None:
    rows = {
        (row["id"], row["read_with"]): {
            "article": row["id"],
            "read_with": -1 if row["read_with"] is None else row["read_with"],
            "version": row["version"],
            "seen_ms": row["seen_ms"],
            "body": to_json({"article": row, "mentions": mentions}).decode(),
        }
        for row, mentions in sorted(versions, key=lambda one: int(one[0]["version"]))
    }
    last = tables.replaced.c.version
    upsert(connection, tables.replaced, list(rows.values()), newer=lambda offered: offered.version > last)
