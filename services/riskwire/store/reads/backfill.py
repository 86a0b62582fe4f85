"""Reads what backfill adds to trends. Alerting does not count it, because it was published before the open buckets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, Row, func, select

from riskwire.store import tables
from riskwire.store.reads.exact import exact_sum, in_units, mean_of
from riskwire.store.upsert import chunks


def floor(column: ColumnElement[int], step: int) -> ColumnElement[int]:
    """Returns the whole steps of a time since 1970; negative before."""
    return (column - (column % step + step) % step) // step


def backfill_steps(
    connection: Connection, targets: Sequence[str], since_ms: int, until_ms: int, step: int
) -> Iterable[Row[tuple[str, int, int, int, int, int, int]]]:
    """Yields the backfill of targets by step of its publication: target, step, stories, articles, and the weights.

    A story weighs one in a step, with the mean sentiment of its articles, as in trend points. Steps are aligned to
    1970; one without backfill is missing. Weights are in `exact.UNITS`.

    Args:
        since_ms: start of the range in milliseconds since 1970; `until_ms` is its end, exclusive.
        step: length of a step in milliseconds.
    """
    signal = tables.signals.c
    index = floor(signal.counted_ms, step).label("step")
    for chunk in chunks(targets):
        story = (
            select(
                signal.target,
                index,
                func.count().label("articles"),
                mean_of(exact_sum(in_units(signal.negative))).label("negative"),
                mean_of(exact_sum(in_units(signal.neutral))).label("neutral"),
                mean_of(exact_sum(in_units(signal.positive))).label("positive"),
            )
            .where(
                signal.target.in_(chunk),
                signal.counted_ms >= since_ms,
                signal.counted_ms < until_ms,
                signal.counted_ms != signal.seen_ms,
                signal.superseded.is_(False),
            )
            .group_by(signal.target, index, signal.story)
            .subquery()
        )
        weights = (exact_sum(story.c[name]).label(name) for name in ("articles", "negative", "neutral", "positive"))
        query = select(story.c.target, story.c.step, func.count().label("stories"), *weights).group_by(
            story.c.target, story.c.step
        )
        yield from connection.execute(query)
