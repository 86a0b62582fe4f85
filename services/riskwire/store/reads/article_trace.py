"""Reads what the store knows of one article: its signals, and the alerts and near misses that it led to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select

from riskwire.records import Alert, NearMiss, from_ms
from riskwire.store import tables
from riskwire.store.upsert import chunks
from riskwire.story import is_fingerprint, same_story

_MAX_DECISIONS = 500
"""Alert records and near misses of one target that are looked through."""


@dataclass(frozen=True, slots=True)
class StoredArticle:
    """The newest version of an article, and what it led to.

    Attributes:
        targets: the name of each target that it has a signal for, by its id.
        alerts: the alert records whose evidence has its story, oldest first.
        near_misses: the reasons why it did not notify.
    """

    id: str
    version: int
    title: str
    source: str
    publisher: str
    status: str
    story: str | None
    bundle: str
    published_at: datetime
    seen_at: datetime
    backfill: bool
    targets: dict[str, str]
    alerts: tuple[Alert, ...]
    near_misses: tuple[NearMiss, ...]


def read_article(connection: Connection, article: str) -> StoredArticle | None:
    """Returns an article by its id, the start of its id, or its address; None if it is unknown or not the only one."""
    column = tables.articles.c
    by_id = column.id.startswith(article, autoescape=True) if article else column.id == article
    rows = connection.execute(select(tables.articles).where(or_(by_id, column.url == article)).limit(2)).all()
    exact = [row for row in rows if article in (row.id, row.url)]
    if len(exact or rows) != 1:
        return None
    row = (exact or rows)[0]
    signal = tables.signals.c
    signals = connection.execute(
        select(signal.target, tables.targets.c.name, signal.story)
        .join(tables.targets, tables.targets.c.target == signal.target)
        .where(signal.article == row.id, signal.seen_ms >= row.seen_ms)
        .order_by(signal.target)
    ).all()
    targets = {signal_row.target: signal_row.name for signal_row in signals}
    stories = {row.story, *(signal_row.story for signal_row in signals)} - {None}
    return StoredArticle(
        id=row.id,
        version=row.version,
        title=row.title,
        source=row.source,
        publisher=row.publisher,
        status=row.status,
        story=row.story,
        bundle=row.bundle,
        published_at=from_ms(row.published_ms),
        seen_at=from_ms(row.seen_ms),
        backfill=row.backfill,
        targets=targets,
        alerts=tuple(_alerts(connection, targets, stories, row.seen_ms)),
        near_misses=tuple(_near_misses(connection, targets, row.id, row.seen_ms)),
    )


def _alerts(connection: Connection, targets: Iterable[str], stories: set[str], since: int) -> list[Alert]:
    """Returns the alert records since a time (ms) whose evidence has one of the stories, oldest first."""
    record, head = tables.alerts.c, tables.alert_heads.c
    matching: list[Alert] = []
    for target in targets:
        bodies = (
            select(record.body)
            .join(tables.alert_heads, head.id == record.id)
            .where(head.target == target, record.at_ms >= since, record.status != "resolved")
            .order_by(record.at_ms)
            .limit(_MAX_DECISIONS)
        )
        alerts = (Alert.model_validate_json(body) for body in connection.execute(bodies).scalars())
        matching += [
            alert for alert in alerts if any(_is_one_of(evidence.story, stories) for evidence in alert.evidence)
        ]
    return sorted(matching, key=lambda alert: alert.at)


def _is_one_of(story: str, stories: set[str]) -> bool:
    """Returns whether a story is one of others: of several similar ones, evidence names the first."""
    if story in stories:
        return True
    return is_fingerprint(story) and any(
        is_fingerprint(other_story) and same_story(story, other_story) for other_story in stories
    )


def _near_misses(connection: Connection, targets: Iterable[str], article: str, since: int) -> list[NearMiss]:
    """Returns the near misses of an article since a time (ms), oldest first."""
    miss = tables.near_misses.c
    near_misses: list[NearMiss] = []
    for chunk in chunks(targets):
        bodies = (
            select(miss.body)
            .where(miss.target.in_(chunk), miss.at_ms >= since)
            .order_by(miss.at_ms)
            .limit(_MAX_DECISIONS * len(chunk))
        )
        candidates = (NearMiss.model_validate_json(body) for body in connection.execute(bodies).scalars())
        near_misses += [near_miss for near_miss in candidates if near_miss.article == article]
    return near_misses
