"""The history stage: a target that is new is told what the store knows of its past.

It runs beside the sink, on the store that the sink fills. What it publishes are signals like others, marked as history:
alert learns from them and never fires on them, the sink keeps them as stories. A target that had been watched before
gets only what it has not.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence

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
from riskwire.watchlist import WatchedEntity, read_entry

log = structlog.get_logger(__name__)

BATCHES = {"history": 1}
"""Most records of one step of a stage, where that is not `bus.batch`: one command may bring a thousand signals."""
_REPRINTS = 4
"""Articles looked at for one story."""
_BEFORE = ("watchlist", "infer", "sink-analyses", "sink-signals")
"""What has to be read, in this order, until the store holds all that was read with the list of before."""
_LOOK_S = 0.25
_WAIT_AGAIN_S = 60.0
_REMEMBERED = 50_000


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
        """It keeps no state: the store knows what has been told."""
        return HistoryTask(self)


class HistoryTask:
    """The work on the one partition of commands."""

    def __init__(self, stage: HistoryStage) -> None:
        self._store = stage.store
        self._lag = stage.lag
        self._settings = stage.settings
        self._stored_before = 0
        """Commands before this offset took effect before the store was last seen to hold all that was read."""
        self._gave_up_at: float | None = None
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Targets and articles told lately, which the store may not have yet: two new members share their group's."""

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
        new = [one for one in signals if (one.target, one.article) not in self._told]
        self._told.update(dict.fromkeys((one.target, one.article) for one in new))
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return new

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


def _entry(message: Message) -> WatchedEntity | None:
    try:
        watch = watch_of(read_record(COMMANDS, message.value, message.where), message.where)
    except SchemaError:
        return None
    return None if watch is None or watch.entry is None else read_entry(watch.entry, message.where)
