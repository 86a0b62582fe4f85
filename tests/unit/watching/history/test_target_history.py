"""A new target's past: what the store knows of it is told as it would have been, had it been watched from the start."""

from __future__ import annotations

import pytest
from past import AT, World, article, entry, history, published, signals_in, without_origin

from riskwire.bus import Message
from riskwire.entities.watchlist import WatchedEntity
from riskwire.pipeline import Topic
from riskwire.records import Command, Record

NEWS = [
    article("a1", "Acme Corp plunges on fraud probe", "Acme said it is in crisis. Globex Inc gains on growth."),
    article("a2", "Shares rises in Dublin", "Initech wins. Profit gains at Acme Corp. A crisis at Acme after losses."),
    article("a3", "Globex Inc sues Acme Corp for losses over a, b, c"),
    article("a4", "Ford Motor Co cuts growth", "Ford said the recall is a crisis. Shares of Ford (F.N) fall."),
    article("a5", "General Motors Corp in default", "GM said bankruptcy is near. Jane Doe of GM sues."),
    article("a6", "Irish growth", "Nothing of the sort in Detroit."),
]


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
    await world.keep(published(told))
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
    remove = Command(kind="watchlist_remove", target="entity:acme", by="ada", at=AT)
    other = Command(kind="acknowledge", alert="x", by="ada", at=AT)
    records: list[Record | bytes] = [b"not json", remove, other]
    batch = [
        Message(Topic.COMMANDS, 0, at, "k", one if isinstance(one, bytes) else one.to_bytes())
        for at, one in enumerate(records)
    ]
    step = await history(world.store).open(0, {}).process(batch)
    assert (step.results, step.state) == ([], {})


async def test_two_new_members_of_a_group_tell_it_once_of_an_article_though_the_store_has_not_got_it_yet(
    world: World,
) -> None:
    await world.keep(await world.read(NEWS))
    told = await world.past(entry("acme", group="makers"), entry("globex", group="makers"))
    of_group = [one.article for one in told if one.target == "group:makers"]
    assert sorted(of_group) == ["a1", "a2", "a3"]
    assert {one.article for one in told if one.target == "entity:globex"} == {"a1", "a3"}
