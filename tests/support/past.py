"""The infer, sink and history stages around one store, to see which past a newly watched target gets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from riskwire.bus import Lag, Message, Outgoing
from riskwire.entities.watchlist import WatchedEntity, Watchlist, entry_fields
from riskwire.inference.linking import Linker
from riskwire.inference.model.engine import Engine
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic
from riskwire.records import SIGNALS, Article, Command, Signal, WatchlistChange
from riskwire.settings import Settings, StoreSettings
from riskwire.store import MentionSummary, PastArticle, Store, sink_stages
from riskwire.watching import HistoryStage

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
_COMMANDS = 1_000


def article(article_id: str, title: str, text: str = "", **fields: object) -> Article:
    """Returns an article, seen as many hours after `AT` as the number in its id."""
    seen = AT + timedelta(hours=int(article_id[1:]))
    defaults = {
        "id": article_id,
        "version": 1,
        "url": f"https://news.example/{article_id}",
        "source": "wire",
        "title": title,
        "text": text,
        "language": "en",
        "published_at": seen,
        "seen_at": seen,
    }
    return Article.model_validate(defaults | fields)


def entry(entry_id: str, **fields: object) -> WatchedEntity:
    """Returns an entry of a watchlist."""
    return WatchedEntity.model_validate({"id": entry_id, "name": entry_id.title()} | fields)


def set_command(entity: WatchedEntity, offset: int = 0) -> Message:
    """Returns the command that sets an entry of the watchlist, as the message at `offset` of `commands`."""
    command = Command(
        kind="watchlist_set", target=entity.target, by="ada", at=AT, value=entity.model_dump(exclude_none=True)
    )
    return Message(Topic.COMMANDS, 0, offset, entity.target, command.to_bytes())


def set_change(entity: WatchedEntity, command: int = 0) -> WatchlistChange:
    """Returns the change in `articles` that sets an entry.

    Args:
        command: the offset of the command that ordered the change, which is also its time in seconds after `AT`.
    """
    return WatchlistChange(
        id=entity.id, entry=entry_fields(entity), at=AT + timedelta(seconds=command), command=command
    )


def removal_change(entity: WatchedEntity, command: int) -> WatchlistChange:
    """Returns the change in `articles` that removes an entry."""
    return WatchlistChange(id=entity.id, entry=None, at=AT + timedelta(seconds=command), command=command)


class StoredPositions:
    """Positions of a log of commands that every group has read; the other topics are empty.

    Attributes:
        commands: the end offset of the commands.
        end_requests: the topics whose ends were read.
    """

    def __init__(self, commands: int = _COMMANDS) -> None:
        self.commands = commands
        self.end_requests: list[str] = []

    async def ends(self, topic: str) -> list[int]:
        """Returns the end offset of the single partition."""
        self.end_requests.append(topic)
        return [self.commands if topic == Topic.COMMANDS else 0]

    async def lag_of_waiting_stage(self, group: str) -> list[Lag]:
        """Returns no lag."""
        return [Lag("watchlist", Topic.COMMANDS, 0, 0, self.commands)]


def history_stage(store: Store, limit: int = 100) -> HistoryStage:
    """Returns a history stage whose store contains everything."""
    return HistoryStage(store, StoredPositions(), StoreSettings(history=limit))


class PastWorld:
    """The infer stage with a watchlist, and a store that the sink fills."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine = engine
        self.store = store

    async def infer(self, records: Sequence[Article | WatchlistChange], *entries: WatchedEntity) -> list[Outgoing]:
        """Returns what infer, without earlier state, publishes for a log of articles and changes of the watchlist.

        Args:
            entries: entries that are watched from the start.
        """
        stage = InferStage(self.engine, Linker(Watchlist(entries)), Settings(), signal_partitions=1)
        batch = [Message(Topic.ARTICLES, 0, offset, None, record.to_bytes()) for offset, record in enumerate(records)]
        return (await stage.open(0, {}).process(batch)).results

    async def sink(self, results: Sequence[Outgoing]) -> None:
        """Writes published records to the store."""
        for stage in sink_stages(self.store):
            messages = [
                Message(result.topic, 0, offset, result.key, result.value)
                for offset, result in enumerate(results)
                if result.topic == stage.spec.reads
            ]
            if messages:
                await stage.open(0, {}).process(messages)

    async def past_of(self, *entries: WatchedEntity, limit: int = 100) -> list[Signal]:
        """Returns the signals that history publishes when the entries are set one after the other."""
        return await self.history([set_command(entity, offset) for offset, entity in enumerate(entries)], limit=limit)

    async def history(self, commands: Sequence[Message], limit: int = 100) -> list[Signal]:
        """Returns the signals that a new history task publishes for commands, one command a step.

        The signals are not written to the store.
        """
        task = history_stage(self.store, limit).open(0, {})
        results = [result for command in commands for result in (await task.process([command])).results]
        assert {result.topic for result in results} <= {Topic.SIGNALS}
        return signals_in(results)


def past_article(number: int, story: str, at: datetime) -> PastArticle:
    """Returns an article whose title mentions Acme, and which has no signals."""
    mention = MentionSummary(
        entity="name:acme",
        key="acme",
        text="Acme",
        sentence=0,
        span=(0, 4),
        weight=1.0,
        relevance=1.0,
        negative=0.8,
        neutral=0.1,
        positive=0.1,
    )
    return PastArticle(
        id=f"a{number}",
        version=1,
        title="Acme falls",
        url="u",
        source="s",
        published_at=at,
        seen_at=at,
        backfill=False,
        bundle="b",
        story=story,
        mentions=(mention,),
        signals=(),
    )


def signals_in(results: Sequence[Outgoing], *targets: str) -> list[Signal]:
    """Returns the signals among published records; if targets are given, only their signals."""
    records = [SIGNALS.validate_json(result.value) for result in results if result.topic == Topic.SIGNALS]
    signals = [record for record in records if isinstance(record, Signal)]
    return [signal for signal in signals if not targets or signal.target in targets]


def published(signals: Sequence[Signal]) -> list[Outgoing]:
    """Returns signals as records to publish."""
    return [Outgoing(Topic.SIGNALS, signal.target, signal.to_bytes()) for signal in signals]


def comparable(signals: Sequence[Signal], *excluded: str) -> list[dict[str, object]]:
    """Returns the content of signals in one order, without the fields that differ between news and history."""
    exclude = {"backfill", "history", "was_backfill", "confirmed", "in_title", "title_reading", "parent", *excluded}
    return sorted(
        (signal.model_dump(mode="json", exclude=exclude) for signal in signals),
        key=lambda fields: (fields["article"], fields["target"]),
    )
