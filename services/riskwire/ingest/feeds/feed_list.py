"""The feed list: every feed that is polled, and whether a file or a command put it there. Pure.

The list is the state of the publisher `feeds`: `feed:ID` holds the feed as last published, `file:ID` the entry of the
feed file as last merged. An entry of the file overrides a change made by hand (`riskwire feeds add|remove`) only if the
entry differs from the last merged one. So a feed that was added by hand stays although the file does not list it, and a
feed that was changed or removed by hand stays so until its entry in the file changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from pydantic import ValidationError

from riskwire.bus import Outgoing
from riskwire.bus.state import StateUpdate
from riskwire.errors import RefusedError, SettingsError
from riskwire.ingest.feeds.feed_file import MAX_FEEDS
from riskwire.ingest.feeds.feed_id import id_of
from riskwire.ingest.fetching.address import parse_permitted_url, parse_url
from riskwire.pipeline import Topic
from riskwire.records import Feed, content_id, schema_error

_FEED_PREFIX = "feed:"
_FILE_PREFIX = "file:"
_MAX_ID = 100
_ID_HASH = 6
_LIST = "the list of feeds"

Origin = Literal["file", "hand"]


@dataclass(frozen=True, slots=True)
class FeedListUpdate(StateUpdate):
    """A change of the feed list. Its ids are sorted.

    Attributes:
        added: ids of feeds that were not on the list.
        changed: ids of feeds that were on the list with other values.
        removed: ids of feeds that are no longer on the list.
        overridden: ids of feeds on which the list and the merged file differ, because they were changed by hand.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    overridden: tuple[str, ...] = ()


