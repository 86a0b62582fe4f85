"""The history stage: a command that sets an entry in; the signals of the new target's past out.

It runs beside the sink, on the store that the sink fills. Its signals are like other signals, but marked as history:
alerting learns from them and never fires on them, and the sink stores them as stories. A target that was watched before
gets only the articles that it has no signal of.

The log decides what belongs to the past: every article that infer read before the command took effect on its partition,
and no article that it read later (`Analysis.read_with`). So the result does not depend on the time at which history
runs, once those articles are in the store. `StoreWait` waits for that.
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
from riskwire.watching.changes import watchlist_change_of
from riskwire.watching.history.log_identity import LOG_NUMBER, bind_store_to_log
from riskwire.watching.history.past import (
    EVIDENCE_TARGETS,
    REPRINT,
    KnownNews,
    group_target_of,
    past_signals,
    search_terms,
)
from riskwire.watching.history.positions import LogPositions
from riskwire.watching.history.store_wait import StoreWait

log = structlog.get_logger(__name__)

_ARTICLES_PER_STORY = 4
"""Articles read for each story of the limit, since several may report one story."""
_MAX_UNSTORED = 100_000
"""Published signals to remember before waiting until they are stored."""


class HistoryStage:
    """Publishes the past of each entry that is put on the watchlist.

    Args:
        positions: the bus.
    """

    spec = HISTORY

    def __init__(self, store: Store, positions: LogPositions, settings: StoreSettings) -> None:
        """Prepares the stage; `open` starts its task.

        Args:
            store: the store with the past articles.
            positions: the bus, which is asked how far other stages have read.
            settings: `history` is the most past stories of a target; 0 publishes none.
        """
        self.store = store
        self.positions = positions
        self.settings = settings
        self.newest_task: HistoryTask | None = None
        """The task that was opened last; earlier ones have lost the partition."""

    def open(self, partition: int, state: Mapping[str, bytes]) -> HistoryTask:
        """Returns a task. Its state is the number of the log; it waits for signals published before a restart."""
        self.newest_task = HistoryTask(self, state)
        return self.newest_task


class HistoryTask:
    """The work on the single partition of commands."""

    def __init__(self, stage: HistoryStage, state: Mapping[str, bytes]) -> None:
        """Begins with the committed state of the partition of commands, which holds only the number of the log."""
        self._store = stage.store
        self._positions = stage.positions
        self._settings = stage.settings
        self._state = state
        self._store_wait = StoreWait(stage.positions, superseded=lambda: stage.newest_task is not self)
        self._stored_before = 0
        """The store contains everything that was read before the commands below this offset took effect."""
        self._unstored = _UnstoredSignals()

    async def first_step(self) -> Step:
        """Makes sure that the store belongs to this log of commands. Returns a step that keeps the number of the log.

        The store contains offsets of the log. The step is empty if the state has the number already.

        Raises:
            StoreError: the store cannot be read or written.
            BusError: the bus cannot be asked for the end of the log.
        """
        number = await bind_store_to_log(self._store, self._positions, self._state)
        return Step() if self._state.get(LOG_NUMBER) == number else Step(state={LOG_NUMBER: number})

    async def process(self, batch: Sequence[Message]) -> Step:
        """Returns a step with the past of the entries that a batch of commands sets: signals of articles before each.

        Waits before each entry until the store contains those articles. Other commands and, if the settings want no
        history, all commands are ignored; so are those that cannot be read, because the watchlist stage writes their
        dead letters.

        Raises:
            StoreError: the store cannot be read.
            BusError: the bus cannot be asked for positions.
        """
        step = Step()
        for message in batch:
            entry = _entry_set_by(message)
            if entry is None or not self._settings.history:
                continue
            await self._wait_until_stored(message.offset, entry, uncommitted=bool(step.results))
            signals = await self._store.off_loop_when_available(self._past_signals, entry, message.offset)
            log.info("published the past of a target", target=entry.target, signals=len(signals))
            metrics.HISTORY_SIGNALS.inc(len(signals))
            step.results.extend(Outgoing(Topic.SIGNALS, signal.target, signal.to_bytes()) for signal in signals)
            self._unstored.add(signals)
        return step

    def _past_signals(self, entry: WatchedEntity, command: int) -> list[Signal]:
        """Returns the signals that past articles would have had of a newly watched entry and its group.

        Args:
            command: the offset of the command that set the entry. Only articles read before it count.
        """
        terms = search_terms(entry, shipped_companies())
        group = group_target_of(entry)
        targets = (entry.target,) if group is None else (entry.target, group)
        limit = self._settings.history
        articles = self._store.past_articles(
            entry.target,
            keys=terms.keys,
            entities=terms.entities,
            signals_of=(*EVIDENCE_TARGETS, *targets[1:]),
            limit=limit * _ARTICLES_PER_STORY,
            before=command,
        )
        if not articles:
            return []
        since = min(article.seen_at for article in articles) - REPRINT
        known = {
            target: KnownNews(
                [
                    *self._store.past_stories(target, since=since, before=command),
                    *self._unstored.stories(target),
                ],
                self._unstored.articles(target),
            )
            for target in targets
        }
        return past_signals(entry, terms, articles, known, limit)

    async def _wait_until_stored(self, offset: int, entry: WatchedEntity, *, uncommitted: bool) -> None:
        """Waits until the store contains everything that was read before the command at an offset took effect.

        Returns at once if an earlier wait covers the offset and no published signals have to be stored first. Signals
        that this task published for the target must be stored as well. Those of the group are remembered instead, so
        that the entries of a group need not wait for each other. A wait ends with no signals remembered, unless this
        step has some.

        Args:
            uncommitted: whether this step already has signals, which no wait can bring into the store.
        """
        must_be_stored = self._unstored.articles(entry.target) or self._unstored.count >= _MAX_UNSTORED
        if offset < self._stored_before and not must_be_stored:
            return
        self._stored_before = await self._store_wait.wait_until_stored()
        if not uncommitted:
            self._unstored = _UnstoredSignals()


class _UnstoredSignals:
    """The signals that were published since the store was last known to contain everything."""

    def __init__(self) -> None:
        self._by_target: dict[str, dict[str, tuple[str, datetime]]] = {}
        self.count = 0

    def add(self, signals: Sequence[Signal]) -> None:
        """Remembers the story and time of published signals, by target and article; counts every signal."""
        for signal in signals:
            self._by_target.setdefault(signal.target, {})[signal.article] = (signal.story, signal.seen_at)
        self.count += len(signals)

    def articles(self, target: str) -> frozenset[str]:
        """Returns the ids of a target's articles."""
        return frozenset(self._by_target.get(target, ()))

    def stories(self, target: str) -> list[tuple[str, datetime]]:
        """Returns a target's stories, as (fingerprint, time)."""
        return list(self._by_target.get(target, {}).values())


def _entry_set_by(message: Message) -> WatchedEntity | None:
    """Returns the entry that a command sets, or None for a command that sets none or cannot be read."""
    try:
        change = watchlist_change_of(message)
    except SchemaError:
        return None
    return None if change is None or change.entry is None else read_recorded_entry(change.entry, message.where)
