"""A new target's past: what the store knows of it is told as it would have been, had it been watched from the start."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riskwire.bus import Lag, Message, Outgoing
from riskwire.inference.bundle import Bundle
from riskwire.inference.engine import Engine
from riskwire.inference.linking import Linker
from riskwire.inference.task import InferStage
from riskwire.schemas import SIGNALS, Article, Command, Model, Signal, Topic
from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store, sink_stages
from riskwire.watching import HistoryStage, history_stage
from riskwire.watchlist import WatchedEntity, Watchlist

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


def article(article_id: str, title: str, text: str = "", **fields: object) -> Article:
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


NEWS = [
    article("a1", "Acme Corp plunges on fraud probe", "Acme said it is in crisis. Globex Inc gains on growth."),
    article("a2", "Shares rises in Dublin", "Initech wins. Profit gains at Acme Corp. A crisis at Acme after losses."),
    article("a3", "Globex Inc sues Acme Corp for losses over a, b, c"),
    article("a4", "Ford Motor Co cuts growth", "Ford said the recall is a crisis. Shares of Ford (F.N) fall."),
    article("a5", "General Motors Corp in default", "GM said bankruptcy is near. Jane Doe of GM sues."),
    article("a6", "Irish growth", "Nothing of the sort in Detroit."),
]


def entry(entry_id: str, **fields: object) -> WatchedEntity:
    return WatchedEntity.model_validate({"id": entry_id, "name": entry_id.title()} | fields)


def put(entity: WatchedEntity, offset: int = 0) -> Message:
    command = Command(
        kind="watchlist_set", target=entity.target, by="ada", at=AT, value=entity.model_dump(exclude_none=True)
    )
    return Message(Topic.COMMANDS, 0, offset, entity.target, command.to_bytes())


async def no_lag() -> list[Lag]:
    return []


class World:
    """The real reader with a watchlist, and the real store behind the real sink."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine = engine
        self.store = store

    async def read(self, articles: Sequence[Article], *entries: WatchedEntity) -> list[Outgoing]:
        """What infer makes of articles where these are watched."""
        stage = InferStage(self.engine, Linker(Watchlist(entries)), Settings(), signal_partitions=1)
        records = [Message(Topic.ARTICLES, 0, at, one.id, one.to_bytes()) for at, one in enumerate(articles)]
        return (await stage.open(0, {}).process(records)).results

    async def keep(self, results: Sequence[Outgoing]) -> None:
        """As the sink does."""
        for stage in sink_stages(self.store):
            records = [
                Message(one.topic, 0, at, one.key, one.value)
                for at, one in enumerate(results)
                if one.topic == stage.topic
            ]
            if records:
                await stage.open(0, {}).process(records)

    async def past(self, *entries: WatchedEntity, most: int = 100) -> list[Signal]:
        """What the history stage tells of new entries."""
        stage = HistoryStage(self.store, no_lag, StoreSettings(history=most))
        step = await stage.open(0, {}).process([put(one, at) for at, one in enumerate(entries)])
        assert {one.topic for one in step.results} <= {Topic.SIGNALS}
        return signals_in(step.results)


def signals_in(results: Sequence[Outgoing], *targets: str) -> list[Signal]:
    records = [SIGNALS.validate_json(one.value) for one in results if one.topic == Topic.SIGNALS]
    return [one for one in records if isinstance(one, Signal) and (not targets or one.target in targets)]


def without_origin(signals: Sequence[Signal], *also: str) -> list[dict[str, object]]:
    drop = {"backfill", "history", "was_backfill", *also}
    return sorted(
        (one.model_dump(mode="json", exclude=drop) for one in signals), key=lambda one: (one["article"], one["target"])
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data=tmp_path)) as opened:
        yield opened


@pytest.fixture
async def world(tiny_bundle: Path, store: Store) -> AsyncIterator[World]:
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        yield World(engine, store)


@pytest.mark.parametrize(
    ("new", "articles"),
    [
        (entry("acme", group="makers"), {"a1", "a2", "a3"}),
        (entry("x", name="Something Else", aliases=["Acme Corporation"]), {"a1", "a2", "a3"}),
        (entry("ford", name="Ford Motor Company", tickers=["F"]), {"a4"}),
        (entry("gm", name="General Motors", isin="US37045V1008"), {"a5"}),
        (entry("ie", name="Ireland"), set()),
    ],
)
async def test_it_is_told_as_it_would_have_been_had_it_been_watched_from_the_start(
    world: World, new: WatchedEntity, articles: set[str]
) -> None:
    await world.keep(await world.read(NEWS))
    told = await world.past(new)
    lived = signals_in(await world.read(NEWS, new), new.target, f"group:{new.group}")
    assert {one.article for one in told} == articles
    assert without_origin(told) == without_origin(lived)
    assert all(one.backfill and one.history and not one.was_backfill for one in told)


