"""The feed list merges a file with changes made by hand; the last change of an entry counts."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.errors import SettingsError
from riskwire.ingest.feeds.feed_file import MAX_FEEDS
from riskwire.ingest.feeds.feed_id import id_of
from riskwire.ingest.feeds.feed_list import FeedList, FeedListUpdate
from riskwire.records import Feed


class CommittedFeeds:
    """The committed state of the publisher, and the newest record of each feed on the topic."""

    def __init__(self) -> None:
        self.state: dict[str, bytes] = {}
        self.topic: dict[str, Feed] = {}

    @property
    def feed_list(self) -> FeedList:
        return FeedList(self.state)

    @property
    def polled(self) -> dict[str, str]:
        """Addresses of the enabled feeds by id."""
        return {feed.id: feed.url for feed in self.topic.values() if feed.enabled}

    def commit(self, update: FeedListUpdate) -> FeedListUpdate:
        """Applies an update to the state and the topic, as the bus does, and returns it.

        Each record must have the id of its feed as key.
        """
        for key, value in update.state.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        for result in update.results:
            assert result.key is not None
            feed = Feed.model_validate_json(result.value)
            assert feed.id == result.key
            self.topic[feed.id] = feed
        return update

    def merge(self, *file_feeds: Feed) -> FeedListUpdate:
        return self.commit(self.feed_list.merge_file(file_feeds))

    def add(
        self, url_or_id: str, *, url: str | None = None, feed_id: str | None = None, **changes: object
    ) -> FeedListUpdate:
        """Adds a feed as `riskwire feeds add` does, commits the update and returns it.

        Args:
            url_or_id: the argument of the command, an address or an id.
            url: its option `--url`.
            feed_id: its option `--id`.
            changes: new values of fields, such as `every_s`.

        Raises:
            SettingsError: an argument is invalid.
        """
        feed = self.feed_list.feed_to_put(url_or_id, url=url, feed_id=feed_id, changes=changes, allow=("127.0.0.1",))
        return self.commit(self.feed_list.put([feed]))

    def remove(self, feed_id: str) -> FeedListUpdate:
        return self.commit(self.feed_list.remove(feed_id))


@pytest.fixture
def committed() -> CommittedFeeds:
    return CommittedFeeds()


def feed(name: str, url: str = "", **fields: object) -> Feed:
    return Feed.model_validate({"id": name, "url": url or f"https://{name}.example/rss"} | fields)


A, B, C = feed("a"), feed("b"), feed("c")


def test_a_feed_added_by_hand_stays_when_a_file_without_it_is_merged(committed: CommittedFeeds) -> None:
    """`overridden` has the ids on which list and file differ because of changes by hand."""
    committed.merge(A)
    committed.add("https://hand.example/rss", feed_id="hand")
    update = committed.merge(A, B)
    assert set(committed.polled) == {"a", "b", "hand"}
    assert update.overridden == ("hand",)
    assert (committed.feed_list.origin("hand"), committed.feed_list.origin("b")) == ("hand", "file")


def test_a_feed_removed_by_hand_stays_removed_until_its_entry_changes(committed: CommittedFeeds) -> None:
    """The entry of b in the file gets another interval, which puts b on the list again."""
    committed.merge(A, B)
    committed.remove("b")
    assert set(committed.polled) == {"a"}
    assert committed.merge(A, B).overridden == ("b",)
    assert set(committed.polled) == {"a"}
    assert committed.feed_list.removed_by_hand == ["b"]
    committed.merge(A, feed("b", every_s=60))
    assert set(committed.polled) == {"a", "b"}


def test_a_feed_changed_by_hand_stays_changed_until_its_entry_changes(committed: CommittedFeeds) -> None:
    """The interval is set to 60 s by hand, and later to 120 s in the file, which counts then."""
    committed.merge(A)
    committed.add("a", every_s=60)
    committed.merge(A)
    assert committed.topic["a"].every_s == 60
    committed.merge(feed("a", every_s=120))
    assert committed.topic["a"].every_s == 120


def test_a_feed_that_is_no_longer_in_the_file_is_removed_unless_it_was_changed_by_hand(
    committed: CommittedFeeds,
) -> None:
    """Of three feeds, a stays in the file, b is removed, and c was changed by hand and stays."""
    committed.merge(A, B, C)
    committed.add("c", every_s=60)
    assert committed.merge(A).removed == ("b",)
    assert set(committed.polled) == {"a", "c"}


def test_adding_a_removed_feed_by_its_id_restores_its_entry_of_the_file(committed: CommittedFeeds) -> None:
    """The feed has the interval of the file again, and counts as a feed of the file."""
    committed.merge(feed("a", every_s=900))
    committed.remove("a")
    assert committed.add("a").added == ("a",)
    assert committed.topic["a"] == feed("a", every_s=900)
    assert committed.feed_list.origin("a") == "file"


def test_adding_a_disabled_feed_enables_it_and_adding_it_again_changes_nothing(committed: CommittedFeeds) -> None:
    """The second `add` gives the address of the feed; its update has no record and no change of the state."""
    committed.merge(feed("a", enabled=False))
    assert committed.polled == {}
    assert committed.add("a").changed == ("a",)
    assert "a" in committed.polled
    second = committed.add("https://a.example/rss")
    assert (second.results, second.state) == ([], {})


def test_an_address_is_not_polled_under_two_ids(committed: CommittedFeeds) -> None:
    committed.merge(A)
    assert not committed.add("https://A.example:443/rss").added, "this is another spelling of the address of a"
    with pytest.raises(SettingsError, match=r"feed twin: this address is polled already, as a .got 'https://a\.exam"):
        committed.add("https://a.example/rss", feed_id="twin")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url_or_id": "ftp://x.example/rss"}, r"URL: only http and https are fetched .got 'ftp://x\.example/rss'"),
        (
            {"url_or_id": "http://10.0.0.8/rss"},
            r"URL: a private address .got 'http://10\.0\.0\.8/rss'.*allow_private_hosts",
        ),
        ({"url_or_id": "new", "url": "http://[::1]/rss"}, r"--url: a private address"),
        (
            {"url_or_id": "https://user:pw@x.example/"},
            r"URL: an address with a user name or password .got 'https://x\.exa",
        ),
        ({"url_or_id": "news.example/rss"}, r"URL: not an address .got 'news\.example/rss'.*https://"),
        ({"url_or_id": "new"}, r"the list of feeds: there is no such feed .got 'new'.*--url"),
        ({"url_or_id": "as"}, r"Did you mean a\?"),
        ({"url_or_id": "new", "url": "https://x.example/", "feed_id": "x"}, r"--id: two ids"),
        ({"url_or_id": "https://x.example/", "url": "https://y.example/"}, r"--url: two addresses"),
        ({"url_or_id": "a b", "url": "https://x.example/"}, r"feeds add: id: .*pattern.*got 'a b'"),
        ({"url_or_id": "a", "every_s": 1}, r"feeds add: every_s: .*10 .got 1"),
        ({"url_or_id": "a", "format": "gopher"}, r"feeds add: format: .*'rss'.*got 'gopher'"),
    ],
    ids=[
        "ftp",
        "private IPv4",
        "private IPv6",
        "password",
        "address without scheme",
        "unknown id",
        "similar id",
        "two ids",
        "two addresses",
        "invalid id",
        "interval too short",
        "unknown format",
    ],
)
def test_an_invalid_argument_is_refused_with_its_value(
    committed: CommittedFeeds, arguments: dict, message: str
) -> None:
    """The list has the feed a. The error never has the password of an address."""
    committed.merge(A)
    with pytest.raises(SettingsError, match=message) as caught:
        committed.add(**arguments)
    assert "user:pw" not in str(caught.value)


def test_a_private_host_in_the_settings_may_be_added(committed: CommittedFeeds) -> None:
    committed.add("http://127.0.0.1:8000/rss", feed_id="local")
    assert committed.polled == {"local": "http://127.0.0.1:8000/rss"}


def test_removing_an_unknown_feed_suggests_a_similar_id(committed: CommittedFeeds) -> None:
    committed.merge(feed("reuters-business"))
    with pytest.raises(SettingsError, match=r"no such feed .got 'reuters-bussiness'.*mean reuters-business"):
        committed.remove("reuters-bussiness")


def test_the_list_is_bounded(committed: CommittedFeeds) -> None:
    """Adds a feed to a list of `MAX_FEEDS` feeds."""
    committed.commit(committed.feed_list.put(feed(f"f{number}") for number in range(MAX_FEEDS)))
    with pytest.raises(SettingsError, match=f"more than {MAX_FEEDS} feeds"):
        committed.add("https://one.example/more")


def test_state_under_other_keys_is_not_changed(committed: CommittedFeeds) -> None:
    """A merge adds feed a, and a merge of an empty file removes it and all that was stored about it."""
    committed.state["something"] = b"else"
    committed.merge(A)
    committed.merge()
    assert committed.state == {"something": b"else"}


@given(st.text(max_size=300))
def test_every_address_yields_a_valid_id(path: str) -> None:
    feed_id = id_of(f"https://www.news.example/{path}")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", feed_id)
    assert feed_id.startswith("news.example")


def test_two_addresses_that_yield_the_same_id_get_different_ids(committed: CommittedFeeds) -> None:
    committed.add("https://news.example/a.xml")
    committed.add("https://news.example/a.rss")
    assert len(committed.polled) == 2


NAMES = st.sampled_from("abcd")
INTERVALS = st.sampled_from((60, 300))
FILES = st.dictionaries(NAMES, INTERVALS)
EDITS = st.one_of(
    st.tuples(st.just("merge"), FILES),
    st.tuples(st.just("put"), st.tuples(NAMES, INTERVALS)),
    st.tuples(st.just("remove"), NAMES),
)


def file_feeds(file: Mapping[str, int]) -> list[Feed]:
    return [feed(name, every_s=every_s) for name, every_s in file.items()]


def apply(committed: CommittedFeeds, edit: tuple) -> None:
    """Applies a random edit (kind, argument): a merge of a feed file, a put or a remove."""
    kind, argument = edit
    if kind == "merge":
        committed.merge(*file_feeds(argument))
    elif kind == "put":
        name, every_s = argument
        committed.commit(committed.feed_list.put([feed(name, every_s=every_s)]))
    elif argument in committed.feed_list.feeds:
        committed.remove(argument)


@given(st.lists(EDITS, max_size=12), FILES, st.lists(EDITS.filter(lambda edit: edit[0] != "merge"), max_size=6))
def test_merging_a_file_again_keeps_every_change_made_by_hand_since(
    edits_before: list, file: dict[str, int], edits_since: list
) -> None:
    """The second merge of the same file changes nothing. `overridden` has the ids on which list and file differ.

    Args:
        edits_before: edits before the first merge: merges of other files, puts and removes by hand.
        file: the interval of each feed of the file.
        edits_since: puts and removes by hand between the two merges.
    """
    committed = CommittedFeeds()
    for edit in edits_before:
        apply(committed, edit)
    committed.merge(*file_feeds(file))
    for edit in edits_since:
        apply(committed, edit)
    before = dict(committed.topic)
    second = committed.merge(*file_feeds(file))
    assert (second.results, second.state) == ([], {})
    assert committed.topic == before
    feeds, entries = committed.feed_list.feeds, {entry.id: entry for entry in file_feeds(file)}
    assert set(committed.polled) == set(feeds), "the topic and the list agree"
    assert set(second.overridden) == {name for name in {*feeds, *entries} if feeds.get(name) != entries.get(name)}


def test_a_secret_in_an_address_is_no_part_of_the_id(committed: CommittedFeeds) -> None:
    """The id is the source of articles and alerts, which everyone sees."""
    committed.add("https://news.example/rss.xml?lang=en&apikey=S3CRET")
    assert set(committed.polled) == {"news.example-rss-lang-en"}


def test_an_imported_feed_is_not_polled_twice_under_another_id(committed: CommittedFeeds) -> None:
    committed.add("https://hand.example/rss", feed_id="hand")
    feeds = committed.feed_list.with_known_ids([feed("hand.example-rss", "https://hand.example/rss"), B])
    assert feeds == [B]
