"""The history stage: a target that is new is told what the store knows of its past.

It runs beside the sink, on the store that the sink fills. What it publishes are signals like others, marked as history:
alert learns from them and never fires on them, the sink keeps them as stories. A target that had been watched before
gets only what it has not.
"""

from __future__ import annotations

import asyncio
import time
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


class HistoryStage:
    """Looks into the store for each entry that is set.

    Args:
        lag: how far every group is behind.
    """

    name = "history"
    topic = Topic.COMMANDS

    def __init__(self, store: Store, lag: Callable[[], Awaitable[Sequence[Lag]]], settings: StoreSettings) -> None:
        self._store = store
        self._lag = lag
        self._settings = settings
        self._waited_at: float | None = None

    def open(self, partition: int, state: Mapping[str, bytes]) -> HistoryStage:
        """It keeps no state: the store knows what has been told."""
        return self

    async def process(self, batch: Sequence[Message]) -> Step:
        """Publish the past of what a batch of commands sets; what cannot be read the watchlist stage has put away.

        Raises:
            StoreError: the store cannot be read.
        """
        step = Step()
        for entry in _entries(batch):
            if self._settings.history:
                await self._until_stored()
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
        return past_signals(entry, sought, articles, told, most)

    async def _until_stored(self) -> None:
        """Wait until what was read before the command took effect is in the store, for a while; not anew for each of
        many commands."""
        now = time.monotonic()
        if self._waited_at is not None and now - self._waited_at < _WAIT_AGAIN_S:
            return
        waiting = list(_BEFORE)
        while True:
            lag = behind(await self._lag())
            while waiting and not lag.get(waiting[0]):
                waiting.pop(0)
            if not waiting:
                return
            if time.monotonic() - now > self._settings.history_wait_s:
                self._waited_at = time.monotonic()
                log.warning("a target's past is told before the store has all of it", behind=waiting[0])
                return
            await asyncio.sleep(_LOOK_S)


def _entries(batch: Sequence[Message]) -> list[WatchedEntity]:
    found = []
    for message in batch:
        try:
            watch = watch_of(read_record(COMMANDS, message.value, message.where), message.where)
        except SchemaError:
            continue
        if watch is not None and watch.entry is not None:
            found.append(read_entry(watch.entry, message.where))
    return found
