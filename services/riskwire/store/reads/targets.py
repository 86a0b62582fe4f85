"""Reads targets: their present state, and whether they are blind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import BigInteger, ColumnElement, Connection, and_, case, cast, exists, func, or_, select

from riskwire.records import NearestWindow, from_ms
from riskwire.store import tables
from riskwire.store.clock import newest_ms
from riskwire.store.reads.decisions import is_open
from riskwire.store.reads.exact import exact_sum, mean_of
from riskwire.store.reads.trends import SPARK_STEPS, sparks
from riskwire.store.rows import TargetKind, TargetOrder, TargetRow
from riskwire.store.upsert import chunks

_SCORE_WINDOW = timedelta(days=7)
"""Period before the newest data over which `TargetRow.score` is a mean."""

_SCORE_UNITS = 100_000
"""Parts of a ten-thousandth in which mean scores are summed, as whole numbers."""

_T = tables.targets.c


def list_targets(
    connection: Connection,
    *,
    limit: int,
    offset: int,
    kind: TargetKind | None,
    query: str | None,
    order: TargetOrder,
    spark: bool,
    blind_after_s: int,
    fresh_s: int,
) -> list[TargetRow]:
    """Returns a page of targets: at most `limit`, after the first `offset` in the given order.

    Args:
        kind: only targets of this kind; None for all.
        query: text that must occur in name, target or groups, ignoring case.
        order: what to sort by; see `_target_rows`.
        spark: whether to add recent scores to each row.
        blind_after_s: seconds without news from any of its sources, after which a target is blind.
        fresh_s: age in seconds beyond which a surprise counts as 0.
    """
    conditions: list[ColumnElement[bool]] = []
    if kind is not None:
        conditions.append(_T.kind == kind)
    if query:
        conditions.append(
            or_(*(column.icontains(query, autoescape=True) for column in (_T.name, _T.target, _T.groups)))
        )
    return _target_rows(
        connection,
        conditions,
        order,
        limit=limit,
        offset=offset,
        spark=spark,
        blind_after_s=blind_after_s,
        fresh_s=fresh_s,
    )


def targets_by_id(
    connection: Connection, targets: Sequence[str], *, spark: bool, blind_after_s: int, fresh_s: int
) -> list[TargetRow]:
    """Returns the rows of those of the targets that exist. See `list_targets` for the other arguments.

    They are sorted by name within each chunk of targets that one query reads.
    """
    return [
        row
        for chunk in chunks(targets)
        for row in _target_rows(
            connection,
            [_T.target.in_(chunk)],
            "name",
            limit=len(chunk),
            offset=0,
            spark=spark,
            blind_after_s=blind_after_s,
            fresh_s=fresh_s,
        )
    ]


def _target_rows(
    connection: Connection,
    conditions: list[ColumnElement[bool]],
    order: TargetOrder,
    *,
    limit: int,
    offset: int,
    spark: bool,
    blind_after_s: int,
    fresh_s: int,
) -> list[TargetRow]:
    """Returns the targets that satisfy all `conditions`, with their score, alerts, surprise and blindness.

    "Now" is the newest record of the store. The score is the mean over the stories of the last `_SCORE_WINDOW`, each
    with the mean of its articles. Alerts are those that are not resolved.

    Args:
        order: the column to sort by: names alphabetically, scores from the most negative, others from the largest or
            latest; missing values last.
        limit, offset: at most `limit` rows, after the first `offset`.
        spark: whether to add the sparkline: the recent scores in `SPARK_STEPS` equal steps, None where without news.
        blind_after_s: a target is blind if none of its sources was seen in this many seconds.
        fresh_s: age in seconds beyond which a surprise counts as 0.
    """
    newest = newest_ms(connection) or 0
    since = newest - int(_SCORE_WINDOW.total_seconds() * 1000)
    story, head = tables.stories.c, tables.alert_heads.c
    mean = (
        select(
            story.target,
            mean_of(
                exact_sum(cast(story.score_1e4, BigInteger) * _SCORE_UNITS // func.nullif(story.articles, 0))
            ).label("score"),
        )
        .where(story.counted_ms >= since)
        .group_by(story.target)
        .subquery()
    )
    running = select(head.target, func.count().label("alerts")).where(is_open()).group_by(head.target).subquery()
    alerts = func.coalesce(running.c.alerts, 0)
    is_fresh = _T.surprise_ms >= newest - fresh_s * 1000
    surprise = case((is_fresh, _T.surprise), else_=0.0)
    orders: dict[TargetOrder, list[Any]] = {
        "alerts": [alerts.desc(), surprise.desc(), _T.stories.desc()],
        "surprise": [surprise.desc(), _T.stories.desc()],
        "score": [mean.c.score.is_(None), mean.c.score],
        "stories": [_T.stories.desc()],
        "name": [func.lower(_T.name)],
        "last_seen": [_T.counted_ms.is_(None), _T.counted_ms.desc()],
    }
    query = (
        select(
            tables.targets,
            mean.c.score,
            alerts.label("alerts"),
            surprise.label("surprise_now"),
            case((is_fresh, _T.nearest)).label("nearest_now"),
        )
        .outerjoin(mean, mean.c.target == _T.target)
        .outerjoin(running, running.c.target == _T.target)
        .where(*conditions)
        .order_by(*orders[order], _T.target)
        .limit(limit)
        .offset(offset)
    )
    rows = connection.execute(query).all()
    targets = [row.target for row in rows]
    empty_window = _empty_window(connection) if any(row.nearest_now is None for row in rows) else None
    blind = blind_since(connection, targets, newest - blind_after_s * 1000)
    spark_of = sparks(connection, targets, newest) if spark else {}
    return [
        TargetRow(
            target=row.target,
            name=row.name,
            kind=row.kind,
            groups=tuple(orjson.loads(row.groups)),
            stories=row.stories,
            articles=row.articles,
            score=None if row.score is None else round(row.score / (_SCORE_UNITS * 10_000), 4),
            surprise=row.surprise_now,
            nearest=NearestWindow.model_validate_json(row.nearest_now) if row.nearest_now else empty_window,
            alerts=row.alerts,
            last_seen=None if row.counted_ms is None else from_ms(row.counted_ms),
            blind_since=from_ms(blind[row.target]) if row.target in blind else None,
            spark=tuple(spark_of.get(row.target, (None,) * SPARK_STEPS)) if spark else None,
        )
        for row in rows
    ]


def _empty_window(connection: Connection) -> NearestWindow | None:
    """Returns the nearest window of the newest trend point, without its stories; None if the store has none."""
    query = select(_T.nearest).where(_T.nearest.is_not(None)).order_by(_T.surprise_ms.desc(), _T.target).limit(1)
    newest = connection.execute(query).scalar()
    if newest is None:
        return None
    return NearestWindow.model_validate_json(newest).model_copy(update={"stories": 0, "surprise": 0.0})


def blind_since(connection: Connection, targets: Sequence[str], cutoff: int) -> dict[str, int]:
    """Returns when any source of each blind target was last seen, in milliseconds since 1970, by target.

    A target is blind if no source that has reported on it was seen since `cutoff` (milliseconds since 1970). Targets
    that are not blind, or have no source, are absent.
    """
    link, source = tables.target_sources.c, tables.sources.c
    last_seen = func.max(source.seen_ms)
    silent: dict[str, int] = {}
    for chunk in chunks(targets):
        query = (
            select(link.target, last_seen.label("last_seen"))
            .join_from(tables.target_sources, tables.sources, source.source == link.source)
            .where(link.target.in_(chunk))
            .group_by(link.target)
            .having(last_seen < cutoff)
        )
        silent.update({row.target: row.last_seen for row in connection.execute(query)})
    return silent


def count_blind(connection: Connection, blind_after_s: int) -> int:
    """Returns the number of blind entities, or 0 for an empty store.

    An entity is blind if it has sources and none of them was seen within `blind_after_s` seconds before the newest
    record of the store.
    """
    newest = newest_ms(connection)
    if newest is None:
        return 0
    link, source = tables.target_sources.c, tables.sources.c
    of_target = and_(link.target == _T.target, source.source == link.source)
    has_active_source = exists().where(of_target, source.seen_ms >= newest - blind_after_s * 1000)
    has_source = exists().where(of_target)
    query = select(func.count()).select_from(tables.targets).where(_T.kind == "entity", has_source, ~has_active_source)
    return connection.execute(query).scalar_one()
