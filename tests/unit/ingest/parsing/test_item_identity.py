"""The same item has the same id in every feed; different items have different ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.ingest.parsing.feed_document import FeedEntry
from riskwire.ingest.parsing.identity import canonical, identify, page_of

SLUGS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)


def ids(*entries: FeedEntry, source: str = "feed", home: str = "") -> list[str]:
    return [identity.id for identity in identify(entries, source, [entry.title for entry in entries], home)]


@given(SLUGS, st.sampled_from(["http", "https"]), st.booleans(), st.booleans(), st.booleans())
def test_urls_that_differ_in_scheme_www_case_slash_or_tracking_have_one_canonical_form(
    slug: str, scheme: str, with_www: bool, with_tracking: bool, with_slash: bool
) -> None:
    host = "www.news.example" if with_www else "NEWS.example"
    path = f"/2026/{slug}{'/' if with_slash else ''}"
    query = "?utm_source=rss&utm_medium=x#a" if with_tracking else ""
    assert canonical(f"{scheme}://{host}{path}{query}") == f"https://news.example/2026/{slug}"


@given(st.text(max_size=100))
def test_the_canonical_form_is_its_own_canonical_form(path: str) -> None:
    url = canonical("https://e.example/" + path)
    assert canonical(url) == url


@given(SLUGS, SLUGS)
def test_different_pages_have_different_canonical_forms(first: str, second: str) -> None:
    paths = {f"https://e.example/{first}", f"https://e.example/{second}"}
    assert len({canonical(url) for url in paths}) == len(paths)
    queries = {f"https://e.example/story?id={first}", f"https://e.example/story?id={second}"}
    assert len({canonical(url) for url in queries}) == len(queries)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.bbc.co.uk/news/1?at_medium=RSS&at_campaign=KARANGA",
        "https://www.marketwatch.com/story/x?mod=mw_rss_topstories",
        "https://www.cnbc.com/2026/07/16/a.html?__source=rss",
        "https://finance.yahoo.com/news/a.html?.tsrc=rss",
        "https://news.example/a?fbclid=1&gclid=2",
        "https://news.example/a?sid=1796005973214683193",
        "https://news.example/a?PHPSESSID=0f1e2d&_=1796005973",
        "https://news.example/a;jsessionid=1F2E3D?sessionid=7",
    ],
    ids=["BBC", "MarketWatch", "CNBC", "Yahoo", "click ids", "session", "PHP session", "Java session"],
)
def test_tracking_parameters_of_publishers_and_ids_of_sessions_are_removed(url: str) -> None:
    assert "?" not in canonical(url)
    assert ";" not in canonical(url)


def test_the_number_of_a_story_is_not_taken_for_the_id_of_a_session() -> None:
    assert canonical("https://e.example/article?sid=20261") != canonical("https://e.example/article?sid=20262")


def test_an_item_in_two_feeds_of_one_publisher_has_one_id() -> None:
    """Guids and titles differ. The links differ only in scheme, "www." and a tracking parameter."""
    first = FeedEntry(guid="guid_106035283", link="https://www.cnbc.com/2019/07/23/x.html", title="X")
    second = FeedEntry(guid="106035283", link="http://cnbc.com/2019/07/23/x.html?__source=xml", title="X again")
    assert ids(first, source="a") == ids(second, source="b")


def test_a_page_has_one_id_as_link_as_guid_and_behind_feedburner() -> None:
    """A link to a feed host only redirects to the page; the original link or a guid that is an address replaces it."""
    page = "https://e.example/story/1"
    entries = [
        FeedEntry(link=page),
        FeedEntry(guid="x", link="http://feeds.e.example/~r/x/~3/1/", original_link=page),
        FeedEntry(guid=page, link="http://feeds.e.example/~r/x/~3/1/"),
        FeedEntry(guid=page),
    ]
    assert len({ids(entry)[0] for entry in entries}) == 1
    assert {page_of(entry) for entry in entries} == {page}


def test_guids_that_are_versions_of_one_address_are_one_item() -> None:
    """The guids are the address of the page with a fragment, #0 and #1."""
    first = FeedEntry(guid="https://e.example/1#0", link="https://e.example/1")
    second = FeedEntry(guid="https://e.example/1#1", link="https://e.example/1")
    assert len(set(ids(first, second))) == 1


