"""The sink: one stage per topic, which writes the records of the topic to the store.

A batch is one transaction of the store. The position is committed after it. If the process dies in between, the next
process writes the batch again. That changes nothing, because every write is idempotent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import structlog
from pydantic import TypeAdapter

from riskwire.bus import Message
from riskwire.errors import SchemaError
from riskwire.pipeline import SINKS, Topic
from riskwire.records import (
    ALERTS,
    SIGNALS,
    Alert,
    Analysis,
    ArticleRef,
    Command,
    DeadLetter,
    NearMiss,
    Signal,
    TrendPoint,
    read_record,
)
from riskwire.stage import BatchStage, Step, Task, dead_letter
from riskwire.store.store import Store

log = structlog.get_logger(__name__)

_R = TypeVar("_R")


class SinkStage(Generic[_R]):
    """Writes one topic to the store. Its name is `sink-TOPIC`."""

    def __init__(
        self, store: Store, topic: Topic, reader: TypeAdapter[Any], kind: type[_R], write: Callable[[list[_R]], None]
    ) -> None:
        """Makes the sink stage of a topic.

        Args:
            reader: reads the records of the topic.
            kind: the class of the records to write; other records of the topic are ignored.
            write: the method of `store` that writes them.
        """
        self.spec = SINKS[topic]
        self._store = store
        self._reader = reader
        self._kind = kind
        self._write = write

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        """Returns itself: a sink has no state."""
        return self

    async def process(self, batch: Sequence[Message]) -> Step:
        """Writes a batch of one topic to the store, in one transaction. Ignores records of another kind.

        Returns:
            the step to commit: a dead letter for each record that cannot be read, and no state. An unreadable record of
            the topic of dead letters is only logged.

        Raises:
            StoreError: the store cannot be written.
            SchemaError: the database cannot store a value of a record; none of the batch is written.
        """
        records: list[_R] = []
        step = Step()
        for message in batch:
            try:
                record = read_record(self._reader, message.value, message.where)
            except SchemaError as error:
                if self.spec.reads is Topic.DEAD_LETTERS:  # its dead letter would return to this sink
                    log.error("unreadable dead letter dropped", where=message.where, error=str(error))
                else:
                    step.results.append(dead_letter(self.spec.name, message, error))
                continue
            if isinstance(record, self._kind):
                records.append(record)
        if records:
            await self._store.write_off_loop(self._write, records)
        step.seen = [seen_at for record in records if (seen_at := _live_since(record)) is not None]
        return step


def _live_since(record: object) -> datetime | None:
    """Returns when the news of a record was first seen; None if it is backfill, or the record is no news."""
    news = record.article if isinstance(record, Analysis) else record
    if isinstance(news, ArticleRef | Signal) and not news.backfill:
        return news.seen_at
    return None


def sink_stages(store: Store) -> list[BatchStage]:
    """Returns the stages that write records of the bus to a store, one for each topic that it stores.

    Each gets its topic, the reader of the topic's records, the class of those to write, and the method that writes
    them. The topic `signals` also has marks (records of the time), and `alerts` decisions, which are written as the
    commands that they come from.
    """
    return [
        SinkStage(store, Topic.ANALYSES, TypeAdapter(Analysis), Analysis, store.write_analyses),
        SinkStage(store, Topic.SIGNALS, SIGNALS, Signal, store.write_signals),
        SinkStage(store, Topic.TRENDS, TypeAdapter(TrendPoint), TrendPoint, store.write_trends),
        SinkStage(store, Topic.ALERTS, ALERTS, Alert, store.write_alerts),
        SinkStage(store, Topic.NEAR_MISSES, TypeAdapter(NearMiss), NearMiss, store.write_near_misses),
        SinkStage(store, Topic.COMMANDS, TypeAdapter(Command), Command, store.write_commands),
        SinkStage(store, Topic.DEAD_LETTERS, TypeAdapter(DeadLetter), DeadLetter, store.write_dead_letters),
    ]
