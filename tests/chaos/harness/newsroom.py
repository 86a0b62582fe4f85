"""Feeds of a run: items come, other feeds reprint them, some are corrected, and now and then the server has trouble."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import yaml
from feedserver import Publisher

EVERY_S = 10
"""How often a feed is polled: as often as may be."""

_TROUBLE = 0.05
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
    """An item: what has stood on its page, the newest last."""

    url: str
    words: list[str] = field(default_factory=list)


class Newsroom(Publisher):
    """Feeds by name; `happen` lets one thing happen, `pages` is all there ever was."""

    def __init__(self, feeds: int, chance: random.Random, port: int) -> None:
        super().__init__(port)
        self.feeds = [f"feed-{number}" for number in range(feeds)]
        self.pages: list[Page] = []
        self.in_order = False
        """Whether the server has no trouble any more."""
        self._chance = chance
        self._trouble = random.Random(chance.getrandbits(32))
        for feed in self.feeds:
            self._new(feed)

    def write_list(self, path: Path) -> None:
        """The feed list, as `riskwire ingest --feeds` takes it."""
        feeds = [{"id": feed, "url": self.url(feed), "every_s": EVERY_S} for feed in self.feeds]
        path.write_text(yaml.safe_dump(feeds), encoding="utf-8")

    async def work(self, every_s: float) -> None:
        """Let things happen, `every_s` apart in the mean, until cancelled."""
        while True:
            await asyncio.sleep(self._chance.uniform(0.2, 1.8) * every_s)
            self.happen()

    def happen(self) -> None:
        """A new item, mostly; or one that another feed brings too, or that is corrected (once at most)."""
        dice, feed = self._chance.random(), self._chance.choice(self.feeds)
        number = self._chance.randrange(len(self.pages))
        page = self.pages[number]
        if dice < 0.2:
            self.publish(feed, number)
        elif dice < 0.4 and len(page.words) == 1:
            page.words.append(f"{page.words[0]}, corrected")
        else:
            self._new(feed)

    def body(self, feed: str, items: list[int]) -> bytes:
        """An RSS document of these pages as they are now."""
        entries = "".join(
            f"<item><title>{escape(page.words[-1])}</title><link>{page.url}</link></item>"
            for page in (self.pages[item] for item in dict.fromkeys(items))
        )
        return (
            f'<?xml version="1.0"?><rss version="2.0"><channel><title>{feed}</title>{entries}</channel></rss>'.encode()
        )

    def answer(self, feed: str, agent: str, validator: str | None) -> tuple[int, str, bytes]:
        """Status, entity tag and body; some polls find the server in trouble."""
        if not self.in_order and self._trouble.random() < _TROUBLE:
            return 503, "", b""
        return super().answer(feed, agent, validator)

    def _new(self, feed: str) -> None:
        number = len(self.pages)
        words = f"{self._chance.choice(_COMPANIES)} {self._chance.choice(_EVENTS)}, report {number}"
        self.pages.append(Page(f"https://news.example/{feed}/{number}", [words]))
        self.publish(feed, number)
