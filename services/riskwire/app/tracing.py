"""The way of one article through the stages, with the time of each step: from the store, and from the bus while it
keeps the records."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from riskwire.bus import Bus, Message, partition_of
from riskwire.notify.delivered import DELIVERED_PREFIX, delivered_key
from riskwire.pipeline import NOTIFY, Topic
from riskwire.records import Record, Utc
from riskwire.store import StoredArticle

_EARLIER_S = 60.0
"""How long before the expected time a record is looked for: clocks of several machines differ."""
_BATCH = 200
_MAX_SCANNED = 20_000


class TraceStep(Record):
    """One step of the way.

    Attributes:
        step: `published`, `seen`, `ingested`, `analysed`, `signal`, `near miss`, `alert` or `notified`.
        at: None if the bus no longer has the record.
        lag_s: seconds since the step before, of the steps with a time; negative if clocks differ.
        detail: what was decided.
    """

    step: str
    at: Utc | None = None
    lag_s: float | None = None
    target: str = ""
    detail: str = ""


async def trace(bus: Bus, article: StoredArticle) -> list[TraceStep]:
    """Returns the steps of an article, in the order of the way; alerts and near misses follow by target.

    Raises:
        BusError: the bus cannot be read.
    """
    seen_at = article.seen_at.timestamp()
    feed = f"{article.source}{f' ({article.publisher})' if article.publisher else ''}"
    backfill = ", backfill" if article.backfill else ""
    steps = [
        TraceStep(step="published", at=article.published_at, detail=f"as {feed} dates it"),
        TraceStep(step="seen", at=article.seen_at, detail=f"fetched, version {article.version}{backfill}"),
    ]
    ingested = await _written_at(bus, Topic.ARTICLES, article.id, seen_at, _of_version(article.version))
    steps.append(TraceStep(step="ingested", at=ingested, detail="published on `articles`"))
    analysed = await _written_at(bus, Topic.ANALYSES, article.id, seen_at, _of_analysis(article.version))
    decided = f"{article.status}, {article.bundle}, {len(article.targets)} targets"
    steps.append(TraceStep(step="analysed", at=analysed, detail=decided))
    for target, name in article.targets.items():
        written = await _written_at(bus, Topic.SIGNALS, target, seen_at, _of_article(article.id))
        steps.append(TraceStep(step="signal", at=written, target=target, detail=name))
    for miss in article.near_misses:
        at = await _written_at(bus, Topic.NEAR_MISSES, miss.target, miss.at.timestamp(), _of_id(miss.id))
        detail = f"{miss.reason}: {miss.detail}" if miss.detail else miss.reason
        steps.append(TraceStep(step="near miss", at=at or miss.at, target=miss.target, detail=detail))
    delivered = await bus.group_state(NOTIFY.name, NOTIFY.reads, DELIVERED_PREFIX) if article.alerts else {}
    for alert in article.alerts:
        at = await _written_at(bus, Topic.ALERTS, alert.target, alert.at.timestamp(), _of_alert(alert.id, alert.status))
        detail = f"{alert.tier} {alert.status}: {alert.summary}"
        steps.append(TraceStep(step="alert", at=at or alert.at, target=alert.target, detail=detail))
        for receiver, arrived in json.loads(delivered.get(delivered_key(alert), b"{}")).items():
            moment = datetime.fromtimestamp(arrived, UTC)
            steps.append(TraceStep(step="notified", at=moment, target=alert.target, detail=receiver))
    return _with_lags(steps)


def _with_lags(steps: list[TraceStep]) -> list[TraceStep]:
    """Returns the steps, each with the seconds since the latest step before it that it follows from."""
    follows = {"signal": "analysed", "near miss": "signal", "alert": "signal", "notified": "alert"}
    latest: dict[str, datetime] = {}
    before: datetime | None = None
    result = []
    for step in steps:
        start = latest.get(follows[step.step], before) if step.step in follows else before
        lag_s = None if step.at is None or start is None else round((step.at - start).total_seconds(), 3)
        result.append(step.model_copy(update={"lag_s": lag_s}))
        if step.at is not None:
            before = latest[step.step] = step.at
    return result


async def _written_at(
    bus: Bus, topic: Topic, key: str, expected: float, matches: Callable[[Message], bool]
) -> datetime | None:
    """Returns when a record was written, or None if the bus does not have it.

    Args:
        key: its key, which decides on its partition.
        expected: it was written at this Unix time or later.
        matches: whether a record of this key is the one.
    """
    partition = partition_of(key, bus.partitions(topic))
    offset = await _first_since(bus, topic, partition, expected - _EARLIER_S)
    for _ in range(_MAX_SCANNED // _BATCH):
        batch = await bus.read(topic, partition, offset, _BATCH)
        for message in batch:
            if message.key == key and message.written_at is not None and matches(message):
                return datetime.fromtimestamp(message.written_at, UTC)
        if not batch:
            return None
        offset = batch[-1].offset + 1
    return None


async def _first_since(bus: Bus, topic: Topic, partition: int, at: float) -> int:
    """Returns an offset at or before the first record that was written at a Unix time or later, by bisection."""
    low, high = 0, (await bus.ends(topic))[partition]
    while high - low > _BATCH:
        middle = (low + high) // 2
        records = await bus.read(topic, partition, middle, 1)
        if records and records[0].written_at is not None and records[0].written_at < at:
            low = records[0].offset
        else:
            high = middle
    return low


def _content(message: Message) -> dict[str, object]:
    """Returns a record as JSON; empty if it cannot be read."""
    try:
        content = json.loads(message.value)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _of_version(version: int) -> Callable[[Message], bool]:
    return lambda message: _content(message).get("version") == version


def _of_analysis(version: int) -> Callable[[Message], bool]:
    def matches(message: Message) -> bool:
        article = _content(message).get("article")
        return isinstance(article, dict) and article.get("version") == version

    return matches


def _of_article(article: str) -> Callable[[Message], bool]:
    return lambda message: article.encode() in message.value and _content(message).get("article") == article


def _of_id(record: str) -> Callable[[Message], bool]:
    return lambda message: _content(message).get("id") == record


def _of_alert(alert: str, status: str) -> Callable[[Message], bool]:
    def matches(message: Message) -> bool:
        content = _content(message)
        return content.get("id") == alert and content.get("status") == status

    return matches
