"""`Newsroom` publishes feeds: new items, reprints by other feeds, corrections, and occasional server errors."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import yaml
from feeds.feed_server import FeedServer

POLL_EVERY_S = 10
"""Poll interval of a feed; the smallest that is allowed."""

_ERROR_SHARE = 0.05
_COMPANIES = ("Globex", "Initech", "Hooli", "Umbrella", "Vandelay Industries", "Acme Corp", "Wonka", "Tyrell")
_EVENTS = (
    "shares slide as regulator opens fraud inquiry",
    "raises its forecast after a strong quarter",
    "closes a plant and cuts jobs",
    "names a new chief financial officer",
    "settles lawsuit over faulty brakes",
)


@dataclass(slots=True)
class Page:
    """The page of an item: its address, and all titles it has had, the newest last."""

    url: str
    titles: list[str] = field(default_factory=list)


class Newsroom(FeedServer):
    """Publishes several feeds. ``pages`` holds every page that was ever published."""

    def __init__(self, feeds: int, rng: random.Random, port: int) -> None:
        """Creates ``feeds`` feeds with one page each; `serve_feeds` serves them on the port."""
        super().__init__(port)
        self.feeds = [f"feed-{number}" for number in range(feeds)]
        self.pages: list[Page] = []
        self.answers_all_polls = False
        """Whether the server has stopped to answer some polls with an error."""
        self._rng = rng
        self._error_rng = random.Random(rng.getrandbits(32))
        for feed in self.feeds:
            self._publish_new_page(feed)

    def write_feed_list(self, path: Path) -> None:
        """Writes the feed list that `riskwire ingest --feeds` reads."""
        feeds = [{"id": feed, "url": self.url(feed), "every_s": POLL_EVERY_S} for feed in self.feeds]
        path.write_text(yaml.safe_dump(feeds), encoding="utf-8")

    async def publish_events(self, every_s: float) -> None:
        """Publishes an event every ``every_s`` seconds on average, until cancelled."""
        while True:
            await asyncio.sleep(self._rng.uniform(0.2, 1.8) * every_s)
            self.publish_event()

    def publish_event(self) -> None:
        """Publishes a new page, a reprint of a page in a random feed, or a correction (at most one of each page)."""
        draw, feed = self._rng.random(), self._rng.choice(self.feeds)
        number = self._rng.randrange(len(self.pages))
        page = self.pages[number]
        if draw < 0.2:
            self.publish(feed, number)
        elif draw < 0.4 and len(page.titles) == 1:
            page.titles.append(f"{page.titles[0]}, corrected")
        else:
            self._publish_new_page(feed)

    def body(self, feed: str, items: list[int]) -> bytes:
        """Returns an RSS document of the pages with these numbers, each once, with their newest titles."""
        entries = "".join(
            f"<item><title>{escape(page.titles[-1])}</title><link>{page.url}</link></item>"
            for page in (self.pages[item] for item in dict.fromkeys(items))
        )
        return (
            f'<?xml version="1.0"?><rss version="2.0"><channel><title>{feed}</title>{entries}</channel></rss>'.encode()
        )

    def answer(self, feed: str, agent: str, validator: str | None) -> tuple[int, str, bytes]:
        """Returns status, entity tag and body: 503 for a random part of the polls, until `answers_all_polls` is set."""
        if not self.answers_all_polls and self._error_rng.random() < _ERROR_SHARE:
            return 503, "", b""
        return super().answer(feed, agent, validator)

    def _publish_new_page(self, feed: str) -> None:
        """Adds a page with a random title, which contains its number, and publishes it in a feed."""
        number = len(self.pages)
        title = f"{self._rng.choice(_COMPANIES)} {self._rng.choice(_EVENTS)}, report {number}"
        self.pages.append(Page(f"https://news.example/{feed}/{number}", [title]))
        self.publish(feed, number)