class FeedList:
    """The committed feed list.

    Attributes:
        feeds: every feed on the list by id, including disabled feeds.

    Args:
        state: the state of the publisher `feeds`; keys with other prefixes are ignored.
    """

    def __init__(self, state: Mapping[str, bytes]) -> None:
        self.feeds = _decode(state, _FEED_PREFIX)
        self._file_entries = _decode(state, _FILE_PREFIX)

    def origin(self, feed_id: str) -> Origin:
        """Returns what changed a feed last."""
        return "file" if self.feeds.get(feed_id) == self._file_entries.get(feed_id) else "hand"

    @property
    def removed_by_hand(self) -> list[str]:
        """Ids of feeds that are in the file but were removed by hand."""
        return sorted(self._file_entries.keys() - self.feeds.keys())

    @property
    def enabled_feeds(self) -> int:
        """The number of feeds that are polled."""
        return sum(feed.enabled for feed in self.feeds.values())

    def merge_file(self, file_feeds: Iterable[Feed]) -> FeedListUpdate:
        """Returns the update that applies the changes of a file since it was last merged.

        A feed whose entry in the file is new or changed gets the values of the entry, whatever was changed by hand. A
        feed that is no longer in the file is removed, unless it was changed by hand. All other feeds stay.
        """
        entries = {feed.id: feed for feed in file_feeds}
        feeds = dict(self.feeds)
        entry_changes: dict[str, bytes | None] = {}
        for feed_id, feed in entries.items():
            if self._file_entries.get(feed_id) != feed:
                feeds[feed_id], entry_changes[_FILE_PREFIX + feed_id] = feed, feed.to_bytes()
        for feed_id in self._file_entries.keys() - entries.keys():
            entry_changes[_FILE_PREFIX + feed_id] = None
            if self.origin(feed_id) == "file":
                feeds.pop(feed_id, None)
        overridden = {
            feed_id for feed_id in feeds.keys() | entries.keys() if feeds.get(feed_id) != entries.get(feed_id)
        }
        return self._update_to(feeds, entry_changes, overridden)

    def put(self, feeds: Iterable[Feed]) -> FeedListUpdate:
        """Returns the update that adds feeds, or replaces those with the same ids, by hand.

        Raises:
            SettingsError: the list would have more than `MAX_FEEDS` feeds.
        """
        new_feeds = self.feeds | {feed.id: feed for feed in feeds}
        if len(new_feeds) > MAX_FEEDS:
            raise SettingsError(
                f"more than {MAX_FEEDS} feeds", value=len(new_feeds), where=_LIST, do="Remove some first"
            )
        return self._update_to(new_feeds)

    def with_known_ids(self, feeds: Iterable[Feed]) -> list[Feed]:
        """Returns feeds without those whose address is polled already, under another id."""
        ids = {feed.url: feed.id for feed in self.feeds.values() if feed.enabled}
        return [feed for feed in feeds if ids.get(feed.url, feed.id) == feed.id]

    def remove(self, feed_id: str) -> FeedListUpdate:
        """Returns the update that removes a feed by hand.

        The update publishes the feed once more as disabled, so that ingesters stop polling it. A file that lists the
        feed adds it again only after its entry has changed.

        Raises:
            SettingsError: the feed is not on the list.
        """
        if feed_id not in self.feeds:
            raise self._unknown_feed(feed_id)
        return self._update_to({key: feed for key, feed in self.feeds.items() if key != feed_id})

    def feed_to_put(
        self,
        url_or_id: str,
        *,
        url: str | None,
        feed_id: str | None,
        changes: Mapping[str, object],
        allow: Collection[str],
    ) -> Feed:
        """Returns the feed that `riskwire feeds add` adds or changes. Fields without a new value keep their value.

        It is enabled, unless `changes` says otherwise. A feed that was removed by hand comes back with the values of
        its entry in the file.

        Args:
            url_or_id: the address of a feed, or the id of a feed.
            url: the address, if `url_or_id` is an id.
            feed_id: the id, if `url_or_id` is an address; by default the id of the feed with this address, or a new id
                derived from the address.
            changes: new values of fields.
            allow: private hosts that may be polled (`ingest.allow_private_hosts`).

        Raises:
            SettingsError: an address, id or value cannot be used.
        """
        address, feed_id = _address_and_id(url_or_id, url, feed_id, allow)
        if address is not None:
            feed_id = self._id_for(address, feed_id)
        assert feed_id is not None, "an address or an id is given"
        known = self.feeds.get(feed_id) or self._file_entries.get(feed_id)
        if known is None and address is None:
            raise self._unknown_feed(feed_id, "Give its address with --url to add it")
        fields: dict[str, object] = known.model_dump() if known is not None else {"id": feed_id}
        fields["enabled"] = True
        if address is not None and not (known is not None and _is_same_url(known.url, address)):
            fields["url"] = address
        return parse_feed(fields | dict(changes), "feeds add")

    def _id_for(self, address: str, feed_id: str | None) -> str:
        """Returns the id for the feed with an address, so that no address is polled under two ids.

        Without `feed_id` it is the id of the enabled feed that has the address, or a new one.

        Args:
            feed_id: the id that the user wants, or None.

        Raises:
            SettingsError: the user wants an id, and an enabled feed with another id has the address.
        """
        same = sorted(feed.id for feed in self.feeds.values() if feed.enabled and _is_same_url(feed.url, address))
        if not same or feed_id in same:
            return feed_id if feed_id is not None else self._new_id(address)
        if feed_id is None:
            return same[0]
        raise SettingsError(
            f"this address is polled already, as {same[0]}",
            value=address,
            where=f"feed {feed_id}",
            do=f"Remove {same[0]} first, or change it: `riskwire feeds add {same[0]} …`",
        )

    def _new_id(self, url: str) -> str:
        feed_id = id_of(url)
        return feed_id if feed_id not in self.feeds else f"{feed_id[:90]}-{content_id(url)[:_ID_HASH]}"

    def _update_to(
        self,
        feeds: Mapping[str, Feed],
        entry_changes: Mapping[str, bytes | None] | None = None,
        overridden: Iterable[str] = (),
    ) -> FeedListUpdate:
        """Returns the update after which the list has exactly the given feeds: the records to publish and the state.

        A feed that is removed is published as disabled, so that ingesters stop polling it.

        Args:
            feeds: the new list, by id.
            entry_changes: changes of the state that remember which entries of the file were merged.
            overridden: ids of feeds that differ from the file, for the report.
        """
        results: list[Outgoing] = []
        state: dict[str, bytes | None] = dict(entry_changes or {})
        changed = [feed_id for feed_id, feed in feeds.items() if self.feeds.get(feed_id) != feed]
        removed = sorted(self.feeds.keys() - feeds.keys())
        for feed_id in changed:
            record = feeds[feed_id].to_bytes()
            results.append(Outgoing(Topic.FEEDS, feed_id, record))
            state[_FEED_PREFIX + feed_id] = record
        for feed_id in removed:
            disabled = self.feeds[feed_id].model_copy(update={"enabled": False})
            results.append(Outgoing(Topic.FEEDS, feed_id, disabled.to_bytes()))
            state[_FEED_PREFIX + feed_id] = None
        return FeedListUpdate(
            results,
            state,
            added=tuple(sorted(feed_id for feed_id in changed if feed_id not in self.feeds)),
            changed=tuple(sorted(feed_id for feed_id in changed if feed_id in self.feeds)),
            removed=tuple(removed),
            overridden=tuple(sorted(overridden)),
        )

    def _unknown_feed(self, feed_id: str, do: str = "`riskwire feeds list` shows every feed") -> SettingsError:
        """Returns the error for an id without a feed; it proposes the id that is most alike."""
        similar = get_close_matches(feed_id, self.feeds, n=1)
        hint = f"Did you mean {similar[0]}? {do}" if similar else do
        return SettingsError("there is no such feed", value=feed_id, where=_LIST, do=hint)


