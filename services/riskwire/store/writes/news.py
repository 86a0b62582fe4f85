"""Writing analyses and signals, and keeping stories and targets in step with them.

Each function takes records in any order, any number of times, and leaves the same tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, delete, func, insert, select, tuple_

from riskwire.records import Analysis, Signal
from riskwire.store import tables
from riskwire.store.changes import record_changes
from riskwire.store.rows import kind_of, to_ms
from riskwire.store.upsert import chunks, insert_missing, upsert
from riskwire.store.writes.mentions import mention_rows, write_mentions
from riskwire.store.writes.replaced import keep_earlier, keep_replaced

TOPICS_KEPT = 5

Pair = tuple[str, str]
Gained = Counter[str]


def write_analyses(connection: Connection, analyses: Iterable[Analysis], mentions_kept: int) -> None:
    """Keep the newest version of each article, whom it mentions, and when each source was last heard."""
    newest: dict[str, Analysis] = {}
    others: list[Analysis] = []
    heard: dict[str, int] = {}
    for analysis in analyses:
        article = analysis.article
        held = newest.get(article.id)
        if held is None or held.article.version <= article.version:
            newest[article.id] = analysis
            others += [held] if held else []
        else:
            others.append(analysis)
        heard[article.source] = max(heard.get(article.source, 0), to_ms(article.seen_at))
    rows = [_article_row(analysis) for analysis in newest.values()]
    keep_replaced(connection, rows)
    changed = upsert(
        connection, tables.articles, rows, newer=lambda offered: offered.version >= tables.articles.c.version
    )
    written = {article for (article,) in changed}
    write_mentions(connection, [newest[article] for article in newest if article in written], mentions_kept)
    others += [analysis for article, analysis in newest.items() if article not in written]
    if others:
        keep_earlier(connection, [(_article_row(one), list(mention_rows(one, mentions_kept))) for one in others])
    upsert(
        connection,
        tables.sources,
        [{"source": source, "seen_ms": seen} for source, seen in heard.items()],
        newer=lambda offered: offered.seen_ms > tables.sources.c.seen_ms,
    )
    if changed:
        record_changes(connection, [("status", "")])


def _article_row(analysis: Analysis) -> dict[str, Any]:
    article, sentiment = analysis.article, analysis.sentiment
    topics = sorted(analysis.topics, key=lambda topic: -topic.score)[:TOPICS_KEPT]
    return {
        "id": article.id,
        "version": article.version,
        "status": analysis.status,
        "source": article.source,
        "url": article.url,
        "title": article.title,
        "language": article.language,
        "bundle": analysis.bundle,
        "story": analysis.story,
        "topics": orjson.dumps([topic.label for topic in topics]).decode(),
        "published_ms": to_ms(article.published_at),
        "seen_ms": to_ms(article.seen_at),
        "backfill": article.backfill,
        "negative": sentiment.negative if sentiment else None,
        "neutral": sentiment.neutral if sentiment else None,
        "positive": sentiment.positive if sentiment else None,
        "read_with": analysis.read_with,
    }


def write_signals(connection: Connection, signals: Iterable[Signal]) -> None:
    """Keep every signal once; a signal that was there before changes nothing."""
    offered = {(signal.target, signal.article, signal.version): signal for signal in signals}
    held = _held_versions(connection, {(target, article) for target, article, _ in offered})
    new = {key: signal for key, signal in offered.items() if key[2] not in held.get(key[:2], {})}
    if not new:
        return
    newest: dict[Pair, int] = {pair: max(versions) for pair, versions in held.items()}
    for target, article, version in new:
        newest[target, article] = max(newest.get((target, article), 0), version)

    recount: set[Pair] = set()
    superseded: list[tuple[str, str, int]] = []
    for (target, article), versions in held.items():
        for version, (story, current) in versions.items():
            if current and version < newest[target, article]:
                superseded.append((target, article, version))
                recount.add((target, story))
    rows = []
    told: dict[Pair, list[Signal]] = {}
    for (target, article, version), signal in new.items():
        current = version == newest[target, article]
        rows.append(_signal_row(signal, superseded=not current))
        if current:
            told.setdefault((target, signal.story), []).append(signal)

    connection.execute(insert(tables.signals), rows)
    key = tuple_(tables.signals.c.target, tables.signals.c.article, tables.signals.c.version)
    for chunk in chunks(superseded, 250):
        connection.execute(tables.signals.update().where(key.in_(chunk)).values(superseded=True))

    stories_gained = _grow_stories(connection, {story: some for story, some in told.items() if story not in recount})
    stories_gained.update(_recount_stories(connection, recount))
    articles_gained = Counter(target for target, article in newest if (target, article) not in held)
    _update_targets(connection, list(new.values()), stories_gained, articles_gained)
    sources = {(signal.target, signal.source) for signal in new.values()}
    insert_missing(
        connection,
        tables.target_sources,
        [{"target": target, "source": source} for target, source in sorted(sources)],
        keys=("target", "source"),
    )
    record_changes(connection, [("target", target) for target in sorted({signal.target for signal in new.values()})])


def _held_versions(connection: Connection, pairs: Iterable[Pair]) -> dict[Pair, dict[int, tuple[str, bool]]]:
    """The versions in the store of each (target, article): version -> (story, is current)."""
    table = tables.signals.c
    held: dict[Pair, dict[int, tuple[str, bool]]] = {}
    query = select(table.target, table.article, table.version, table.story, table.superseded)
    for chunk in chunks(pairs):
        for row in connection.execute(query.where(tuple_(table.target, table.article).in_(chunk))):
            held.setdefault((row.target, row.article), {})[row.version] = (row.story, not row.superseded)
    return held


def _signal_row(signal: Signal, *, superseded: bool) -> dict[str, Any]:
    return {
        "target": signal.target,
        "article": signal.article,
        "version": signal.version,
        "superseded": superseded,
        "story": signal.story,
        "source": signal.source,
        "title": signal.title,
        "url": signal.url,
        "published_ms": to_ms(signal.published_at),
        "seen_ms": to_ms(signal.seen_at),
        "backfill": signal.backfill,
        "negative": signal.sentiment.negative,
        "neutral": signal.sentiment.neutral,
        "positive": signal.sentiment.positive,
        "score_1e4": _score_1e4(signal),
        "relevance": signal.relevance,
        "text": signal.evidence.text,
        "start": signal.evidence.start,
        "end": signal.evidence.end,
        "bundle": signal.bundle,
    }


def _grow_stories(connection: Connection, told: dict[Pair, list[Signal]]) -> Gained:
    """Add new articles to the rows of their stories; returns the stories gained per target."""
    held = _held_stories(connection, told)
    rows = []
    for (target, story), signals in told.items():
        row = held.get((target, story))
        rows.append(
            {
                "target": target,
                "story": story,
                "articles": len(signals) + (row.articles if row else 0),
                "seen_ms": max(*(to_ms(signal.seen_at) for signal in signals), row.seen_ms if row else 0),
                "score_1e4": sum(map(_score_1e4, signals)) + (row.score_1e4 if row else 0),
            }
        )
    upsert(connection, tables.stories, rows)
    return Gained(target for target, story in told if (target, story) not in held)


def _recount_stories(connection: Connection, touched: set[Pair]) -> Gained:
    """Bring the rows of stories that lost an article in step; returns stories gained or lost per target."""
    signals, stories = tables.signals.c, tables.stories
    gained = Gained()
    for chunk in chunks(sorted(touched)):
        before = set(_held_stories(connection, chunk))
        counts = connection.execute(
            select(
                signals.target,
                signals.story,
                func.count().label("articles"),
                func.max(signals.seen_ms).label("seen_ms"),
                func.sum(signals.score_1e4).label("score_1e4"),
            )
            .where(tuple_(signals.target, signals.story).in_(chunk), signals.superseded.is_(False))
            .group_by(signals.target, signals.story)
        )
        rows = [dict(row._mapping) for row in counts]
        after = {(row["target"], row["story"]) for row in rows}
        upsert(connection, stories, rows)
        gone = before - after
        if gone:
            connection.execute(delete(stories).where(tuple_(stories.c.target, stories.c.story).in_(sorted(gone))))
        gained.update(target for target, _ in after - before)
        gained.subtract(target for target, _ in gone)
    return gained


def _held_stories(connection: Connection, pairs: Iterable[Pair]) -> dict[Pair, Row[Any]]:
    stories = tables.stories
    held: dict[Pair, Row[Any]] = {}
    for chunk in chunks(pairs):
        query = select(stories).where(tuple_(stories.c.target, stories.c.story).in_(chunk))
        held.update({(row.target, row.story): row for row in connection.execute(query)})
    return held


def _score_1e4(signal: Signal) -> int:
    return round(signal.sentiment.score * 10_000)


def _update_targets(
    connection: Connection, signals: Sequence[Signal], stories_gained: Gained, articles_gained: Gained
) -> None:
    """Name, groups and last seen follow the newest signal; stories and articles grow by what is really new."""
    names = sorted({signal.target for signal in signals})
    table = tables.targets.c
    held: dict[str, Row[Any]] = {}
    for chunk in chunks(names):
        for row in connection.execute(select(tables.targets).where(table.target.in_(chunk))):
            held[row.target] = row
    best: dict[str, tuple[int, str, str]] = {}
    seen: dict[str, int] = {}
    for target, row in held.items():
        best[target] = (row.named_ms, row.name, row.groups)
        seen[target] = row.seen_ms or 0
    for signal in signals:
        at = to_ms(signal.seen_at)
        named = (at, signal.name, orjson.dumps(signal.groups).decode())
        best[signal.target] = max(best.get(signal.target, named), named)
        seen[signal.target] = max(seen.get(signal.target, at), at)
    rows = [
        {
            "target": target,
            "kind": kind_of(target),
            "name": best[target][1],
            "groups": best[target][2],
            "named_ms": best[target][0],
            "stories": (held[target].stories if target in held else 0) + stories_gained[target],
            "articles": (held[target].articles if target in held else 0) + articles_gained[target],
            "seen_ms": seen[target],
            "surprise": 0.0,
            "surprise_ms": -1,
            "surprise_s": 0,
        }
        for target in names
    ]
    upsert(connection, tables.targets, rows, columns=("name", "groups", "named_ms", "stories", "articles", "seen_ms"))
