"""The feeds that are polled, and who put each there: a file that was brought, or somebody by hand. Pure.

A file is merged entry by entry with what it said when it was last brought: **what changed in the file counts, what did
not is left as it is**. So a feed that was added by hand stays although the file does not know it, and one that was
removed or changed by hand stays so, until the file's own entry for it changes.

State of the publisher `feeds`: `feed:ID` is the record as it stands on the topic, `file:ID` the entry as the file last
had it, `layout` says that this is so. Without `layout` (riskwire before lists could be changed by hand) every feed came
from a file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from pydantic import ValidationError
from yarl import URL

from riskwire.bus import Outgoing
from riskwire.bus.state import StateUpdate
from riskwire.errors import RefusedError, SettingsError
from riskwire.ingest.feeds.feedlist import MAX_FEEDS
from riskwire.ingest.feeds.roster import FEED
from riskwire.ingest.fetching.address import permitted, well_formed
from riskwire.pipeline import Topic
from riskwire.records import Feed, content_id, schema_error

FILE = "file:"
LAYOUT, CURRENT = "layout", b"2"

Origin = Literal["file", "hand"]


@dataclass(frozen=True, slots=True)
class FeedChange(StateUpdate):
    """What is changed, and of what kind each change is (ids, sorted)."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """Feeds on which the file and what was done by hand differ; the hand had the last word."""


class Catalogue:
    """The list as one state of the publisher `feeds` has it.

    Args:
        state: keys that are not its own are left alone.
    """

    def __init__(self, state: Mapping[str, bytes]) -> None:
        self.feeds = _read(state, FEED)
        """Every feed on the list by id, also those that are switched off."""
        self._file = _read(state, FILE if LAYOUT in state else FEED)
        self._is_old = LAYOUT not in state

    def origin(self, feed_id: str) -> Origin:
        """Who had the last word on a feed."""
        return "file" if self.feeds.get(feed_id) == self._file.get(feed_id) else "hand"

    @property
    def removed_by_hand(self) -> list[str]:
        """Feeds that the file has and that are not polled since somebody removed them."""
        return sorted(self._file.keys() - self.feeds.keys())

    @property
    def polled(self) -> int:
        """How many feeds are polled."""
        return sum(feed.enabled for feed in self.feeds.values())

    def merged(self, listed: Iterable[Feed]) -> FeedChange:
        """A file has been brought: what changed in it since the last time is taken over."""
        lines = {feed.id: feed for feed in listed}
        entries: dict[str, bytes | None] = {}
        wanted = dict(self.feeds)
        for key, feed in lines.items():
            if self._file.get(key) != feed:
                wanted[key], entries[FILE + key] = feed, feed.to_bytes()
        for key in self._file.keys() - lines.keys():
            entries[FILE + key] = None
            if self.origin(key) == "file":
                wanted.pop(key, None)
        left = {key for key in wanted.keys() | lines.keys() if wanted.get(key) != lines.get(key)}
        return self._to(wanted, entries, left)

    def with_feeds(self, feeds: Iterable[Feed]) -> FeedChange:
        """Somebody adds or changes feeds by hand.

        Raises:
            SettingsError: they would be too many.
        """
        wanted = self.feeds | {feed.id: feed for feed in feeds}
        if len(wanted) > MAX_FEEDS:
            raise SettingsError(
                f"more than {MAX_FEEDS} feeds", value=len(wanted), where="the list of feeds", do="Remove some first"
            )
        return self._to(wanted)

    def without(self, feed_id: str) -> FeedChange:
        """Somebody removes a feed by hand.

        Raises:
            SettingsError: it is not on the list.
        """
        if feed_id not in self.feeds:
            raise self._unknown(feed_id)
        return self._to({key: feed for key, feed in self.feeds.items() if key != feed_id})

    def to_add(
        self, what: str, *, url: str | None, named: str | None, changes: Mapping[str, object], allow: Collection[str]
    ) -> Feed:
        """The feed that `riskwire feeds add` means: `what` is an address, or the id of a feed.

        Args:
            url: the address, where `what` is an id.
            named: the id, where `what` is an address; made from the address where there is none.
            changes: `every_s`, `format` where they are given; what is not keeps its value.
            allow: hosts that may be polled although they are private (`ingest.allow_private_hosts`).

        Raises:
            SettingsError: an address, id or value that cannot be used, naming it.
        """
        if "://" in what:
            if url is not None:
                raise SettingsError("two addresses for one feed", value=url, where="--url", do="Leave --url out")
            address: str | None = permitted_url(what, "URL", allow)
            key = named
        else:
            if named is not None:
                raise SettingsError("two ids for one feed", value=named, where="--id", do="Leave --id out")
            address, key = None if url is None else permitted_url(url, "--url", allow), what
            if address is None and "/" in what:
                raise SettingsError("not an address", value=what, where="URL", do="One starts with https:// or http://")
        if address is not None:
            others = sorted(each.id for each in self.feeds.values() if each.enabled and _same(each.url, address))
            if others and key not in others:
                if key is not None:
                    raise SettingsError(
                        f"this address is polled already, as {others[0]}",
                        value=address,
                        where=f"feed {key}",
                        do=f"Remove {others[0]} first, or change it: `riskwire feeds add {others[0]} …`",
                    )
                key = others[0]
        if key is None:
            key = self._free_id(address or "")
        base = self.feeds.get(key) or self._file.get(key)
        if base is None and address is None:
            raise self._unknown(key, "Give its address with --url to add it")
        if base is not None and address is not None and _same(base.url, address):
            address = base.url
        fields = base.model_dump() if base is not None else {"id": key}
        return feed_of(fields | {"enabled": True} | ({"url": address} if address else {}) | dict(changes), "feeds add")

    def _to(
        self,
        wanted: Mapping[str, Feed],
        entries: Mapping[str, bytes | None] | None = None,
        left: Iterable[str] = (),
    ) -> FeedChange:
        results: list[Outgoing] = []
        state: dict[str, bytes | None] = {}
        if self._is_old and (self.feeds or wanted):
            state[LAYOUT] = CURRENT
            state.update((FILE + key, feed.to_bytes()) for key, feed in self._file.items())
        state.update(entries or {})
        gone = self.feeds.keys() - wanted.keys()
        differ = [key for key, feed in wanted.items() if self.feeds.get(key) != feed]
        for key in differ:
            record = wanted[key].to_bytes()
            results.append(Outgoing(Topic.FEEDS, key, record))
            state[FEED + key] = record
        for key in sorted(gone):
            ended = self.feeds[key].model_copy(update={"enabled": False})
            results.append(Outgoing(Topic.FEEDS, key, ended.to_bytes()))
            state[FEED + key] = None
        return FeedChange(
            results,
            state,
            added=tuple(sorted(key for key in differ if key not in self.feeds)),
            changed=tuple(sorted(key for key in differ if key in self.feeds)),
            removed=tuple(sorted(gone)),
            left=tuple(sorted(left)),
        )

    def _free_id(self, url: str) -> str:
        made = id_of(url)
        return made if made not in self.feeds else f"{made[:90]}-{content_id(url)[:6]}"

    def _unknown(self, feed_id: str, do: str = "`riskwire feeds list` shows what there is") -> SettingsError:
        close = get_close_matches(feed_id, self.feeds, n=1)
        hint = f"Did you mean {close[0]}? {do}" if close else do
        return SettingsError("there is no such feed", value=feed_id, where="the list of feeds", do=hint)


def permitted_url(url: str, where: str, allow: Collection[str]) -> str:
    """An address that may be polled, as it is given.

    Raises:
        SettingsError: naming the address, and what is wrong with it.
    """
    try:
        permitted(url, allow)
    except RefusedError as error:
        raise SettingsError(error.what, value=error.value, where=where, do=error.do) from None
    return url


def feed_of(fields: Mapping[str, object], where: str) -> Feed:
    """A feed of these fields.

    Raises:
        SettingsError: naming field and value.
    """
    try:
        return Feed.model_validate(fields)
    except ValidationError as error:
        fault = schema_error(error, where)
        raise SettingsError(fault.what, value=fault.value, where=where) from None


def id_of(url: str) -> str:
    """An id made from an address: host and path, in the letters that an id may have.

    >>> id_of("https://www.news.example/business/rss.xml?lang=en")
    'news.example-business-rss-lang-en'
    """
    parsed = URL(url)
    words = f"{(parsed.raw_host or '').removeprefix('www.')}/{parsed.raw_path}/{parsed.raw_query_string}"
    words = re.sub(r"\.(xml|rss|atom|rdf|json|aspx?|php|html?)(?=/|$)", "", words.lower())
    return re.sub(r"[^a-z0-9._]+", "-", words).strip("-._")[:100].strip("-._") or "feed"


def _same(one: str, other: str) -> bool:
    try:
        left, right = well_formed(one), well_formed(other)
    except RefusedError:
        return one == other
    return all(getattr(left, part) == getattr(right, part) for part in ("scheme", "host", "port", "raw_path_qs"))


def _read(state: Mapping[str, bytes], prefix: str) -> dict[str, Feed]:
    return {
        key.removeprefix(prefix): Feed.model_validate_json(value)
        for key, value in state.items()
        if key.startswith(prefix)
    }