def _address_and_id(
    url_or_id: str, url: str | None, feed_id: str | None, allow: Collection[str]
) -> tuple[str | None, str | None]:
    """Returns the address and the id of the feed that `riskwire feeds add` names; either may be None.

    Args:
        url_or_id: the positional argument, which is an address if it looks like one, else an id.
        url: the option `--url`, or None.
        feed_id: the option `--id`, or None.
        allow: private hosts that may be polled.

    Raises:
        SettingsError: two addresses or two ids, or an address that is malformed or may not be polled.
    """
    if "://" in url_or_id:
        if url is not None:
            raise SettingsError("two addresses for one feed", value=url, where="--url", do="Leave --url out")
        return permitted_url(url_or_id, "URL", allow), feed_id
    if feed_id is not None:
        raise SettingsError("two ids for one feed", value=feed_id, where="--id", do="Leave --id out")
    if url is not None:
        return permitted_url(url, "--url", allow), url_or_id
    if "/" in url_or_id:
        raise SettingsError(
            "not an address", value=url_or_id, where="URL", do="An address starts with https:// or http://"
        )
    return None, url_or_id


def permitted_url(url: str, where: str, allow: Collection[str]) -> str:
    """Returns an address unchanged if it may be polled.

    Args:
        where: the argument or entry that the address comes from, for the error.
        allow: private hosts that may be polled.

    Raises:
        SettingsError: the address may not be polled.
    """
    try:
        parse_permitted_url(url, allow)
    except RefusedError as error:
        raise SettingsError(error.what, value=error.value, where=where, do=error.do) from None
    return url


def parse_feed(fields: Mapping[str, object], where: str) -> Feed:
    """Returns the feed with the given fields.

    Raises:
        SettingsError: a field is missing or has an invalid value.
    """
    try:
        return Feed.model_validate(fields)
    except ValidationError as error:
        fault = schema_error(error, where)
        raise SettingsError(fault.what, value=fault.value, where=where) from None


def _is_same_url(first: str, second: str) -> bool:
    """Returns whether two URLs request the same document: equal scheme, host, port, path and query.

    If one cannot be parsed or may not be fetched, they are compared as strings.
    """
    try:
        first_url, second_url = parse_url(first), parse_url(second)
    except RefusedError:
        return first == second
    return all(
        getattr(first_url, part) == getattr(second_url, part) for part in ("scheme", "host", "port", "raw_path_qs")
    )


def _decode(state: Mapping[str, bytes], prefix: str) -> dict[str, Feed]:
    """Returns the feeds that a state holds under a prefix, by id: the remainder of the key."""
    return {
        key.removeprefix(prefix): Feed.model_validate_json(value)
        for key, value in state.items()
        if key.startswith(prefix)
    }
