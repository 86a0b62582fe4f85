"""Reads trends: of one target in steps of any length, and the scores of the last days of many targets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select

from riskwire.records import from_ms, to_ms
from riskwire.store import tables
from riskwire.store.clock import newest_ms
from riskwire.store.rows import Trend, TrendBucket
from riskwire.store.upsert import chunks

SPARK_STEPS = 28
SPARK_STEP = timedelta(hours=6)


def sparks(connection: Connection, targets: Sequence[str], newest: int) -> dict[str, list[float | None]]:
    """Returns, by target, the scores of the last `SPARK_STEPS` steps, oldest first.

    Steps have the length `SPARK_STEP` and are aligned to 1970; the last contains `newest` (milliseconds since 1970). A
    score is between -1 and 1. A step without news is None. A target without news in all steps is missing.
    """
    step = int(SPARK_STEP.total_seconds() * 1000)
    end = newest // step + 1
    table = tables.trends.c
    index = _floor(table.start_ms, step).label("step")
    scores: dict[str, list[float | None]] = {}
    for chunk in chunks(targets):
        query = (
            select(
                table.target,
                index,
                func.sum(table.negative).label("negative"),
                func.sum(table.neutral).label("neutral"),
                func.sum(table.positive).label("positive"),
            )
            .where(table.target.in_(chunk), table.start_ms >= (end - SPARK_STEPS) * step, table.start_ms < end * step)
            .group_by(table.target, index)
        )
        for row in connection.execute(query):
            steps = scores.setdefault(row.target, [None] * SPARK_STEPS)
            steps[row.step - (end - SPARK_STEPS)] = _score(row.negative, row.neutral, row.positive)
    return scores


def read_trend(
    connection: Connection, target: str, since: datetime | None, until: datetime | None, step_s: int
) -> Trend | None:
    """Returns the trend of a target in steps aligned to 1970, or None for an unknown target.

    It sums all points that start inside the range, of any length: the alert stage writes only one length. The surprise
    of a step is the largest of its points. A step without points is left out.

    Args:
        since: start of the range, inclusive; by default, of the target's first point.
        until: end of the range, exclusive; by default, after the newest data of the store.
        step_s: length of a step in seconds.
    """
    name = connection.execute(select(tables.targets.c.name).where(tables.targets.c.target == target)).scalar()
    if name is None:
        return None
    table = tables.trends.c
    step = step_s * 1000
    if since is None:
        oldest = connection.execute(select(func.min(table.start_ms)).where(table.target == target)).scalar()
        since = from_ms(oldest or newest_ms(connection) or 0)
    if until is None:
        until = from_ms((newest_ms(connection) or to_ms(since)) + 1)
    index = _floor(table.start_ms, step).label("step")
    query = (
        select(
            index,
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
        .group_by(index)
        .order_by(index)
    )
    points = tuple(
        TrendBucket(
            start=from_ms(row.step * step),
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
    """Returns the whole steps since 1970. No time is earlier."""
    return (column - column % step) // step


def _score(negative: float, neutral: float, positive: float) -> float | None:
    weight = negative + neutral + positive
    return round((positive - negative) / weight, 4) if weight > 0 else None
