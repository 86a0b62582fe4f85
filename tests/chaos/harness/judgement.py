"""The end of a run: everything is read from outside and compared with what the calm run left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from kafka_reader import committed_records

from harness import calm
from harness.check import TOPICS, Compared, compare, letter_of, view_differences, without
from harness.cluster import Observer
from harness.receiver import Receiver

_ARRIVE_S = 30.0


async def compared_topics(quiet: Path, client: Mapping[str, str], observer: Observer) -> list[Compared]:
    """Every topic, as another client reads it, beside the calm run's."""
    expected = await asyncio.to_thread(calm.embedded_records, quiet)
    expected["dead-letters"] += [letter_of(raw) for raw in garbage_of(observer)]
    found: list[Compared] = []
    for topic in TOPICS:
        records = await records_of(client, topic)
        here = without(records, observer.added) if topic == "articles" else records
        found.append(compare(topic, expected[topic], here))
    return found


async def records_of(client: Mapping[str, str], topic: str) -> list[bytes]:
    """The committed records of a topic."""
    return [record.value or b"" for record in await asyncio.to_thread(committed_records, client, topic)]


def garbage_of(observer: Observer) -> list[bytes]:
    """What was added to `articles` and is no article."""
    return [raw for raw in observer.added if not _is_article(raw)]


async def compared_notifications(alerts: list[bytes], receiver: Receiver) -> Compared:
    """Every alert record arrives at least once, under one key that no other has."""
    await receiver.until({*alerts}, _ARRIVE_S)
    keys: dict[bytes, set[str]] = {}
    for key, body in receiver.arrived:
        keys.setdefault(body, set()).add(key)
    found = Compared("notifications", len(keys))
    found.lost = [str(body[:200]) for body in {*alerts} - {*keys}]
    found.differing = [f"{body[:200]!r} came under keys {those}" for body, those in keys.items() if len(those) > 1]
    found.differing += [f"{body[:200]!r} is no alert of the log" for body in {*keys} - {*alerts}]
    if len({key for those in keys.values() for key in those}) < len(keys):
        found.differing.append("two alert records came under one key")
    return found


async def compared_store(quiet: Path, data: Path) -> tuple[int, list[str]]:
    """How many things users see, and which of them they would see otherwise."""
    before = await asyncio.to_thread(calm.store_view, quiet)
    after = await asyncio.to_thread(calm.store_view, data)
    return len(after), view_differences(before, after)


def _is_article(raw: bytes) -> bool:
    try:
        record = json.loads(raw)
    except ValueError:
        return False
    return isinstance(record, dict) and record.get("kind") == "article" and "seen_at" in record
