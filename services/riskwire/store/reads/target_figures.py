"""Reads the figures of some targets, for metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, case, func, select

from riskwire.records import ADVERSE_FROM
from riskwire.store import tables
from riskwire.store.clock import newest_ms
from riskwire.store.reads.targets import blind_since, list_targets, targets_by_id
from riskwire.store.risk_columns import events_of, level_of
from riskwire.store.rows import TargetRow
from riskwire.store.upsert import chunks

PERIOD = timedelta(hours=24)
"""Period before the newest data in which stories and articles are counted."""


@dataclass(frozen=True, slots=True)
class TargetFigures:
    """The figures of one target.

    Attributes:
        stories: the number of its stories in the period, and `score` their mean; None without stories.
        adverse: the share of the articles of the period that are adverse; None without articles that have a level.
        level: that of the newest article, with its most probable event type; empty if it is unknown.
    """

    target: TargetRow
    stories: int = 0
    score: float | None = None
    adverse: float | None = None
    level: str = ""
    type: str = ""


def read_target_figures(
    connection: Connection, watched: Sequence[str], most: tuple[int, int], blind_after_s: int, fresh_s: int
) -> tuple[list[TargetFigures], int]:
    """Returns the figures of watched targets, then of others: those with alerts, then with most surprise.

    Also returns how many of the watched targets are blind, whether they are among the figures or not.

    Args:
        watched: ids of targets; unknown ones are left out.
        most: the most watched targets, and the most others, of which figures are returned.
        blind_after_s: seconds without news from any of its sources, after which a target is blind.
        fresh_s: age in seconds beyond which a surprise counts as 0.
    """
    shown, most_others = most
    rows = targets_by_id(connection, watched[:shown], spark=False, blind_after_s=blind_after_s, fresh_s=fresh_s)
    known = {*watched, *(row.target for row in rows)}
    candidates = list_targets(
        connection,
        limit=most_others + len(known) if most_others else 0,
        offset=0,
        kind=None,
        query=None,
        order="alerts",
        spark=False,
        blind_after_s=blind_after_s,
        fresh_s=fresh_s,
    )
    rows += [row for row in candidates if row.target not in known][:most_others]
    newest_at = newest_ms(connection) or 0
    since = newest_at - int(PERIOD.total_seconds() * 1000)
    figures: list[TargetFigures] = []
    for chunk in chunks(rows):
        targets = [row.target for row in chunk]
        stories, shares, newest = (
            _stories(connection, targets, since),
            _adverse_shares(connection, targets, since),
            _newest(connection, targets),
        )
        for row in chunk:
            count, score = stories.get(row.target, (0, None))
            level, event_type = newest.get(row.target, ("", ""))
            figures.append(TargetFigures(row, count, score, shares.get(row.target), level, event_type))
    return figures, len(blind_since(connection, watched, newest_at - blind_after_s * 1000))


def _stories(connection: Connection, targets: Sequence[str], since: int) -> dict[str, tuple[int, float | None]]:
    """Returns the number of stories of each target since a time (ms), and their mean score."""
    story = tables.stories.c
    mean = func.sum(story.score_1e4 / (story.articles * 1e4)) / func.count()
    query = (
        select(story.target, func.count().label("stories"), mean.label("score"))
        .where(story.target.in_(targets), story.counted_ms >= since)
        .group_by(story.target)
    )
    return {row.target: (row.stories, float(row.score)) for row in connection.execute(query)}


def _adverse_shares(connection: Connection, targets: Sequence[str], since: int) -> dict[str, float]:
    """Returns which share of the articles of each target since a time (ms) is adverse, of those with a level."""
    signal = tables.signals.c
    is_adverse = case((signal.adverse >= func.coalesce(signal.adverse_from, ADVERSE_FROM), 1.0), else_=0.0)
    query = (
        select(signal.target, func.avg(is_adverse).label("share"))
        .where(
            signal.target.in_(targets),
            signal.counted_ms >= since,
            signal.superseded.is_(False),
            signal.adverse.is_not(None),
        )
        .group_by(signal.target)
    )
    return {row.target: float(row.share) for row in connection.execute(query)}


def _newest(connection: Connection, targets: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Returns the level and the most probable event type of the newest article of each target."""
    signal, target = tables.signals, tables.targets.c
    query = (
        select(signal)
        .join(tables.targets, (target.target == signal.c.target) & (target.counted_ms == signal.c.counted_ms))
        .where(signal.c.target.in_(targets), signal.c.superseded.is_(False))
        .order_by(signal.c.article)
    )
    return {row.target: _level_and_type(row._mapping) for row in connection.execute(query)}


def _level_and_type(row: Mapping[Any, Any]) -> tuple[str, str]:
    level, events = level_of(row), events_of(row)
    return level.label(row["adverse_from"]) if level else "", events[0].label if events else ""
