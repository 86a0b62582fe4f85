"""A new target gets the signals that it would have had if it had been watched from the start."""

from __future__ import annotations

from dataclasses import replace

import pytest
from past import AT, PastWorld, article, comparable, entry, history_stage, past_article, published, signals_in

from riskwire.bus import Message
from riskwire.entities.watchlist import WatchedEntity
from riskwire.pipeline import Topic
from riskwire.records import Command, Evidence, Level, Record, Sentiment
from riskwire.store import PastSignal
from riskwire.watching.history.past import SearchTerms, past_signals

NEWS = [
    article("a1", "Acme Corp plunges on fraud probe", "Acme said it is in crisis. Globex Inc gains on growth."),
    article(
        "a2",
        "Shares rises in Dublin",
        "Boeing in bankruptcy and fraud. Profit gains at Acme Corp. A crisis at Acme after losses.",
    ),
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
async def test_the_past_has_the_signals_of_a_target_that_was_watched_from_the_start(
    world: PastWorld, new: WatchedEntity, articles: set[str]
) -> None:
    """The signals differ only in the marks of history.

    Args:
        new: the entry that is put on the watchlist after the news was stored.
        articles: the ids of the articles in `NEWS` that mention it.
    """
    await world.sink(await world.infer(NEWS))
    history = await world.past_of(new)
    expected = signals_in(await world.infer(NEWS, new), new.target, f"group:{new.group}")
    assert {signal.article for signal in history} == articles
    assert comparable(history) == comparable(expected)
    assert all(signal.backfill and signal.history and not signal.was_backfill for signal in history)


async def test_without_a_signal_of_its_own_a_target_is_found_by_its_mentions_and_the_title_is_the_evidence(
    world: PastWorld,
) -> None:
    """Only Globex was watched when the news was read, so the articles about Acme have no signal of that name.

    The evidence is a passage and the span in it that names Acme; the span may be empty.
    """
    watched, new = entry("globex"), entry("acme", group="makers")
    news = [*NEWS, article("a7", "Irish shares", "Fraud losses and default: a crisis at Acme Corp.")]
    await world.sink(await world.infer(news, watched))
    history = await world.past_of(new)
    expected = signals_in(await world.infer(news, watched, new), "entity:acme", "group:makers")
    assert comparable(history, "evidence", "relevance") == comparable(expected, "evidence", "relevance")
    evidence = {signal.article: signal.evidence for signal in history}
    quotes = {article_id: (quote.text, quote.text[quote.start : quote.end]) for article_id, quote in evidence.items()}
    assert quotes["a1"] == (NEWS[0].title, "Acme Corp")
    assert quotes["a2"] == (NEWS[1].title, ""), (
        "the title does not name it, and no signal quotes the sentence that does"
    )
    assert quotes["a7"] == ("Fraud losses and default: a crisis at Acme Corp.", "Acme Corp"), (
        "the signal of the market quotes it"
    )


@pytest.mark.parametrize(
    "new",
    [
        entry("ford", name="Ford Motor Company", tickers=["F"], group="cars"),
        entry("gm", name="General Motors", isin="US37045V1008"),
        entry("motors", name="General Motors"),
    ],
)
async def test_short_forms_and_company_tables_find_mentions_while_only_others_were_watched(
    world: PastWorld, new: WatchedEntity
) -> None:
    """The news names the companies by short forms ("Ford", "GM"). The quoted evidence may differ."""
    await world.sink(await world.infer(NEWS, entry("globex")))
    history = await world.past_of(new)
    assert history
    expected = signals_in(await world.infer(NEWS, entry("globex"), new), new.target, f"group:{new.group}")
    assert comparable(history, "evidence", "relevance") == comparable(expected, "evidence", "relevance")


async def test_a_title_with_an_excluded_phrase_is_not_in_the_past(world: PastWorld) -> None:
    await world.sink(await world.infer(NEWS, entry("ford")))
    assert {signal.article for signal in await world.past_of(entry("acme"))} >= {"a1", "a3"}
    excluding = entry("acme", exclude=["acme corp for losses"])
    assert "a3" not in {signal.article for signal in await world.past_of(excluding)}


async def test_articles_that_the_store_has_signals_of_are_not_published_again(world: PastWorld) -> None:
    """Acme was watched when the first article was read, not for the others. A second run publishes nothing."""
    new = entry("acme", group="makers")
    await world.sink(await world.infer(NEWS[:1], new))
    await world.sink(await world.infer(NEWS[1:]))
    history = await world.past_of(new)
    assert {signal.article for signal in history} == {"a2", "a3"}
    await world.sink(published(history))
    assert await world.past_of(new) == []
    assert {row.article for row in world.store.stories("entity:acme")} == {"a1", "a2", "a3"}


async def test_the_group_gets_only_articles_that_mention_no_other_member(world: PastWorld) -> None:
    """Globex, a member, was watched already. The group received the articles that mention Globex."""
    await world.sink(await world.infer(NEWS, entry("globex", group="makers")))
    history = await world.past_of(entry("acme", group="makers"))
    assert {signal.article for signal in history if signal.target == "entity:acme"} == {"a1", "a2", "a3"}
    assert {signal.article for signal in history if signal.target == "group:makers"} == {"a2"}


async def test_the_group_gets_an_article_once_when_a_later_version_mentions_another_member(
    world: PastWorld,
) -> None:
    """The group received the first version of the article for Globex; the second mentions only Acme."""
    watched, new = entry("globex", group="makers"), entry("acme", group="makers")
    await world.sink(await world.infer([article("a1", "Globex Inc loss in Dublin: shares, growth, record")], watched))
    await world.sink(await world.infer([article("a1", "Acme Corp gains on profit", version=2)], watched))
    assert [signal.target for signal in await world.past_of(new)] == ["entity:acme"]


async def test_a_reprint_is_published_once_and_a_repetition_after_days_is_a_new_story(world: PastWorld) -> None:
    """Articles of equal title are one story while each follows within three days. The number of an id is the hour."""
    title = "Acme Corp plunges on fraud probe in Dublin and Paris"
    reprints = [article(f"a{hour}", title) for hour in (1, 2, 40, 200)]
    await world.sink(await world.infer(reprints))
    history = await world.past_of(entry("acme"))
    assert [signal.article for signal in history] == ["a1", "a200"]


async def test_a_reprint_of_an_article_that_the_target_received_is_not_published(world: PastWorld) -> None:
    """Acme was watched when the first article was read, and not when the second was, which has the same title."""
    new, title = entry("acme"), "Acme Corp plunges on fraud probe in Dublin and Paris"
    await world.sink(await world.infer([article("a1", title)], new))
    await world.sink(await world.infer([article("a2", title)]))
    assert await world.past_of(new) == []


async def test_the_newest_stories_are_published_up_to_the_limit(world: PastWorld) -> None:
    """There are five stories, a0 to a4, oldest first. A limit of 0 switches history off."""
    words = ["loss", "fraud", "recall", "default", "collapse"]
    await world.sink(
        await world.infer(
            [article(f"a{n}", f"{word} {word} at Acme Corp: {word} {n} {n}") for n, word in enumerate(words)]
        )
    )
    history = await world.past_of(entry("acme", group="makers"), limit=2)
    assert [(signal.article, signal.target) for signal in history] == [
        ("a3", "entity:acme"),
        ("a3", "group:makers"),
        ("a4", "entity:acme"),
        ("a4", "group:makers"),
    ]
    assert await world.past_of(entry("acme"), limit=0) == []


async def test_a_signal_keeps_whether_its_article_was_backfill(world: PastWorld) -> None:
    """Backfill is an article that was published long before it was seen. All history counts as backfill."""
    await world.sink(
        await world.infer([article("a1", "Acme Corp loss", backfill=True), article("a2", "Acme Corp gains")])
    )
    history = await world.past_of(entry("acme"))
    assert [(signal.article, signal.was_backfill, signal.backfill) for signal in history] == [
        ("a1", True, True),
        ("a2", False, True),
    ]


async def test_the_newest_version_of_an_article_is_published(world: PastWorld) -> None:
    """The third version does not mention Acme any more."""
    await world.sink(await world.infer([article("a1", "Acme Corp loss")]))
    await world.sink(await world.infer([article("a1", "Acme Corp gains on growth", version=2)]))
    (signal,) = await world.past_of(entry("acme"))
    assert (signal.version, signal.sentiment.positive > signal.sentiment.negative) == (2, True)
    await world.sink(await world.infer([article("a1", "Globex Inc loss", version=3)]))
    assert await world.past_of(entry("acme")) == []


async def test_unreadable_records_and_commands_that_set_no_entry_are_skipped(world: PastWorld) -> None:
    """The watchlist stage writes the dead letters of unreadable commands."""
    await world.sink(await world.infer(NEWS))
    remove = Command(kind="watchlist_remove", target="entity:acme", by="ada", at=AT)
    acknowledge = Command(kind="acknowledge", alert="x", by="ada", at=AT)
    records: list[Record | bytes] = [b"not json", remove, acknowledge]
    batch = [
        Message(Topic.COMMANDS, 0, offset, "k", record if isinstance(record, bytes) else record.to_bytes())
        for offset, record in enumerate(records)
    ]
    step = await history_stage(world.store).open(0, {}).process(batch)
    assert (step.results, step.state) == ([], {})


async def test_two_new_members_of_a_group_give_it_an_article_once_before_the_signal_is_stored(
    world: PastWorld,
) -> None:
    """One task takes both commands. Two articles mention both members."""
    await world.sink(await world.infer(NEWS))
    history = await world.past_of(entry("acme", group="makers"), entry("globex", group="makers"))
    of_group = [signal.article for signal in history if signal.target == "group:makers"]
    assert sorted(of_group) == ["a1", "a2", "a3"]
    assert {signal.article for signal in history if signal.target == "entity:globex"} == {"a1", "a3"}


@pytest.mark.parametrize(
    ("evidence", "in_title"), [("Acme falls", True), ("Acme may default, as it said in March.", False)]
)
def test_the_title_decides_for_the_past_only_where_its_words_are_the_evidence(evidence: str, in_title: bool) -> None:
    """The store has one level of an article. If a sentence of the text gave it, the past is not of the title.

    Otherwise old trouble that a text repeats would be remembered as reported, and real news of it would not notify.
    """
    level = Level(neutral=0.02, mild=0.02, material=0.95, favourable=0.01)
    quote = Evidence(text=evidence, start=0, end=4)
    sentiment = Sentiment(negative=0.8, neutral=0.1, positive=0.1)
    signal = PastSignal("entity:name:acme", sentiment, level, (), 1.0, quote)
    article = replace(past_article(1, "no fingerprint", AT), signals=(signal,))
    (of_past,) = past_signals(entry("acme"), SearchTerms(("acme",), ()), [article], {}, 100)
    assert (of_past.level, of_past.in_title) == (level, in_title)
