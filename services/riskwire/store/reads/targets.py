"""Reading targets: their rows, their trends, and which of them are blind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, or_, select

from riskwire.records import from_ms
from riskwire.store import tables
from riskwire.store.clock import newest_ms
from riskwire.store.rows import TargetKind, TargetOrder, TargetRow, Trend, TrendBucket, to_ms
from riskwire.store.upsert import chunks

SCORE_WINDOW = timedelta(days=7)
"""How far back from the newest news `TargetRow.score` looks."""

SPARK_STEPS = 28
SPARK_STEP = timedelta(hours=6)

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
    """Targets in the asked-for order; `query` is looked for in name, target and groups."""
    conditions: list[ColumnElement[bool]] = []
    if kind is not None:
        conditions.append(_T.kind == kind)
    if query:
        conditions.append(
            or_(*(column.icontains(query, autoescape=True) for column in (_T.name, _T.target, _T.groups)))
        )
    return _rows(connection, conditions, order, limit, offset, spark, blind_after_s, fresh_s)


def targets_by_id(
    connection: Connection, targets: Sequence[str], *, spark: bool, blind_after_s: int, fresh_s: int
) -> list[TargetRow]:
    """The rows of these targets, those that there are."""
    return [
        row
        for chunk in chunks(targets)
        for row in _rows(connection, [_T.target.in_(chunk)], "name", len(chunk), 0, spark, blind_after_s, fresh_s)
    ]


def _rows(
    connection: Connection,
    conditions: list[ColumnElement[bool]],
    order: TargetOrder,
    limit: int,
    offset: int,
    spark: bool,
    blind_after_s: int,
    fresh_s: int,
) -> list[TargetRow]:
    newest = newest_ms(connection) or 0
    since = newest - int(SCORE_WINDOW.total_seconds() * 1000)
    story, head = tables.stories.c, tables.alert_heads.c
    mean = (
        select(story.target, (func.sum(story.score_1e4 / (story.articles * 1e4)) / func.count()).label("score"))
        .where(story.seen_ms >= since)
        .group_by(story.target)
        .subquery()
    )
    running = (
        select(head.target, func.count().label("alerts"))
        .where(head.status != "resolved")
        .group_by(head.target)
        .subquery()
    )
    alerts = func.coalesce(running.c.alerts, 0)
    surprise = case((_T.surprise_ms >= newest - fresh_s * 1000, _T.surprise), else_=0.0)
    orders: dict[TargetOrder, list[Any]] = {
        "alerts": [alerts.desc(), surprise.desc(), _T.stories.desc()],
        "surprise": [surprise.desc(), _T.stories.desc()],
        "score": [mean.c.score.is_(None), mean.c.score],
        "stories": [_T.stories.desc()],
        "name": [func.lower(_T.name)],
        "last_seen": [_T.seen_ms.is_(None), _T.seen_ms.desc()],
    }
    query = (
        select(tables.targets, mean.c.score, alerts.label("alerts"), surprise.label("surprise_now"))
        .outerjoin(mean, mean.c.target == _T.target)
        .outerjoin(running, running.c.target == _T.target)
        .where(*conditions)
        .order_by(*orders[order], _T.target)
        .limit(limit)
        .offset(offset)
    )
    found = connection.execute(query).all()
    names = [row.target for row in found]
    blind = _blind_since(connection, names, newest - blind_after_s * 1000)
    sparks = _sparks(connection, names, newest) if spark else {}
    return [
        TargetRow(
            target=row.target,
            name=row.name,
            kind=row.kind,
            groups=tuple(orjson.loads(row.groups)),
            stories=row.stories,
            articles=row.articles,
            score=None if row.score is None else round(row.score, 4),
            surprise=row.surprise_now,
            alerts=row.alerts,
            last_seen=None if row.seen_ms is None else from_ms(row.seen_ms),
            blind_since=from_ms(blind[row.target]) if row.target in blind else None,
            spark=tuple(sparks.get(row.target, (None,) * SPARK_STEPS)) if spark else None,
        )
        for row in found
    ]


def _blind_since(connection: Connection, targets: list[str], cutoff: int) -> dict[str, int]:
    """When the last source of each blind target fell silent."""
    link, source = tables.target_sources.c, tables.sources.c
    heard = func.max(source.seen_ms)
    silent: dict[str, int] = {}
    for chunk in chunks(targets):
        query = (
            select(link.target, heard.label("heard"))
            .join_from(tables.target_sources, tables.sources, source.source == link.source)
            .where(link.target.in_(chunk))
            .group_by(link.target)
            .having(heard < cutoff)
        )
        silent.update({row.target: row.heard for row in connection.execute(query)})
    return silent


def count_blind(connection: Connection, blind_after_s: int) -> int:
    """Entities whose sources have all been silent for too long."""
    newest = newest_ms(connection)
    if newest is None:
        return 0
    link, source = tables.target_sources.c, tables.sources.c
    of_target = and_(link.target == _T.target, source.source == link.source)
    alive = exists().where(of_target, source.seen_ms >= newest - blind_after_s * 1000)
    known = exists().where(of_target)
    query = select(func.count()).select_from(tables.targets).where(_T.kind == "entity", known, ~alive)
    return connection.execute(query).scalar_one()


def _sparks(connection: Connection, targets: list[str], newest: int) -> dict[str, list[float | None]]:
    """The score of each of the last `SPARK_STEPS` steps."""
    step = int(SPARK_STEP.total_seconds() * 1000)
    end = newest // step + 1
    table = tables.trends.c
    place = _floor(table.start_ms, step).label("place")
    sparks: dict[str, list[float | None]] = {}
    for chunk in chunks(targets):
        query = (
            select(
                table.target,
                place,
                func.sum(table.negative).label("negative"),
                func.sum(table.neutral).label("neutral"),
                func.sum(table.positive).label("positive"),
            )
            .where(table.target.in_(chunk), table.start_ms >= (end - SPARK_STEPS) * step, table.start_ms < end * step)
            .group_by(table.target, place)
        )
        for row in connection.execute(query):
            steps = sparks.setdefault(row.target, [None] * SPARK_STEPS)
            steps[row.place - (end - SPARK_STEPS)] = _score(row.negative, row.neutral, row.positive)
    return sparks


def read_trend(
    connection: Connection, target: str, since: datetime | None, until: datetime | None, step_s: int
) -> Trend | None:
    """A target's trend by steps, aligned to 1970; None for a target that is not known.

    All points that start inside the range are summed, whatever their length: the alert stage writes one length.
    """
    name = connection.execute(select(_T.name).where(_T.target == target)).scalar()
    if name is None:
        return None
    table = tables.trends.c
    step = step_s * 1000
    if since is None:
        oldest = connection.execute(select(func.min(table.start_ms)).where(table.target == target)).scalar()
        since = from_ms(oldest or newest_ms(connection) or 0)
    if until is None:
        until = from_ms((newest_ms(connection) or to_ms(since)) + 1)
    place = _floor(table.start_ms, step).label("place")
    query = (
        select(
            place,
            func.sum(table.stories).label("stories"),
            func.sum(table.articles).label("articles"),
            func.sum(table.negative).label("negative"),
            func.sum(table.neutral).label("neutral"),
            func.sum(table.positive).label("positive"),
            func.max(table.surprise).label("surprise"),
        )
        .where(
            table.target == target,
            table.start_ms >= to_ms(since),
            table.start_ms < to_ms(until),
        )
        .group_by(place)
        .order_by(place)
    )
    points = tuple(
        TrendBucket(
            start=from_ms(row.place * step),
            stories=row.stories,
            articles=row.articles,
            negative=round(row.negative, 4),
            neutral=round(row.neutral, 4),
            positive=round(row.positive, 4),
            score=_score(row.negative, row.neutral, row.positive) or 0.0,
            surprise=round(row.surprise, 4),
        )
        for row in connection.execute(query)
    )
    return Trend(target=target, name=name, since=since, until=until, step_s=step_s, points=points)


def _floor(column: ColumnElement[int], step: int) -> ColumnElement[int]:
    """Whole steps since 1970 (times are never before)."""
    return (column - column % step) // step


def _score(negative: float, neutral: float, positive: float) -> float | None:
    weight = negative + neutral + positive
    return round((positive - negative) / weight, 4) if weight > 0 else None
