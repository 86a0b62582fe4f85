"""Keeps versions of articles that a version read with a later watchlist has replaced.

The history of a newly watched target consists of articles that were read before the target was watched. If such an
article has a later version, only this table has the earlier one. Few articles are in it, because the watchlist must
change between two versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from riskwire.records import to_json
from riskwire.store import tables
from riskwire.store.upsert import Row, chunks, upsert

Version = tuple[Row, Sequence[Row]]
"""The row of `articles` of a version, and its rows of `mentions`."""


def keep_replaced(connection: Connection, new_rows: Iterable[Row]) -> None:
    """Copies stored versions of articles that `new_rows` are about to replace into the table of replaced versions.

    Only versions that were read with an earlier watchlist than the new row are copied, with their mentions.

    Args:
        new_rows: rows of the table `articles`. `read_with` is the offset of the last command that had changed the
            watchlist when the version was read, or None before any. Rows that cannot have an earlier version, or none
            with an earlier watchlist, are skipped.
    """
    new_by_id = {row["id"]: row for row in new_rows if row["version"] > 1 and row["read_with"] is not None}
    replaced = [row for row in _stored(connection, new_by_id) if _read_with_earlier_list(row, new_by_id[row["id"]])]
    mentions: dict[str, list[Row]] = {}
    for chunk in chunks([row["id"] for row in replaced]):
        query = select(tables.mentions).where(tables.mentions.c.article.in_(chunk)).order_by(tables.mentions.c.n)
        for mention in connection.execute(query).mappings():
            mentions.setdefault(mention["article"], []).append(dict(mention))
    _keep(connection, [(row, mentions.get(row["id"], ())) for row in replaced])


def keep_if_replaced(connection: Connection, versions: Sequence[Version]) -> None:
    """Writes to the table of replaced versions those versions of which `articles` already has a later one.

    Only versions that were read with an earlier watchlist than the later one are written.

    Args:
        versions: for each version, its row for the table `articles` and its rows for the table `mentions`.
    """
    stored = {row["id"]: row for row in _stored(connection, {row["id"] for row, _ in versions})}
    replaced = [
        (row, mentions)
        for row, mentions in versions
        if row["id"] in stored and _read_with_earlier_list(row, stored[row["id"]])
    ]
    _keep(connection, replaced)


def _stored(connection: Connection, articles: Iterable[str]) -> list[Row]:
    """Returns the stored rows of the table `articles` with these ids."""
    rows: list[Row] = []
    for chunk in chunks(articles):
        query = select(tables.articles).where(tables.articles.c.id.in_(chunk))
        rows += [dict(row) for row in connection.execute(query).mappings()]
    return rows


def _read_with_earlier_list(row: Row, later_row: Row) -> bool:
    """Returns whether `row` is an earlier version of `later_row`, read with an earlier watchlist."""
    before, after = row["read_with"], later_row["read_with"]
    return bool(row["version"] < later_row["version"] and after is not None and (before is None or before < after))


def _keep(connection: Connection, versions: Iterable[Version]) -> None:
    """Writes versions to the table of replaced versions: for each article and watchlist offset, the latest version.

    The watchlist offset `read_with` is the offset of the last change of the watchlist before the version was read, or
    -1 if there was none. A stored version is only replaced by a later one.

    Args:
        versions: for each version, its row of the table `articles` and its rows of the table `mentions`.
    """
    rows = {
        (row["id"], row["read_with"]): {
            "article": row["id"],
            "read_with": -1 if row["read_with"] is None else row["read_with"],
            "version": row["version"],
            "seen_ms": row["seen_ms"],
            "body": to_json({"article": row, "mentions": mentions}).decode(),
        }
        for row, mentions in sorted(versions, key=lambda version: int(version[0]["version"]))
    }
    stored_version = tables.replaced_versions.c.version
    upsert(connection, tables.replaced_versions, list(rows.values()), newer=lambda new: new.version > stored_version)