def test_items_that_share_an_address_are_distinguished_by_their_guids() -> None:
    """Three items have the same page, in the second case the home page of the site."""
    halts = [FeedEntry(guid=f"halt-{number}", link="https://e.example/halts", title="Halt") for number in range(3)]
    assert len(set(ids(*halts))) == 3
    notes = [
        FeedEntry(guid=f"tag:e.example,2026:{number}", link="https://e.example/", title="Note") for number in range(3)
    ]
    assert len(set(ids(*notes))) == 3


def test_items_of_two_documents_with_the_address_of_the_feed_are_distinguished_by_their_guids() -> None:
    """`home` is the address of the page of the feed, here with and without a slash at its end."""
    first = ids(FeedEntry(guid="a", link="https://e.example/blog"), home="https://e.example/blog/")
    second = ids(FeedEntry(guid="b", link="https://e.example/blog"), home="https://e.example/blog")
    assert first != second


@pytest.mark.parametrize(
    "entries",
    [
        [FeedEntry(title=f"Notice {n}", guid=f"https://e.example/notices#n{n}") for n in range(3)],
        [FeedEntry(title=f"Notice {n}", link=f"https://e.example/notices#n{n}") for n in range(3)],
        [FeedEntry(title=f"Notice {n}", link=f"https://e.example/notice?utm_content={n}") for n in range(3)],
        [FeedEntry(title=f"Notice {n}", link="https://e.example/latest.aspx") for n in range(3)],
        [FeedEntry(title=f"Notice {n}", link="https://e.example/latest", guid="latest") for n in range(3)],
        [FeedEntry(title=f"Notice {n}", guid="latest") for n in range(3)],
        [FeedEntry(title=f"Notice {n}", link="https://e.example/", guid="https://e.example/") for n in range(3)],
    ],
    ids=[
        "guids with fragments",
        "links with fragments",
        "links with tracking",
        "one link",
        "one link and guid",
        "one guid",
        "the home page",
    ],
)
def test_items_of_one_document_that_differ_in_title_stay_apart(entries: list[FeedEntry]) -> None:
    assert len(set(ids(*entries))) == 3


def test_a_guid_is_an_opaque_string() -> None:
    """The guids agree as addresses, but are different strings; the items have the home page of the site."""
    guids = ["https://e.example/a", "https://e.example/a/", "https://e.example/a?utm_source=x", "https://e.example/a#1"]
    entries = [FeedEntry(guid=guid, link="https://e.example/") for guid in guids]
    assert len(set(ids(*entries))) == 4


def test_white_space_in_a_link_is_encoded_and_the_link_kept() -> None:
    link = "https://e.example/docs/Q3 results\n 2026.pdf"
    assert page_of(FeedEntry(link=link)) == "https://e.example/docs/Q3%20results%202026.pdf"
    assert canonical(page_of(FeedEntry(link=link))) == "https://e.example/docs/Q3%20results%202026.pdf"
    assert page_of(FeedEntry(link="https://no host.example/")) == ""


def test_only_globally_unique_guids_identify_an_item_across_feeds() -> None:
    """The guid "1" counts only within its source."""
    for guid in ("urn:uuid:1", "tag:e.example,2026:1"):
        assert ids(FeedEntry(guid=guid), source="a") == ids(FeedEntry(guid=guid), source="b")
    assert ids(FeedEntry(guid="1"), source="a") != ids(FeedEntry(guid="1"), source="b")


def test_an_item_without_address_and_guid_is_identified_by_its_text_and_source() -> None:
    assert ids(FeedEntry(title="x"), source="a") == ids(FeedEntry(title="x"), source="a")
    assert ids(FeedEntry(title="x"), source="a") != ids(FeedEntry(title="y"), source="a")
    assert ids(FeedEntry(title="x"), source="a") != ids(FeedEntry(title="x"), source="b")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "//e.example/x", "http://"]
)
def test_only_web_addresses_become_the_address_of_an_item(link: str) -> None:
    assert page_of(FeedEntry(link=link)) == ""