async def test_where_only_others_were_watched_it_is_told_from_its_mentions_with_the_title_for_evidence(
    world: World,
) -> None:
    other, new = entry("globex"), entry("acme", group="makers")
    news = [*NEWS, article("a7", "Irish shares", "Fraud losses and default: a crisis at Acme Corp.")]
    await world.keep(await world.read(news, other))
    told = await world.past(new)
    lived = signals_in(await world.read(news, other, new), "entity:acme", "group:makers")
    assert without_origin(told, "evidence") == without_origin(lived, "evidence")
    evidence = {one.article: one.evidence for one in told}
    shown = {name: (one.text, one.text[one.start : one.end]) for name, one in evidence.items()}
    assert shown["a1"] == (NEWS[0].title, "Acme Corp")
    assert shown["a2"] == (NEWS[1].title, ""), "its title does not name it, and nobody quoted the sentence that does"
    assert shown["a7"] == ("Fraud losses and default: a crisis at Acme Corp.", "Acme Corp"), "the market's signal did"


@pytest.mark.parametrize(
    "new",
    [
        entry("ford", name="Ford Motor Company", tickers=["F"], group="cars"),
        entry("gm", name="General Motors", isin="US37045V1008"),
        entry("motors", name="General Motors"),
    ],
)
async def test_short_forms_and_what_the_tables_say_count_though_only_others_were_watched(
    world: World, new: WatchedEntity
) -> None:
    await world.keep(await world.read(NEWS, entry("globex")))
    told = await world.past(new)
    assert told
    lived = signals_in(await world.read(NEWS, entry("globex"), new), new.target, f"group:{new.group}")
    assert without_origin(told, "evidence") == without_origin(lived, "evidence")


async def test_what_the_store_has_of_the_target_is_not_told_again(world: World) -> None:
    new = entry("acme", group="makers")
    await world.keep(await world.read(NEWS[:1], new))
    await world.keep(await world.read(NEWS[1:]))
    told = await world.past(new)
    assert {one.article for one in told} == {"a2", "a3"}
    await world.keep([Outgoing(Topic.SIGNALS, one.target, one.to_bytes()) for one in told])
    assert await world.past(new) == []
    assert {row.article for row in world.store.stories("entity:acme")} == {"a1", "a2", "a3"}


async def test_its_group_is_told_only_where_no_other_member_was_mentioned(world: World) -> None:
    await world.keep(await world.read(NEWS, entry("globex", group="makers")))
    told = await world.past(entry("acme", group="makers"))
    assert {one.article for one in told if one.target == "entity:acme"} == {"a1", "a2", "a3"}
    assert {one.article for one in told if one.target == "group:makers"} == {"a2"}


async def test_an_article_that_spoke_of_the_group_once_is_not_told_of_it_again_by_a_later_version(world: World) -> None:
    other, new = entry("globex", group="makers"), entry("acme", group="makers")
    await world.keep(await world.read([article("a1", "Globex Inc loss in Dublin: shares, growth, record")], other))
    await world.keep(await world.read([article("a1", "Acme Corp gains on profit", version=2)], other))
    assert [one.target for one in await world.past(new)] == ["entity:acme"]


async def test_a_reprint_is_told_once_and_what_comes_again_after_days_is_a_story_of_its_own(world: World) -> None:
    title = "Acme Corp plunges on fraud probe in Dublin and Paris"
    days = [article(f"a{hour}", title) for hour in (1, 2, 40, 200)]
    await world.keep(await world.read(days))
    told = await world.past(entry("acme"))
    assert [one.article for one in told] == ["a1", "a200"]


async def test_a_reprint_of_what_the_target_was_told_in_time_is_not_told(world: World) -> None:
    new, title = entry("acme"), "Acme Corp plunges on fraud probe in Dublin and Paris"
    await world.keep(await world.read([article("a1", title)], new))
    await world.keep(await world.read([article("a2", title)]))
    assert await world.past(new) == []


async def test_of_more_than_is_told_the_newest_are(world: World) -> None:
    words = ["loss", "fraud", "recall", "default", "collapse"]
    await world.keep(
        await world.read(
            [article(f"a{at}", f"{word} {word} at Acme Corp: {word} {at} {at}") for at, word in enumerate(words)]
        )
    )
    told = await world.past(entry("acme", group="makers"), most=2)
    assert [(one.article, one.target) for one in told] == [
        ("a3", "entity:acme"),
        ("a3", "group:makers"),
        ("a4", "entity:acme"),
        ("a4", "group:makers"),
    ]
    assert await world.past(entry("acme"), most=0) == []


async def test_an_article_that_was_backfill_says_so(world: World) -> None:
    await world.keep(
        await world.read([article("a1", "Acme Corp loss", backfill=True), article("a2", "Acme Corp gains")])
    )
    told = await world.past(entry("acme"))
    assert [(one.article, one.was_backfill, one.backfill) for one in told] == [("a1", True, True), ("a2", False, True)]


