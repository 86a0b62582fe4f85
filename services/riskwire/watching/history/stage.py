"""The history stage: a target that is new is told what the store knows of its past.

It runs beside the sink, on the store that the sink fills. What it publishes are signals like others, marked as history:
alert learns from them and never fires on them, the sink keeps them as stories. A target that had been watched before
gets only what it has not.

What is past is told by the log: every article that was read before the command took effect on its partition, none that
was read after it (`Analysis.read_with`). That all of them are in the store is waited for (`stored`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from riskwire import metrics
from riskwire.bus import Message, Outgoing
from riskwire.entities.watchlist import WatchedEntity, read_recorded_entry
from riskwire.errors import SchemaError
from riskwire.inference.linking.companies import shipped_companies
from riskwire.pipeline import HISTORY, Topic
from riskwire.records import Signal
from riskwire.settings import StoreSettings
from riskwire.stage import Step
from riskwire.store import Store
from riskwire.watching.history.log_identity import KEY, same_log
from riskwire.watching.history.past import ASKED, REPRINT, past_signals, targets_of, terms
from riskwire.watching.history.store_wait import Ends, Lags, Stored
from riskwire.watching.stage import watch_of

log = structlog.get_logger(__name__)

_REPRINTS = 4
"""Articles looked at for one story."""
_REMEMBERED = 100_000
"""Most signals that were told and may not be stored yet, kept in mind before they are waited for."""


class HistoryStage:
    """Looks into the store for each entry that is set.

    Args:
        ends: how far each partition of a topic reaches.
        lag: how far every group is behind.
    """

    spec = HISTORY

    def __init__(self, store: Store, ends: Ends, lag: Lags, settings: StoreSettings) -> None:
        self.store = store
        self.ends = ends
        self.lag = lag
        self.settings = settings
        self.task: HistoryTask | None = None
        """Who has the partition now, of all that this process opened."""

    def open(self, partition: int, state: Mapping[str, bytes]) -> HistoryTask:
        """Begin; its state is the number of the log (`same_log`): what was told before is waited for."""
        self.task = HistoryTask(self, state)
        return self.task


class HistoryTask:
    """The work on the one partition of commands."""

    def __init__(self, stage: HistoryStage, state: Mapping[str, bytes]) -> None:
        self._store = stage.store
        self._stored = Stored(stage.ends, stage.lag, stage.spec.name, is_over=lambda: stage.task is not self)
        self._settings = stage.settings
        self._stored_before = 0
        """What was read before the commands before this offset took effect is in the store."""
        self._lately = _Lately()
        self._ends = stage.ends
        self._state = state

    async def first_step(self) -> Step:
        """See that the store goes with this log, and let go of the state that it had in an earlier riskwire.

        Raises:
            StoreError: the store cannot be read or written.
            BusError: the bus cannot be asked how far the log reaches.
        """
        number = await same_log(self._store, self._ends, self._state)
        changed: dict[str, bytes | None] = dict.fromkeys(key for key in self._state if key != KEY)
        return Step(state=changed if self._state.get(KEY) == number else changed | {KEY: number})

    async def process(self, batch: Sequence[Message]) -> Step:
        """Publish the past of what a batch of commands sets; what cannot be read the watchlist stage has put away.

        Raises:
            StoreError: the store cannot be read.
            BusError: the bus cannot be asked how far the store is.
        """
        step = Step()
        for message in batch:
            entry = _entry(message)
            if entry is None or not self._settings.history:
                continue
            await self._until_stored(message.offset, entry, unpublished=bool(step.results))
            signals = await self._store.off_loop(self._past, entry, message.offset)
            log.info("a target's past", target=entry.target, signals=len(signals))
            metrics.HISTORY_SIGNALS.inc(len(signals))
            step.results.extend(Outgoing(Topic.SIGNALS, one.target, one.to_bytes()) for one in signals)
            self._lately.add(signals)
        return step

    def _past(self, entry: WatchedEntity, command: int) -> list[Signal]:
        sought, targets = terms(entry, shipped_companies()), targets_of(entry)
        most = self._settings.history
        articles = self._store.past_articles(
            entry.target,
            keys=sought.keys,
            entities=sought.entities,
            signals_of=(*ASKED, *targets[1:]),
            limit=most * _REPRINTS,
            before=command,
        )
        if not articles:
            return []
        since = min(one.seen_at for one in articles) - REPRINT
        told = {
            target: [*self._store.past_stories(target, since=since, before=command), *self._lately.stories(target)]
            for target in targets
        }
        return past_signals(entry, sought, articles, told, most, {one: self._lately.articles(one) for one in targets})

    async def _until_stored(self, offset: int, entry: WatchedEntity, *, unpublished: bool) -> None:
        """Wait until all that was read before the command at this offset took effect is in the store, and what the
        target itself was told lately, if anything; of a group's others that is kept in mind."""
        told = self._lately.articles(entry.target) or self._lately.signals >= _REMEMBERED
        if offset < self._stored_before and not told:
            return
        self._stored_before = await self._stored.until()
        if not unpublished:
            self._lately = _Lately()


class _Lately:
    """What targets were told since the store was last seen to hold it all."""

    def __init__(self) -> None:
        self._by_target: dict[str, dict[str, tuple[str, datetime]]] = {}
        self.signals = 0

    def add(self, signals: Sequence[Signal]) -> None:
        """Keep what is told now."""
        for one in signals:
            self._by_target.setdefault(one.target, {})[one.article] = (one.story, one.seen_at)
        self.signals += len(signals)

    def articles(self, target: str) -> frozenset[str]:
        """The articles that a target was told of."""
        return frozenset(self._by_target.get(target, ()))

    def stories(self, target: str) -> list[tuple[str, datetime]]:
        """The fingerprints of the stories that a target was told, and when."""
        return list(self._by_target.get(target, {}).values())


def _entry(message: Message) -> WatchedEntity | None:
    try:
        watch = watch_of(message)
    except SchemaError:
        return None
    return None if watch is None or watch.entry is None else read_recorded_entry(watch.entry, message.where)
