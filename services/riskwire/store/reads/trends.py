"""Reads trends: of one target in steps of any length, and the scores of the last days of many targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from riskwire.records import from_ms, to_ms
from riskwire.store import tables
from riskwire.store.clock import newest_ms
from riskwire.store.reads.backfill import backfill_steps, floor
from riskwire.store.reads.exact import UNITS, exact_sum, in_units
from riskwire.store.rows import Trend, TrendBucket
from riskwire.store.upsert import chunks

SPARK_STEPS = 28
SPARK_STEP = timedelta(hours=6)


@dataclass(slots=True)
class _Sums:
    """The sums of one step of a trend. Weights are in `UNITS`, so that they do not depend on the order of addition."""

    stories: int = 0
    articles: int = 0
    negative: int = 0
    neutral: int = 0
    positive: int = 0
    surprise: float = 0.0

    def add(self, row: Row[Any]) -> None:
        """Adds the counts and the weights of a row."""
        self.stories += row.stories
        self.articles += row.articles
        self.add_weights(row)

    def add_weights(self, row: Row[Any]) -> None:
        """Adds the weights of a row."""
        self.negative += row.negative
        self.neutral += row.neutral
        self.positive += row.positive

    @property
    def score(self) -> float | None:
        """The mean score, or None without weights."""
        weight = self.negative + self.neutral + self.positive
        return round((self.positive - self.negative) / weight, 4) if weight > 0 else None


def _weights() -> list[ColumnElement[int]]:
    """Returns the sums of the weights of trend points."""
    table = tables.trends.c
    return [exact_sum(in_units(table[name])).label(name) for name in ("negative", "neutral", "positive")]


def sparks(connection: Connection, targets: Sequence[str], newest: int) -> dict[str, list[float | None]]:
    """Returns, by target, the scores of the last `SPARK_STEPS` steps, oldest first.

    Steps have the length `SPARK_STEP` and are aligned to 1970; the last contains `newest` (milliseconds since 1970). A
    score is between -1 and 1. A step without news is None. A target without news in all steps is missing.
    """
    step = int(SPARK_STEP.total_seconds() * 1000)
    end = newest // step + 1
    table = tables.trends.c
    index = floor(table.start_ms, step).label("step")
    weights: dict[tuple[str, int], _Sums] = defaultdict(_Sums)
    for chunk in chunks(targets):
        query = (
            select(
                table.target,
                index,
                *_weights(),
            )
            .where(table.target.in_(chunk), table.start_ms >= (end - SPARK_STEPS) * step, table.start_ms < end * step)
            .group_by(table.target, index)
        )
        for row in connection.execute(query):
            weights[row.target, row.step].add_weights(row)
    first = end - SPARK_STEPS
    for row in backfill_steps(connection, targets, first * step, end * step, step):
        weights[row.target, row.step].add(row)
    scores: dict[str, list[float | None]] = {}
    for (target, index_of_step), sums in weights.items():
        scores.setdefault(target, [None] * SPARK_STEPS)[index_of_step - first] = sums.score
    return scores


def read_trend(
    connection: Connection, target: str, since: datetime | None, until: datetime | None, step_s: int
) -> Trend | None:
    """Returns the trend of a target in steps aligned to 1970, or None for an unknown target.

    It sums all points that start inside the range, of any length (the alert stage writes only one length), and the
    backfill that was published inside it, which is in no point. The surprise of a step is the largest of its points. A
    step without points and backfill is left out.

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
    index = floor(table.start_ms, step).label("step")
    query = (
        select(
            index,
            func.sum(table.stories).label("stories"),
            func.sum(table.articles).label("articles"),
            *_weights(),
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
    sums_by_step: dict[int, _Sums] = defaultdict(_Sums)
    for row in connection.execute(query):
        sums_by_step[row.step].add(row)
        sums_by_step[row.step].surprise = row.surprise
    for row in backfill_steps(connection, [target], to_ms(since), to_ms(until), step):
        sums_by_step[row.step].add(row)
    points = tuple(
        TrendBucket(
            start=from_ms(index_of_step * step),
            stories=sums.stories,
            articles=sums.articles,
            negative=round(sums.negative / UNITS, 4),
            neutral=round(sums.neutral / UNITS, 4),
            positive=round(sums.positive / UNITS, 4),
            score=sums.score or 0.0,
            surprise=round(sums.surprise, 4),
        )
        for index_of_step, sums in sorted(sums_by_step.items())
    )
    return Trend(target=target, name=name, since=since, until=until, step_s=step_s, points=points)
