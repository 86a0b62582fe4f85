"""The history stage: a target that is new is told what the store knows of its past.

It runs beside the sink, on the store that the sink fills. What it publishes are signals like others, marked as history:
alert learns from them and never fires on them, the sink keeps them as stories. A target that had been watched before
gets only what it has not.

Its state: `told/ENTRY/TARGET`, the articles that a target was told of for an entry, the latest `store.history` of them.
The store may not have them yet, and alert would learn what is old each time it is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

import orjson
import structlog

from riskwire import metrics
from riskwire.bus import Lag, Message, Outgoing, behind
from riskwire.errors import SchemaError
from riskwire.inference.linking.companies import shipped_companies
from riskwire.schemas import Signal, Topic, read_record
from riskwire.settings import StoreSettings
from riskwire.stage import Step
from riskwire.store import Store
from riskwire.watching.history import ASKED, past_signals, targets_of, terms
from riskwire.watching.stage import COMMANDS, watch_of
from riskwire.watchlist import WatchedEntity, recorded_entry

log = structlog.get_logger(__name__)

BATCHES = {"history": 1}
"""Most records of one step of a stage, where that is not `bus.batch`: one command may bring a thousand signals."""
_REPRINTS = 4
"""Articles looked at for one story."""
_BEFORE = ("watchlist", "infer", "sink-analyses", "sink-signals")
"""What has to be read, in this order, until the store holds all that was read with the list of before."""
_LOOK_S = 0.25
_WAIT_AGAIN_S = 60.0
_REMEMBERED = 200_000
"""Most articles of all targets that it keeps in mind to have told."""
_TOLD = "told/"


class HistoryStage:
    """Looks into the store for each entry that is set.

    Args:
        lag: how far every group is behind.
    """

    name = "history"
    topic = Topic.COMMANDS

    def __init__(self, store: Store, lag: Callable[[], Awaitable[Sequence[Lag]]], settings: StoreSettings) -> None:
        self.store = store
        self.lag = lag
        self.settings = settings

    def open(self, partition: int, state: Mapping[str, bytes]) -> HistoryTask:
        """Continue from a committed state."""
        return HistoryTask(self, state)


class HistoryTask:
    """The work on the one partition of commands."""

    def __init__(self, stage: HistoryStage, state: Mapping[str, bytes]) -> None:
        self._store = stage.store
        self._lag = stage.lag
        self._settings = stage.settings
        self._stored_before = 0
        """Commands before this offset took effect before the store was last seen to hold all that was read."""
        self._gave_up_at: float | None = None
        self._told = _Told(state, self._settings.history)

    async def process(self, batch: Sequence[Message]) -> Step:
        """Publish the past of what a batch of commands sets; what cannot be read the watchlist stage has put away.

        Raises:
            StoreError: the store cannot be read.
        """
        step = Step()
        for message in batch:
            entry = _entry(message)
            if entry is None or not self._settings.history:
                continue
            await self._until_stored(message.offset)
            signals = await self._store.off_loop(self._past, entry)
            log.info("a target's past", target=entry.target, signals=len(signals))
            metrics.HISTORY.inc(len(signals))
            step.results.extend(Outgoing(Topic.SIGNALS, one.target, one.to_bytes()) for one in signals)
            step.state |= self._told.add(entry, signals)
        return step

    def _past(self, entry: WatchedEntity) -> list[Signal]:
        sought, targets = terms(entry, shipped_companies()), targets_of(entry)
        most = self._settings.history
        articles = self._store.past_of(
            entry.target,
            keys=sought.keys,
            entities=sought.entities,
            also=(*ASKED, *targets[1:]),
            most=most * _REPRINTS,
        )
        if not articles:
            return []
        told = {target: self._store.stories_told(target) for target in targets}
        signals = past_signals(entry, sought, articles, told, most)
        lately = {target: self._told.of(target) for target in targets}
        return [one for one in signals if one.article not in lately[one.target]]

    async def _until_stored(self, offset: int) -> None:
        """Wait, for a while, until all that was read before the command at this offset took effect is in the store."""
        began = time.monotonic()
        if offset < self._stored_before:
            return
        if self._gave_up_at is not None and began - self._gave_up_at < _WAIT_AGAIN_S:
            return
        waiting = list(_BEFORE)
        lag = behind(await self._lag())
        end = offset + lag.get(HistoryStage.name, 0)
        while True:
            while waiting and not lag.get(waiting[0]):
                waiting.pop(0)
            if not waiting:
                self._stored_before = end
                return
            if time.monotonic() - began > self._settings.history_wait_s:
                self._gave_up_at = time.monotonic()
                log.warning("a target's past is told before the store has all of it", behind=waiting[0])
                return
            await asyncio.sleep(_LOOK_S)
            lag = behind(await self._lag())


class _Told:
    """The articles that targets were told of lately, by entry: so no key grows with the members of a group, and two
    new members share what their group was told."""

    def __init__(self, state: Mapping[str, bytes], most: int) -> None:
        self._most = most
        self._articles: dict[str, list[str]] = {
            key: orjson.loads(raw) for key, raw in state.items() if key.startswith(_TOLD)
        }

    def of(self, target: str) -> set[str]:
        """The articles that a target was told of."""
        return {
            article
            for key, articles in self._articles.items()
            if key.removeprefix(_TOLD).partition("/")[2] == target
            for article in articles
        }

    def add(self, entry: WatchedEntity, signals: Sequence[Signal]) -> dict[str, bytes | None]:
        """Keep what is told now, let go of the oldest; what changes in the state."""
        changed: dict[str, bytes | None] = {}
        for target, told in groupby(sorted(signals, key=attrgetter("target")), key=attrgetter("target")):
            key = f"{_TOLD}{entry.id}/{target}"
            articles = [*self._articles.pop(key, ()), *(one.article for one in told)][-self._most :]
            self._articles[key] = articles
            changed[key] = orjson.dumps(articles)
        while sum(map(len, self._articles.values())) > _REMEMBERED:
            oldest = next(iter(self._articles))
            del self._articles[oldest]
            changed[oldest] = None
        return changed


def _entry(message: Message) -> WatchedEntity | None:
    try:
        watch = watch_of(read_record(COMMANDS, message.value, message.where), message.where)
    except SchemaError:
        return None
    return None if watch is None or watch.entry is None else recorded_entry(watch.entry, message.where)
