"""The sink: one stage per topic, each writing its batches to the store.

A batch is one transaction of the store, and only then is the position committed: after a kill the last batch is written
again, which changes nothing. At least once and idempotent is effectively once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import structlog
from pydantic import TypeAdapter

from riskwire.bus import Message
from riskwire.errors import SchemaError
from riskwire.pipeline import SINKS, Topic
from riskwire.records import SIGNALS, Alert, Analysis, Command, DeadLetter, Signal, TrendPoint, read_record
from riskwire.stage import BatchStage, Step, Task, dead_letter
from riskwire.store.store import Store

log = structlog.get_logger(__name__)

_R = TypeVar("_R")


class SinkStage(Generic[_R]):
    """Writes one topic; named `sink-` and the topic."""

    def __init__(
        self, store: Store, topic: Topic, reader: TypeAdapter[Any], kind: type[_R], write: Callable[[list[_R]], None]
    ) -> None:
        self.spec = SINKS[topic]
        self._store = store
        self._reader = reader
        self._kind = kind
        self._write = write

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        """A sink keeps no state: its position is all."""
        return self

    async def process(self, batch: Sequence[Message]) -> Step:
        """Write a batch in one transaction; records that cannot be read go to the dead letters."""
        records: list[_R] = []
        step = Step()
        for message in batch:
            try:
                record = read_record(self._reader, message.value, message.where)
            except SchemaError as error:
                if self.spec.reads is Topic.DEAD_LETTERS:  # a dead letter of a dead letter would come back for ever
                    log.error("unreadable dead letter dropped", where=message.where, error=str(error))
                else:
                    step.results.append(dead_letter(self.spec.name, message, error))
                continue
            if isinstance(record, self._kind):
                records.append(record)
        if records:
            await self._store.write_off_loop(self._write, records)
        return step


def sink_stages(store: Store) -> list[BatchStage]:
    """The stages that fill a store: analyses, signals, trends, alerts, commands, dead letters."""
    return [
        SinkStage(store, Topic.ANALYSES, TypeAdapter(Analysis), Analysis, store.write_analyses),
        SinkStage(store, Topic.SIGNALS, SIGNALS, Signal, store.write_signals),
        SinkStage(store, Topic.TRENDS, TypeAdapter(TrendPoint), TrendPoint, store.write_trends),
        SinkStage(store, Topic.ALERTS, TypeAdapter(Alert), Alert, store.write_alerts),
        SinkStage(store, Topic.COMMANDS, TypeAdapter(Command), Command, store.write_commands),
        SinkStage(store, Topic.DEAD_LETTERS, TypeAdapter(DeadLetter), DeadLetter, store.write_dead_letters),
    ]
