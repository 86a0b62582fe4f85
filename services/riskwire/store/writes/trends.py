"""Writes trend points, and the surprise of their targets with the window nearest to firing."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, tuple_

from riskwire.records import TrendPoint, to_ms
from riskwire.store import tables
from riskwire.store.changes import record_changes
from riskwire.store.database.postgresql.partitions import make_partitions
from riskwire.store.rows import target_kind
from riskwire.store.upsert import upsert


def write_trends(connection: Connection, points: Iterable[TrendPoint]) -> None:
    """Writes trend points, one for each (target, start, length); a stored one is replaced.

    The surprise of a target and its nearest window become those of its newest point: the one with the latest start,
    then the longest. A target without a row gets one with no stories yet. Records a change of the targets with changed
    points, for live readers.
    """
    rows = {(point.target, point.start, point.length_s): point for point in points}
    make_partitions(connection, tables.trends, [to_ms(point.start) for point in rows.values()])
    changed = upsert(
        connection,
        tables.trends,
        [
            {
                "target": point.target,
                "start_ms": to_ms(point.start),
                "length_s": point.length_s,
                "stories": point.stories,
                "articles": point.articles,
                "negative": point.negative,
                "neutral": point.neutral,
                "positive": point.positive,
                "surprise": point.surprise,
            }
            for point in rows.values()
        ],
    )
    newest: dict[str, TrendPoint] = {}
    for point in sorted(rows.values(), key=lambda point: (point.start, point.length_s)):
        newest[point.target] = point
    stored = tables.targets.c
    upsert(
        connection,
        tables.targets,
        [
            {
                "target": point.target,
                "kind": target_kind(point.target),
                "name": point.name or point.target.partition(":")[2] or point.target,
                "groups": "[]",
                "named_ms": -1,
                "stories": 0,
                "articles": 0,
                "counted_ms": None,
                "surprise": point.surprise,
                "surprise_ms": to_ms(point.start),
                "surprise_s": point.length_s,
                "nearest": point.nearest and point.nearest.to_bytes().decode(),
            }
            for point in newest.values()
        ],
        columns=("surprise", "surprise_ms", "surprise_s", "nearest"),
        newer=lambda new: tuple_(new.surprise_ms, new.surprise_s) >= tuple_(stored.surprise_ms, stored.surprise_s),
    )
    record_changes(connection, [("trend", target) for target in sorted({key[0] for key in changed})])