async def test_of_an_article_the_newest_version_is_told(world: World) -> None:
    await world.keep(await world.read([article("a1", "Acme Corp loss")]))
    await world.keep(await world.read([article("a1", "Acme Corp gains on growth", version=2)]))
    (told,) = await world.past(entry("acme"))
    assert (told.version, told.sentiment.positive > told.sentiment.negative) == (2, True)
    await world.keep(await world.read([article("a1", "Globex Inc loss", version=3)]))
    assert await world.past(entry("acme")) == []


async def test_commands_that_set_nothing_and_records_that_cannot_be_read_are_passed_over(world: World) -> None:
    await world.keep(await world.read(NEWS))
    stage = HistoryStage(world.store, no_lag, StoreSettings())
    remove = Command(kind="watchlist_remove", target="entity:acme", by="ada", at=AT)
    other = Command(kind="acknowledge", alert="x", by="ada", at=AT)
    records: list[Model | bytes] = [b"not json", remove, other]
    batch = [
        Message(Topic.COMMANDS, 0, at, "k", one if isinstance(one, bytes) else one.to_bytes())
        for at, one in enumerate(records)
    ]
    step = await stage.open(0, {}).process(batch)
    assert (step.results, step.state) == ([], {})


async def test_it_waits_until_the_store_holds_what_was_read_before_but_not_for_ever(world: World) -> None:
    behind = [3, 2, 1, 0]
    asked: list[str] = []

    async def lag() -> list[Lag]:
        asked.append("lag")
        if len(asked) == 3:
            await world.keep(await world.read(NEWS[:1]))
        return [Lag("sink-analyses", Topic.ANALYSES, 0, behind[min(len(asked) - 1, 3)]), Lag("alert", "signals", 0, 9)]

    stage = HistoryStage(world.store, lag, StoreSettings())
    step = await stage.open(0, {}).process([put(entry("acme"))])
    assert len(asked) == 4
    assert [one.article for one in signals_in(step.results)] == ["a1"]

    async def always() -> list[Lag]:
        return [Lag("infer", Topic.ARTICLES, 0, 1)]

    impatient = HistoryStage(world.store, always, StoreSettings(history_wait_s=0))
    step = await impatient.open(0, {}).process([put(entry("globex"))])
    assert [one.article for one in signals_in(step.results)] == ["a1"]


async def test_many_commands_that_were_set_together_wait_once_and_a_later_one_waits_again(world: World) -> None:
    asked: list[int] = []

    async def lag() -> list[Lag]:
        asked.append(1)
        return [Lag("history", Topic.COMMANDS, 0, 3)]

    task = HistoryStage(world.store, lag, StoreSettings()).open(0, {})
    for offset in range(7, 10):
        await task.process([put(entry(f"name{offset}"), offset)])
    assert len(asked) == 1
    await task.process([put(entry("later"), 10)])
    assert len(asked) == 2


async def test_two_new_members_of_a_group_tell_it_once_of_an_article_though_the_store_has_not_got_it_yet(
    world: World,
) -> None:
    await world.keep(await world.read(NEWS))
    told = await world.past(entry("acme", group="makers"), entry("globex", group="makers"))
    of_group = [one.article for one in told if one.target == "group:makers"]
    assert sorted(of_group) == ["a1", "a2", "a3"]
    assert {one.article for one in told if one.target == "entity:globex"} == {"a1", "a3"}


async def test_what_was_told_is_not_told_again_after_a_restart_though_the_store_has_not_got_it_yet(
    world: World,
) -> None:
    await world.keep(await world.read(NEWS))
    acme, globex = entry("acme", group="makers"), entry("globex", group="makers")
    stage = HistoryStage(world.store, no_lag, StoreSettings())
    told = await stage.open(0, {}).process([put(acme)])
    assert len(told.results) == 6
    state = _there(told.state)
    again = await stage.open(0, state).process([put(acme, 1), put(globex, 2)])
    assert {one.target for one in signals_in(again.results)} == {"entity:globex"}
    other = entry("acme", name="Globex", group="makers")
    more = await stage.open(0, state).process([put(other, 1)])
    assert more.results == [], "it was told of these articles by another name"


async def test_of_what_was_told_no_more_is_kept_than_can_be_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.keep(await world.read(NEWS))
    state: dict[str, bytes | None] = {}
    for at, name in enumerate(["Acme", "Globex", "Ford"]):
        task = HistoryStage(world.store, no_lag, StoreSettings(history=2)).open(0, _there(state))
        state |= (await task.process([put(entry("one", name=name), at)])).state
    assert {key: len(json.loads(raw)) for key, raw in _there(state).items()} == {"told/one/entity:one": 2}
    monkeypatch.setattr(history_stage, "_REMEMBERED", 3)
    task = HistoryStage(world.store, no_lag, StoreSettings(history=2)).open(0, _there(state))
    state |= (await task.process([put(entry("two", name="Acme"), 3)])).state
    assert set(_there(state)) == {"told/two/entity:two"}, "the longest untold entry goes first"


def _there(state: Mapping[str, bytes | None]) -> dict[str, bytes]:
    return {key: value for key, value in state.items() if value is not None}
