"""An item stays one article over many polls, and different items stay apart, whatever the feed gives to tell them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from riskwire.ingest.admission import admit
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.parsing.feed_document import FeedDocument, FeedEntry
from riskwire.ingest.parsing.formats import Limits
from riskwire.ingest.parsing.items import items_of

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
TITLES = ("Hooli pauses deliveries after crash", "Globex fined for late accounts", "Umbrella plant shut by a leak")


def published(polls: Sequence[Sequence[FeedEntry]], *, restart: bool = False) -> list[tuple[str, int, str]]:
    """Returns id, version and title of each article that the documents of a feed publish, poll by poll.

    Args:
        restart: whether the memory is restored from its committed state before each poll.
    """
    articles = []
    memory, state = ItemMemory({}, 1_000), dict[str, bytes]()
    for entries in polls:
        if restart:
            memory = ItemMemory(state, 1_000)
        items = items_of(FeedDocument("rss20", tuple(entries)), "wire", Limits(), 0.5).items
        articles += admit(items, "wire", memory, NOON, 21_600)
        state |= {key: value for key, value in memory.take_changes().items() if value is not None}
    return [(article.id, article.version, article.title) for article in articles]


WAYS = {
    "guids with fragments": [
        FeedEntry(
            title=title, link=f"https://wire.example/notices#n{number}", guid=f"https://wire.example/notices#n{number}"
        )
        for number, title in enumerate(TITLES)
    ],
    "fragments": [
        FeedEntry(title=title, link=f"https://wire.example/notices#n{number}") for number, title in enumerate(TITLES)
    ],
    "one link": [FeedEntry(title=title, link="https://wire.example/rns/latest.aspx") for title in TITLES],
    "one link and guids": [
        FeedEntry(title=title, link="https://wire.example/rns/latest.aspx", guid=f"rns-{number}")
        for number, title in enumerate(TITLES)
    ],
    "tracking": [
        FeedEntry(title=title, link=f"https://wire.example/notice?utm_content={number}")
        for number, title in enumerate(TITLES)
    ],
}


@pytest.mark.parametrize("restart", [False, True], ids=["one process", "restarted"])
@pytest.mark.parametrize("entries", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize(
    "polls",
    [
        [[0, 1, 2]] * 3,
        [[0], [1], [2]],
        [[0], [0, 1], [0, 1, 2], [1, 2], [2], [0]],
        [[0, 1, 2], [0], [1], [2]],
        [[2], [1], [0], [2, 1, 0]],
    ],
    ids=["together", "one by one", "growing and shrinking", "together, then one by one", "one by one, then together"],
)
def test_three_items_of_one_page_are_three_articles_however_they_come(
    entries: list[FeedEntry], polls: list[list[int]], restart: bool
) -> None:
    articles = published([[entries[number] for number in poll] for poll in polls], restart=restart)
    assert sorted(title for _, _, title in articles) == sorted(TITLES)
    assert {version for _, version, _ in articles} == {1}
    assert len({article_id for article_id, _, _ in articles}) == 3


@pytest.mark.parametrize(
    "polls",
    [
        [FeedEntry(title="Globex sued in Ohio", link="https://w.example/gc", guid=f"g-8-{n}") for n in range(4)],
        [FeedEntry(title="Vandelay sued", link=f"https://w.example/art?id=77&sid={10**18 + n}") for n in range(4)],
        [FeedEntry(title="Vandelay sued", link=f"https://w.example/art?id=77&utm_id={n}") for n in range(4)],
        [FeedEntry(title="Soylent recalls bars", link="https://w.example/rt", guid="https://w.example/rt")] * 2,
    ],
    ids=["guid changes", "session changes", "tracking changes", "nothing changes"],
)
def test_a_guid_or_link_that_changes_between_polls_makes_no_new_article(polls: list[FeedEntry]) -> None:
    assert [version for _, version, _ in published([[entry] for entry in polls])] == [1]


@pytest.mark.parametrize(
    ("guid", "titles"),
    [
        ("https://w.example/rt", ("Soylent recalls bars", "Soylent recalls bars again")),
        ("https://w.example/rt", ("Soylent recalls bars", "Regulator opens inquiry after illness in three states")),
        ("", ("Soylent recalls bars", "Soylent recalls bars again")),
        ("", ("Stocks rally after Fed", "Stocks rally after Fed cuts rates by half a point")),
    ],
    ids=["with a guid", "to other words, with a guid", "without a guid", "to more words"],
)
def test_a_title_that_changes_between_polls_makes_a_version_of_the_same_article(
    guid: str, titles: tuple[str, str]
) -> None:
    polls = [[FeedEntry(title=title, link="https://w.example/rt", guid=guid)] for title in titles]
    articles = published(polls)
    assert [(version, title) for _, version, title in articles] == [(1, titles[0]), (2, titles[1])]
    assert len({article_id for article_id, _, _ in articles}) == 1


def test_a_retitled_item_of_a_shared_page_stays_the_same_article_by_its_guid() -> None:
    page = "https://w.example/notices"
    first = [FeedEntry(title=title, link=page, guid=f"n{number}") for number, title in enumerate(TITLES)]
    second = [first[0], FeedEntry(title="Globex is cleared", link=page, guid="n1"), first[2]]
    assert [version for _, version, _ in published([first, second])] == [1, 1, 1, 2]


def test_items_with_one_title_and_their_own_guids_stay_apart_after_they_were_seen_together() -> None:
    page = "https://w.example/halts"
    halts = [FeedEntry(title="Trading halt", link=page, guid=f"halt-{number}") for number in range(4)]
    assert len(published([halts[:2], halts[2:3], halts[3:]])) == 4


def test_two_feeds_with_one_item_agree_on_its_id() -> None:
    entries = [
        FeedEntry(title="Globex sued in Ohio", link="https://www.w.example/gc?utm_source=a", guid="a-1"),
        FeedEntry(title="Globex sued in Ohio", link="http://w.example/gc", guid="b-1"),
    ]
    assert (
        len(
            {
                items_of(FeedDocument("rss20", (entry,)), source, Limits(), 0.5).items[0].id
                for entry, source in zip(entries, "ab", strict=True)
            }
        )
        == 1
    )
