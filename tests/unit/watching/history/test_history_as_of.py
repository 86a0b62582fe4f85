"""The past of a new target consists of the articles that infer read before the command took effect.

It does not depend on the time at which history runs, nor on what the store has received since.
"""

from __future__ import annotations

import pytest
from past import PastWorld, article, comparable, entry, published, removal_change, set_change, set_command, signals_in

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


def versions(signals: list[Signal]) -> list[tuple[str, str, int]]:
    """Returns (target, article, version) of each signal, sorted."""
    return sorted((signal.target, signal.article, signal.version) for signal in signals)


def articles_of(signals: list[Signal]) -> set[str]:
    """Returns the ids of the signals' articles."""
    return {signal.article for signal in signals}


async def test_records_that_are_stored_later_do_not_change_the_past(world: PastWorld) -> None:
    """Infer reads four articles about Acme, then the change that sets Acme, then the news of `AFTER`.

    The results of `AFTER` are stored one by one, and the past of Acme and its group stays the same.
    """
    log: list[Article | WatchlistChange] = [*BEFORE, set_change(ACME), *AFTER]
    results = await world.infer(log)
    await world.sink(await world.infer(BEFORE))
    first = await world.past_of(ACME)
    assert versions(first) == sorted(
        (target, f"a{number}", 1) for target in ("entity:acme", "group:makers") for number in (1, 2, 3, 4)
    )
    start = len(await world.infer(BEFORE)) - 1  # without its mark; the whole log has one mark, at its end
    for result in results[start:]:  # One record a step: the two sinks do not wait for each other.
        await world.sink([result])
        assert await world.past_of(ACME) == first, result


@pytest.mark.parametrize(
    "stored_topic",
    [pytest.param(Topic.SIGNALS, id="signals stored"), pytest.param(Topic.ANALYSES, id="analyses stored")],
)
async def test_each_article_is_published_once_when_only_its_signals_or_only_its_analysis_is_stored(
    world: PastWorld, stored_topic: Topic
) -> None:
    """Acme is set between the articles of `BEFORE` and `AFTER`. Of the results of the whole log one topic is stored.

    The articles read before the change are its past, in their versions of that time; the later ones had signals at
    once.
    """
    results = await world.infer([*BEFORE, set_change(ACME), *AFTER])
    await world.sink(await world.infer(BEFORE))
    await world.sink([result for result in results if result.topic == stored_topic])
    history = await world.past_of(ACME)
    news = signals_in(results, "entity:acme")
    assert articles_of(news) == {"a2", "a5", "a6"}
    assert {(article_id, version) for _, article_id, version in versions(history)}.isdisjoint(
        (article_id, version) for _, article_id, version in versions(news)
    )
    assert articles_of(history) == {"a1", "a2", "a3", "a4"}


async def test_an_article_is_published_in_its_version_before_the_command(world: PastWorld) -> None:
    """The store has later versions of the past articles, read after the change that set the entry.

    The past equals the signals that the entry would have had, except for the sentence that they quote.
    """
    await world.sink(await world.infer([*BEFORE, set_change(ACME), *AFTER]))
    history = await world.past_of(ACME)
    news = signals_in(await world.infer(BEFORE, ACME), "entity:acme", "group:makers")
    assert comparable(history, "evidence", "relevance") == comparable(news, "evidence", "relevance")


@pytest.mark.parametrize("order", ["earlier first", "one step, earlier first", "one step, later first", "later first"])
async def test_the_order_in_which_two_versions_are_stored_does_not_change_the_past(
    world: PastWorld, order: str
) -> None:
    """An article is read before the change that sets Acme, and its second version after it.

    Args:
        order: how the analyses of both versions are written to the store.
    """
    results = await world.infer([BEFORE[3], set_change(ACME), AFTER[1]])
    earlier, later = (result for result in results if result.topic == Topic.ANALYSES)
    steps = {
        "earlier first": [[earlier], [later]],
        "one step, earlier first": [[earlier, later]],
        "one step, later first": [[later, earlier]],
        "later first": [[later], [earlier]],
    }
    for step in steps[order]:
        await world.sink(step)
    await world.sink([result for result in results if result.topic == Topic.SIGNALS])
    history = await world.past_of(ACME)
    assert versions(history) == [("entity:acme", "a4", 1), ("group:makers", "a4", 1)]
    assert history[0].title == BEFORE[3].title


async def test_a_target_that_was_watched_before_gets_only_the_articles_between(
    world: PastWorld,
) -> None:
    """Acme is set after a1, removed after a2 and set again after a3.

    The second command publishes only a3: the store has signals of a1 from history, and of a2 from infer.
    """
    a1, a2, a3, a4 = BEFORE
    log = [a1, set_change(ACME, 1), a2, removal_change(ACME, 2), a3, set_change(ACME, 3), a4]
    await world.sink(await world.infer(log))
    first = await world.history([set_command(ACME, 1)])
    assert articles_of(first) == {"a1"}
    await world.sink(published(first))
    assert articles_of(await world.history([set_command(ACME, 3)])) == {"a3"}


async def test_a_reprint_after_the_command_does_not_hide_the_article_before_it(world: PastWorld) -> None:
    """Two articles have the same title and so are one story. The first was read before Acme was set."""
    first, reprint = BEFORE[2], AFTER[3]
    await world.sink(await world.infer([first, set_change(ACME), reprint]))
    assert articles_of(await world.past_of(ACME)) == {"a3"}


async def test_each_command_gets_the_past_before_its_own_place_in_the_log(world: PastWorld) -> None:
    """Both entries are in one group. Its signal of a3 came from infer, because Acme was watched when a3 was read."""
    a1, a2, a3, a4 = BEFORE
    await world.sink(await world.infer([a1, set_change(ACME, 1), a2, a3, set_change(GLOBEX, 2), a4]))
    history = await world.history([set_command(ACME, 1), set_command(GLOBEX, 2)])
    assert versions(history) == [("entity:acme", "a1", 1), ("entity:globex", "a3", 1), ("group:makers", "a1", 1)]
