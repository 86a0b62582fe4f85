"""Writes signals, and updates stories and targets in the same transaction.

The result does not depend on the order of the signals or on repeats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, delete, func, select, tuple_

from riskwire.records import Signal, to_ms
from riskwire.store import tables
from riskwire.store.changes import record_changes
from riskwire.store.database.postgresql.partitions import make_partitions
from riskwire.store.risk_columns import risk_values
from riskwire.store.rows import target_kind
from riskwire.store.upsert import chunks, insert_missing, insert_new, upsert
from riskwire.store.writes.counted import counted_ms

_Pair = tuple[str, str]


def write_signals(connection: Connection, signals: Iterable[Signal]) -> None:
    """Writes signals to the store, and updates the rows of stories, targets and sources that are derived from them.

    A signal is the sentiment of one version of an article toward one target. It is identified by target, article and
    version: a stored one is not changed. Only the signal of the latest version of an article counts for its story; the
    others are marked as superseded, and stories that lose an article are counted again. A target counts each article
    once. Records a change of the targets with new signals, for live readers.
    """
    by_key = {(signal.target, signal.article, signal.version): signal for signal in signals}
    stored = _stored_versions(connection, {(target, article) for target, article, _ in by_key})
    new = {key: signal for key, signal in by_key.items() if key[2] not in stored.get(key[:2], {})}
    if not new:
        return
    newest: dict[_Pair, int] = {pair: max(versions) for pair, versions in stored.items()}
    for target, article, version in new:
        newest[target, article] = max(newest.get((target, article), 0), version)

    stories_to_recount: set[_Pair] = set()
    superseded: list[tuple[str, str, int]] = []
    for (target, article), versions in stored.items():
        for version, (story, current) in versions.items():
            if current and version < newest[target, article]:
                superseded.append((target, article, version))
                stories_to_recount.add((target, story))
    rows = []
    added: dict[_Pair, list[Signal]] = {}
    for (target, article, version), signal in new.items():
        current = version == newest[target, article]
        rows.append(_signal_row(signal, superseded=not current))
        if current:
            added.setdefault((target, signal.story), []).append(signal)

    make_partitions(connection, tables.signals, [row["seen_ms"] for row in rows])
    insert_new(connection, tables.signals, rows)
    key = tuple_(tables.signals.c.target, tables.signals.c.article, tables.signals.c.version)
    for chunk in chunks(superseded, 250):
        connection.execute(tables.signals.update().where(key.in_(chunk)).values(superseded=True))

    new_stories = _add_to_stories(
        connection, {pair: signals for pair, signals in added.items() if pair not in stories_to_recount}
    )
    new_stories.update(_recount_stories(connection, stories_to_recount))
    new_articles = Counter(target for target, article in newest if (target, article) not in stored)
    _update_targets(connection, list(new.values()), new_stories, new_articles)
    sources = {(signal.target, signal.source) for signal in new.values()}
    insert_missing(
        connection,
        tables.target_sources,
        [{"target": target, "source": source} for target, source in sorted(sources)],
        keys=("target", "source"),
    )
    record_changes(connection, [("target", target) for target in sorted({signal.target for signal in new.values()})])


def _stored_versions(connection: Connection, pairs: Iterable[_Pair]) -> dict[_Pair, dict[int, tuple[str, bool]]]:
    """Returns the stored versions of each (target, article): version -> (story, whether it is current)."""
    table = tables.signals.c
    stored: dict[_Pair, dict[int, tuple[str, bool]]] = {}
    query = select(table.target, table.article, table.version, table.story, table.superseded)
    for chunk in chunks(pairs):
        for row in connection.execute(query.where(tuple_(table.target, table.article).in_(chunk))):
            stored.setdefault((row.target, row.article), {})[row.version] = (row.story, not row.superseded)
    return stored


def _signal_row(signal: Signal, *, superseded: bool) -> dict[str, Any]:
    """Returns the row of the table `signals` for a signal. Times are milliseconds since 1970.

    Args:
        superseded: whether the store has a later version of the article, so that this signal no longer counts.
    """
    return {
        "target": signal.target,
        "article": signal.article,
        "version": signal.version,
        "superseded": superseded,
        "story": signal.story,
        "source": signal.source,
        "publisher": signal.publisher,
        "title": signal.title,
        "url": signal.url,
        "published_ms": to_ms(signal.published_at),
        "seen_ms": to_ms(signal.seen_at),
        "backfill": signal.backfill,
        "counted_ms": _counted_ms(signal),
        "negative": signal.sentiment.negative,
        "neutral": signal.sentiment.neutral,
        "positive": signal.sentiment.positive,
        "score_1e4": _score_1e4(signal),
        **risk_values(signal.level, signal.events),
        "adverse_from": signal.adverse_from,
        "relevance": signal.relevance,
        "text": signal.evidence.text,
        "start": signal.evidence.start,
        "end": signal.evidence.end,
        "bundle": signal.bundle,
    }


def _add_to_stories(connection: Connection, added: dict[_Pair, list[Signal]]) -> Counter[str]:
    """Adds new signals to the rows of the table `stories`, which has one row for each (target, story).

    A row has the number of articles, the time of the newest, and the sum of the scores.

    Args:
        added: the new signals of each (target, story), one for each article and none that is superseded.

    Returns:
        the number of new stories of each target.
    """
    stored = _stored_stories(connection, added)
    rows = []
    for (target, story), signals in added.items():
        row = stored.get((target, story))
        rows.append(
            {
                "target": target,
                "story": story,
                "articles": len(signals) + (row.articles if row else 0),
                "seen_ms": max([*(to_ms(signal.seen_at) for signal in signals), *([row.seen_ms] if row else [])]),
                "counted_ms": max([*map(_counted_ms, signals), *([row.counted_ms] if row else [])]),
                "score_1e4": sum(map(_score_1e4, signals)) + (row.score_1e4 if row else 0),
            }
        )
    upsert(connection, tables.stories, rows)
    return Counter(target for target, story in added if (target, story) not in stored)


def _recount_stories(connection: Connection, pairs: set[_Pair]) -> Counter[str]:
    """Counts the articles and sums the scores of some (target, story) pairs again, from their current signals.

    Current signals are those that no later version of their article supersedes. The row of a pair without any is
    deleted.

    Returns:
        the change of the number of stories, by target; may be negative.
    """
    signals, stories = tables.signals.c, tables.stories
    difference: Counter[str] = Counter()
    for chunk in chunks(sorted(pairs)):
        before = set(_stored_stories(connection, chunk))
        counts = connection.execute(
            select(
                signals.target,
                signals.story,
                func.count().label("articles"),
                func.max(signals.seen_ms).label("seen_ms"),
                func.max(signals.counted_ms).label("counted_ms"),
                func.sum(signals.score_1e4).label("score_1e4"),
            )
            .where(tuple_(signals.target, signals.story).in_(chunk), signals.superseded.is_(False))
            .group_by(signals.target, signals.story)
        )
        rows = [dict(row._mapping) for row in counts]
        after = {(row["target"], row["story"]) for row in rows}
        upsert(connection, stories, rows)
        lost = before - after
        if lost:
            connection.execute(delete(stories).where(tuple_(stories.c.target, stories.c.story).in_(sorted(lost))))
        difference.update(target for target, _ in after - before)
        difference.subtract(target for target, _ in lost)
    return difference


def _stored_stories(connection: Connection, pairs: Iterable[_Pair]) -> dict[_Pair, Row[Any]]:
    """Returns the stored rows of the table `stories`, by (target, story)."""
    stories = tables.stories
    stored: dict[_Pair, Row[Any]] = {}
    for chunk in chunks(pairs):
        query = select(stories).where(tuple_(stories.c.target, stories.c.story).in_(chunk))
        stored.update({(row.target, row.story): row for row in connection.execute(query)})
    return stored


def _counted_ms(signal: Signal) -> int:
    """Returns the time at which a signal counts. A signal of history is marked as backfill, though it was news."""
    backfill = signal.was_backfill if signal.history else signal.backfill
    return counted_ms(signal.published_at, signal.seen_at, backfill=backfill)


def _score_1e4(signal: Signal) -> int:
    """Returns the score of a signal in units of 1/10,000, so that sums in the store are exact."""
    return round(signal.sentiment.score * 10_000)


def _update_targets(
    connection: Connection, signals: Sequence[Signal], new_stories: Counter[str], new_articles: Counter[str]
) -> None:
    """Updates the rows of targets that have new signals. Name and groups come from the newest signal of the target.

    The surprise is only set in a new row; an existing one keeps what its trend points have set.

    Args:
        new_stories: the change of the number of stories, by target.
        new_articles: the change of the number of articles, by target.
    """
    targets = sorted({signal.target for signal in signals})
    table = tables.targets.c
    stored: dict[str, Row[Any]] = {}
    for chunk in chunks(targets):
        for row in connection.execute(select(tables.targets).where(table.target.in_(chunk))):
            stored[row.target] = row
    names: dict[str, tuple[int, str, str]] = {}
    newest_ms: dict[str, int | None] = {}
    for target, row in stored.items():
        names[target] = (row.named_ms, row.name, row.groups)
        newest_ms[target] = row.counted_ms
    for signal in signals:
        at_ms = to_ms(signal.seen_at)
        name = (at_ms, signal.name, orjson.dumps(signal.groups).decode())
        names[signal.target] = max(names.get(signal.target, name), name)
        newest = newest_ms.get(signal.target)
        counted = _counted_ms(signal)
        newest_ms[signal.target] = counted if newest is None else max(newest, counted)
    rows = [
        {
            "target": target,
            "kind": target_kind(target),
            "name": names[target][1],
            "groups": names[target][2],
            "named_ms": names[target][0],
            "stories": (stored[target].stories if target in stored else 0) + new_stories[target],
            "articles": (stored[target].articles if target in stored else 0) + new_articles[target],
            "counted_ms": newest_ms[target],
            "surprise": 0.0,
            "surprise_ms": -1,
            "surprise_s": 0,
        }
        for target in targets
    ]
    upsert(
        connection, tables.targets, rows, columns=("name", "groups", "named_ms", "stories", "articles", "counted_ms")
    )
