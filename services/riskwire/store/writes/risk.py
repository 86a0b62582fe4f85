"""Writing trends, alerts, commands and dead letters; like all writes, twice is the same as once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, select, tuple_

from riskwire.records import Alert, Command, DeadLetter, TrendPoint, content_id
from riskwire.store import tables
from riskwire.store.changes import advance, record_changes
from riskwire.store.rows import kind_of, to_ms
from riskwire.store.upsert import chunks, insert_missing, upsert

LETTER_KEPT = 10_000
"""Most characters kept of a dead letter's record and of its error."""

RANK = {"firing": 0, "escalated": 1, "resolved": 2}
LETTERS = "dead-letters "


def write_trends(connection: Connection, points: Iterable[TrendPoint]) -> None:
    """Keep each trend point by target, start and length; a target's surprise is that of its newest point."""
    rows = {(point.target, point.start, point.length_s): point for point in points}
    changed = upsert(
        connection,
        tables.trends,
        [
            {
                "target": point.target,
                "start_ms": to_ms(point.start),
                "length_s": point.length_s,
                "stories": point.stories,
                "articles": point.articles,
                "negative": point.negative,
                "neutral": point.neutral,
                "positive": point.positive,
                "surprise": point.surprise,
            }
            for point in rows.values()
        ],
    )
    newest: dict[str, TrendPoint] = {}
    for point in sorted(rows.values(), key=lambda point: (point.start, point.length_s)):
        newest[point.target] = point
    held = tables.targets.c
    upsert(
        connection,
        tables.targets,
        [
            {
                "target": point.target,
                "kind": kind_of(point.target),
                "name": point.name or point.target.partition(":")[2] or point.target,
                "groups": "[]",
                "named_ms": -1,
                "stories": 0,
                "articles": 0,
                "seen_ms": None,
                "surprise": point.surprise,
                "surprise_ms": to_ms(point.start),
                "surprise_s": point.length_s,
            }
            for point in newest.values()
        ],
        columns=("surprise", "surprise_ms", "surprise_s"),
        newer=lambda offered: (
            tuple_(offered.surprise_ms, offered.surprise_s) >= tuple_(held.surprise_ms, held.surprise_s)
        ),
    )
    record_changes(connection, [("trend", target) for target in sorted({key[0] for key in changed})])


def write_alerts(connection: Connection, alerts: Iterable[Alert]) -> None:
    """Keep every record of an episode; its head is the newest."""
    records = {(alert.id, alert.at, alert.status): alert for alert in alerts}
    changed = upsert(
        connection,
        tables.alerts,
        [
            {
                "id": alert.id,
                "at_ms": to_ms(alert.at),
                "status": alert.status,
                "body": alert.to_bytes().decode(),
            }
            for alert in records.values()
        ],
    )
    heads: dict[str, Alert] = {}
    for alert in records.values():
        held = heads.get(alert.id)
        if held is None or (alert.at, RANK[alert.status]) > (held.at, RANK[held.status]):
            heads[alert.id] = alert
    head = tables.alert_heads.c
    upsert(
        connection,
        tables.alert_heads,
        [
            {
                "id": alert.id,
                "target": alert.target,
                "status": alert.status,
                "rank": RANK[alert.status],
                "at_ms": to_ms(alert.at),
                "body": alert.to_bytes().decode(),
            }
            for alert in heads.values()
        ],
        newer=lambda offered: tuple_(offered.at_ms, offered["rank"]) >= tuple_(head.at_ms, head["rank"]),
    )
    record_changes(connection, [("alert", alert) for alert in sorted({key[0] for key in changed})])


def write_commands(connection: Connection, commands: Iterable[Command]) -> None:
    """Keep what people decided, for audit."""
    rows = {}
    for command in commands:
        body = command.to_bytes().decode()
        row = {
            "id": content_id(body),
            "kind": command.kind,
            "alert": command.alert,
            "at_ms": to_ms(command.at),
            "body": body,
            "target": command.target,
        }
        rows[row["id"]] = row
    changed = upsert(connection, tables.commands, list(rows.values()))
    touched = {rows[key]["alert"] for (key,) in changed}
    record_changes(connection, [("alert", str(alert)) for alert in sorted(filter(None, touched), key=str)])


def write_dead_letters(connection: Connection, letters: Iterable[DeadLetter], keep: int) -> None:
    """Keep the newest `keep` letters and count all, by stage.

    A letter delivered again is told apart only while it is kept; `keep` is never less than the largest batch, and
    only what has not been committed is delivered again.
    """
    rows = {}
    for letter in letters:
        key = (letter.stage, letter.topic, letter.partition, letter.offset, to_ms(letter.at))
        rows[key] = {
            "stage": letter.stage,
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "at_ms": to_ms(letter.at),
            "error": letter.error[:LETTER_KEPT],
            "record": letter.record[:LETTER_KEPT],
            "encoding": letter.encoding,
        }
    table = tables.dead_letters.c
    unique = (table.stage, table.topic, table.partition, table.offset, table.at_ms)
    held: set[tuple[object, ...]] = set()
    for chunk in chunks(rows, 150):
        held.update(map(tuple, connection.execute(select(*unique).where(tuple_(*unique).in_(chunk)))))
    new = {key: row for key, row in rows.items() if key not in held}
    if not new:
        return
    names = ("stage", "topic", "partition", "offset", "at_ms")
    insert_missing(connection, tables.dead_letters, list(new.values()), keys=names)
    for stage, count in sorted(Counter(key[0] for key in new).items()):
        advance(connection, LETTERS + stage, count)
    oldest = select(table.n).order_by(table.n.desc()).offset(keep).limit(1)
    if (bound := connection.execute(oldest).scalar()) is not None:
        connection.execute(delete(tables.dead_letters).where(table.n <= bound))
    record_changes(connection, [("status", "")])


def count_dead_letters(connection: Connection) -> int:
    """Letters ever received."""
    numbers = tables.numbers.c
    query = select(func.coalesce(func.sum(numbers.value), 0)).where(numbers.name.startswith(LETTERS))
    return int(connection.execute(query).scalar_one())
