"""The same item has the same id, different items have different ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.ingest.parsing.feed_document import FeedEntry
from riskwire.ingest.parsing.identity import canonical, identify, page_of

SLUG = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)


def ids(*entries: FeedEntry, source: str = "feed", home: str = "") -> list[str]:
    return identify(entries, source, [entry.title for entry in entries], home)


@given(SLUG, st.sampled_from(["http", "https"]), st.booleans(), st.booleans(), st.booleans())
def test_spellings_of_one_address_are_one(slug: str, scheme: str, www: bool, tracked: bool, slash: bool) -> None:
    host = "www.news.example" if www else "NEWS.example"
    url = f"{scheme}://{host}/2026/{slug}{'/' if slash else ''}{'?utm_source=rss&utm_medium=x#a' if tracked else ''}"
    assert canonical(url) == f"https://news.example/2026/{slug}"


@given(st.text(max_size=100))
def test_any_text_has_a_canonical_form_that_is_its_own(url: str) -> None:
    once = canonical("https://e.example/" + url)
    assert canonical(once) == once


@given(SLUG, SLUG)
def test_different_pages_stay_different(one: str, other: str) -> None:
    urls = {f"https://e.example/{one}", f"https://e.example/{other}"}
    assert len({canonical(url) for url in urls}) == len(urls)
    queries = {f"https://e.example/story?id={one}", f"https://e.example/story?id={other}"}
    assert len({canonical(url) for url in queries}) == len(queries)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.bbc.co.uk/news/1?at_medium=RSS&at_campaign=KARANGA",
        "https://www.marketwatch.com/story/x?mod=mw_rss_topstories",
        "https://www.cnbc.com/2026/07/16/a.html?__source=rss",
        "https://finance.yahoo.com/news/a.html?.tsrc=rss",
        "https://news.example/a?fbclid=1&gclid=2",
    ],
)
def test_tracking_that_publishers_put_into_their_feeds_is_dropped(url: str) -> None:
    assert "?" not in canonical(url)


def test_two_feeds_of_one_publisher_give_an_item_one_id() -> None:
    first = FeedEntry(guid="guid_106035283", link="https://www.cnbc.com/2019/07/23/x.html", title="X")
    second = FeedEntry(guid="106035283", link="http://cnbc.com/2019/07/23/x.html?__source=xml", title="X again")
    assert ids(first, source="a") == ids(second, source="b")


def test_a_page_counts_whether_it_comes_as_link_as_guid_or_through_feedburner() -> None:
    page = "https://e.example/story/1"
    plain = FeedEntry(link=page)
    burnt = FeedEntry(guid="x", link="http://feeds.e.example/~r/x/~3/1/", original_link=page)
    redirected = FeedEntry(guid=page, link="http://feeds.e.example/~r/x/~3/1/")
    guid_only = FeedEntry(guid=page)
    assert len({ids(entry)[0] for entry in (plain, burnt, redirected, guid_only)}) == 1
    assert {page_of(entry) for entry in (plain, burnt, redirected, guid_only)} == {page}


def test_versions_of_a_page_marked_in_the_guid_are_one_item() -> None:
    first = FeedEntry(guid="https://e.example/1#0", link="https://e.example/1")
    second = FeedEntry(guid="https://e.example/1#1", link="https://e.example/1")
    assert len(set(ids(first, second))) == 1


def test_an_address_that_many_items_share_does_not_make_them_one() -> None:
    halts = [FeedEntry(guid=f"halt-{n}", link="https://e.example/halts", title="Halt") for n in range(3)]
    assert len(set(ids(*halts))) == 3
    homes = [FeedEntry(guid=f"tag:e.example,2026:{n}", link="https://e.example/", title="Note") for n in range(3)]
    assert len(set(ids(*homes))) == 3
    assert (
        len(
            set(
                ids(FeedEntry(guid="a", link="https://e.example/blog"), home="https://e.example/blog/")
                + ids(FeedEntry(guid="b", link="https://e.example/blog"), home="https://e.example/blog")
            )
        )
        == 2
    )


def test_guids_that_are_global_hold_across_feeds_and_others_do_not() -> None:
    assert ids(FeedEntry(guid="urn:uuid:1"), source="a") == ids(FeedEntry(guid="urn:uuid:1"), source="b")
    assert ids(FeedEntry(guid="tag:e.example,2026:1"), source="a") == ids(
        FeedEntry(guid="tag:e.example,2026:1"), source="b"
    )
    assert ids(FeedEntry(guid="1"), source="a") != ids(FeedEntry(guid="1"), source="b")


def test_an_item_without_address_and_guid_is_its_words_from_its_source() -> None:
    assert ids(FeedEntry(title="x"), source="a") == ids(FeedEntry(title="x"), source="a")
    assert ids(FeedEntry(title="x"), source="a") != ids(FeedEntry(title="y"), source="a")
    assert ids(FeedEntry(title="x"), source="a") != ids(FeedEntry(title="x"), source="b")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "//e.example/x", "http://"]
)
def test_only_web_pages_are_an_articles_address(link: str) -> None:
    assert page_of(FeedEntry(link=link)) == ""
