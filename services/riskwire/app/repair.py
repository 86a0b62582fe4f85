"""Repairs a data directory that holds news of the future, after the wall clock was ahead.

Everything that was stored, learned or remembered up to now stays. What is dated later is forgotten, and ingest reads
it again from the feeds, as far as they still have it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from riskwire.alerting import rewind as alert_state
from riskwire.bus.embedded.bus import FILE
from riskwire.bus.embedded.lock import lock_data_dir
from riskwire.bus.embedded.rewrite import rewrite
from riskwire.errors import BusError, SettingsError
from riskwire.inference.seen_articles import without_articles
from riskwire.ingest import rewind as ingest_state
from riskwire.pipeline import ALERT, INFER, INGEST, Topic
from riskwire.records import Mark, Tick, from_ms, to_ms
from riskwire.records.latest import not_after
from riskwire.settings import Settings
from riskwire.store import Store

_EMPTIED = (Topic.ARTICLES, Topic.SIGNALS)
"""The topics whose records of the future give way to a tick or mark, which has no content."""
_CLAMPED = (Topic.ANALYSES, Topic.TRENDS, Topic.ALERTS, Topic.NEAR_MISSES)
"""The topics whose records of the future are dated back."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did.

    Attributes:
        articles: the articles of the future that were forgotten.
        values: the values of the bus that were changed.
        backups: the copies of the files as they were.
    """

    articles: int
    values: int
    backups: tuple[Path, ...]


def repair_future(settings: Settings, now: datetime) -> Repair:
    """Takes news of the future out of a data directory that no process uses, and keeps a copy of its files.

    A repair that was interrupted can be run again.

    Raises:
        SettingsError: the bus is not embedded, or the directory has no data.
        InUseError: a process uses the directory.
        RiskwireError: the bus or the store cannot be opened or written.
    """
    if settings.bus.url != "embedded":
        raise SettingsError("only a data directory of `riskwire run` can be repaired", value=settings.bus.url)
    bus = settings.data / FILE
    if not bus.exists():
        raise SettingsError("there is no data of riskwire in this directory", where=str(settings.data))
    now = from_ms(to_ms(now))
    with lock_data_dir(settings.data), Store.open(settings) as store:
        backups = tuple(_backed_up(path, now) for path in (bus, settings.data / "store.sqlite") if path.exists())
        articles = store.articles_after(now)
        values = rewrite(
            bus,
            lambda group, key, value: _state(group, key, value, now, articles),
            lambda topic, value: _record(topic, value, now),
        )
        store.remove_after(now)
    return Repair(len(articles), values, backups)


def _backed_up(path: Path, now: datetime) -> Path:
    """Copies a database beside itself, and returns the copy.

    Raises:
        BusError: it cannot be copied.
    """
    copy = path.with_name(f"{path.name}.before-repair-{now:%Y%m%dT%H%M%S}")
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        copy.chmod(0o600)
    except (sqlite3.Error, OSError) as error:
        raise BusError("the database cannot be copied before the repair", where=str(copy)) from error
    return copy


def _state(group: str, key: str, value: bytes, now: datetime, articles: Mapping[str, int]) -> bytes | None:
    """Returns the value of a key in the state of a group as of `now`; None to delete it."""
    if group == INGEST.name:
        return ingest_state.rewound(key, value, now, articles)
    if group == INFER.name:
        return without_articles(key, value, articles)
    if group == ALERT.name:
        return alert_state.rewound(key, value, to_ms(now))
    return value


def _record(topic: str, value: bytes, now: datetime) -> bytes:
    """Returns a record of a topic as of `now`.

    A record that cannot be read stays: it becomes a dead letter where it is read.
    """
    try:
        fields = orjson.loads(value) if topic in (*_EMPTIED, *_CLAMPED) else None
    except orjson.JSONDecodeError:
        return value
    if not isinstance(fields, dict):
        return value
    if topic in _CLAMPED and fields.get("kind") != "decision":  # a mute may end in the future
        clamped = not_after(fields, now)
        return value if clamped == fields else orjson.dumps(clamped)
    if topic in _CLAMPED or not_after(fields.get("seen_at"), now) == fields.get("seen_at"):
        return value
    if topic == Topic.ARTICLES:
        return Tick(seen_at=now).to_bytes()
    return Mark.model_validate({"from": 0, "seen_at": from_ms(0), "stories": 0, "buckets": {}}).to_bytes()
