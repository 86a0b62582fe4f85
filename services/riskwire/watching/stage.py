"""The watchlist stage: commands in; changes of the watchlist out, on every partition of `articles`.

Every reader of a partition then applies a change at the same place of its log (decision 0023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from riskwire.bus import Message, Outgoing
from riskwire.bus.protocol import broadcast
from riskwire.errors import SchemaError
from riskwire.pipeline import WATCHLIST, Topic
from riskwire.stage import KeyedState, Step, dead_letter
from riskwire.watching.changes import watchlist_change_of

_PARTITIONS = "partitions"


class WatchlistStage:
    """Publishes changes of the watchlist to the readers of articles.

    Args:
        article_partitions: the number of partitions of `articles`.
    """

    spec = WATCHLIST

    def __init__(self, article_partitions: int) -> None:
        self._article_partitions = article_partitions

    def open(self, partition: int, state: Mapping[str, bytes]) -> WatchlistTask:
        """Returns a task that continues from the committed state."""
        return WatchlistTask(self._article_partitions, state)


class WatchlistTask:
    """The work on the single partition of commands.

    State: `entry/ID` (the newest change of each entry on the watchlist) and `partitions` (the number of partitions that
    have received the watchlist).
    """

    def __init__(self, article_partitions: int, state: Mapping[str, bytes]) -> None:
        self._partitions = article_partitions
        self._informed_partitions = int(state.get(_PARTITIONS, b"0"))
        self._entries: KeyedState[bytes] = KeyedState("entry/", state, encode=bytes, decode=bytes)

    async def first_step(self) -> Step:
        """Sends the whole watchlist to the partitions that were added since the last step."""
        return Step(list(self._whole_watchlist()), self._take_partitions()) if len(self._entries) else Step()

    async def process(self, batch: Sequence[Message]) -> Step:
        """Sends the watchlist changes that a batch of commands orders to every partition of `articles`, in order.

        A command that cannot be read becomes a dead letter. Commands that do not change the watchlist are ignored.

        Returns:
            a step with the changes and dead letters, and the changed state: the last change of each entry on the list.
        """
        step = Step()
        for message in batch:
            try:
                change = watchlist_change_of(message)
            except SchemaError as error:
                step.results.append(dead_letter(WATCHLIST.name, message, error))
                continue
            if change is None:
                continue
            raw = change.to_bytes()
            step.results.extend(broadcast(Topic.ARTICLES, raw, self._partitions))
            if change.entry is not None:
                self._entries.set(change.id, raw)
            elif change.id in self._entries:
                self._entries.delete(change.id)
        changes = self._entries.take_changes()
        if changes:
            step.state = changes | self._take_partitions()
        return step

    def _whole_watchlist(self) -> Iterator[Outgoing]:
        """Yields all entries for each partition of `articles` that was added since the last run."""
        for raw in self._entries.entries.values():
            for partition in range(self._informed_partitions, self._partitions):
                yield Outgoing(Topic.ARTICLES, None, raw, partition)

    def _take_partitions(self) -> dict[str, bytes | None]:
        """Returns the change of the state that notes how many partitions have received the list; empty if unchanged."""
        if self._informed_partitions == self._partitions:
            return {}
        self._informed_partitions = self._partitions
        return {_PARTITIONS: str(self._partitions).encode()}
