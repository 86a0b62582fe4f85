"""The list of feeds: a file and a hand write it, and the last word of each on an entry counts."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.errors import SettingsError
from riskwire.ingest.feeds.feed_file import MAX_FEEDS
from riskwire.ingest.feeds.feed_list import FeedList, FeedListUpdate, id_of
from riskwire.records import Feed


class Kept:
    """The state of the publisher, and what the topic says in the end."""

    def __init__(self) -> None:
        self.state: dict[str, bytes] = {}
        self.topic: dict[str, Feed] = {}

    @property
    def catalogue(self) -> FeedList:
        return FeedList(self.state)

    def take(self, change: FeedListUpdate) -> FeedListUpdate:
        for key, value in change.state.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        for result in change.results:
            assert result.key is not None
            feed = Feed.model_validate_json(result.value)
            assert feed.id == result.key
            self.topic[feed.id] = feed
        return change

    def bring(self, *feeds: Feed) -> FeedListUpdate:
        return self.take(self.catalogue.merge_file(feeds))

    def add(self, what: str, *, url: str | None = None, named: str | None = None, **changes: object) -> FeedListUpdate:
        feed = self.catalogue.feed_to_put(what, url=url, feed_id=named, changes=changes, allow=("127.0.0.1",))
        return self.take(self.catalogue.put([feed]))

    def remove(self, feed_id: str) -> FeedListUpdate:
        return self.take(self.catalogue.remove(feed_id))

    @property
    def polled(self) -> dict[str, str]:
        return {feed.id: feed.url for feed in self.topic.values() if feed.enabled}


@pytest.fixture
def kept() -> Kept:
    return Kept()


def feed(name: str, url: str = "", **fields: object) -> Feed:
    return Feed.model_validate({"id": name, "url": url or f"https://{name}.example/rss"} | fields)


A, B, C = feed("a"), feed("b"), feed("c")


def test_a_feed_added_by_hand_stays_when_a_file_that_does_not_know_it_is_brought(kept: Kept) -> None:
    kept.bring(A)
    kept.add("https://hand.example/rss", named="hand")
    change = kept.bring(A, B)
    assert set(kept.polled) == {"a", "b", "hand"}
    assert change.overridden == ("hand",)
    assert (kept.catalogue.origin("hand"), kept.catalogue.origin("b")) == ("hand", "file")


def test_a_feed_removed_by_hand_stays_removed_while_its_entry_in_the_file_is_as_it_was(kept: Kept) -> None:
    kept.bring(A, B)
    kept.remove("b")
    assert set(kept.polled) == {"a"}
    assert kept.bring(A, B).overridden == ("b",)
    assert set(kept.polled) == {"a"}
    assert kept.catalogue.removed_by_hand == ["b"]
    kept.bring(A, feed("b", every_s=60))
    assert set(kept.polled) == {"a", "b"}, "its entry has changed: somebody means it"


def test_a_feed_changed_by_hand_stays_so_until_its_entry_changes(kept: Kept) -> None:
    kept.bring(A)
    kept.add("a", every_s=60)
    kept.bring(A)
    assert kept.topic["a"].every_s == 60
    kept.bring(feed("a", every_s=120))
    assert kept.topic["a"].every_s == 120


def test_a_feed_that_vanishes_from_the_file_is_polled_no_more_unless_a_hand_changed_it_since(kept: Kept) -> None:
    kept.bring(A, B, C)
    kept.add("c", every_s=60)
    assert kept.bring(A).removed == ("b",)
    assert set(kept.polled) == {"a", "c"}


def test_one_removed_by_hand_comes_back_as_the_file_has_it_when_it_is_added_by_its_id(kept: Kept) -> None:
    kept.bring(feed("a", every_s=900))
    kept.remove("a")
    assert kept.add("a").added == ("a",)
    assert kept.topic["a"] == feed("a", every_s=900)
    assert kept.catalogue.origin("a") == "file"


def test_adding_the_same_twice_changes_nothing_and_a_feed_that_is_off_is_switched_on(kept: Kept) -> None:
    kept.bring(feed("a", enabled=False))
    assert kept.polled == {}
    assert kept.add("a").changed == ("a",)
    assert "a" in kept.polled
    again = kept.add("https://a.example/rss")
    assert (again.results, again.state) == ([], {})


def test_an_address_that_is_polled_under_another_id_is_not_polled_twice(kept: Kept) -> None:
    kept.bring(A)
    assert not kept.add("https://A.example:443/rss").added, "it is the same address, and the feed is a"
    with pytest.raises(SettingsError, match=r"feed twin: this address is polled already, as a .got 'https://a\.exam"):
        kept.add("https://a.example/rss", named="twin")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"what": "ftp://x.example/rss"}, r"URL: only http and https are fetched .got 'ftp://x\.example/rss'"),
        ({"what": "http://10.0.0.8/rss"}, r"URL: a private address .got 'http://10\.0\.0\.8/rss'.*allow_private_hosts"),
        ({"what": "new", "url": "http://[::1]/rss"}, r"--url: a private address"),
        ({"what": "https://user:pw@x.example/"}, r"URL: an address with a user name or password .got 'https://x\.exa"),
        ({"what": "news.example/rss"}, r"URL: not an address .got 'news\.example/rss'.*https://"),
        ({"what": "new"}, r"the list of feeds: there is no such feed .got 'new'.*--url"),
        ({"what": "as"}, r"Did you mean a\?"),
        ({"what": "new", "url": "https://x.example/", "named": "x"}, r"--id: two ids"),
        ({"what": "https://x.example/", "url": "https://y.example/"}, r"--url: two addresses"),
        ({"what": "a b", "url": "https://x.example/"}, r"feeds add: id: .*pattern.*got 'a b'"),
        ({"what": "a", "every_s": 1}, r"feeds add: every_s: .*10 .got 1"),
        ({"what": "a", "format": "gopher"}, r"feeds add: format: .*'rss'.*got 'gopher'"),
    ],
)
def test_what_cannot_be_added_is_named_with_its_value(kept: Kept, words: dict, said: str) -> None:
    kept.bring(A)
    with pytest.raises(SettingsError, match=said) as refused:
        kept.add(**words)
    assert "user:pw" not in str(refused.value)


def test_a_private_host_that_the_settings_name_may_be_added(kept: Kept) -> None:
    kept.add("http://127.0.0.1:8000/rss", named="here")
    assert kept.polled == {"here": "http://127.0.0.1:8000/rss"}


def test_removing_what_is_not_there_says_what_is_near(kept: Kept) -> None:
    kept.bring(feed("reuters-business"))
    with pytest.raises(SettingsError, match=r"no such feed .got 'reuters-bussiness'.*mean reuters-business"):
        kept.remove("reuters-bussiness")


def test_the_list_is_bounded(kept: Kept) -> None:
    kept.take(kept.catalogue.put(feed(f"f{n}") for n in range(MAX_FEEDS)))
    with pytest.raises(SettingsError, match=f"more than {MAX_FEEDS} feeds"):
        kept.add("https://one.example/more")


def test_other_state_of_the_publisher_is_left_alone(kept: Kept) -> None:
    kept.state["something"] = b"else"
    kept.bring(A)
    kept.bring()
    assert kept.state == {"something": b"else", "layout": b"2"}


def test_a_list_from_before_it_could_be_changed_by_hand_is_a_files(kept: Kept) -> None:
    kept.state = {f"feed:{one.id}": one.to_bytes() for one in (A, B)}
    kept.topic = {one.id: one for one in (A, B)}
    assert kept.catalogue.origin("a") == "file"
    kept.remove("a")
    assert kept.catalogue.removed_by_hand == ["a"]
    assert kept.bring(A).removed == ("b",), "it vanished from the file"
    assert kept.polled == {}, "and a was removed by hand"


@given(st.text(max_size=300))
def test_every_address_makes_an_id_that_an_id_may_be(path: str) -> None:
    made = id_of(f"https://www.news.example/{path}")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", made)
    assert made.startswith("news.example")


def test_two_addresses_that_make_one_id_get_two(kept: Kept) -> None:
    kept.add("https://news.example/a.xml")
    kept.add("https://news.example/a.rss")
    assert len(kept.polled) == 2


NAMES = st.sampled_from("abcd")
PACES = st.sampled_from((60, 300))
FILES = st.dictionaries(NAMES, PACES)
EDITS = st.one_of(
    st.tuples(st.just("file"), FILES),
    st.tuples(st.just("put"), st.tuples(NAMES, PACES)),
    st.tuples(st.just("remove"), NAMES),
)


def _listed(file: Mapping[str, int]) -> list[Feed]:
    return [feed(name, every_s=pace) for name, pace in file.items()]


@given(st.lists(EDITS, max_size=12), FILES, st.lists(EDITS.filter(lambda edit: edit[0] != "file"), max_size=6))
def test_after_any_history_the_same_file_changes_nothing_of_what_was_done_since(
    history: list, file: dict[str, int], since: list
) -> None:
    kept = Kept()

    def do(edit: tuple) -> None:
        kind, what = edit
        if kind == "file":
            kept.bring(*_listed(what))
        elif kind == "put":
            kept.take(kept.catalogue.put([feed(what[0], every_s=what[1])]))
        elif what in kept.catalogue.feeds:
            kept.remove(what)

    for edit in history:
        do(edit)
    kept.bring(*_listed(file))
    for edit in since:
        do(edit)
    before = dict(kept.topic)
    again = kept.bring(*_listed(file))
    assert (again.results, again.state) == ([], {})
    assert kept.topic == before
    assert {key for key, one in kept.topic.items() if one.enabled} == set(kept.catalogue.feeds), "topic and list agree"
    wanted = {key: one for key, one in kept.catalogue.feeds.items()}
    assert set(again.overridden) == {
        n for n in {*wanted, *file} if wanted.get(n) != {f.id: f for f in _listed(file)}.get(n)
    }
