"""The real reader, the real sink and the real history stage around one store: what becomes of a new target's past."""

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
from riskwire.store import Store, sink_stages
from riskwire.watching import HistoryStage

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
_COMMANDS = 1_000


def article(article_id: str, title: str, text: str = "", **fields: object) -> Article:
    """An article, seen as many hours after `AT` as the number in its id."""
    seen = AT + timedelta(hours=int(article_id[1:]))
    plain = {
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
    return Article.model_validate(plain | fields)


def entry(entry_id: str, **fields: object) -> WatchedEntity:
    """An entry of a watchlist."""
    return WatchedEntity.model_validate({"id": entry_id, "name": entry_id.title()} | fields)


def put(entity: WatchedEntity, offset: int = 0) -> Message:
    """The command that sets an entry, as it stands in the log."""
    command = Command(
        kind="watchlist_set", target=entity.target, by="ada", at=AT, value=entity.model_dump(exclude_none=True)
    )
    return Message(Topic.COMMANDS, 0, offset, entity.target, command.to_bytes())


def watch(entity: WatchedEntity, command: int = 0) -> WatchlistChange:
    """The same among articles."""
    return WatchlistChange(
        id=entity.id, entry=entry_fields(entity), at=AT + timedelta(seconds=command), command=command
    )


def unwatch(entity: WatchedEntity, command: int) -> WatchlistChange:
    """From here on it is watched no more."""
    return WatchlistChange(id=entity.id, entry=None, at=AT + timedelta(seconds=command), command=command)


async def ends(topic: str) -> list[int]:
    """Of a log in which many commands stand, all at once, and nothing else."""
    return [_COMMANDS if topic == Topic.COMMANDS else 0]


async def lag() -> list[Lag]:
    """Of groups that have read it all."""
    return [Lag("watchlist", Topic.COMMANDS, 0, 0, _COMMANDS)]


def history(store: Store, most: int = 100) -> HistoryStage:
    """The stage on a store that has all there is."""
    return HistoryStage(store, ends, lag, StoreSettings(history=most))


class World:
    """The real reader with a watchlist, and the real store behind the real sink."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine = engine
        self.store = store

    async def read(self, records: Sequence[Article | WatchlistChange], *entries: WatchedEntity) -> list[Outgoing]:
        """What infer makes of a log where these are watched from the start."""
        stage = InferStage(self.engine, Linker(Watchlist(entries)), Settings(), signal_partitions=1)
        batch = [Message(Topic.ARTICLES, 0, at, None, one.to_bytes()) for at, one in enumerate(records)]
        return (await stage.open(0, {}).process(batch)).results

    async def keep(self, results: Sequence[Outgoing]) -> None:
        """As the sink does."""
        for stage in sink_stages(self.store):
            records = [
                Message(one.topic, 0, at, one.key, one.value)
                for at, one in enumerate(results)
                if one.topic == stage.spec.reads
            ]
            if records:
                await stage.open(0, {}).process(records)

    async def past(self, *entries: WatchedEntity, most: int = 100) -> list[Signal]:
        """What the history stage tells of new entries."""
        return await self.told([put(one, at) for at, one in enumerate(entries)], most=most)

    async def told(self, commands: Sequence[Message], most: int = 100) -> list[Signal]:
        """What the history stage tells on commands, one by one, none of it kept."""
        task = history(self.store, most).open(0, {})
        results = [one for command in commands for one in (await task.process([command])).results]
        assert {one.topic for one in results} <= {Topic.SIGNALS}
        return signals_in(results)


def signals_in(results: Sequence[Outgoing], *targets: str) -> list[Signal]:
    """The signals among results; of these targets, where some are named."""
    records = [SIGNALS.validate_json(one.value) for one in results if one.topic == Topic.SIGNALS]
    return [one for one in records if isinstance(one, Signal) and (not targets or one.target in targets)]


def published(signals: Sequence[Signal]) -> list[Outgoing]:
    """Signals as they are published."""
    return [Outgoing(Topic.SIGNALS, one.target, one.to_bytes()) for one in signals]


def without_origin(signals: Sequence[Signal], *also: str) -> list[dict[str, object]]:
    """What signals say, in one order, whether as history or when it was news."""
    drop = {"backfill", "history", "was_backfill", *also}
    return sorted(
        (one.model_dump(mode="json", exclude=drop) for one in signals), key=lambda one: (one["article"], one["target"])
    )
