"""A new target's past is what stood before its command in the log, whenever it is looked for, whatever came since."""

from __future__ import annotations

import pytest
from past import World, article, entry, published, put, signals_in, unwatch, watch, without_origin

from riskwire.pipeline import Topic
from riskwire.records import Article, Signal, WatchlistChange

ACME, GLOBEX = entry("acme", group="makers"), entry("globex", group="makers")
BEFORE = [
    article("a1", "Acme Corp plunges on fraud probe", "Acme said it is in crisis."),
    article("a2", "Shares rises in Dublin", "Initech wins. A crisis at Acme Corp after losses."),
    article("a3", "Globex Inc sues Acme Corp for losses over a, b, c"),
    article("a4", "Acme Corp recall of toasters"),
]
AFTER = [
    article("a2", "Shares rises in Dublin and Paris", "Initech wins. Acme Corp: no crisis.", version=2),
    article("a4", "Irish growth", "Nothing of the sort.", version=2),
    article("a5", "Acme Corp in default, bankruptcy is near"),
    article("a6", "Globex Inc sues Acme Corp for losses over a, b, c"),
    article("a3", "Globex Inc sues nobody", version=2),
    article("a7", "Irish shares gains"),
]


def pairs(signals: list[Signal]) -> list[tuple[str, str, int]]:
    return sorted((one.target, one.article, one.version) for one in signals)


async def test_the_same_is_told_however_much_of_what_came_later_is_stored_by_then(world: World) -> None:
    log: list[Article | WatchlistChange] = [*BEFORE, watch(ACME), *AFTER]
    results = await world.read(log)
    await world.keep(await world.read(BEFORE))
    first = await world.past(ACME)
    assert pairs(first) == sorted(
        (target, f"a{at}", 1) for target in ("entity:acme", "group:makers") for at in (1, 2, 3, 4)
    )
    before = len(await world.read(BEFORE)) - 1
    for at in range(before, len(results)):  # what follows, record by record: analyses and signals come as they may
        await world.keep(results[at : at + 1])
        assert await world.past(ACME) == first, results[at]


@pytest.mark.parametrize("turned", [False, True])
async def test_no_article_is_told_twice_nor_left_out_though_its_signals_are_stored_before_or_after_it(
    world: World, *, turned: bool
) -> None:
    results = await world.read([*BEFORE, watch(ACME), *AFTER])
    of_before = await world.read(BEFORE)
    kinds = [Topic.SIGNALS, Topic.ANALYSES][:: -1 if turned else 1]
    await world.keep(of_before)
    await world.keep([one for one in results if one.topic == kinds[0]])  # the other half is still to be stored
    told = await world.past(ACME)
    lived = signals_in(results, "entity:acme")
    assert {one.article for one in lived} == {"a2", "a5", "a6"}
    assert not {(one.article, one.version) for one in told} & {(one.article, one.version) for one in lived}
    assert {one.article for one in told} == {"a1", "a2", "a3", "a4"}


async def test_of_an_article_that_has_a_later_version_since_the_earlier_one_is_told_as_it_was(world: World) -> None:
    await world.keep(await world.read([*BEFORE, watch(ACME), *AFTER]))
    told = await world.past(ACME)
    lived = signals_in(await world.read(BEFORE, ACME), "entity:acme", "group:makers")
    assert without_origin(told, "evidence") == without_origin(lived, "evidence")


@pytest.mark.parametrize("stored", ["in turn", "at once", "at once, turned", "the later first"])
async def test_the_earlier_version_is_told_in_whatever_order_the_two_came_to_the_store(
    world: World, stored: str
) -> None:
    results = await world.read([BEFORE[3], watch(ACME), AFTER[1]])
    earlier, later = (one for one in results if one.topic == Topic.ANALYSES)
    steps = {
        "in turn": [[earlier], [later]],
        "at once": [[earlier, later]],
        "at once, turned": [[later, earlier]],
        "the later first": [[later], [earlier]],
    }
    for step in steps[stored]:
        await world.keep(step)
    await world.keep([one for one in results if one.topic == Topic.SIGNALS])
    told = await world.past(ACME)
    assert pairs(told) == [("entity:acme", "a4", 1), ("group:makers", "a4", 1)]
    assert told[0].title == BEFORE[3].title


async def test_what_the_target_was_told_while_it_was_watched_before_is_not_told_and_what_came_between_is(
    world: World,
) -> None:
    a1, a2, a3, a4 = BEFORE
    log = [a1, watch(ACME, 1), a2, unwatch(ACME, 2), a3, watch(ACME, 3), a4]
    await world.keep(await world.read(log))
    first = await world.told([put(ACME, 1)])
    assert {one.article for one in first} == {"a1"}
    await world.keep(published(first))
    assert {one.article for one in await world.told([put(ACME, 3)])} == {"a3"}


async def test_a_story_that_was_told_only_after_the_command_does_not_hide_its_first_telling(world: World) -> None:
    first, reprint = BEFORE[2], AFTER[3]
    await world.keep(await world.read([first, watch(ACME), reprint]))
    assert {one.article for one in await world.past(ACME)} == {"a3"}


async def test_commands_are_answered_each_as_of_its_own_place(world: World) -> None:
    a1, a2, a3, a4 = BEFORE
    await world.keep(await world.read([a1, watch(ACME, 1), a2, a3, watch(GLOBEX, 2), a4]))
    told = await world.told([put(ACME, 1), put(GLOBEX, 2)])
    assert pairs(told) == [("entity:acme", "a1", 1), ("entity:globex", "a3", 1), ("group:makers", "a1", 1)]
